//! `flumen-sdk`: write a source, a sink or an interceptor for flumen as a Wasm component.
//!
//! Implement one of the traits [`Interceptor`], [`Sink`] and [`Source`], export it with the macro
//! of the same name, and build for `wasm32-wasip2`. The README shows it from an empty folder.
//!
//! ```
//! use flumen_sdk::{Answer, Batch, Error, Interceptor, Settings, export_interceptor};
//!
//! struct DropEmpty;
//!
//! impl Interceptor for DropEmpty {
//!     fn init(_settings: &Settings) -> Result<Self, Error> {
//!         Ok(DropEmpty)
//!     }
//!
//!     fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
//!         let mut edits = events.edit();
//!         for (row, body) in events.bodies().enumerate() {
//!             if body.is_empty() {
//!                 edits.drop_event(row);
//!             }
//!         }
//!         edits.finish()
//!     }
//! }
//!
//! export_interceptor!(DropEmpty);
//! ```
//!
//! What it is not: it knows no crate of the host, and nothing of the network or the file system,
//! which no component is granted.
//!
//! On any other target than Wasm the host's interfaces are fakes in memory, so that the tests of a
//! component run with `cargo test`: see the module `testing`, which exists on those targets only.

mod batch;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod column;
mod edits;
mod error;
mod event_batch;
#[doc(hidden)]
pub mod export;
mod header;
mod host;
mod interceptor;
pub mod logging;
mod metrics;
mod settings;
mod sink;
mod source;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use batch::{Batch, Bodies};
pub use edits::{Edits, EditsBuilder};
pub use error::{Error, ErrorContext};
pub use event_batch::{BatchBuilder, EventBatch, EventBuilder};
pub use header::Header;
pub use interceptor::{Answer, Interceptor};
pub use metrics::{Counter, Gauge};
pub use settings::Settings;
pub use sink::{Outcome, Rejected, Segment, Sink};
pub use source::{Next, Polled, Source};
