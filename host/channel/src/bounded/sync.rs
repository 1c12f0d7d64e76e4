//! The lock and the shared pointer of the channel: the standard library's, or loom's when the
//! model checker drives the state.

#[cfg(feature = "loom")]
pub(crate) use loom::sync::{Arc as SharedPointer, Mutex};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::{Arc as SharedPointer, Mutex};
