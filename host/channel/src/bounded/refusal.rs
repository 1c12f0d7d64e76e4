//! A refusal in the words of the contract.

use std::time::Duration;

use flumen_core::ComponentName;
use flumen_core::channel::ReserveError;

use super::line::Refusal;
use super::room::Room;

impl Refusal {
    /// What it tells whoever wanted `need` and waited so long. `too_large` says what a bound on the
    /// size is in this channel, and the remedy. A channel with a store says itself how that failed.
    pub(crate) fn told(
        self,
        channel: &ComponentName,
        need: Room,
        waited: Duration,
        too_large: impl FnOnce(u64) -> String,
    ) -> ReserveError {
        let channel = channel.clone();
        match self {
            Refusal::Full => ReserveError::Full { channel, waited },
            Refusal::Closed | Refusal::Failed => ReserveError::Closed { channel },
            Refusal::TooManyEvents { bound } => ReserveError::TooLarge {
                channel,
                reason: format!(
                    "{} events are more than transactionCapacity {bound}; raise it or lower the \
                     batch size of the source",
                    need.events
                ),
            },
            Refusal::TooLarge { bound } => ReserveError::TooLarge {
                channel,
                reason: too_large(bound),
            },
        }
    }
}
