//! The read buffers: zeroed once, read into many times, lent to batches without a copy.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one buffer. Large enough that a system call and a batch cost little per line, small
/// enough that kernel, scan and sink meet the bytes in the second-level cache.
/// Under test small enough that every line meets its end.
pub(super) const BUFFER_BYTES: usize = if cfg!(test) { 1024 } else { 256 * 1024 };

/// Free buffers that are kept. Those in use are bounded by the connections that read and by what
/// the channels hold; this many are worth keeping when they come back, and 8 MiB is what a source
/// that had a busy hour goes on holding.
const BUFFERS_FREE_MAX: usize = 32;

/// Bytes below which a read is copied out of its buffer: a short line never holds a whole buffer in a
/// channel.
const GIVEN_BYTES_MIN: usize = BUFFER_BYTES / 8;

/// Buffers that may be out with less than [`GIVEN_BYTES_WHEN_MANY`] in them. In a flow that keeps up
/// one or two are out, and a copy would only cost time. More of them out means that events pile up in
/// a channel, which counts bytes of bodies and not of buffers: what half-empty buffers waste in memory
/// is bounded to 4 MiB a source.
const HALF_EMPTY_MAX: usize = 16;

/// Bytes from which a buffer is full enough to wait in a channel.
const GIVEN_BYTES_WHEN_MANY: usize = BUFFER_BYTES / 4 * 3;

/// The free buffers of one source. Last in, first out: the buffer that was given back last is the
/// one that is still in cache.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    // A push or a pop is all that happens under the lock.
    free: Mutex<Vec<Box<[u8]>>>,
    /// Buffers that are read into or held by batches.
    out: AtomicUsize,
}

impl BufferPool {
    /// A buffer: a used one with its old bytes in it, else a new one.
    pub(super) fn take(self: &Arc<Self>) -> PooledBuffer {
        let used = self.lock().pop();
        self.out.fetch_add(1, Ordering::Relaxed);
        PooledBuffer {
            bytes: used.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()),
            pool: Arc::clone(self),
        }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        // A list of buffers is whole at any time: a panic elsewhere leaves nothing half done.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that goes back to its pool when it is dropped.
#[derive(Debug)]
pub(super) struct PooledBuffer {
    bytes: Box<[u8]>,
    pool: Arc<BufferPool>,
}

impl PooledBuffer {
    /// Whether a batch with so many bytes of this buffer shall hold it, and not a copy.
    pub(super) fn is_worth_giving(&self, bytes: usize) -> bool {
        let bytes_min = match self.pool.out.load(Ordering::Relaxed) > HALF_EMPTY_MAX {
            true => GIVEN_BYTES_WHEN_MANY,
            false => GIVEN_BYTES_MIN,
        };
        bytes >= bytes_min
    }
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.pool.out.fetch_sub(1, Ordering::Relaxed);
        let mut free = self.pool.lock();
        if free.len() < BUFFERS_FREE_MAX {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_empty_buffers_are_given_away_only_while_few_are_out() {
        let pool = Arc::new(BufferPool::default());
        let mut out = vec![pool.take()];
        assert!(!out[0].is_worth_giving(GIVEN_BYTES_MIN - 1));
        assert!(out[0].is_worth_giving(GIVEN_BYTES_MIN));
        out.resize_with(HALF_EMPTY_MAX + 1, || pool.take());
        assert!(!out[0].is_worth_giving(GIVEN_BYTES_WHEN_MANY - 1));
        assert!(out[0].is_worth_giving(GIVEN_BYTES_WHEN_MANY));
        out.pop();
        assert!(out[0].is_worth_giving(GIVEN_BYTES_MIN));
    }
}
