//! The counters of Flume, under Flume's names. They are counted per batch, never per event.
//!
//! Every counter is a 64-bit number that only grows between the start and the stop of its
//! component, except gauges, which say so.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter. Relaxed: the figures are for people and need no order between them.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Sets it, for gauges.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Takes one away, for gauges.
    pub fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $type:ident { $($(#[$field_doc:meta])* $field:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $type {
            $($(#[$field_doc])* pub $field: Counter,)*
        }

        impl $type {
            /// Flume's attribute names with the values now.
            pub fn attributes(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.get()),)*]
            }
        }
    };
}

counters! {
    /// The counters of a source.
    SourceCounters {
        /// When it started, milliseconds since 1970 (a gauge).
        start_time = "StartTime",
        /// When it stopped, 0 while it runs (a gauge).
        stop_time = "StopTime",
        /// Events that came in.
        event_received = "EventReceivedCount",
        /// Events that were committed to all required channels, or dropped by an interceptor.
        event_accepted = "EventAcceptedCount",
        /// Single events that came in.
        append_received = "AppendReceivedCount",
        /// Single events that were accepted.
        append_accepted = "AppendAcceptedCount",
        /// Batches that came in.
        append_batch_received = "AppendBatchReceivedCount",
        /// Batches that were accepted.
        append_batch_accepted = "AppendBatchAcceptedCount",
        /// Connections that are open (a gauge).
        open_connection = "OpenConnectionCount",
        /// Reads of events that failed.
        event_read_fail = "EventReadFail",
        /// Puts that failed.
        channel_write_fail = "ChannelWriteFail",
        /// Other failures.
        generic_processing_fail = "GenericProcessingFail",
    }
}

counters! {
    /// The counters of a channel; its size and capacity are read from the channel itself.
    ChannelCounters {
        /// When it started, milliseconds since 1970 (a gauge).
        start_time = "StartTime",
        /// When it stopped, 0 while it runs (a gauge).
        stop_time = "StopTime",
        /// Events that a put was tried for.
        event_put_attempt = "EventPutAttemptCount",
        /// Events that were put.
        event_put_success = "EventPutSuccessCount",
        /// Takes that were tried.
        event_take_attempt = "EventTakeAttemptCount",
        /// Events that were taken and acknowledged.
        event_take_success = "EventTakeSuccessCount",
    }
}

/// Attributes that only some channels have: those of Flume's file channel, and flumen's own.
pub const OWN_CHANNEL_ATTRIBUTES: &[&str] = &[
    "Open",
    "Closed",
    "Unhealthy",
    "EventPutErrorCount",
    "EventTakeErrorCount",
    "CheckpointWriteErrorCount",
    "CheckpointBackupWriteErrorCount",
    "LostEventCount",
    "UnreadableEventCount",
    "QuarantinedFrameCount",
    "QuarantinedBytes",
    "RecoveryMillis",
    "RecoveryBytes",
    "EventBytes",
    "SegmentBytes",
    "SpareBytes",
    "WindowBytes",
    "StateRecordBytes",
    "LogGroupCount",
    "LogRecordCount",
    "LogBytes",
    "LogCommitMicros",
    "LogCommitMicrosMax",
    "LogSyncCount",
    "LogSyncErrorCount",
    "LogFailoverCount",
    "LogDoubtfulRecordCount",
];

counters! {
    /// The counters of a sink.
    SinkCounters {
        /// When it started, milliseconds since 1970 (a gauge).
        start_time = "StartTime",
        /// When it stopped, 0 while it runs (a gauge).
        stop_time = "StopTime",
        /// Connections or files that were opened.
        connection_created = "ConnectionCreatedCount",
        /// Connections or files that were closed.
        connection_closed = "ConnectionClosedCount",
        /// Connections or files that could not be opened, or broke.
        connection_failed = "ConnectionFailedCount",
        /// Takes that found the channel empty.
        batch_empty = "BatchEmptyCount",
        /// Batches smaller than the sink's batch size.
        batch_underflow = "BatchUnderflowCount",
        /// Batches of the full batch size.
        batch_complete = "BatchCompleteCount",
        /// Events that a delivery was tried for.
        event_drain_attempt = "EventDrainAttemptCount",
        /// Events that were delivered.
        event_drain_success = "EventDrainSuccessCount",
        /// Deliveries that failed.
        event_write_fail = "EventWriteFail",
        /// Takes that failed.
        channel_read_fail = "ChannelReadFail",
    }
}
