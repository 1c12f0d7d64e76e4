//! Applies an interceptor's answer as the agent would.

use crate::bindings::types;
use crate::error::Error;
use crate::interceptor::Answer;

use super::batch::TestBatch;

/// # Errors
/// [`Error::Broken`] when the host would refuse the answer.
pub(super) fn apply(batch: &TestBatch, answer: Answer) -> Result<TestBatch, Error> {
    match answer {
        Answer::Unchanged => Ok(batch.clone()),
        Answer::Edits(edits) => edited(batch.clone(), edits.0),
        Answer::Replaced(events) => TestBatch::from_columns(events.0),
    }
}

fn edited(mut batch: TestBatch, edits: types::Edits) -> Result<TestBatch, Error> {
    for header in &edits.set_all {
        batch = batch.with_header(&header.name, &header.value);
    }
    for column in edits.set_headers {
        batch.set_column(column)?;
    }
    for event in batch.events_mut() {
        for name in &edits.remove_headers {
            event.headers.remove(name);
        }
    }
    if let Some(edit) = edits.bodies {
        for (index, row) in edit.rows.iter().enumerate() {
            let body = edit.bodies.get(index).map(<[u8]>::to_vec);
            let event = batch.events_mut().get_mut(*row as usize);
            let (Some(body), Some(event)) = (body, event) else {
                return Err(Error::broken(format!("no body or no event for row {row}")));
            };
            event.body = body;
        }
    }
    let mut row = 0;
    batch.events_mut().retain(|_| {
        row += 1;
        edits.dropped.binary_search(&(row - 1)).is_err()
    });
    Ok(batch)
}
