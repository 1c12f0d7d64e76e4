//! One instance of a guest: made, called under its limits, ended.
//!
//! An instance that trapped, overran or answered against the rules is never called again, and
//! neither is one whose call was cut off: whoever calls takes the instance out of its place first
//! and puts it back only after a call that ended well. A dropped future thus drops the store.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flumen_core::future::BoxFuture;
use flumen_core::{EventBatch, Fault, FaultKind, Side};
use wasmtime::component::{InstancePre, Resource};
use wasmtime::{Engine, Store};

use crate::bindings::types::Error;
use crate::bindings::{interceptor, sink, source};
use crate::columns::GuestBatch;
#[cfg(doc)]
use crate::disposal::Disposal;
use crate::figures::GuestInfo;
use crate::limits::{
    INFO_BYTES_MAX, MESSAGE_BYTES_MAX, REMAKE_WAIT_FIRST, REMAKE_WAIT_MAX, REMAKES_AT_ONCE_MAX,
    REST_FACTOR, REST_MAX, SHUTDOWN_WALL, WORN_CALLS_MIN, WORN_MEMORY_PERCENT,
};
use crate::store::{GuestParts, GuestState};
use crate::text::one_line;
use crate::trap::{self, GuestTrap, TrapCause};

/// What a call of an export gives: wasmtime's failure, or the guest's answer.
pub(crate) type CallFuture<'a, T> = BoxFuture<'a, wasmtime::Result<T>>;

/// One of the worlds of the interface.
pub(crate) trait World: Sized + Send + Sync + 'static {
    /// A component of this world, linked.
    type Pre: Clone + Send + Sync + 'static;

    fn pre(linked: InstancePre<GuestState>) -> wasmtime::Result<Self::Pre>;

    fn instantiate<'a>(
        pre: &'a Self::Pre,
        store: &'a mut Store<GuestState>,
    ) -> CallFuture<'a, Self>;

    fn init<'a>(&'a self, store: &'a mut Store<GuestState>) -> CallFuture<'a, Result<(), Error>>;

    fn describe<'a>(&'a self, store: &'a mut Store<GuestState>) -> CallFuture<'a, GuestInfo>;

    fn shutdown<'a>(&'a self, store: &'a mut Store<GuestState>) -> CallFuture<'a, ()>;
}

macro_rules! world {
    ($world:ty, $pre:ty) => {
        impl World for $world {
            type Pre = $pre;

            fn pre(linked: InstancePre<GuestState>) -> wasmtime::Result<Self::Pre> {
                <$pre>::new(linked)
            }

            fn instantiate<'a>(
                pre: &'a Self::Pre,
                store: &'a mut Store<GuestState>,
            ) -> CallFuture<'a, Self> {
                Box::pin(pre.instantiate_async(store))
            }

            fn init<'a>(
                &'a self,
                store: &'a mut Store<GuestState>,
            ) -> CallFuture<'a, Result<(), Error>> {
                Box::pin(self.flumen_plugin_lifecycle().call_init(store))
            }

            fn describe<'a>(
                &'a self,
                store: &'a mut Store<GuestState>,
            ) -> CallFuture<'a, GuestInfo> {
                Box::pin(async move {
                    let info = self.flumen_plugin_lifecycle().call_describe(store).await?;
                    Ok(GuestInfo {
                        name: one_line(&info.name, INFO_BYTES_MAX),
                        version: one_line(&info.version, INFO_BYTES_MAX),
                    })
                })
            }

            fn shutdown<'a>(&'a self, store: &'a mut Store<GuestState>) -> CallFuture<'a, ()> {
                Box::pin(self.flumen_plugin_lifecycle().call_shutdown(store))
            }
        }
    };
}

world!(
    interceptor::Interceptor,
    interceptor::InterceptorPre<GuestState>
);
world!(sink::Sink, sink::SinkPre<GuestState>);
world!(source::Source, source::SourcePre<GuestState>);

/// Makes instances of one component.
pub(crate) struct Maker<W: World> {
    pub(crate) parts: Arc<GuestParts>,
    engine: Engine,
    pre: W::Pre,
}

impl<W: World> Clone for Maker<W> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            engine: self.engine.clone(),
            pre: self.pre.clone(),
        }
    }
}

impl<W: World> Maker<W> {
    pub(crate) fn new(parts: Arc<GuestParts>, engine: Engine, pre: W::Pre) -> Self {
        Self { parts, engine, pre }
    }

    /// A new instance, ready for its first call.
    ///
    /// # Errors
    /// The fault of its `init`, or of kind [`FaultKind::Broken`] when it trapped there or, in the
    /// first instance of a version, in `describe`.
    pub(crate) async fn make(&self) -> Result<Instance<W>, Fault> {
        let mut store = GuestState::store(&self.engine, &self.parts);
        GuestState::arm(&mut store);
        let wall = self.parts.limits.wall;
        let made = within(wall, W::instantiate(&self.pre, &mut store)).await;
        let world = settled(&store, "instantiation", made)?;
        self.parts.figures.instances.add(1);
        let mut instance = Instance {
            store,
            world,
            calls: 0,
        };
        let started = instance
            .call("init", |world, store| world.init(store))
            .await?;
        match started {
            Ok(()) => instance.store.data_mut().commit()?,
            Err(error) => return Err(instance.refusal("init", error)),
        }
        if self.parts.info.get().is_none() {
            let info = instance
                .call("describe", |world, store| world.describe(store))
                .await?;
            // Another instance of the same code may have said it meanwhile.
            let _ = self.parts.info.set(info);
        }
        Ok(instance)
    }
}

/// An instance and the store that it lives in.
pub(crate) struct Instance<W> {
    pub(crate) store: Store<GuestState>,
    world: W,
    /// Calls since it was made.
    calls: u64,
}

impl<W: World> Instance<W> {
    /// Calls an export under the limits.
    ///
    /// # Errors
    /// A fault of kind [`FaultKind::Broken`]: the instance must not be called again.
    pub(crate) async fn call<T>(
        &mut self,
        call: &'static str,
        run: impl for<'a> FnOnce(&'a W, &'a mut Store<GuestState>) -> CallFuture<'a, T>,
    ) -> Result<T, Fault> {
        GuestState::arm(&mut self.store);
        let parts = &self.store.data().parts;
        parts.figures.calls.add(1);
        self.calls = self.calls.saturating_add(1);
        let wall = parts.limits.wall;
        let result = within(wall, run(&self.world, &mut self.store)).await;
        settled(&self.store, call, result)
    }

    /// Puts events where the guest can reach them.
    ///
    /// # Errors
    /// A fault of kind [`FaultKind::Poison`] when they are more than one call takes.
    pub(crate) fn lend(&mut self, parts: Vec<EventBatch>) -> Result<Resource<GuestBatch>, Fault> {
        let state = self.store.data_mut();
        let batch = GuestBatch::new(parts, state.parts.limits.memory_bytes).map_err(|rule| {
            let message = format!("guest {}: events do not fit one call", state.parts.name);
            Fault::new(FaultKind::Poison, Side::Data, message).with_cause(rule)
        })?;
        state.table.push(batch).map_err(|error| {
            let message = format!("guest {} holds too many handles", state.parts.name);
            Fault::new(FaultKind::Broken, Side::Component, message).with_cause(error)
        })
    }

    /// Takes the events away from the guest, which has given its borrow back: a call that keeps one
    /// traps.
    pub(crate) fn take_back(&mut self, lent: Resource<GuestBatch>) {
        drop(self.store.data_mut().table.delete(lent));
    }

    /// The fault of an error that the guest answered.
    pub(crate) fn refusal(&self, call: &'static str, error: Error) -> Fault {
        let parts = &self.store.data().parts;
        let say = |message: String| {
            let message = one_line(&message, MESSAGE_BYTES_MAX);
            format!("guest {}: {message}", parts.name)
        };
        match error {
            Error::Configuration(message) => Fault::configuration(say(message)),
            Error::Transient((message, wait_ms)) => {
                let fault = Fault::transient(Side::Peer, say(message));
                match wait_ms {
                    Some(wait_ms) => {
                        fault.with_retry_after(Duration::from_millis(u64::from(wait_ms)))
                    }
                    None => fault,
                }
            }
            Error::Poison(message) => Fault::new(FaultKind::Poison, Side::Data, say(message)),
            Error::Broken(message) => {
                let reason = one_line(&message, MESSAGE_BYTES_MAX);
                ended(&self.store, call, TrapCause::Broken(reason), Vec::new())
            }
        }
    }

    /// The fault of an answer that breaks the rules: the instance must not be called again.
    pub(crate) fn lied(&self, call: &'static str, rule: impl std::fmt::Display) -> Fault {
        let cause = TrapCause::Answer(rule.to_string());
        ended(&self.store, call, cause, Vec::new())
    }

    /// Tells the guest that it ends, and drops it. Best effort, at most [`SHUTDOWN_WALL`].
    pub(crate) async fn shut_down(mut self) {
        self.say_goodbye().await;
    }

    async fn say_goodbye(&mut self) {
        let call = self.call("shutdown", |world, store| world.shutdown(store));
        // What fails here concerns no event any more.
        if let Ok(Ok(())) = tokio::time::timeout(SHUTDOWN_WALL, call).await {
            let _ = self.store.data_mut().commit();
        }
    }

    /// Whether its memory has come so near to the limit that it is replaced between two calls,
    /// before it fails in one: linear memory never shrinks, and a guest that leaks a little with
    /// each call would otherwise fail one batch each time.
    pub(crate) fn is_worn(&self) -> bool {
        let state = self.store.data();
        let limit_bytes = state.parts.limits.memory_bytes;
        state.limiter.memory_bytes() >= limit_bytes / 100 * WORN_MEMORY_PERCENT
            && self.calls >= WORN_CALLS_MIN
    }

    /// Ends a worn instance; see [`Instance::retire`].
    pub(crate) fn retire_worn(self) {
        self.store.data().parts.figures.retired.add(1);
        self.retire();
    }

    /// Ends the instance in a task of its own, where there is a runtime, so that whoever drops it
    /// does not wait. The task ends by itself within [`SHUTDOWN_WALL`]. The store is dropped on a
    /// thread that serves no tasks; see [`Disposal`].
    pub(crate) fn retire(mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let disposal = self.store.data().parts.disposal.clone();
            drop(runtime.spawn(async move {
                self.say_goodbye().await;
                disposal.take(self);
            }));
        }
    }
}

enum Ended {
    Wasm(wasmtime::Error),
    WallTime,
}

/// Runs a call at most this long. A call that is cut off leaves a store that must not be used again.
async fn within<T>(
    wall: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<T, Ended> {
    match tokio::time::timeout(wall, call).await {
        Ok(result) => result.map_err(Ended::Wasm),
        Err(_) => Err(Ended::WallTime),
    }
}

fn settled<T>(
    store: &Store<GuestState>,
    call: &'static str,
    result: Result<T, Ended>,
) -> Result<T, Fault> {
    let limits = &store.data().parts.limits;
    result.map_err(|end| match end {
        Ended::WallTime => {
            let limit = limits.wall;
            ended(store, call, TrapCause::WallTime { limit }, Vec::new())
        }
        Ended::Wasm(error) => {
            let cause = trap::cause(&error, limits, store.data().limiter.refused);
            ended(store, call, cause, trap::backtrace(&error))
        }
    })
}

fn ended(
    store: &Store<GuestState>,
    call: &'static str,
    cause: TrapCause,
    backtrace: Vec<String>,
) -> Fault {
    let state = store.data();
    state.parts.figures.strikes.add(1);
    let computed = state.cpu.used(state.parts.limits.cpu);
    let rest = computed.saturating_mul(REST_FACTOR).min(REST_MAX);
    let fault = GuestTrap {
        component: state.parts.name.clone(),
        digest: state.parts.digest,
        call,
        cause,
        backtrace,
        last_words: state.last_words.text(),
    }
    .into_fault();
    match rest.is_zero() {
        true => fault,
        false => fault.with_retry_after(rest),
    }
}

/// When a new instance may be made after others broke: the first ones at once, then ever later.
#[derive(Debug, Default)]
pub(crate) struct RemakeWait {
    failures: u32,
    not_before: Option<Instant>,
}

impl RemakeWait {
    /// `rest`: how long to wait at least, unless it is the first failure in a row: that may have
    /// been chance, and batches of others wait.
    pub(crate) fn failed(&mut self, now: Instant, rest: Option<Duration>) {
        let rest = rest.filter(|_| self.failures > 0).unwrap_or_default();
        let doublings = self.failures.checked_sub(REMAKES_AT_ONCE_MAX);
        let wait = doublings.map_or(Duration::ZERO, |doublings| {
            REMAKE_WAIT_FIRST
                .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
                .min(REMAKE_WAIT_MAX)
        });
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + wait.max(rest));
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How long to wait before the next instance is made.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.not_before
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_new_instances_are_made_at_once_and_the_wait_is_bounded() {
        let now = Instant::now();
        let mut wait = RemakeWait::default();
        let mut waits = Vec::new();
        let at_once = usize::try_from(REMAKES_AT_ONCE_MAX).unwrap();
        for _ in 0..at_once + 40 {
            wait.failed(now, None);
            waits.push(wait.left(now));
        }
        assert!(waits[..at_once].iter().all(Duration::is_zero));
        assert_eq!(waits[at_once], REMAKE_WAIT_FIRST);
        assert_eq!(waits[at_once + 1], 2 * REMAKE_WAIT_FIRST);
        assert!(waits.iter().all(|wait| *wait <= REMAKE_WAIT_MAX));
        assert_eq!(waits.last(), Some(&REMAKE_WAIT_MAX));
        wait.succeeded();
        assert_eq!(wait.left(now), Duration::ZERO);
        wait.failed(now, Some(REST_MAX));
        assert_eq!(wait.left(now), Duration::ZERO);
        wait.failed(now, Some(REST_MAX));
        assert_eq!(
            wait.left(now),
            REST_MAX,
            "who computes for long again rests"
        );
    }
}
