//! What any answer of a guest and any component file must lead to: the oracles that the tests and
//! the fuzz targets share. The answers are made from bytes, so that a fuzzer can search them.

mod answers;
mod model;

use flumen_core::EventBatch;
use flumen_core::conformance::batch::check_decode;
use flumen_core::option::ComponentKind;

use crate::answer::{self, AnswerError};
use crate::contract::Contract;
use answers::Feed;
use model::Event;

/// Has a guest answer in a way that the bytes choose, to a batch that they choose too. The answer is
/// either refused or becomes what a model says that looks at one event after the other; the model
/// and the host agree on which. Tells whether it was accepted.
///
/// # Panics
/// At the first answer for which this is not so, with the answer in the message.
pub fn check_answer(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let kind = feed.below(3);
    let batch = feed.batch();
    match kind {
        0 => {
            let edits = feed.edits(batch.len());
            let expected = model::edited(model::events_of(&batch), &edits);
            let given = format!("{edits:?} of {batch:?}");
            agree(answer::edited(&batch, &edits), expected, &given)
        }
        1 => {
            let events = feed.events();
            let expected = model::made(&events);
            let given = format!("{events:?}");
            agree(answer::made(events), expected, &given)
        }
        _ => {
            let outcome = feed.outcome(batch.len());
            let expected = model::outcome(&outcome, batch.len());
            let given = format!("{outcome:?} of {} events", batch.len());
            let checked = answer::outcome(outcome, batch.len());
            assert_eq!(checked.as_ref().ok(), expected.as_ref(), "{given}");
            checked.is_ok()
        }
    }
}

fn agree(
    checked: Result<EventBatch, AnswerError>,
    expected: Option<Vec<Event>>,
    given: &str,
) -> bool {
    let events = checked.as_ref().ok().map(model::events_of);
    assert_eq!(events, expected, "{checked:?}: {given}");
    let Ok(batch) = checked else {
        return false;
    };
    let mut encoded = Vec::new();
    assert_eq!(batch.encode(&mut encoded), Ok(()), "{given}");
    assert_eq!(check_decode(&encoded), Some(batch), "{given}");
    true
}

/// Reads what nobody vouches for as a component file: it is refused, or its names are read, and they
/// are no more than the bytes that they stand in.
///
/// # Panics
/// When this is not so; as a defect, when anything on the way panics.
pub fn check_component(bytes: &[u8]) -> Option<Contract> {
    let contract = match Contract::read(bytes) {
        Ok(contract) => contract,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says what is wrong");
            return None;
        }
    };
    let names = contract.imports.iter().chain(&contract.exports);
    let name_bytes: usize = names.map(String::len).sum();
    assert!(name_bytes <= bytes.len(), "names stand in the file");
    let kinds = [
        ComponentKind::Source,
        ComponentKind::Interceptor,
        ComponentKind::Sink,
    ];
    let fitting = kinds.map(|kind| contract.check(kind).is_ok());
    let fits = fitting.iter().filter(|fits| **fits).count();
    assert!(fits <= 1, "a component is of one kind: {contract:?}");
    assert!(fits == 0 || contract.world().is_some(), "{contract:?}");
    Some(contract)
}
