//! Conformance suites: one per contract, taking the trait object, so that every implementation
//! runs the same one, built in or guest, in memory or durable.
//!
//! A suite panics at the first broken promise, with the promise in the message. It is compiled for
//! tests only (feature `conformance`).

pub mod batch;
pub mod channel;
pub mod interceptor;
mod samples;
pub mod selector;
pub mod settings;
pub mod sink;
pub mod sink_processor;
pub mod source;
