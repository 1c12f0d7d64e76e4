//! The words of flumen. Every other room speaks them; this one speaks to nobody.
//!
//! * [`batch`]: the unit of everything, one immutable columnar buffer of events.
//! * [`channel`], [`source`], [`sink`], [`interceptor`], [`selector`], [`sink_processor`]: the
//!   contracts, each with its whole prose on the trait.
//! * [`option`] and [`settings`]: an option is one row; a checked configuration is typed values.
//! * [`state`]: what components remember, in step with the events.
//! * [`poison`]: what becomes of events that a component never can handle.
//! * [`fault`]: an error knows whose side failed and whether trying again helps.
//! * [`metric`]: the counters of Flume, under Flume's names, counted per batch.
//! * `conformance` (feature `conformance`): one suite per contract, which every implementation
//!   runs, built in or guest.
//!
//! What is not here: sockets, files, an asynchronous runtime, threads, a wall clock that a test
//! could not replace.

pub mod batch;
pub mod channel;
pub mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod fault;
pub mod future;
pub mod interceptor;
pub mod limits;
pub mod metric;
pub mod name;
pub mod option;
pub mod poison;
pub mod selector;
pub mod settings;
pub mod sink;
pub mod sink_processor;
pub mod source;
pub mod state;

pub use batch::EventBatch;
pub use fault::{Fault, FaultKind, Side};
pub use future::BoxFuture;
pub use name::{AgentName, ComponentName, Place};
