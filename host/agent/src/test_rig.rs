//! What the tests of this room share: a real memory channel, and components of one version.

use std::sync::Arc;

use flumen_core::ComponentName;
use flumen_core::channel::Channel;
use flumen_core::clock::{Clock, SystemClock};
use flumen_core::settings::{Settings, Value};

use crate::probation::{Version, Versions};

/// A memory channel that never waits, with this capacity and at most 100 events a transaction.
pub(crate) fn memory_channel(capacity: i64) -> Arc<dyn Channel> {
    let settings = Settings::new()
        .with("capacity", Value::Integer(capacity))
        .with("transactionCapacity", Value::Integer(capacity.min(100)))
        .with("keep-alive", Value::Integer(0))
        .with("byteCapacity", Value::Integer(0))
        .with("byteCapacityBufferPercentage", Value::Integer(20));
    let row = flumen_channel::rows().next().expect("the memory channel");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    flumen_channel::build(row, &ComponentName::from("c1"), &settings, clock).expect("a channel")
}

/// A component with one version, which is proven.
pub(crate) fn proven<T: Send + Sync + 'static>(made: T) -> Arc<Versions<T>> {
    let version = Version::built_in(made);
    Versions::first(ComponentName::from("tested"), version, Arc::default())
}
