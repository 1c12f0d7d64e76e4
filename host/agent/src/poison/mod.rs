//! Poison events: events on which a component fails however often they are tried.
//!
//! Guarantees:
//! * Only an event that failed alone is poison, or one that the component itself refuses for good.
//! * A dead letter is committed before its event counts as handled: it may come twice, and is never
//!   lost. Its body and headers are those that the component failed on.
//! * A component that fails on everything does not empty its channel into the dead letters: after
//!   [`POISON_IN_A_ROW_MAX`] poison events without one that it handled, no further event is taken
//!   for poison until it has handled one.
//!
//! * `search`: narrows the takes of a sink down to the event on which it fails.
//! * `sift`: does the same to a batch in memory, for an interceptor.
//! * `letter`: what a dead letter says.
//! * `handler`: what becomes of a poison event, by the component's policy.
//! * `figures`: how often that happened.

mod figures;
mod handler;
mod letter;
mod search;
mod sift;

use flumen_config::plan::Component;
use flumen_core::{ComponentName, Fault, FaultKind, poison};

pub use figures::PoisonCounts;
pub(crate) use figures::{PoisonCounters, PoisonFigures};
pub(crate) use handler::{ChannelDirectory, PoisonHandler};
pub(crate) use letter::Blame;
pub(crate) use search::{Search, Stretch, Verdict};
pub(crate) use sift::{Found, Refused, Stage};

/// Poison events in a row, without one that was handled, after which the component counts as broken
/// as a whole. A burst of bad events from one sender is below it as a rule, and so few dead letters
/// of good events can be put back by hand.
pub(crate) const POISON_IN_A_ROW_MAX: u32 = 16;

/// What becomes of a poison event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// It goes into this channel.
    DeadLetter(ComponentName),
    /// It is tried again for ever.
    Block,
    /// It is gone, and counted.
    Drop,
    /// The component does nothing more until its configuration changes.
    Stop,
}

impl Policy {
    /// The policy in a component's settings; `None` for a type that has no such option, whose
    /// events are all tried again for ever and never searched.
    ///
    /// # Errors
    /// A configuration fault when dead letters are asked for and no channel is named.
    pub(crate) fn of(component: &Component) -> Result<Option<Self>, Fault> {
        let settings = &component.settings;
        if component.row.option(poison::ON_POISON).is_none() {
            return Ok(None);
        }
        let channel = settings.optional_text(poison::DEAD_LETTER_CHANNEL)?;
        let word = settings.optional_text(poison::ON_POISON)?;
        Ok(Some(match (word, channel) {
            (Some(poison::STOP), _) => Policy::Stop,
            (Some(poison::DROP), _) => Policy::Drop,
            (Some(poison::BLOCK), _) | (None, None) => Policy::Block,
            (Some(poison::DEAD_LETTER) | None, Some(channel)) => {
                Policy::DeadLetter(ComponentName::from(channel))
            }
            (Some(word), _) => {
                return Err(Fault::configuration(format!(
                    "option {} = {word} needs the option {}",
                    poison::ON_POISON,
                    poison::DEAD_LETTER_CHANNEL
                )));
            }
        }))
    }
}

/// Whether a fault may be the events' doing, so that a search among them makes sense.
pub(crate) fn may_be_of_the_events(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::Broken | FaultKind::Poison)
}
