//! A guest as a polled source.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flumen_core::future::BoxFuture;
use flumen_core::limits::SOURCE_STATE_BYTES_MAX;
use flumen_core::source::{PollNext, Polled, PolledSource};
use flumen_core::{Fault, FaultKind, Side};

use crate::answer;
use crate::bindings::source::Source as SourceWorld;
use crate::bindings::source::exports::flumen::plugin::source_api;
use crate::instance::{Instance, Maker};

const OPEN: &str = "open";
const POLL: &str = "poll";
const ACK: &str = "ack";

/// A source whose events are made by one instance of a guest.
///
/// State that the guest writes in a poll counts with the acknowledgement of its events. The guest
/// hears of an acknowledgement before its next poll, or when the source is dropped.
///
/// An instance that breaks, or whose poll is cut off, is dropped. The next poll goes on with a new
/// one behind what the source gave last, which it can only when the guest gives cursors.
pub struct GuestSource {
    maker: Maker<SourceWorld>,
    /// Never locked: a store may not be shared between threads, a source has to be, and the lock
    /// stands between them.
    instance: Mutex<Option<Instance<SourceWorld>>>,
    /// Made and not opened yet: what a successor has ready before its predecessor ends.
    fresh: Mutex<Option<Instance<SourceWorld>>>,
    /// Behind the events that were given last.
    given: Position,
    /// Behind the events that were acknowledged last.
    acknowledged: Option<Arc<[u8]>>,
    /// An acknowledgement that the guest has not heard of.
    unheard: Option<Option<Arc<[u8]>>>,
}

/// Where a source stands.
#[derive(Clone, Debug)]
enum Position {
    /// At its beginning, or at this cursor.
    Known(Option<Arc<[u8]>>),
    /// Behind events that came without a cursor: no other instance can go on from there.
    Lost,
}

impl GuestSource {
    pub(crate) fn new(maker: Maker<SourceWorld>) -> Self {
        Self {
            maker,
            instance: Mutex::default(),
            fresh: Mutex::default(),
            given: Position::Known(None),
            acknowledged: None,
            unheard: None,
        }
    }

    fn instance(&mut self) -> &mut Option<Instance<SourceWorld>> {
        self.instance
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&mut self) -> &mut Option<Instance<SourceWorld>> {
        self.fresh.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_ready(&mut self) -> Result<(), Fault> {
        if self.fresh().is_none() && self.instance().is_none() {
            let made = self.maker.make().await?;
            *self.fresh() = Some(made);
        }
        Ok(())
    }

    async fn reopen(&mut self, cursor: Option<Arc<[u8]>>) -> Result<(), Fault> {
        let cursor = cursor.or_else(|| self.acknowledged.clone());
        if let Some(mut old) = self.instance().take() {
            old.store.data_mut().forget();
            old.shut_down().await;
        }
        self.unheard = None;
        self.given = Position::Known(cursor.clone());
        let fresh = self.fresh().take();
        let instance = opened(&self.maker, fresh, cursor).await?;
        *self.instance() = Some(instance);
        Ok(())
    }

    async fn poll_once(&mut self, events_max: usize) -> Result<Polled, Fault> {
        // Taken out one after the other: an instance is never lost with nothing to tell it.
        if let Some(cursor) = self.unheard.take()
            && let Some(mut instance) = self.instance().take()
        {
            tell(&mut instance, cursor).await?;
            *self.instance() = Some(instance);
        }
        let mut instance = self.take_instance().await?;
        let result = self.events(&mut instance, events_max).await;
        match &result {
            Err(fault) if fault.kind() == FaultKind::Broken => {}
            Err(_) => {
                instance.store.data_mut().forget();
                *self.instance() = Some(instance);
            }
            Ok(_) => *self.instance() = Some(instance),
        }
        result
    }

    async fn take_instance(&mut self) -> Result<Instance<SourceWorld>, Fault> {
        if let Some(instance) = self.instance().take() {
            // Replaced only where nothing is under way and another one can go on.
            let settled = self.unheard.is_none()
                && matches!(&self.given, Position::Known(Some(given))
                    if self.acknowledged.as_ref() == Some(given));
            if !settled || !instance.is_worn() {
                return Ok(instance);
            }
            instance.retire_worn();
        }
        match &self.given {
            Position::Known(cursor) => opened(&self.maker, None, cursor.clone()).await,
            Position::Lost => {
                let name = &self.maker.parts.name;
                Err(Fault::new(
                    FaultKind::Broken,
                    Side::Component,
                    format!("guest {name} was replaced, and gives no cursor to go on from"),
                ))
            }
        }
    }

    async fn events(
        &mut self,
        instance: &mut Instance<SourceWorld>,
        events_max: usize,
    ) -> Result<Polled, Fault> {
        let wanted = u32::try_from(events_max).unwrap_or(u32::MAX);
        let polled = instance
            .call(POLL, move |world, store| {
                Box::pin(world.flumen_plugin_source_api().call_poll(store, wanted))
            })
            .await?;
        let polled = polled.map_err(|error| instance.refusal(POLL, error))?;
        let polled = checked(instance, polled, events_max)?;
        // The future is ready from here on: what is noted is what was given.
        if !polled.events.is_empty() || polled.cursor.is_some() {
            self.given = match &polled.cursor {
                Some(cursor) => Position::Known(Some(Arc::clone(cursor))),
                None => Position::Lost,
            };
        }
        Ok(polled)
    }

    fn acknowledge(&mut self, cursor: Option<&[u8]>) {
        let cursor: Option<Arc<[u8]>> = cursor.map(Arc::from);
        if let Some(instance) = self.instance()
            && let Err(fault) = instance.store.data_mut().commit()
        {
            let name = &self.maker.parts.name;
            tracing::error!(component = %name, "state of a guest is lost: {fault}");
        }
        if cursor.is_some() {
            self.acknowledged.clone_from(&cursor);
        }
        self.unheard = Some(cursor);
    }
}

/// A new instance that stands at a cursor.
async fn opened(
    maker: &Maker<SourceWorld>,
    fresh: Option<Instance<SourceWorld>>,
    cursor: Option<Arc<[u8]>>,
) -> Result<Instance<SourceWorld>, Fault> {
    let mut instance = match fresh {
        Some(fresh) => fresh,
        None => maker.make().await?,
    };
    let opened = instance
        .call(OPEN, move |world, store| {
            Box::pin(async move {
                let api = world.flumen_plugin_source_api();
                let cursor = cursor.map(|cursor| cursor.to_vec());
                api.call_open(store, cursor.as_deref()).await
            })
        })
        .await?;
    match opened {
        Ok(()) => Ok(instance),
        Err(error) => Err(instance.refusal(OPEN, error)),
    }
}

async fn tell(
    instance: &mut Instance<SourceWorld>,
    cursor: Option<Arc<[u8]>>,
) -> Result<(), Fault> {
    instance
        .call(ACK, move |world, store| {
            Box::pin(async move {
                let api = world.flumen_plugin_source_api();
                api.call_ack(store, cursor.as_deref()).await
            })
        })
        .await
}

/// What a guest polled, checked as a whole.
fn checked(
    instance: &Instance<SourceWorld>,
    polled: source_api::Polled,
    events_max: usize,
) -> Result<Polled, Fault> {
    let events = answer::made(polled.events).map_err(|rule| instance.lied(POLL, rule))?;
    if events.len() > events_max {
        let rule = format!("{} events, where {events_max} were asked for", events.len());
        return Err(instance.lied(POLL, rule));
    }
    let cursor = polled.cursor.map(Arc::<[u8]>::from);
    if let Some(bytes) = cursor.as_ref().map(|cursor| cursor.len())
        && bytes > SOURCE_STATE_BYTES_MAX
    {
        let rule = format!("a cursor of {bytes} bytes, where {SOURCE_STATE_BYTES_MAX} are allowed");
        return Err(instance.lied(POLL, rule));
    }
    Ok(Polled {
        events,
        cursor,
        writes: instance.store.data().staged.writes().into(),
        next: match polled.next {
            source_api::Next::Again => PollNext::Again,
            source_api::Next::BackOff => PollNext::BackOff,
            source_api::Next::WaitMs(wait_ms) => {
                PollNext::Wait(Duration::from_millis(u64::from(wait_ms)))
            }
            source_api::Next::End => PollNext::End,
        },
    })
}

impl PolledSource for GuestSource {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.make_ready())
    }

    fn open(&mut self, cursor: Option<&[u8]>) -> BoxFuture<'_, Result<(), Fault>> {
        let cursor = cursor.map(Arc::from);
        Box::pin(self.reopen(cursor))
    }

    fn poll(&mut self, events_max: usize) -> BoxFuture<'_, Result<Polled, Fault>> {
        Box::pin(self.poll_once(events_max))
    }

    fn ack(&mut self, cursor: Option<&[u8]>) {
        self.acknowledge(cursor);
    }
}

impl Drop for GuestSource {
    fn drop(&mut self) {
        let Some(mut instance) = self.instance().take() else {
            return;
        };
        instance.store.data_mut().forget();
        let unheard = self.unheard.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Ends by itself: both calls are under the limits of calls.
            drop(runtime.spawn(async move {
                let told = match unheard {
                    Some(cursor) => tell(&mut instance, cursor).await,
                    None => Ok(()),
                };
                if told.is_ok() {
                    instance.shut_down().await;
                }
            }));
        }
    }
}
