//! When the keeper has something to do.

use std::time::{Duration, Instant};

use super::{ACK_RANGES_MAX, State};

/// How long an acknowledgement waits for events that it can ride with. After a crash what was
/// acknowledged within this time comes again; a disk is asked 50 times a second at most.
const ACK_DELAY: Duration = Duration::from_millis(20);

/// What the keeper is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// It looks at the state again before it sleeps.
    Awake,
    /// It sleeps until this time.
    Dozing(Instant),
    /// It sleeps until it is called.
    Asleep,
}

impl State {
    /// Whether the keeper has to be woken; then it counts as awake.
    pub(in super::super) fn calls_keeper(&mut self) -> bool {
        let urgent = self.is_ending
            || self.forget_due
            || self.wanted().is_some()
            || self.acks.len() > ACK_RANGES_MAX;
        let calls = urgent && self.keeper != Keeper::Awake
            || match (self.keeper, self.due()) {
                (Keeper::Awake, _) | (_, None) => false,
                (Keeper::Asleep, Some(_)) => true,
                (Keeper::Dozing(until), Some(due)) => due < until,
            };
        if calls {
            self.keeper = Keeper::Awake;
        }
        calls
    }

    /// When the keeper has something to do of which nobody tells it.
    pub(in super::super) fn due(&self) -> Option<Instant> {
        let times = [self.acks_due(), self.probe_at, self.retry_at];
        times.into_iter().flatten().min()
    }

    /// When the acknowledgements that wait have to be written.
    pub(in super::super) fn acks_due(&self) -> Option<Instant> {
        match self.acks.len() {
            ACK_RANGES_MAX.. => self.acks.since(),
            _ => self.acks.since().map(|since| since + ACK_DELAY),
        }
    }

    /// The keeper has found nothing to do until then.
    pub(in super::super) fn keeper_sleeps(&mut self, until: Option<Instant>) {
        self.keeper = match until {
            Some(until) => Keeper::Dozing(until),
            None => Keeper::Asleep,
        };
    }

    /// The keeper looks again.
    pub(in super::super) fn keeper_wakes(&mut self) {
        self.keeper = Keeper::Awake;
    }
}
