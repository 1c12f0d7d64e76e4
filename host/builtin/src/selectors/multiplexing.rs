//! `multiplexing`: the value of one header decides which channels an event goes to.
//!
//! * `mapping.<value>` names the channels for that value. An event whose header is missing, blank or
//!   not mapped goes to the channels of `default`; when there are none either, it is dropped by
//!   configuration, and the agent counts it.
//! * `optional.<value>` names channels that get the event as well if they have room at once. Channels
//!   that are required for the value anyway are not optional.
//! * Values are compared as they are, in upper and lower case.
//!
//! One pass over one header column; a run of events with the same value costs one comparison each.

use std::collections::HashMap;

use flumen_core::batch::HeaderView;
use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, ValueKind};
use flumen_core::selector::{ChannelSelector, Route};
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind, Side};

use super::target::{Target, channels_of};

const MAPPING: &str = "mapping.";
const OPTIONAL: &str = "optional.";

/// The options of `multiplexing`, relative to `selector.`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::ChannelSelector,
    name: "multiplexing",
    aliases: &["org.apache.flume.channel.MultiplexingChannelSelector"],
    doc: "Sends each event to the channels that are mapped to the value of one of its headers.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "header",
            ValueKind::Text,
            Is("flume.selector.header"),
            "The header whose value decides.",
        ),
        OptionRow::new(
            "mapping.<value>",
            ValueKind::List,
            Absent,
            "Channels for events whose header has this value.",
        ),
        OptionRow::new(
            "default",
            ValueKind::List,
            Absent,
            "Channels for events whose header is missing, blank or not mapped. Without it such \
             events are dropped, and counted.",
        ),
        OptionRow::new(
            "optional.<value>",
            ValueKind::List,
            Absent,
            "Further channels for events whose header has this value; they get an event if they \
             have room at once, and miss it otherwise.",
        ),
    ],
};

/// Makes a `multiplexing` selector.
pub(super) fn build(
    settings: &Settings,
    channels: &[ComponentName],
) -> Result<Box<dyn ChannelSelector>, Fault> {
    let default = channels_of(settings, "default", channels)?;
    let mut required: HashMap<&str, Vec<usize>> = HashMap::new();
    for (value, _) in settings.below(MAPPING) {
        let option = format!("{MAPPING}{value}");
        let mapped = channels_of(settings, &option, channels)?;
        if mapped.is_empty() {
            return Err(Fault::configuration(format!(
                "selector option {option} names no channel; name one, or remove it so that the default holds"
            )));
        }
        required.insert(value, mapped);
    }
    let mut selector = Multiplexing {
        header: settings.text("header")?.to_owned(),
        targets: vec![Target::new(default.clone(), Vec::new())],
        target_of_value: HashMap::new(),
    };
    for (value, _) in settings.below(OPTIONAL) {
        let optional = channels_of(settings, &format!("{OPTIONAL}{value}"), channels)?;
        let required = required.remove(value).unwrap_or_else(|| default.clone());
        selector.map(value, Target::new(required, optional));
    }
    for (value, required) in required {
        selector.map(value, Target::new(required, Vec::new()));
    }
    Ok(Box::new(selector))
}

/// The index of the target for events whose value has none of its own.
const DEFAULT_TARGET: usize = 0;

struct Multiplexing {
    header: String,
    // Each once; the first is the default.
    targets: Vec<Target>,
    target_of_value: HashMap<String, usize>,
}

impl Multiplexing {
    fn map(&mut self, value: &str, target: Target) {
        let known = self.targets.iter().position(|own| *own == target);
        let index = known.unwrap_or_else(|| {
            self.targets.push(target);
            self.targets.len() - 1
        });
        self.target_of_value.insert(value.to_owned(), index);
    }

    fn target_of(&self, value: Option<&str>) -> usize {
        value
            .filter(|value| !value.trim().is_empty())
            .and_then(|value| self.target_of_value.get(value))
            .copied()
            .unwrap_or(DEFAULT_TARGET)
    }

    fn route(&self, target: usize, events: EventBatch) -> Result<Route, Fault> {
        match self.targets.get(target) {
            Some(target) => Ok(target.route(events)),
            None => Err(broken("a target that does not exist")),
        }
    }

    fn routes(&self, batch: &EventBatch, values: HeaderView<'_>) -> Result<Vec<Route>, Fault> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.targets.len()];
        let mut last = (None, self.target_of(None));
        for (index, value) in (0u32..).zip(values.iter()) {
            if last.0 != value {
                last = (value, self.target_of(value));
            }
            if let Some(rows) = rows.get_mut(last.1) {
                rows.push(index);
            }
        }
        let mut routes = Vec::new();
        for (target, rows) in rows.into_iter().enumerate() {
            if rows.len() == batch.len() {
                return Ok(vec![self.route(target, batch.clone())?]);
            }
            if !rows.is_empty() {
                let events = batch
                    .select(&rows)
                    .map_err(|error| broken("rows that cannot be selected").with_cause(error))?;
                routes.push(self.route(target, events)?);
            }
        }
        Ok(routes)
    }
}

/// A defect of this selector.
fn broken(what: &str) -> Fault {
    Fault::new(
        FaultKind::Broken,
        Side::Component,
        format!("multiplexing selector chose {what}"),
    )
}

impl ChannelSelector for Multiplexing {
    fn select(&self, batch: &EventBatch) -> Result<Vec<Route>, Fault> {
        let Some(values) = batch.header(&self.header) else {
            return Ok(vec![self.route(DEFAULT_TARGET, batch.clone())?]);
        };
        if let Some(value) = values.constant() {
            let target = self.target_of(Some(value));
            return Ok(vec![self.route(target, batch.clone())?]);
        }
        self.routes(batch, values)
    }
}

#[cfg(test)]
mod tests {
    use flumen_core::batch::{BatchBuilder, HeaderName};
    use flumen_core::conformance::selector::conforms;

    use super::*;
    use flumen_core::conformance::settings::settings as checked;

    const EXAMPLE: &[(&str, &str)] = &[
        ("header", "state"),
        ("mapping.CA", "c1"),
        ("mapping.AZ", "c2"),
        ("mapping.NY", "c1 c2"),
        ("optional.CA", "c1 c3"),
        ("optional.TX", "c2 c4"),
        ("default", "c4"),
    ];

    fn selector(set: &[(&str, &str)]) -> Result<Box<dyn ChannelSelector>, Fault> {
        build(
            &checked(&ROW, set),
            &["c1", "c2", "c3", "c4"].map(ComponentName::from),
        )
    }

    /// One event per value, whose body is the value.
    fn events(values: &[Option<&str>]) -> EventBatch {
        let name = HeaderName::new("state").expect("a name");
        let mut builder = BatchBuilder::new();
        for value in values {
            builder
                .push(value.unwrap_or("none").as_bytes())
                .expect("fits");
            if let Some(value) = value {
                builder.set_header(&name, value).expect("once");
            }
        }
        builder.finish().expect("valid")
    }

    fn routes(
        set: &[(&str, &str)],
        values: &[Option<&str>],
    ) -> Vec<(Vec<String>, Vec<usize>, Vec<usize>)> {
        let selector = selector(set).expect("builds");
        let events = events(values);
        conforms(&*selector, 4, std::slice::from_ref(&events));
        let routes = selector.select(&events).expect("selects");
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        routes
            .into_iter()
            .map(|route| {
                (
                    route.events.bodies().map(text).collect(),
                    route.required,
                    route.optional,
                )
            })
            .collect()
    }

    fn route_of(set: &[(&str, &str)], value: Option<&str>) -> (Vec<usize>, Vec<usize>) {
        let mut routes = routes(set, &[value]);
        assert_eq!(routes.len(), 1);
        let (_, required, optional) = routes.remove(0);
        (required, optional)
    }

    #[test]
    fn the_value_of_the_header_decides() {
        let cases: &[(Option<&str>, &[usize], &[usize])] = &[
            (Some("CA"), &[0], &[2]),
            (Some("AZ"), &[1], &[]),
            (Some("NY"), &[0, 1], &[]),
            (Some("ca"), &[3], &[]),
            (Some("unmapped"), &[3], &[]),
            (Some("TX"), &[3], &[1]),
            (Some(""), &[3], &[]),
            (Some("  "), &[3], &[]),
            (None, &[3], &[]),
        ];
        for (value, required, optional) in cases {
            let expected = (required.to_vec(), optional.to_vec());
            assert_eq!(route_of(EXAMPLE, *value), expected, "{value:?}");
        }
    }

    #[test]
    fn without_a_default_unmapped_events_go_nowhere() {
        assert_eq!(
            route_of(&[("mapping.CA", "c1")], Some("AZ")),
            (vec![], vec![])
        );
        assert_eq!(route_of(&[], None), (vec![], vec![]));
    }

    #[test]
    fn events_with_the_same_channels_share_a_route_in_their_order() {
        let set = [
            ("header", "state"),
            ("mapping.a", "c1 c2"),
            ("mapping.b", "c2 c1 c2"),
            ("mapping.c", "c3"),
            ("default", "c3"),
        ];
        let values = ["a", "c", "b", "x", "a"].map(Some);
        let mut routes = routes(&set, &values);
        routes.sort();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(
            routes,
            [
                (words(&["a", "b", "a"]), vec![0, 1], vec![]),
                (words(&["c", "x"]), vec![2], vec![]),
            ]
        );
    }

    #[test]
    fn channels_that_do_not_exist_and_empty_mappings_are_refused() {
        for (set, expected) in [
            (("mapping.CA", "c9"), "mapping.CA names channel c9"),
            (("mapping.CA", ""), "mapping.CA names no channel"),
            (("default", "c9"), "default names channel c9"),
            (("optional.CA", "c9"), "optional.CA names channel c9"),
        ] {
            let fault = selector(&[set]).err().expect("refused");
            assert_eq!(fault.kind(), FaultKind::Configuration);
            assert!(fault.to_string().contains(expected), "{fault}");
        }
    }
}
