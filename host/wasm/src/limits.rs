//! What an instance may use: the operator's limits with their bounds in [`crate::rows`], and the
//! fixed ones, each with its reason.

use std::time::Duration;

use flumen_core::Fault;
use flumen_core::settings::Settings;

use crate::rows;

/// Bytes of a component's file. The largest seen is 18 MB (a Python interpreter inside); reading
/// more into memory is a mistake in the path.
pub const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// The length of a tick, in which CPU time is counted and in which a computing guest gives its
/// thread back. Ten milliseconds delay no other task noticeably and cost nothing to count.
pub const TICK: Duration = Duration::from_millis(10);

/// Bytes of an instance's stack. A guest that recurses deeper has lost its way; the fiber that it
/// runs on has twice as much, for the host's functions.
pub const STACK_BYTES: usize = 512 << 10;

/// Bytes of the fiber that a call runs on.
pub const FIBER_STACK_BYTES: usize = 1 << 20;

/// Elements of all tables of an instance together. A Python interpreter has about 13 000.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Core instances inside one component instance: a handful per language runtime and adapter.
pub const CORE_INSTANCES_MAX: usize = 64;

/// Tables inside one component instance.
pub const TABLES_MAX: usize = 64;

/// Memories inside one component instance: language runtimes with an adapter have up to three.
pub const MEMORIES_MAX: usize = 8;

/// Handles that a guest holds at once: batches, metrics, streams.
pub const HANDLES_MAX: usize = 1024;

/// Events handed to an interceptor in one call. The cost of a call is gone at a thousand events,
/// and above two thousand the columns leave the cache (measured).
pub const CALL_EVENTS_MAX: usize = 2000;

/// Bytes of bodies handed to an interceptor in one call, for the same reason. One event is handed
/// over even when it alone is larger.
pub const CALL_BYTES_MAX: u64 = 512 << 10;

/// Bytes of bodies in one delivery to a sink. One event is delivered even when it alone is larger.
pub const DELIVERY_BYTES_MAX: u64 = 1 << 20;

/// How long `shutdown` may take at most, whatever the limit of other calls is: a stop does not wait
/// for a guest.
pub const SHUTDOWN_WALL: Duration = Duration::from_secs(2);

/// The longest wait before an instance is made anew after failures in a row.
pub const REMAKE_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a guest rests after a call that failed, in multiples of what the call computed: one that
/// fails again and again computes a twentieth of the time, and its neighbours keep the rest.
pub const REST_FACTOR: u32 = 19;

/// The longest rest after one failed call. Who has mended the cause does not wait longer.
pub const REST_MAX: Duration = Duration::from_secs(5);

/// New instances in a row that are made without a wait, because one costs some 30 microseconds and
/// the search for the event on which a guest fails needs many: as many as one search has tries.
pub const REMAKES_AT_ONCE_MAX: u32 = 64;

/// The wait before the new instance after those; it doubles with each further one.
pub const REMAKE_WAIT_FIRST: Duration = Duration::from_millis(50);

/// How much of its memory limit an instance may hold, in percent, before it is replaced between two
/// calls. What is left is room for one more call of a guest that leaks.
pub const WORN_MEMORY_PERCENT: usize = 75;

/// Calls that an instance handles at least before it is replaced for its memory. A guest that needs
/// most of its limit from the start is not made anew with each call.
pub const WORN_CALLS_MIN: u64 = 64;

/// Bytes of one log line of a guest; the rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 8 << 10;

/// Bytes of an error message of a guest; the rest is cut off.
pub const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Bytes of standard error that are kept for the report of a trap: a panic message and its place.
pub const LAST_WORDS_BYTES_MAX: usize = 1 << 10;

/// Frames of a guest's backtrace in a report.
pub const BACKTRACE_FRAMES_MAX: usize = 16;

/// Figures that one component may register. Each is a time series for as long as somebody keeps
/// figures, so their number must not grow with the data.
pub const FIGURES_MAX: usize = 64;

/// Bytes of the name of a figure. Names are repeated on every page that shows figures; this is long
/// for a name and short for a text.
pub const FIGURE_NAME_BYTES_MAX: usize = 128;

/// Bytes of the name and of the version that a component says of itself, for the same reason; the
/// rest is cut off.
pub const INFO_BYTES_MAX: usize = 128;

/// Bytes of a key of the state.
pub const STATE_KEY_BYTES_MAX: usize = 1024;

/// What a key of the state counts beside its bytes and those of its value, so that empty values
/// are not free.
pub const STATE_ENTRY_BYTES: u64 = 64;

/// The operator's limits for one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one call may compute.
    pub cpu: Duration,
    /// How long one call may take, waits included.
    pub wall: Duration,
    /// Bytes of all memories of one instance.
    pub memory_bytes: usize,
    /// Bytes of one answer, and of the arguments of one call of the host.
    pub answer_bytes: usize,
    /// Log lines kept in a second.
    pub log_lines_per_second: u32,
    /// Bytes of the state.
    pub state_bytes: u64,
}

impl Limits {
    /// The limits in checked settings.
    ///
    /// # Errors
    /// A configuration fault when an option is absent, of another type or out of range.
    pub fn from_settings(settings: &Settings) -> Result<Self, Fault> {
        Ok(Self {
            cpu: Duration::from_millis(settings.number(rows::CPU_MS)?),
            wall: Duration::from_millis(settings.number(rows::WALL_MS)?),
            memory_bytes: settings.number(rows::MEMORY_BYTES)?,
            answer_bytes: settings.number(rows::ANSWER_BYTES)?,
            log_lines_per_second: settings.number(rows::LOG_LINES_PER_SECOND)?,
            state_bytes: settings.number(rows::STATE_BYTES)?,
        })
    }
}
