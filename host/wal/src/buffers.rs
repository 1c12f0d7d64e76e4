//! Memory for payloads.
//!
//! Small ones are the allocator's. Those that are not small are used again as long as the log is in
//! use, so that their pages need not be made anew, and let go when it rests. A large one is a mapping
//! of its own, which then goes back to the system: an allocator would cut such blocks from heaps that
//! one small block behind them keeps as large as they ever were.
//!
//! Bounds: what is kept for the next is at most [`KEPT_BYTES_MAX`]; what is in use is the matter of
//! those who use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use memmap2::MmapMut;

/// The size from which on memory is used again: a few pages, below which making it anew costs less.
const KEPT_FROM: usize = 16 * 1024;

/// The size from which on memory is a mapping of its own: that from which on the allocator of the
/// system does the same, until it has learnt otherwise.
const MAPPED_FROM: usize = 128 * 1024;

/// Bytes that are kept for the next: two of the largest groups, so that some writers with large
/// batches find what those before them had.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The memory of one log, shared by all who fill payloads or read them.
#[derive(Default)]
pub struct Buffers {
    /// A plain mutex suffices: it is held for a push or for finding one of the right size.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    memories: Vec<Memory>,
    bytes: usize,
    /// Some was taken since the log rested, so what comes back is kept.
    is_in_use: bool,
}

/// Memory to be filled.
pub struct Buffer {
    memory: Memory,
    /// Nobody for what is small.
    home: Weak<Buffers>,
}

enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Memory {
    fn new(length: usize) -> Memory {
        let mapped = match length {
            0..MAPPED_FROM => None,
            _ => MmapMut::map_anon(length).ok(),
        };
        // Where the system gives none there is the allocator.
        mapped.map_or_else(|| Memory::Heap(vec![0; length]), Memory::Mapped)
    }

    fn nothing() -> Memory {
        Memory::Heap(Vec::new())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(mapping) => mapping,
        }
    }
}

impl Buffers {
    /// Memory of at least this size, with any content.
    pub fn take(self: &Arc<Self>, length: usize) -> Buffer {
        if length < KEPT_FROM {
            return Buffer {
                memory: Memory::Heap(vec![0; length]),
                home: Weak::new(),
            };
        }
        // Sizes of a few kinds, so that one fits the next. What is not touched takes nothing.
        let length = length.next_power_of_two();
        Buffer {
            memory: self.kept(length).unwrap_or_else(|| Memory::new(length)),
            home: Arc::downgrade(self),
        }
    }

    /// A payload with these bytes.
    pub(crate) fn copy(self: &Arc<Self>, bytes: &[u8]) -> Bytes {
        let mut buffer = self.take(bytes.len());
        if let Some(memory) = buffer.memory().get_mut(..bytes.len()) {
            memory.copy_from_slice(bytes);
        }
        buffer.filled(bytes.len())
    }

    /// Gives back to the system what is kept, and what comes back before any is taken again.
    pub(crate) fn rest(&self) {
        let kept = std::mem::take(&mut *self.lock());
        // Not under the lock: the system takes its time.
        drop(kept);
    }

    /// Whether large memory was taken since the log rested.
    pub(crate) fn is_in_use(&self) -> bool {
        self.lock().is_in_use
    }

    /// Bytes that are kept for the next.
    pub fn kept_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// One of exactly this size, the warmest.
    fn kept(&self, length: usize) -> Option<Memory> {
        let mut kept = self.lock();
        kept.is_in_use = true;
        let fits = |own: &Memory| own.bytes().len() == length;
        let place = kept.memories.iter().rposition(fits)?;
        kept.bytes -= length;
        Some(kept.memories.remove(place))
    }

    fn keep(&self, memory: Memory) {
        let mut kept = self.lock();
        let bytes = kept.bytes.saturating_add(memory.bytes().len());
        if kept.is_in_use && bytes <= KEPT_BYTES_MAX {
            kept.bytes = bytes;
            kept.memories.push(memory);
        } else {
            drop(kept);
            drop(memory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// All of it.
    pub fn memory(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(mapping) => mapping,
        }
    }

    /// The first bytes of it, as many as were filled. The memory comes back when the last of them is
    /// dropped.
    pub fn filled(mut self, length: usize) -> Bytes {
        if self.memory.bytes().len() < KEPT_FROM
            && let Memory::Heap(bytes) = &mut self.memory
        {
            let mut bytes = std::mem::take(bytes);
            bytes.truncate(length);
            return bytes.into();
        }
        Bytes::from_owner(Filled {
            buffer: self,
            length,
        })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.keep(std::mem::replace(&mut self.memory, Memory::nothing()));
        }
    }
}

/// Bytes that are replaced again and again, in memory as large as the largest of them.
pub(crate) struct Room {
    buffers: Arc<Buffers>,
    buffer: Buffer,
    length: usize,
}

impl Room {
    /// Nothing.
    pub(crate) fn new() -> Room {
        let buffers: Arc<Buffers> = Arc::default();
        Room {
            buffer: buffers.take(0),
            buffers,
            length: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let memory = self.buffer.memory.bytes();
        memory.get(..self.length).unwrap_or(memory)
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.length;
        self.buffer.memory().get_mut(..length).unwrap_or_default()
    }

    /// From now on so many bytes, of any content.
    pub(crate) fn replace(&mut self, length: usize) -> &mut [u8] {
        if length > self.buffer.memory.bytes().len() {
            // Before the new one is made: they need not be there together.
            self.buffer.memory = Memory::nothing();
            self.buffer = self.buffers.take(length);
        }
        self.length = length;
        self.bytes_mut()
    }

    /// Leaves out what is behind so many bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

struct Filled {
    buffer: Buffer,
    length: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        let memory = self.buffer.memory.bytes();
        memory.get(..self.length).unwrap_or(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(buffers: &Arc<Buffers>, length: usize, byte: u8) -> Bytes {
        let mut buffer = buffers.take(length);
        assert!(buffer.memory().len() >= length);
        buffer.memory()[..length].fill(byte);
        buffer.filled(length)
    }

    #[test]
    fn bytes_of_any_length_are_those_that_were_filled_in() {
        let buffers: Arc<Buffers> = Arc::default();
        for length in [
            0,
            1,
            KEPT_FROM - 1,
            KEPT_FROM,
            MAPPED_FROM - 1,
            MAPPED_FROM,
            MAPPED_FROM + 1,
            3 << 20,
        ] {
            let bytes = filled(&buffers, length, 7);
            assert_eq!(bytes.len(), length);
            assert!(bytes.iter().all(|byte| *byte == 7));
            assert_eq!(buffers.copy(&bytes), bytes);
        }
    }

    #[test]
    fn memory_is_used_again_until_the_log_rests() {
        used_again(KEPT_FROM);
        used_again(MAPPED_FROM);
    }

    fn used_again(length: usize) {
        let buffers: Arc<Buffers> = Arc::default();
        let bytes = filled(&buffers, length, 1);
        let place = bytes.as_ptr();
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_eq!(buffers.kept_bytes(), 0, "a part of it is in use");
        drop(part);
        assert_eq!(buffers.kept_bytes(), length);
        let next = filled(&buffers, length, 2);
        assert_eq!(next.as_ptr(), place);
        let late = filled(&buffers, length, 3);
        drop(next);
        buffers.rest();
        assert_eq!(buffers.kept_bytes(), 0);
        assert!(!buffers.is_in_use());
        drop(late);
        assert_eq!(buffers.kept_bytes(), 0, "nobody is there to use it again");
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let buffers: Arc<Buffers> = Arc::default();
        let many: Vec<Bytes> = (0..20).map(|_| filled(&buffers, 1 << 20, 3)).collect();
        drop(many);
        assert_eq!(buffers.kept_bytes(), KEPT_BYTES_MAX);
        assert_eq!(buffers.lock().memories.len(), KEPT_BYTES_MAX >> 20);
    }

    #[test]
    fn bytes_are_replaced_by_more_and_by_less() {
        let mut room = Room::new();
        assert_eq!(room.bytes(), []);
        for length in [5, MAPPED_FROM, 3, MAPPED_FROM * 3, 0] {
            room.replace(length).fill(length as u8);
            assert_eq!(room.bytes(), vec![length as u8; length]);
            room.truncate(length / 2);
            assert_eq!(room.bytes_mut(), vec![length as u8; length / 2]);
        }
    }

    #[test]
    fn what_outlives_its_log_goes_back_to_the_system() {
        let buffers: Arc<Buffers> = Arc::default();
        let bytes = filled(&buffers, MAPPED_FROM, 4);
        drop(buffers);
        assert!(bytes.iter().all(|byte| *byte == 4));
    }
}
