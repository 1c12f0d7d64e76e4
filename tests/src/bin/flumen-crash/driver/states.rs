//! What an agent keeps beside its channels: the state of the producers, in a file that is written
//! behind the puts. The channels keep the records of what the file does not have yet.
//!
//! It does what the agent's state folder does, in the words of the same contract, because this
//! program may use no agent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use flumen_wal::{Folder, LogIo};

/// Puts between two times that the file is written.
const PUTS_BETWEEN: u64 = 4;

const FILE_NAME: &str = "states";

/// Takes the place of the other once it is on the disk.
const NEW_NAME: &str = "states.new";

/// Bytes of a producer with its cursor, in a record or in the file.
const CURSOR_BYTES: usize = 12;

/// Producers with the numbers of their last bodies.
pub(crate) type Cursors = Vec<(u32, u64)>;

/// The states.
pub(crate) struct States {
    folder: PathBuf,
    memory: Mutex<Memory>,
    /// Held while the file is written.
    file: Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Memory {
    /// The last generation that was given out or found.
    last: u64,
    /// Generations of puts that are under way.
    open: BTreeSet<u64>,
    /// The floor of the life before, until the channels have decided what was under way at its end.
    undecided_above: Option<u64>,
    /// Where each producer is, with the generation that says so.
    cursors: BTreeMap<u32, (u64, u64)>,
}

impl Memory {
    /// Every generation up to this one has ended.
    fn floor(&self) -> u64 {
        let own = self.open.first().map_or(self.last, |first| first - 1);
        own.min(self.undecided_above.unwrap_or(own))
    }

    fn apply(&mut self, generation: u64, cursors: &[(u32, u64)]) {
        for (producer, cursor) in cursors {
            let known = self.cursors.entry(*producer).or_default();
            if known.1 < generation {
                *known = (*cursor, generation);
            }
        }
    }
}

impl States {
    /// The states in this folder; none when there is no file.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn open(folder: &Path) -> Result<States> {
        fs::create_dir_all(folder).context("make the folder of the states")?;
        let path = folder.join(FILE_NAME);
        let mut memory = Memory::default();
        if path.exists() {
            let bytes = fs::read(&path).context("read the states")?;
            let (floor, cursors) = bytes.split_first_chunk().context("no floor")?;
            memory.last = u64::from_le_bytes(*floor);
            memory.undecided_above = Some(memory.last);
            for bytes in cursors.chunks(CURSOR_BYTES + 8) {
                let (cursor, generation) = bytes.split_at_checked(CURSOR_BYTES).context("cut")?;
                let generation = u64::from_le_bytes(*generation.first_chunk().context("cut")?);
                memory.apply(generation, &decode(cursor)?);
                memory.last = memory.last.max(generation);
            }
        }
        Ok(States {
            folder: folder.to_owned(),
            memory: Mutex::new(memory),
            file: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A put begins: its generation.
    pub(crate) fn begin(&self) -> u64 {
        let mut memory = self.lock();
        memory.last += 1;
        let generation = memory.last;
        memory.open.insert(generation);
        generation
    }

    /// It is through, and so are these cursors; or it is not to be.
    pub(crate) fn end(&self, generation: u64, cursors: &[(u32, u64)]) {
        let mut memory = self.lock();
        memory.apply(generation, cursors);
        memory.open.remove(&generation);
    }

    /// Up to where all puts have ended.
    pub(crate) fn floor(&self) -> u64 {
        self.lock().floor()
    }

    /// Takes in the records of an earlier life that count; what does not is withdrawn.
    pub(crate) fn recover(&self, records: &BTreeMap<u64, Cursors>) {
        let mut memory = self.lock();
        for (generation, cursors) in records {
            memory.apply(*generation, cursors);
            memory.last = memory.last.max(*generation);
        }
        memory.undecided_above = None;
    }

    /// Where the producers are.
    pub(crate) fn cursors(&self) -> BTreeMap<u32, u64> {
        let memory = self.lock();
        let cursors = memory.cursors.iter();
        cursors
            .map(|(producer, (cursor, _))| (*producer, *cursor))
            .collect()
    }

    /// Writes the file, if it is time: gives the floor that is on the disk now.
    pub(crate) fn write(&self, generation: u64) -> Option<u64> {
        if !generation.is_multiple_of(PUTS_BETWEEN) {
            return None;
        }
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = self.lock().clone();
        // A disk that refuses stops nothing: the channels keep the records.
        self.write_file(&memory).ok().map(|()| memory.floor())
    }

    fn write_file(&self, memory: &Memory) -> Result<()> {
        let mut bytes = memory.floor().to_le_bytes().to_vec();
        for (producer, (cursor, generation)) in &memory.cursors {
            bytes.extend_from_slice(&encode(&[(*producer, *cursor)]));
            bytes.extend_from_slice(&generation.to_le_bytes());
        }
        fs::write(self.folder.join(NEW_NAME), bytes)?;
        let folder = Folder::new(&self.folder);
        folder.open(NEW_NAME)?.sync()?;
        folder.rename(NEW_NAME, FILE_NAME)?;
        folder.sync_folder()?;
        Ok(())
    }
}

/// A record of these cursors.
pub(crate) fn encode(cursors: &[(u32, u64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cursors.len() * CURSOR_BYTES);
    for (producer, cursor) in cursors {
        bytes.extend_from_slice(&producer.to_le_bytes());
        bytes.extend_from_slice(&cursor.to_le_bytes());
    }
    bytes
}

/// The cursors of a record.
///
/// # Errors
/// When it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cursors> {
    let (cursors, rest) = bytes.as_chunks::<CURSOR_BYTES>();
    ensure!(rest.is_empty(), "a record of states is cut off");
    let cursor = |bytes: &[u8; CURSOR_BYTES]| {
        let (producer, cursor) = bytes.split_first_chunk()?;
        let cursor = cursor.first_chunk()?;
        Some((u32::from_le_bytes(*producer), u64::from_le_bytes(*cursor)))
    };
    let cursors: Option<Vec<_>> = cursors.iter().map(cursor).collect();
    cursors.context("a record of states is cut off")
}
