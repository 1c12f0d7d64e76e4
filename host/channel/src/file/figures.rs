//! What the channel counts beside Flume's counters of every channel.

use std::time::Duration;

use flumen_core::metric::Counter;
use flumen_wal::{Recovery, Space, Statistics};

use super::FileChannel;

/// What goes wrong without ending anything.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Puts that the log refused.
    pub(super) put_errors: Counter,
    /// Takes that failed.
    pub(super) take_errors: Counter,
}

impl FileChannel {
    /// See [`flumen_core::channel::Channel::figures`].
    pub(super) fn own_figures(&self) -> Vec<(&'static str, u64)> {
        let core = self.owner.core();
        let (fill, window, lost, is_stuck) = core.with(|state, _| {
            let is_stuck = state.failure.is_some() || state.was_unreadable.is_some();
            let fill = state.fill();
            (fill, state.window_bytes(), state.lost_events, is_stuck)
        });
        let unhealthy = is_stuck || fill.set_aside_events > 0;
        let log = self.owner.log();
        let is_closed = core.counters.stop_time.get() > 0;
        let mut figures = vec![
            ("Open", u64::from(log.is_some() && !is_closed)),
            ("Closed", u64::from(is_closed)),
            ("Unhealthy", u64::from(unhealthy)),
            ("EventPutErrorCount", core.troubles.put_errors.get()),
            ("EventTakeErrorCount", core.troubles.take_errors.get()),
            ("CheckpointWriteErrorCount", 0),
            ("CheckpointBackupWriteErrorCount", 0),
            ("LostEventCount", self.recovery.lost.items + lost),
            ("UnreadableEventCount", fill.set_aside_events),
            ("EventBytes", fill.bytes),
            ("WindowBytes", window),
            ("StateRecordBytes", self.kept_record_bytes()),
        ];
        figures.extend(of_recovery(&self.recovery, self.recovery_time));
        let (statistics, space) = match log {
            Some(log) => (log.statistics(), log.space()),
            None => Default::default(),
        };
        figures.extend(of_log(&statistics, &space));
        figures
    }
}

fn of_recovery(recovery: &Recovery, time: Duration) -> [(&'static str, u64); 3] {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    [
        ("QuarantinedFrameCount", recovery.quarantined_frames),
        ("RecoveryMillis", millis),
        ("RecoveryBytes", recovery.scanned_bytes),
    ]
}

fn of_log(statistics: &Statistics, space: &Space) -> [(&'static str, u64); 12] {
    [
        ("QuarantinedBytes", statistics.quarantined_bytes),
        ("SegmentBytes", space.segment_bytes),
        ("SpareBytes", space.spare_bytes),
        ("LogGroupCount", statistics.groups),
        ("LogRecordCount", statistics.records),
        ("LogBytes", statistics.group_bytes),
        ("LogCommitMicros", statistics.commit_us),
        ("LogCommitMicrosMax", statistics.commit_us_max),
        ("LogSyncCount", statistics.syncs),
        ("LogSyncErrorCount", statistics.sync_failures),
        ("LogFailoverCount", statistics.failovers),
        ("LogDoubtfulRecordCount", statistics.doubtful_records),
    ]
}
