//! The Prometheus names of Flume's attributes, as data. One row per attribute and kind of component;
//! a test holds the rows against the attributes that core counts.

use flumen_agent::MetricKind;
use flumen_agent::MetricKind::{Channel, Guest, Sink, Source};

/// How a value grows, and in which unit it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Only grows while its component runs; told under a name that ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A gauge: milliseconds since 1970 at Flume's door, seconds at that of Prometheus.
    Time,
}

/// One metric family.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) kind: MetricKind,
    pub(crate) attribute: &'static str,
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) help: &'static str,
}

const fn family(
    kind: MetricKind,
    attribute: &'static str,
    name: &'static str,
    shape: Shape,
    help: &'static str,
) -> Family {
    Family {
        kind,
        attribute,
        name,
        shape,
        help,
    }
}

/// All families, in the order of the page.
#[rustfmt::skip]
pub(crate) static FAMILIES: &[Family] = &[
    family(Source, "StartTime", "flumen_source_start_time_seconds", Shape::Time, "When the source started, seconds since 1970."),
    family(Source, "StopTime", "flumen_source_stop_time_seconds", Shape::Time, "When the source stopped, 0 while it runs."),
    family(Source, "EventReceivedCount", "flumen_source_event_received_total", Shape::Counter, "Events that came in."),
    family(Source, "EventAcceptedCount", "flumen_source_event_accepted_total", Shape::Counter, "Events that all required channels took, or an interceptor dropped."),
    family(Source, "AppendReceivedCount", "flumen_source_append_received_total", Shape::Counter, "Single events that came in."),
    family(Source, "AppendAcceptedCount", "flumen_source_append_accepted_total", Shape::Counter, "Single events that were accepted."),
    family(Source, "AppendBatchReceivedCount", "flumen_source_append_batch_received_total", Shape::Counter, "Batches that came in."),
    family(Source, "AppendBatchAcceptedCount", "flumen_source_append_batch_accepted_total", Shape::Counter, "Batches that were accepted."),
    family(Source, "OpenConnectionCount", "flumen_source_open_connection_count", Shape::Gauge, "Connections that are open."),
    family(Source, "EventReadFail", "flumen_source_event_read_fail_total", Shape::Counter, "Reads of events that failed."),
    family(Source, "ChannelWriteFail", "flumen_source_channel_write_fail_total", Shape::Counter, "Puts that failed."),
    family(Source, "GenericProcessingFail", "flumen_source_generic_processing_fail_total", Shape::Counter, "Other failures."),
    family(Source, "UnroutedCount", "flumen_source_unrouted_total", Shape::Counter, "Events that the selector sent nowhere, by configuration."),
    family(Source, "OptionalRefusedCount", "flumen_source_optional_refused_total", Shape::Counter, "Events that an optional channel had no room for."),
    family(Channel, "StartTime", "flumen_channel_start_time_seconds", Shape::Time, "When the channel started, seconds since 1970."),
    family(Channel, "StopTime", "flumen_channel_stop_time_seconds", Shape::Time, "When the channel stopped, 0 while it runs."),
    family(Channel, "ChannelSize", "flumen_channel_size", Shape::Gauge, "Events in the channel."),
    family(Channel, "ChannelCapacity", "flumen_channel_capacity", Shape::Gauge, "Events that fit the channel."),
    family(Channel, "ChannelFillPercentage", "flumen_channel_fill_percentage", Shape::Gauge, "Size in percent of capacity; absent when the capacity is unknown."),
    family(Channel, "EventPutAttemptCount", "flumen_channel_event_put_attempt_total", Shape::Counter, "Events that a put was tried for."),
    family(Channel, "EventPutSuccessCount", "flumen_channel_event_put_success_total", Shape::Counter, "Events that were put."),
    family(Channel, "EventTakeAttemptCount", "flumen_channel_event_take_attempt_total", Shape::Counter, "Takes that were tried."),
    family(Channel, "EventTakeSuccessCount", "flumen_channel_event_take_success_total", Shape::Counter, "Events that were taken and acknowledged."),
    family(Channel, "Open", "flumen_channel_open", Shape::Gauge, "1 while the channel is open."),
    family(Channel, "Closed", "flumen_channel_closed", Shape::Gauge, "1 once the channel takes no more events."),
    family(Channel, "Unhealthy", "flumen_channel_unhealthy", Shape::Gauge, "1 when the channel takes no events because its disk failed, or cannot deliver what it has."),
    family(Channel, "EventPutErrorCount", "flumen_channel_event_put_error_total", Shape::Counter, "Puts that the store of the channel refused."),
    family(Channel, "EventTakeErrorCount", "flumen_channel_event_take_error_total", Shape::Counter, "Takes that failed because the store could not be read."),
    family(Channel, "CheckpointWriteErrorCount", "flumen_channel_checkpoint_write_error_total", Shape::Counter, "Always 0: there is no checkpoint. For pages made for Flume."),
    family(Channel, "CheckpointBackupWriteErrorCount", "flumen_channel_checkpoint_backup_write_error_total", Shape::Counter, "Always 0, as above."),
    family(Channel, "LostEventCount", "flumen_channel_lost_event_total", Shape::Counter, "Events that damage on the disk took, as long as the log remembers."),
    family(Channel, "UnreadableEventCount", "flumen_channel_unreadable_events", Shape::Gauge, "Events in the channel that its disk does not give, and that are tried again when it is opened."),
    family(Channel, "QuarantinedFrameCount", "flumen_channel_quarantined_frame_total", Shape::Counter, "Damaged frames that were found when the channel was opened."),
    family(Channel, "QuarantinedBytes", "flumen_channel_quarantined_bytes_total", Shape::Counter, "Damaged bytes that were copied aside."),
    family(Channel, "RecoveryMillis", "flumen_channel_recovery_milliseconds", Shape::Gauge, "How long the last opening took."),
    family(Channel, "RecoveryBytes", "flumen_channel_recovery_bytes", Shape::Gauge, "How much of the log the last opening read."),
    family(Channel, "EventBytes", "flumen_channel_event_bytes", Shape::Gauge, "Bytes of the bodies of all events in the channel."),
    family(Channel, "SegmentBytes", "flumen_channel_segment_bytes", Shape::Gauge, "Bytes of the files that hold the log."),
    family(Channel, "SpareBytes", "flumen_channel_spare_bytes", Shape::Gauge, "Bytes of files that are made ahead for the log."),
    family(Channel, "WindowBytes", "flumen_channel_window_bytes", Shape::Gauge, "Memory of the events that are held ready."),
    family(Channel, "StateRecordBytes", "flumen_channel_state_record_bytes", Shape::Gauge, "Bytes of states that wait for the agent's own store."),
    family(Channel, "LogGroupCount", "flumen_channel_log_group_total", Shape::Counter, "Groups that were written, each with one wait for the disk."),
    family(Channel, "LogRecordCount", "flumen_channel_log_record_total", Shape::Counter, "Puts and acknowledgements in these groups."),
    family(Channel, "LogBytes", "flumen_channel_log_bytes_total", Shape::Counter, "Bytes of these groups."),
    family(Channel, "LogCommitMicros", "flumen_channel_log_commit_microseconds_total", Shape::Counter, "Time that these groups took until they were confirmed."),
    family(Channel, "LogCommitMicrosMax", "flumen_channel_log_commit_microseconds_max", Shape::Gauge, "The longest of these times."),
    family(Channel, "LogSyncCount", "flumen_channel_log_sync_total", Shape::Counter, "How often the disk was asked to make something durable."),
    family(Channel, "LogSyncErrorCount", "flumen_channel_log_sync_error_total", Shape::Counter, "How often it refused."),
    family(Channel, "LogFailoverCount", "flumen_channel_log_failover_total", Shape::Counter, "Groups that were written again, into another file, because the disk refused them."),
    family(Channel, "LogDoubtfulRecordCount", "flumen_channel_log_doubtful_record_total", Shape::Counter, "Records that were confirmed without waiting for the disk, which then refused them."),
    family(Sink, "StartTime", "flumen_sink_start_time_seconds", Shape::Time, "When the sink started, seconds since 1970."),
    family(Sink, "StopTime", "flumen_sink_stop_time_seconds", Shape::Time, "When the sink stopped, 0 while it runs."),
    family(Sink, "ConnectionCreatedCount", "flumen_sink_connection_created_total", Shape::Counter, "Connections or files that were opened."),
    family(Sink, "ConnectionClosedCount", "flumen_sink_connection_closed_total", Shape::Counter, "Connections or files that were closed."),
    family(Sink, "ConnectionFailedCount", "flumen_sink_connection_failed_total", Shape::Counter, "Connections or files that could not be opened, or broke."),
    family(Sink, "BatchEmptyCount", "flumen_sink_batch_empty_total", Shape::Counter, "Takes that found the channel empty."),
    family(Sink, "BatchUnderflowCount", "flumen_sink_batch_underflow_total", Shape::Counter, "Batches smaller than the batch size of the sink."),
    family(Sink, "BatchCompleteCount", "flumen_sink_batch_complete_total", Shape::Counter, "Batches of the full batch size."),
    family(Sink, "EventDrainAttemptCount", "flumen_sink_event_drain_attempt_total", Shape::Counter, "Events that a delivery was tried for."),
    family(Sink, "EventDrainSuccessCount", "flumen_sink_event_drain_success_total", Shape::Counter, "Events that were delivered."),
    family(Sink, "EventWriteFail", "flumen_sink_event_write_fail_total", Shape::Counter, "Deliveries that failed."),
    family(Sink, "ChannelReadFail", "flumen_sink_channel_read_fail_total", Shape::Counter, "Takes that failed."),
    family(Guest, "CallCount", "flumen_guest_call_total", Shape::Counter, "Calls of the component."),
    family(Guest, "StrikeCount", "flumen_guest_strike_total", Shape::Counter, "Calls that ended an instance: traps, overruns and answers that were refused."),
    family(Guest, "InstanceCount", "flumen_guest_instance_total", Shape::Counter, "Instances that were made."),
    family(Guest, "RetiredCount", "flumen_guest_retired_total", Shape::Counter, "Instances that were replaced because their memory had grown near to the limit."),
    family(Guest, "RolledBackCount", "flumen_guest_rolled_back_total", Shape::Counter, "New versions that failed soon and were taken back."),
    family(Guest, "PoisonCount", "flumen_guest_poison_total", Shape::Counter, "Events that the component could not handle."),
    family(Guest, "DeadLetterCount", "flumen_guest_dead_letter_total", Shape::Counter, "Poison events that went to the dead-letter channel."),
    family(Guest, "DroppedPoisonCount", "flumen_guest_dropped_poison_total", Shape::Counter, "Poison events that were dropped, by configuration."),
    family(Guest, "MemoryBytes", "flumen_guest_memory_bytes", Shape::Gauge, "Memory of all instances that live."),
    family(Guest, "StateBytes", "flumen_guest_state_bytes", Shape::Gauge, "Size of the state that the component keeps."),
    family(Guest, "LogLinesSuppressed", "flumen_guest_log_lines_suppressed_total", Shape::Counter, "Log lines of the component that were left out, above its limit."),
    family(Guest, "OwnRefusedCount", "flumen_guest_own_refused_total", Shape::Counter, "Registrations of own figures that were refused: too many, or not a fit name."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flumen_core::metric::{
        ChannelCounters, OWN_CHANNEL_ATTRIBUTES, SinkCounters, SourceCounters,
    };

    use super::*;

    #[test]
    fn every_attribute_that_is_counted_has_a_family() {
        let counted = [
            (Source, SourceCounters::default().attributes()),
            (Channel, ChannelCounters::default().attributes()),
            (Sink, SinkCounters::default().attributes()),
        ];
        for attribute in OWN_CHANNEL_ATTRIBUTES {
            let is_it = |row: &&Family| row.kind == Channel && row.attribute == *attribute;
            assert_eq!(FAMILIES.iter().filter(is_it).count(), 1, "{attribute}");
        }
        for (kind, attributes) in counted {
            for (attribute, _) in attributes {
                let rows = FAMILIES
                    .iter()
                    .filter(|row| row.kind == kind && row.attribute == attribute);
                assert_eq!(rows.count(), 1, "{} {attribute}", kind.word());
            }
        }
    }

    #[test]
    fn names_are_distinct_and_say_their_shape() {
        let mut names = BTreeSet::new();
        for row in FAMILIES {
            assert!(names.insert(row.name), "{} twice", row.name);
            let ends_as_counter = row.name.ends_with("_total");
            assert_eq!(ends_as_counter, row.shape == Shape::Counter, "{}", row.name);
            assert_eq!(
                row.name.ends_with("_seconds"),
                row.shape == Shape::Time,
                "{}",
                row.name
            );
        }
    }
}
