//! The families whose samples are only known at run time: which version of each guest runs, and the
//! figures that guests count themselves. Their names are labels, never names of families: whatever a
//! guest calls them, the page stays readable.

use flumen_agent::GuestMetrics;

use super::{head, sample};
use crate::picture::Picture;

const INFO: &str = "flumen_guest_info";
const OWN_COUNTER: &str = "flumen_guest_own_total";
const OWN_GAUGE: &str = "flumen_guest_own";

pub(super) fn append_all(page: &mut String, picture: &Picture) {
    append_info(page, picture);
    let counters = |guest: &GuestMetrics| {
        let text = |(name, count): &(String, u64)| (name.clone(), count.to_string());
        guest.counters.iter().map(text).collect()
    };
    let help = "Counters that the component counts itself, by its name for them.";
    append_own(page, picture, (OWN_COUNTER, "counter", help), counters);
    let gauges = |guest: &GuestMetrics| {
        let text = |(name, value): &(String, f64)| (name.clone(), float(*value));
        guest.gauges.iter().map(text).collect()
    };
    let help = "Gauges that the component sets itself, by its name for them.";
    append_own(page, picture, (OWN_GAUGE, "gauge", help), gauges);
}

/// All guests with the names of their components.
fn guests(picture: &Picture) -> impl Iterator<Item = (&str, &GuestMetrics)> {
    let components = picture.components.iter();
    components.filter_map(|component| Some((component.name.as_str(), component.guest.as_ref()?)))
}

fn append_info(page: &mut String, picture: &Picture) {
    for (position, (component, guest)) in guests(picture).enumerate() {
        if position == 0 {
            head(
                page,
                INFO,
                "gauge",
                "The version of a guest that runs; always 1.",
            );
        }
        let known = [
            ("agent", Some(picture.agent.as_str())),
            ("component", Some(component)),
            ("digest", Some(guest.digest.as_str())),
            ("name", guest.name.as_deref()),
            ("version", guest.version.as_deref()),
        ];
        // An empty label is none.
        let labels: Vec<_> = known
            .into_iter()
            .filter_map(|(label, text)| Some((label, text.filter(|text| !text.is_empty())?)))
            .collect();
        sample(page, INFO, &labels, "1");
    }
}

fn append_own(
    page: &mut String,
    picture: &Picture,
    (family, shape, help): (&str, &str, &str),
    figures_of: impl Fn(&GuestMetrics) -> Vec<(String, String)>,
) {
    let mut is_headed = false;
    for (component, guest) in guests(picture) {
        for (name, value) in figures_of(guest) {
            if !is_headed {
                head(page, family, shape, help);
                is_headed = true;
            }
            let labels = [
                ("agent", picture.agent.as_str()),
                ("component", component),
                ("name", &name),
            ];
            sample(page, family, &labels, &value);
        }
    }
}

/// A float as the format writes it, which knows infinity and what is not a number.
fn float(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        // Short also for the largest and the smallest numbers.
        _ => format!("{value:?}"),
    }
}
