//! The settings of a component that stands in no configuration: all defaults of its rows, by the
//! same check that a configuration passes.

use std::fmt::Write;

use flumen_config::{Dialect, Document};
use flumen_core::Fault;
use flumen_core::settings::{Setting, Settings, Value};

use super::GuestKind;
use crate::build::catalogue;

/// The smallest agent around a component, without the component itself.
const AROUND: &str = "\
run.sources = s
run.channels = c
run.sinks = k
run.channels.c.type = memory
run.sources.s.channels = c
run.sinks.k.channel = c
";

/// The settings with these of the component's own.
///
/// # Errors
/// A configuration fault when a name is not one.
pub(super) fn of(kind: GuestKind, own: &[(String, String)]) -> Result<Settings, Fault> {
    let mut settings = defaults(kind)?;
    for (name, value) in own {
        if name.is_empty() {
            return Err(Fault::configuration(
                "a setting has no name; write NAME=VALUE",
            ));
        }
        let value = Value::Text(value.clone());
        let setting = Setting { value, place: None };
        settings.insert(format!("config.{name}"), setting);
    }
    Ok(settings)
}

fn defaults(kind: GuestKind) -> Result<Settings, Fault> {
    let mut text = AROUND.to_owned();
    let (source, sink) = match kind {
        GuestKind::Source => ("wasm", "null"),
        GuestKind::Interceptor => ("seq", "null"),
        GuestKind::Sink => ("seq", "wasm"),
    };
    let component = match kind {
        GuestKind::Source => "run.sources.s",
        GuestKind::Interceptor => "run.sources.s.interceptors.i",
        GuestKind::Sink => "run.sinks.k",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "run.sources.s.type = {source}\nrun.sinks.k.type = {sink}"
    );
    if kind == GuestKind::Interceptor {
        text.push_str("run.sources.s.interceptors = i\nrun.sources.s.interceptors.i.type = wasm\n");
    }
    let _ = writeln!(text, "{component}.component = {kind}");
    let document = Document::parse(Dialect::Properties, "defaults", &text);
    let checked = flumen_config::check(&document, None, &catalogue());
    let broken = || Fault::configuration(format!("there are no defaults for a wasm {kind}"));
    let plan = checked.plan.ok_or_else(broken)?;
    let found = match kind {
        GuestKind::Source => plan
            .sources
            .get("s")
            .map(|source| source.component.settings.clone()),
        GuestKind::Interceptor => plan.sources.get("s").and_then(|source| {
            let first = source.interceptors.first()?;
            Some(first.component.settings.clone())
        }),
        GuestKind::Sink => plan
            .sinks
            .get("k")
            .map(|sink| sink.component.settings.clone()),
    };
    found.ok_or_else(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_defaults_and_own_settings() {
        for kind in GuestKind::ALL {
            let own = [("word".to_owned(), "a = ${b}\\".to_owned())];
            let settings = of(kind, &own).unwrap();
            assert_eq!(settings.integer("limits.cpu_ms").unwrap(), 1000, "{kind}");
            assert_eq!(settings.text("config.word").unwrap(), "a = ${b}\\");
            assert!(of(kind, &[(String::new(), "x".to_owned())]).is_err());
        }
    }
}
