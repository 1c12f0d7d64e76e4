//! One interceptor in its chain: its versions, and the search for the event on which it fails.
//!
//! The search is in memory and within one put: the batch is cut in halves down to single events. The
//! answers of the search only tell which events pass; they are dropped, with all that the
//! interceptor would remember of them. One more call with all events that pass gives the answer that
//! counts. What is found counts when the put is committed, not before, so a put that is refused and
//! comes again counts nothing twice.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use flumen_core::channel::PutPart;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::state::PendingState;
use flumen_core::{ComponentName, EventBatch, Fault, FaultKind, Side};
use tracing::{error, warn};

use super::handler::PoisonHandler;
use super::letter::Blame;
use super::{Policy, may_be_of_the_events};
use crate::probation::Versions;

/// Calls in the search through one batch. Enough to find one event among a million, or all of 32.
/// Where more is needed the batch is put in smaller transactions, so that each makes progress while
/// the source's client waits.
const TRIES_MAX: usize = 64;

const CALL: &str = "intercept";

/// An interceptor at its place in the chain of one source.
pub(crate) struct Stage {
    name: ComponentName,
    versions: Arc<Versions<Arc<dyn Interceptor>>>,
    poison: Option<PoisonHandler>,
    /// Why it does nothing more, once its policy has stopped it.
    stopped: OnceLock<String>,
}

/// What a stage made of a batch.
pub(crate) struct Sifted {
    /// The batch that goes on.
    pub(crate) events: EventBatch,
    /// What the interceptor remembers of it, until it is put.
    pub(crate) pending: Option<Box<dyn PendingState>>,
    /// What was taken out; `None` as a rule.
    pub(crate) found: Option<Found>,
}

/// Poison events of one batch.
pub(crate) struct Found {
    letters: EventBatch,
    last: Option<Blame>,
    /// Whether the stage handled any event beside them.
    any_handled: bool,
}

/// Why a stage made nothing of a batch.
pub(crate) enum Refused {
    /// The batch is to come again.
    Fault(Fault),
    /// The batch is to come again in smaller transactions; the fault holds when it cannot be made
    /// smaller.
    Smaller(Fault),
    /// The agent stops.
    Stopping,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused::Fault(fault)
    }
}

impl Stage {
    pub(crate) fn new(
        name: ComponentName,
        versions: Arc<Versions<Arc<dyn Interceptor>>>,
        poison: Option<PoisonHandler>,
    ) -> Arc<Self> {
        // What blocks comes back to the source as it is, so there is nothing to look for.
        let poison = poison.filter(|handler| *handler.policy() != Policy::Block);
        Arc::new(Self {
            name,
            versions,
            poison,
            stopped: OnceLock::new(),
        })
    }

    pub(crate) fn name(&self) -> &ComponentName {
        &self.name
    }

    pub(crate) fn versions(&self) -> &Arc<Versions<Arc<dyn Interceptor>>> {
        &self.versions
    }

    /// Handles a batch, which is not empty.
    ///
    /// # Errors
    /// [`Refused`]; nothing counts.
    pub(crate) async fn handle(
        &self,
        batch: EventBatch,
        stopping: &AtomicBool,
    ) -> Result<Sifted, Refused> {
        let Some(handler) = &self.poison else {
            return Ok(whole(self.intercept(batch).await?));
        };
        if let Some(reason) = self.stopped.get() {
            return Err(Fault::configuration(reason.clone()).into());
        }
        let fault = match self.intercept(batch.clone()).await {
            Ok(events) => {
                handler.handled();
                return Ok(whole(events));
            }
            Err(fault) if !may_be_of_the_events(&fault) => return Err(fault.into()),
            Err(fault) => fault,
        };
        if handler.left_in_the_row() == 0 && !self.handles_the_last_of(&batch).await {
            return Err(fault.into());
        }
        let fault = match fault.kind() {
            FaultKind::Poison => fault,
            // It may have been chance: the whole batch once more.
            _ => match self.again(&batch, stopping).await? {
                Ok(events) => return Ok(whole(events)),
                Err(fault) => fault,
            },
        };
        let sifting = Sifting::new(self, handler, &batch);
        sifting.run(fault, stopping).await
    }

    /// What puts the dead letters into their channel.
    ///
    /// # Errors
    /// A transient fault when the channel is not there now.
    pub(crate) fn parts(&self, found: &Found) -> Result<Vec<PutPart>, Fault> {
        match &self.poison {
            Some(handler) => handler.parts(&found.letters),
            None => Ok(Vec::new()),
        }
    }

    /// The put with what was found is committed.
    pub(crate) fn committed(&self, found: &Found) {
        let Some(handler) = &self.poison else { return };
        let events = found.letters.len();
        handler.disposed(events, found.last.as_ref());
        match found.any_handled {
            true => handler.handled(),
            false => handler.in_a_row(u32::try_from(events).unwrap_or(u32::MAX)),
        }
    }

    /// One call; while the new version is on probation the old one takes over what it fails on.
    async fn intercept(&self, batch: EventBatch) -> Result<Intercepted, Fault> {
        let on_probation = self.versions.is_on_probation();
        let version = self.versions.current();
        if !on_probation {
            return version.made.intercept(batch).await;
        }
        self.versions.begins();
        match version.made.intercept(batch.clone()).await {
            Ok(events) => {
                self.versions.handled();
                Ok(events)
            }
            Err(fault) if self.versions.failed(&version, &fault) => {
                self.versions.current().made.intercept(batch).await
            }
            Err(fault) => Err(fault),
        }
    }

    async fn again(
        &self,
        batch: &EventBatch,
        stopping: &AtomicBool,
    ) -> Result<Result<Intercepted, Fault>, Refused> {
        if stopping.load(Ordering::Relaxed) {
            return Err(Refused::Stopping);
        }
        match self.intercept(batch.clone()).await {
            Err(fault) if !may_be_of_the_events(&fault) => Err(fault.into()),
            tried => Ok(tried),
        }
    }

    /// Whether an interceptor that counts as broken is back: one event of the batch tells, without
    /// the tries of a search each time that the source comes again.
    async fn handles_the_last_of(&self, batch: &EventBatch) -> bool {
        let last = batch.slice(batch.len().saturating_sub(1)..batch.len());
        batch.len() > 1 && self.intercept(last).await.is_ok()
    }
}

fn whole(answer: Intercepted) -> Sifted {
    Sifted {
        events: answer.events,
        pending: answer.pending,
        found: None,
    }
}

/// A search through one batch, which has failed as a whole.
struct Sifting<'s> {
    stage: &'s Stage,
    handler: &'s PoisonHandler,
    batch: &'s EventBatch,
    any_handled: bool,
    condemned: Vec<u32>,
    blames: Vec<Blame>,
}

impl<'s> Sifting<'s> {
    fn new(stage: &'s Stage, handler: &'s PoisonHandler, batch: &'s EventBatch) -> Self {
        Self {
            stage,
            handler,
            batch,
            any_handled: false,
            condemned: Vec::new(),
            blames: Vec::new(),
        }
    }

    async fn run(mut self, first: Fault, stopping: &AtomicBool) -> Result<Sifted, Refused> {
        // Stretches that are not decided, the first on top, so that events are condemned in order.
        let mut open = Vec::new();
        self.decide(0..self.batch.len(), first, &mut open)?;
        let mut tries = 0;
        while let Some(stretch) = open.pop() {
            if stopping.load(Ordering::Relaxed) {
                return Err(Refused::Stopping);
            }
            if tries == TRIES_MAX {
                let message = "too many events of one batch cannot be handled";
                let fault = Fault::new(FaultKind::Broken, Side::Component, message);
                return Err(Refused::Smaller(fault));
            }
            tries += 1;
            let part = self.batch.slice(stretch.clone());
            match self.stage.intercept(part).await {
                Ok(_) => self.any_handled = true,
                Err(fault) if may_be_of_the_events(&fault) => {
                    self.decide(stretch, fault, &mut open)?;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        self.answer().await
    }

    /// A stretch failed: it is halved, or its only event is poison.
    fn decide(
        &mut self,
        stretch: std::ops::Range<usize>,
        fault: Fault,
        open: &mut Vec<std::ops::Range<usize>>,
    ) -> Result<(), Refused> {
        if stretch.len() > 1 {
            let middle = stretch.start + stretch.len() / 2;
            open.push(middle..stretch.end);
            open.push(stretch.start..middle);
            return Ok(());
        }
        if *self.handler.policy() == Policy::Stop {
            return Err(self.stop(&fault).into());
        }
        let digest = self.stage.versions.current().digest.clone();
        self.condemned
            .push(u32::try_from(stretch.start).unwrap_or(u32::MAX));
        self.blames.push(Blame::of(&fault, CALL, digest));
        let left = self.handler.left_in_the_row() as usize;
        if !self.any_handled && self.condemned.len() > left && open.is_empty() {
            return Err(Refused::Smaller(fault));
        }
        Ok(())
    }

    fn stop(&self, fault: &Fault) -> Fault {
        let reason = format!("stopped by its policy after an event that it cannot handle: {fault}");
        let name = &self.stage.name;
        if self.stage.stopped.set(reason.clone()).is_ok() {
            self.handler.found();
            error!(interceptor = %name, "interceptor {reason}");
        }
        Fault::configuration(reason)
    }

    /// The one call that counts, with all events that pass.
    async fn answer(self) -> Result<Sifted, Refused> {
        let poison = self.batch.select(&self.condemned).map_err(|error| {
            let message = "events cannot be taken out of a batch as dead letters";
            Fault::transient(Side::Data, message).with_cause(error)
        })?;
        let mut condemned = self.condemned.iter().peekable();
        let is_good = |index, _: &[u8]| condemned.next_if(|own| **own as usize == index).is_none();
        let good = self.batch.filter(is_good);
        if poison.is_empty() {
            warn!(interceptor = %self.stage.name, "interceptor failed on a batch and not on its parts");
        }
        let answer = match good.is_empty() {
            true => good.into(),
            false => match self.stage.intercept(good).await {
                // Together they fail again, alone they do not: fewer of them may pass.
                Err(fault) if may_be_of_the_events(&fault) => return Err(Refused::Smaller(fault)),
                answer => answer?,
            },
        };
        let found = Found {
            letters: self.handler.letters(poison, &self.blames),
            last: self.blames.into_iter().last(),
            any_handled: self.any_handled,
        };
        Ok(Sifted {
            events: answer.events,
            pending: answer.pending,
            found: Some(found),
        })
    }
}
