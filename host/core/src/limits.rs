//! Bounds that hold everywhere, each with its reason. Bounds of one component stand beside it.

/// Events in one batch. A batch is a unit of work, not a store: a million events of one byte are
/// already more than any cache holds, and row numbers fit 32 bits with room to spare.
pub const BATCH_EVENTS_MAX: usize = 1 << 20;

/// Bytes of bodies in one batch. Ends are 32-bit offsets; a quarter of what they could reach keeps
/// every sum below `u32::MAX` and one batch below what a small machine can hold.
pub const BATCH_BODY_BYTES_MAX: usize = 1 << 30;

/// Different header names in one batch. Each is a column that every row pays for when a batch is
/// compacted; Flume's own sources set at most a dozen.
pub const BATCH_HEADERS_MAX: usize = 1024;

/// Bytes of one header name.
pub const HEADER_NAME_BYTES_MAX: usize = 1024;

/// Bytes of all values of one header in one batch.
pub const HEADER_VALUE_BYTES_MAX: usize = 1 << 28;

/// Bytes of a source's state (its cursor) in one put. A position file of thousands of files fits;
/// a state that grows with the data does not belong into a cursor.
pub const SOURCE_STATE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the changes of state that go with one put or acknowledgement. Enough for a cursor and a
/// few states of the default size, and small beside what a frame of a log takes.
pub const STATE_RECORD_BYTES_MAX: usize = 2 << 20;
