//! What the interceptors that set one header to one value have in common.

use std::sync::Arc;

use flumen_core::batch::{Existing, HeaderName};
use flumen_core::settings::Settings;
use flumen_core::{EventBatch, Fault, FaultKind, Side};

/// The header that an option names.
pub(super) fn header_name(settings: &Settings, option: &str) -> Result<HeaderName, Fault> {
    HeaderName::new(settings.text(option)?).map_err(|error| {
        Fault::configuration(format!("option {option} names no usable header")).with_cause(error)
    })
}

/// Flume's `preserveExisting`.
pub(super) fn existing(settings: &Settings) -> Result<Existing, Fault> {
    let keep = settings.boolean("preserveExisting")?;
    Ok(if keep {
        Existing::Keep
    } else {
        Existing::Replace
    })
}

/// Sets the header on all events.
///
/// # Errors
/// A poison fault when the batch has as many headers as a batch may have: it will have them
/// however often it is tried.
pub(super) fn set_constant(
    batch: &EventBatch,
    name: &HeaderName,
    value: &Arc<str>,
    existing: Existing,
) -> Result<EventBatch, Fault> {
    batch
        .with_constant_header(name, value, existing)
        .map_err(|error| {
            let what = format!("cannot set header {}", name.as_str());
            Fault::new(FaultKind::Poison, Side::Data, what).with_cause(error)
        })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two events, of which the first has the header with the value `kept`.
    pub(in super::super) fn half_marked(header: &str) -> EventBatch {
        let name = HeaderName::new(header).expect("a name");
        let batch = EventBatch::from_columns("ab".into(), vec![1, 2]).expect("columns");
        batch
            .with_header(&name, [Some("kept"), None], Existing::Replace)
            .expect("one value per event")
    }

    /// The values of a header, event by event.
    pub(in super::super) fn values_of(batch: &EventBatch, header: &str) -> Vec<Option<String>> {
        (0..batch.len())
            .map(|index| {
                let mut headers = batch.headers_of(index);
                headers
                    .find(|(name, _)| *name == header)
                    .map(|(_, value)| value.to_owned())
            })
            .collect()
    }

    #[test]
    fn a_header_without_a_name_is_refused() {
        use flumen_core::settings::Value;
        let settings = Settings::new().with("key", Value::Text(String::new()));
        let fault = header_name(&settings, "key").expect_err("empty");
        assert_eq!(fault.kind(), FaultKind::Configuration);
        assert!(fault.to_string().contains("option key"), "{fault}");
    }
}
