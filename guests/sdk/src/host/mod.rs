//! The host's interfaces: the real ones on Wasm, fakes in memory everywhere else, with the same
//! names, so that nothing else in this crate knows the difference.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod fake;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use fake::{
    Counter, Gauge, log, log_enabled, now_ms, sleep_ms, state_delete, state_get, state_set,
    stopping,
};
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{
    Counter, Gauge, log, log_enabled, now_ms, settings, sleep_ms, state_delete, state_get,
    state_set, stopping,
};

/// What a [`Batch`](crate::Batch) reads from.
#[cfg(target_arch = "wasm32")]
pub(crate) type BatchSource<'a> = &'a crate::bindings::types::Batch;
/// What a [`Batch`](crate::Batch) reads from.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type BatchSource<'a> = fake::FakeBatch<'a>;
