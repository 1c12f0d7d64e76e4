//! Guests: sources, interceptors and sinks that are Wasm components. The only room that names
//! wasmtime.
//!
//! * [`Host`]: one for the process. Loads a component and gives it out as a source, an interceptor
//!   or a sink like any other.
//! * [`rows`]: the option rows of the type `wasm`.
//! * [`limits`]: what an instance may use, and why.
//! * [`StateStore`]: where guests keep their small state.
//! * [`GuestTrap`]: why an instance was ended, for reports and dead letters.
//! * [`Contract`]: what a component file says of itself.
//! * `conformance`, with the feature of that name: what must hold for any answer of a guest.
//!
//! What a guest can reach: the batch it is lent for one call, its settings, its state, its log and
//! figures, the time, and random numbers. Nothing else is linked with anything behind it. A guest
//! that reads or changes anything beyond that, reads another guest's memory or state, or runs past
//! its limits has escaped, and that is a defect of this room. A guest that answers wrongly within
//! the rules, is slow within its limits, or fills its share of the log is not.
//!
//! Not here: sockets, folders, secrets and environment for guests; a component that imports them is
//! refused by name, or finds nothing behind them.

mod answer;
mod bindings;
mod cache;
mod columns;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod cpu;
mod digest;
mod disposal;
mod engine;
mod figures;
mod host;
mod imports;
mod instance;
mod interceptor;
pub mod limits;
mod log;
mod rows;
mod sink;
mod source;
mod state;
mod store;
mod text;
mod trap;

pub use contract::{Contract, ContractError};
pub use digest::Digest;
pub use figures::{GuestInfo, GuestReport};
pub use host::{Guest, Host, read_component};
pub use interceptor::GuestInterceptor;
pub use log::LOG_TARGET;
pub use rows::{COMPONENT, TYPE_NAME, rows};
pub use sink::GuestSink;
pub use source::GuestSource;
pub use state::{MemoryState, StateStore, StateWrite};
pub use trap::{GuestTrap, TrapCause};
