//! From lines to the channels, however long that takes.

use std::time::Duration;

use flumen_core::EventBatch;
use flumen_core::source::{ProcessFailure, SourceContext};
use tracing::{error, warn};

/// The first wait after a refused put. Short: the put itself has waited the channel's `keep-alive`.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The longest wait, so that a channel that has room again is noticed within a second.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The agent takes nothing more; what was to be put is lost, which has been logged.
#[derive(Debug)]
pub(super) struct Ended;

/// Puts a batch and tries again for as long as it is refused: nobody but the command waits
/// meanwhile. A batch that can never succeed blocks the source loudly, because the alternative is
/// to lose it; a changed configuration of the channel or the interceptor sets it free.
pub(super) async fn deliver(context: &SourceContext, batch: EventBatch) -> Result<(), Ended> {
    let counters = &context.counters;
    counters.event_received.add(batch.len() as u64);
    let mut left = batch;
    let mut wait = FIRST_WAIT;
    let mut failures: u32 = 0;
    while !left.is_empty() {
        let Err(refused) = context.processor.process(left.clone(), None).await else {
            counters.event_accepted.add(left.len() as u64);
            break;
        };
        counters.event_accepted.add(refused.accepted as u64);
        counters.channel_write_fail.add(1);
        left = left.slice(refused.accepted..left.len());
        if matches!(refused.cause, ProcessFailure::Stopping) {
            error!(source = %context.name, lines = left.len(), "lines were read but not put: {refused}");
            return Err(Ended);
        }
        if refused.accepted > 0 {
            wait = FIRST_WAIT;
            failures = 0;
        }
        failures = failures.saturating_add(1);
        // Repeats are counted, not printed each time.
        if failures.is_power_of_two() {
            if refused.may_succeed_later() {
                warn!(source = %context.name, failures, "lines wait and the command with them: {refused}");
            } else {
                error!(source = %context.name, failures, "lines block the source: {refused}");
            }
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
    Ok(())
}
