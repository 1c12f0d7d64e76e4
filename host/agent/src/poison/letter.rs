//! Dead letters: the events as they are, with headers that say why they are here.

use std::error::Error;
use std::sync::Arc;

use flumen_core::batch::{Existing, HeaderName};
use flumen_core::channel::Segment;
use flumen_core::poison::header;
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind};
use flumen_wasm::GuestTrap;

/// Bytes of the reason in a dead letter; as much as a guest's own message may have, and more than
/// a person reads.
const REASON_BYTES_MAX: usize = 4 << 10;

/// Bytes of the backtrace in a dead letter: sixteen frames with names of usual length.
const BACKTRACE_BYTES_MAX: usize = 4 << 10;

/// Why an event is poison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blame {
    reason: String,
    code: &'static str,
    call: &'static str,
    backtrace: Option<String>,
    digest: Option<Arc<str>>,
}

impl Blame {
    /// The blame in a fault. `call` and `digest` are what is known without it: a trap knows better.
    pub(crate) fn of(fault: &Fault, call: &'static str, digest: Option<Arc<str>>) -> Self {
        let Some(trap) = GuestTrap::of(fault) else {
            let reason = cut(&fault.to_string(), REASON_BYTES_MAX);
            let code = match fault.kind() {
                FaultKind::Poison => "poison",
                _ => "broken",
            };
            return Self {
                reason,
                code,
                call,
                backtrace: None,
                digest,
            };
        };
        // Without the backtrace and the digest, which have headers of their own.
        let mut reason = format!("{}: {}", fault.message(), trap.cause);
        if !trap.last_words.is_empty() {
            reason = format!("{reason}, and wrote {:?}", trap.last_words);
        }
        let backtrace = trap.backtrace.join(" < ");
        Self {
            reason: cut(&reason, REASON_BYTES_MAX),
            code: trap.cause.code(),
            call: trap.call,
            backtrace: (!backtrace.is_empty()).then(|| cut(&backtrace, BACKTRACE_BYTES_MAX)),
            digest: Some(trap.digest.to_string().into()),
        }
    }

    /// The blame for an event that a sink rejects.
    pub(crate) fn rejected(reason: &str, digest: Option<Arc<str>>) -> Self {
        Self {
            reason: cut(reason, REASON_BYTES_MAX),
            code: "rejected",
            call: "deliver",
            backtrace: None,
            digest,
        }
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

/// These events as dead letters of a component, with one blame for each.
///
/// A header that does not fit the batch any more (it has as many names as a batch may have) is left
/// out: a letter without it is better than none.
pub(super) fn letters(
    events: EventBatch,
    blames: &[Blame],
    component: &ComponentName,
    now_ms: i64,
) -> EventBatch {
    let now_ms: Arc<str> = now_ms.to_string().into();
    let mut letters = events;
    for (name, value) in [
        (header::COMPONENT, Arc::from(component.as_str())),
        (header::TIMESTAMP_MS, now_ms),
    ] {
        let with = header_name(name)
            .and_then(|name| Ok(letters.with_constant_header(&name, &value, Existing::Replace)?));
        letters = with.unwrap_or(letters);
    }
    type Value = fn(&Blame) -> Option<&str>;
    let columns: [(&str, Value); 5] = [
        (header::REASON, |blame| Some(&blame.reason)),
        (header::CODE, |blame| Some(blame.code)),
        (header::CALL, |blame| Some(blame.call)),
        (header::BACKTRACE, |blame| blame.backtrace.as_deref()),
        (header::DIGEST, |blame| blame.digest.as_deref()),
    ];
    for (name, value) in columns {
        let values = blames.iter().map(value);
        let with = header_name(name)
            .and_then(|name| Ok(letters.with_header(&name, values, Existing::Replace)?));
        letters = with.unwrap_or(letters);
    }
    letters
}

fn header_name(name: &'static str) -> Result<HeaderName, Box<dyn Error>> {
    Ok(HeaderName::new(name)?)
}

/// The events of a delivery at these indices, which count over all segments and increase strictly.
pub(super) fn pick(segments: &[Segment], indices: &[u32]) -> Result<EventBatch, Fault> {
    let mut parts = Vec::new();
    let mut start = 0_u32;
    for segment in segments {
        let end = start.saturating_add(u32::try_from(segment.events.len()).unwrap_or(u32::MAX));
        let own: Vec<u32> = indices
            .iter()
            .filter(|index| (start..end).contains(index))
            .map(|index| index - start)
            .collect();
        parts.push(segment.events.select(&own).map_err(unpicked)?);
        start = end;
    }
    EventBatch::concat(&parts).map_err(unpicked)
}

fn unpicked(error: impl Error + Send + Sync + 'static) -> Fault {
    let message = "events cannot be taken out of a batch as dead letters";
    Fault::transient(flumen_core::Side::Data, message).with_cause(error)
}

fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_core::Side;
    use flumen_core::batch::BatchBuilder;

    fn batch(bodies: &[&str]) -> EventBatch {
        let mut builder = BatchBuilder::new();
        for body in bodies {
            builder.push(body.as_bytes()).unwrap();
            let name = HeaderName::new("host").unwrap();
            builder.set_header(&name, "h1").unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn a_letter_keeps_body_and_headers_and_says_why() {
        let fault = Fault::new(FaultKind::Poison, Side::Data, "cannot read it");
        let blame = Blame::of(&fault, "intercept", Some("ab12".into()));
        let rejected = Blame::rejected("too old", None);
        let name = ComponentName::from("sinks.k1");
        let letters = letters(batch(&["a", "b"]), &[blame, rejected], &name, 17);
        assert_eq!(letters.bodies().collect::<Vec<_>>(), [b"a", b"b"]);
        let headers = |index| {
            let mut headers: Vec<_> = letters.headers_of(index).collect();
            headers.sort_unstable();
            headers
        };
        assert_eq!(
            headers(0),
            [
                (header::CALL, "intercept"),
                (header::CODE, "poison"),
                (header::COMPONENT, "sinks.k1"),
                (header::DIGEST, "ab12"),
                (header::REASON, "cannot read it"),
                (header::TIMESTAMP_MS, "17"),
                ("host", "h1"),
            ]
        );
        assert_eq!(
            headers(1),
            [
                (header::CALL, "deliver"),
                (header::CODE, "rejected"),
                (header::COMPONENT, "sinks.k1"),
                (header::REASON, "too old"),
                (header::TIMESTAMP_MS, "17"),
                ("host", "h1"),
            ]
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let reason = "ä".repeat(REASON_BYTES_MAX);
        let blame = Blame::rejected(&reason, None);
        assert_eq!(blame.reason().len(), REASON_BYTES_MAX);
        assert_eq!(cut("xäx", 2), "x");
    }

    #[test]
    fn events_are_picked_over_segments() {
        let segment = |first_sequence, bodies: &[&str]| Segment {
            first_sequence,
            redeliveries: 0,
            events: batch(bodies),
        };
        let segments = [segment(0, &["a", "b"]), segment(9, &["c", "d", "e"])];
        let picked = pick(&segments, &[1, 2, 4]).unwrap();
        assert_eq!(picked.bodies().collect::<Vec<_>>(), [b"b", b"c", b"e"]);
    }
}
