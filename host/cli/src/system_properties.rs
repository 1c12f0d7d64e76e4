//! The system properties (`-Dname=value`) that mean something, as data, and what they say.
//!
//! All others exist only for `${sys:name}` in configurations. A property under `flume.` or
//! `flumen.` that nobody knows is a warning with the nearest name; a known one with a value that
//! cannot be obeyed is an error.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use flumen_agent::DEFAULT_DRAIN_DEADLINE;
use tracing::level_filters::LevelFilter;

use crate::arguments::asked;
use crate::flags::Treatment;

/// Flume's port for metrics.
const MONITORING_PORT: u16 = 41414;

/// The longest drain that can be asked for: a day. Whoever waits longer waits for nothing.
const DRAIN_DEADLINE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

const ROOT_LOGGER: &str = "flume.root.logger";
const LOG_FORMAT: &str = "flumen.log.format";
const MONITORING_TYPE: &str = "flume.monitoring.type";
const MONITORING_PORT_NAME: &str = "flume.monitoring.port";
const MONITORING_BIND: &str = "flumen.monitoring.bind";
const DRAIN_DEADLINE: &str = "flumen.drainDeadlineMs";
const PROGRESS: &str = "flumen.progress";
const CACHE_FOLDER: &str = "flumen.cacheFolder";
const STATE_FOLDER: &str = "flumen.stateFolder";

/// One property, or all that begin like one that ends with a star.
#[derive(Debug)]
pub(crate) struct PropertyRow {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) treatment: Treatment,
}

impl PropertyRow {
    fn is_called(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => self.name == name,
        }
    }
}

const fn obeyed(name: &'static str, doc: &'static str) -> PropertyRow {
    PropertyRow {
        name,
        doc,
        treatment: Treatment::Obeyed,
    }
}

const fn idle(name: &'static str, doc: &'static str, why: &'static str) -> PropertyRow {
    PropertyRow {
        name,
        doc,
        treatment: Treatment::NoEffect(why),
    }
}

const fn refused(name: &'static str, doc: &'static str, remedy: &'static str) -> PropertyRow {
    PropertyRow {
        name,
        doc,
        treatment: Treatment::NotBuilt(remedy),
    }
}

const TO_STANDARD_ERROR: &str = "the log goes to standard error";
const NO_TLS: &str = "no component that is built uses TLS";
const ONLY_HTTP: &str = "only the monitoring type http is built";

/// All properties with a meaning, in the order of the usage.
#[rustfmt::skip]
pub(crate) static PROPERTIES: &[PropertyRow] = &[
    obeyed(ROOT_LOGGER, "LEVEL,console: what is logged, one of ALL TRACE DEBUG INFO WARN ERROR FATAL OFF; default INFO,console"),
    obeyed(LOG_FORMAT, "readable or json; default readable"),
    obeyed(MONITORING_TYPE, "http serves metrics; default none"),
    obeyed(MONITORING_PORT_NAME, "the port of the metrics; default 41414"),
    obeyed(MONITORING_BIND, "the address of the metrics; default 127.0.0.1 (Flume listens on all: 0.0.0.0)"),
    obeyed(DRAIN_DEADLINE, "how long a stop may deliver what channels hold, in milliseconds; default 8000"),
    obeyed(PROGRESS, "true or false: a line with rates on the terminal; default true on a terminal"),
    obeyed(CACHE_FOLDER, "where compiled Wasm components are kept; default flumen/compiled below the user's cache folder"),
    obeyed(STATE_FOLDER, "where states of Wasm components and positions of sources are kept over a restart, one folder for each agent; default flumen and the agent's name below the user's state folder"),
    idle("flume.log.dir", "folder of Flume's log", TO_STANDARD_ERROR),
    idle("flume.log.file", "file of Flume's log", TO_STANDARD_ERROR),
    idle("flume.monitoring.hosts", "Ganglia hosts", ONLY_HTTP),
    idle("flume.monitoring.pollFrequency", "Ganglia interval", ONLY_HTTP),
    idle("flume.monitoring.pollInterval", "Ganglia interval", ONLY_HTTP),
    idle("flume.monitoring.isGanglia3", "Ganglia version", ONLY_HTTP),
    idle("org.apache.flume.log.printconfig", "permits Flume to print configurations", "configurations are not printed"),
    idle("org.apache.flume.log.rawdata", "permits Flume to print event bodies", "only the logger sink prints bodies, which is what it is for"),
    idle("flume.ssl.*", "TLS for all components", NO_TLS),
    idle("javax.net.ssl.*", "TLS for all components", NO_TLS),
    refused("propertiesImplementation", "a Java class that reads the configuration", "write ${env:NAME} in the configuration for environment variables"),
    refused("lookups", "Java classes for look-ups", "${env:NAME} and ${sys:NAME} need none"),
];

/// How log records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Readable,
    Json,
}

/// What the properties say to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentSettings {
    pub(crate) level: LevelFilter,
    pub(crate) format: LogFormat,
    /// Where metrics are served, if at all.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) drain_deadline: Duration,
    pub(crate) is_showing_progress: bool,
    /// Where compiled components are kept, when it was said.
    pub(crate) cache_folder: Option<PathBuf>,
    /// Where states and positions are kept, when it was said.
    pub(crate) state_folder: Option<PathBuf>,
    /// What had no effect and should be known, one line each.
    pub(crate) warnings: Vec<String>,
    /// What had no effect for a good reason, one line each.
    pub(crate) remarks: Vec<String>,
}

/// Reads the properties; all errors at once.
pub(crate) fn read(properties: &BTreeMap<String, String>) -> Result<AgentSettings, Vec<String>> {
    let mut reader = Reader {
        properties,
        errors: Vec::new(),
        warnings: Vec::new(),
        remarks: Vec::new(),
    };
    reader.look_at_names();
    let level = reader.level();
    let format = reader.choice(
        LOG_FORMAT,
        LogFormat::Readable,
        "readable or json",
        |value| match value {
            "readable" => Some(LogFormat::Readable),
            "json" => Some(LogFormat::Json),
            _ => None,
        },
    );
    let metrics = reader.metrics();
    let drain_deadline = reader.drain_deadline();
    let is_showing_progress = reader.choice(PROGRESS, true, "true or false", |value| match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    });
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    Ok(AgentSettings {
        level,
        format,
        metrics,
        drain_deadline,
        is_showing_progress,
        cache_folder: reader.value(CACHE_FOLDER).map(PathBuf::from),
        state_folder: reader.value(STATE_FOLDER).map(PathBuf::from),
        warnings: reader.warnings,
        remarks: reader.remarks,
    })
}

struct Reader<'p> {
    properties: &'p BTreeMap<String, String>,
    errors: Vec<String>,
    warnings: Vec<String>,
    remarks: Vec<String>,
}

impl Reader<'_> {
    fn look_at_names(&mut self) {
        for name in self.properties.keys() {
            match PROPERTIES.iter().find(|row| row.is_called(name)) {
                Some(row) => match row.treatment {
                    Treatment::Obeyed => {}
                    Treatment::NoEffect(why) => {
                        self.remarks
                            .push(format!("property {name} has no effect: {why}"));
                    }
                    Treatment::NotBuilt(remedy) => {
                        self.errors
                            .push(format!("property {name} is not built: {remedy}"));
                    }
                },
                None if name.starts_with("flume.") || name.starts_with("flumen.") => {
                    let known = PROPERTIES.iter().map(|row| row.name);
                    let question = asked(name, known);
                    self.warnings.push(format!(
                        "property {name} means nothing but to ${{sys:{name}}}{question}"
                    ));
                }
                None => {}
            }
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(|value| value.trim())
    }

    fn refuse(&mut self, name: &str, wanted: &str) {
        let value = self.value(name).unwrap_or_default();
        self.errors.push(format!(
            "property {name} is {value:?}, and has to be {wanted}"
        ));
    }

    fn choice<T>(
        &mut self,
        name: &str,
        default: T,
        wanted: &str,
        of: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(value) = self.value(name) else {
            return default;
        };
        of(&value.to_ascii_lowercase()).unwrap_or_else(|| {
            self.refuse(name, wanted);
            default
        })
    }

    /// Log4j's root logger: a level, then appenders. Both may have blanks around them.
    fn level(&mut self) -> LevelFilter {
        let Some(value) = self.value(ROOT_LOGGER) else {
            return LevelFilter::INFO;
        };
        let mut words = value.split(',').map(str::trim);
        let level = level_called(words.next().unwrap_or_default());
        let others: Vec<String> = words
            .filter(|appender| !appender.is_empty() && !appender.eq_ignore_ascii_case("console"))
            .map(str::to_owned)
            .collect();
        for appender in others {
            self.warnings.push(format!(
                "property {ROOT_LOGGER} names the appender {appender}, which is not built: {TO_STANDARD_ERROR}"
            ));
        }
        level.unwrap_or_else(|| {
            self.refuse(
                ROOT_LOGGER,
                "LEVEL,console with one of ALL TRACE DEBUG INFO WARN ERROR FATAL OFF",
            );
            LevelFilter::INFO
        })
    }

    fn metrics(&mut self) -> Option<SocketAddr> {
        let address = match self.value(MONITORING_BIND).map(str::parse::<IpAddr>) {
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(Ok(address)) => address,
            Some(Err(_)) => {
                self.refuse(MONITORING_BIND, "an address like 127.0.0.1 or ::1");
                return None;
            }
        };
        let port = match self.value(MONITORING_PORT_NAME).map(str::parse::<u16>) {
            None => MONITORING_PORT,
            Some(Ok(port)) => port,
            Some(Err(_)) => {
                self.refuse(MONITORING_PORT_NAME, "a port from 0 to 65535");
                return None;
            }
        };
        match self.value(MONITORING_TYPE) {
            Some(kind) if kind.eq_ignore_ascii_case("http") => {
                return Some(SocketAddr::new(address, port));
            }
            Some(_) => self.refuse(MONITORING_TYPE, "http; no other type is built"),
            None => {
                for name in [MONITORING_PORT_NAME, MONITORING_BIND] {
                    if self.properties.contains_key(name) {
                        self.warnings.push(format!(
                            "property {name} has no effect without -D{MONITORING_TYPE}=http"
                        ));
                    }
                }
            }
        }
        None
    }

    fn drain_deadline(&mut self) -> Duration {
        match self.value(DRAIN_DEADLINE).map(str::parse::<u64>) {
            None => DEFAULT_DRAIN_DEADLINE,
            Some(Ok(milliseconds)) if milliseconds <= DRAIN_DEADLINE_MS_MAX => {
                Duration::from_millis(milliseconds)
            }
            Some(_) => {
                let wanted = format!("milliseconds from 0 to {DRAIN_DEADLINE_MS_MAX}");
                self.refuse(DRAIN_DEADLINE, &wanted);
                DEFAULT_DRAIN_DEADLINE
            }
        }
    }
}

fn level_called(word: &str) -> Option<LevelFilter> {
    Some(match word.to_ascii_uppercase().as_str() {
        "ALL" | "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "INFO" => LevelFilter::INFO,
        "WARN" => LevelFilter::WARN,
        "ERROR" | "FATAL" => LevelFilter::ERROR,
        "OFF" => LevelFilter::OFF,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Result<AgentSettings, Vec<String>> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        read(&properties.iter().map(owned).collect())
    }

    #[test]
    fn without_properties_everything_has_its_default() {
        assert_eq!(
            settings(&[("my.own", "1")]),
            Ok(AgentSettings {
                level: LevelFilter::INFO,
                format: LogFormat::Readable,
                metrics: None,
                drain_deadline: DEFAULT_DRAIN_DEADLINE,
                is_showing_progress: true,
                cache_folder: None,
                state_folder: None,
                warnings: Vec::new(),
                remarks: Vec::new(),
            })
        );
    }

    #[test]
    fn the_default_of_the_page_is_that_of_the_agent() {
        let row = PROPERTIES.iter().find(|row| row.name == DRAIN_DEADLINE);
        let default = format!("default {}", DEFAULT_DRAIN_DEADLINE.as_millis());
        assert!(row.unwrap().doc.ends_with(&default));
    }

    #[test]
    fn levels_of_log4j_in_any_case() {
        for (value, level) in [
            ("INFO,console", LevelFilter::INFO),
            ("debug, CONSOLE", LevelFilter::DEBUG),
            ("All", LevelFilter::TRACE),
            ("fatal,console", LevelFilter::ERROR),
            ("OFF", LevelFilter::OFF),
        ] {
            let settings = settings(&[(ROOT_LOGGER, value)]).unwrap();
            assert_eq!(settings.level, level, "{value}");
            assert!(settings.warnings.is_empty(), "{value}");
        }
        let settings = settings(&[(ROOT_LOGGER, "WARN,LOGFILE")]).unwrap();
        assert_eq!(settings.level, LevelFilter::WARN);
        assert_eq!(
            settings.warnings,
            [
                "property flume.root.logger names the appender LOGFILE, which is not built: the log goes to standard error"
            ]
        );
    }

    #[test]
    fn metrics_stand_on_loopback_unless_told_otherwise() {
        for (properties, address) in [
            (&[(MONITORING_TYPE, "http")][..], "127.0.0.1:41414"),
            (
                &[(MONITORING_TYPE, "HTTP"), (MONITORING_PORT_NAME, "5")],
                "127.0.0.1:5",
            ),
            (
                &[(MONITORING_TYPE, "http"), (MONITORING_BIND, "::")],
                "[::]:41414",
            ),
        ] {
            let settings = settings(properties).unwrap();
            assert_eq!(settings.metrics, Some(address.parse().unwrap()));
        }
        let settings = settings(&[(MONITORING_PORT_NAME, "5")]).unwrap();
        assert_eq!(settings.metrics, None);
        assert_eq!(settings.warnings.len(), 1);
    }

    #[test]
    fn a_drain_lasts_a_day_at_most() {
        for (value, deadline_ms) in [("0", 0), (" 1500 ", 1500), ("86400000", 86_400_000)] {
            let settings = settings(&[(DRAIN_DEADLINE, value)]).unwrap();
            let expected = Duration::from_millis(deadline_ms);
            assert_eq!(settings.drain_deadline, expected, "{value}");
        }
        assert!(settings(&[(DRAIN_DEADLINE, "86400001")]).is_err());
    }

    #[test]
    fn all_errors_come_at_once() {
        let errors = settings(&[
            (ROOT_LOGGER, "LOUD,console"),
            (LOG_FORMAT, "xml"),
            (MONITORING_TYPE, "ganglia"),
            (DRAIN_DEADLINE, "-1"),
            (PROGRESS, "maybe"),
            ("lookups", "l.properties"),
        ])
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "property lookups is not built: ${env:NAME} and ${sys:NAME} need none",
                "property flume.root.logger is \"LOUD,console\", and has to be LEVEL,console with one of ALL TRACE DEBUG INFO WARN ERROR FATAL OFF",
                "property flumen.log.format is \"xml\", and has to be readable or json",
                "property flume.monitoring.type is \"ganglia\", and has to be http; no other type is built",
                "property flumen.drainDeadlineMs is \"-1\", and has to be milliseconds from 0 to 86400000",
                "property flumen.progress is \"maybe\", and has to be true or false",
            ]
        );
        for (name, value) in [(MONITORING_PORT_NAME, "65536"), (MONITORING_BIND, "here")] {
            assert_eq!(settings(&[(name, value)]).unwrap_err().len(), 1, "{name}");
        }
    }

    #[test]
    fn an_unknown_property_of_ours_is_a_warning_with_the_nearest_name() {
        let settings = settings(&[("flume.monitoring.prot", "1"), ("flume.x", "2")]).unwrap();
        assert_eq!(
            settings.warnings,
            [
                "property flume.monitoring.prot means nothing but to ${sys:flume.monitoring.prot}; did you mean flume.monitoring.port?",
                "property flume.x means nothing but to ${sys:flume.x}",
            ]
        );
    }

    #[test]
    fn what_has_no_effect_is_remarked() {
        let settings = settings(&[("flume.ssl.include.protocols", "x")]).unwrap();
        assert_eq!(
            settings.remarks,
            [
                "property flume.ssl.include.protocols has no effect: no component that is built uses TLS"
            ]
        );
    }
}
