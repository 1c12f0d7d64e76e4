//! The read buffers: zeroed once, read into many times, lent to batches without a copy.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one buffer. Large enough that a system call and a batch cost little per line, small
/// enough that kernel, scan and sink meet the bytes in the second-level cache.
/// Under test small enough that every line meets its end.
pub(super) const BUFFER_BYTES: usize = if cfg!(test) { 1024 } else { 256 * 1024 };

/// Free buffers that are kept. Those in use are bounded by the connections that read and by what
/// the channels hold; this many are worth keeping when they come back, and 8 MiB is what a source
/// that had a busy hour goes on holding.
const BUFFERS_FREE_MAX: usize = 32;

/// The free buffers of one source. Last in, first out: the buffer that was given back last is the
/// one that is still in cache.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    // A push or a pop is all that happens under the lock.
    free: Mutex<Vec<Box<[u8]>>>,
}

impl BufferPool {
    /// A buffer: a used one with its old bytes in it, else a new one.
    pub(super) fn take(self: &Arc<Self>) -> PooledBuffer {
        let used = self.lock().pop();
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
        let mut free = self.pool.lock();
        if free.len() < BUFFERS_FREE_MAX {
            free.push(bytes);
        }
    }
}
