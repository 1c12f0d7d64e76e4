//! What the disk itself takes: one thread that writes blocks of one size, durably, one after another
//! into a file that was filled with zeros before. Nothing that keeps a promise can be faster.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::ReadWriteFlags;

use crate::Series;

const FILE_BYTES: usize = 64 * 1024 * 1024;

/// The largest write that is measured.
const WRITE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long one size runs in one round.
const TURN: Duration = Duration::from_millis(60);

/// Memory and offsets of direct writes are multiples of this.
const ALIGNMENT: usize = 4096;

/// A file of its own beside the log.
pub(crate) struct Floor {
    file: File,
    direct: bool,
    memory: Vec<u8>,
    at: usize,
}

impl Floor {
    pub(crate) fn new(path: &Path) -> Floor {
        let file = File::create_new(path).expect("a file for the floor");
        file.write_all_at(&vec![0; FILE_BYTES], 0).expect("zeros");
        file.sync_all().expect("zeros on the disk");
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits() as i32;
        let direct = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path);
        Floor {
            direct: direct.is_ok(),
            file: direct.unwrap_or(file),
            memory: vec![0xa5; WRITE_BYTES_MAX + ALIGNMENT],
            at: 0,
        }
    }

    /// How it writes.
    pub(crate) fn name(&self) -> &'static str {
        match self.direct {
            true => "O_DIRECT and O_DSYNC into written blocks",
            false => "RWF_DSYNC into written blocks",
        }
    }

    /// Writes blocks of this size for one turn.
    pub(crate) fn measure(&mut self, bytes: usize, series: &mut Series) {
        let begun = Instant::now();
        let mut written = 0;
        while begun.elapsed() < TURN {
            if self.at + bytes > FILE_BYTES {
                self.at = 0;
            }
            let before = Instant::now();
            self.write(bytes);
            series.latencies.push(before.elapsed());
            self.at += bytes;
            written += bytes;
        }
        let rate = written as f64 / begun.elapsed().as_secs_f64();
        series.rates.push(rate);
    }

    fn write(&self, bytes: usize) {
        let skip = self.memory.as_ptr().align_offset(ALIGNMENT);
        let block = &self
            .memory
            .get(skip..skip + bytes)
            .expect("a size in bounds");
        let slices = [IoSlice::new(block)];
        let written = match self.direct {
            true => rustix::io::pwritev(&self.file, &slices, self.at as u64),
            false => {
                rustix::io::pwritev2(&self.file, &slices, self.at as u64, ReadWriteFlags::DSYNC)
            }
        };
        assert_eq!(written.expect("a durable write"), bytes);
    }
}
