//! Bytes change while nothing runs. What they hit is told, to the item; nothing else is missing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Round;
use crate::body::Chance;
use crate::event::Event;
use crate::oracle::{Damage, Violation};
use crate::rig::{Next, Rig};

/// What is damaged at once.
const BLOCK_BYTES: u64 = 4096;

/// The name of a segment's file begins so; its number follows, in hexadecimal digits.
const SEGMENT_NAME: &str = "segment-";

/// Events of the run before: some segments.
const EVENTS: u64 = 900;

/// One bit is turned.
pub(super) fn bit(round: &Round) -> Result<Vec<Violation>> {
    damaged(round, |segments, chance| {
        // The newest is the one that nothing else tells of.
        let newest = segments.last().filter(|_| chance.once_in(2));
        let segment = match newest {
            Some(newest) => newest,
            None => chosen(segments, chance)?,
        };
        let at = some_byte(round.number, segment, chance);
        let mut byte = [0];
        segment.file()?.read_exact_at(&mut byte, at)?;
        let turned = byte.map(|byte| byte ^ 1 << chance.below(8));
        segment.file()?.write_all_at(&turned, at)?;
        Ok(vec![segment.damage(at..at + 1)])
    })
}

/// Blocks are zeroed, take the place of others, or change places.
pub(super) fn blocks(round: &Round) -> Result<Vec<Violation>> {
    damaged(round, |segments, chance| {
        let (one, other) = (chosen(segments, chance)?, chosen(segments, chance)?);
        let (from, to) = (one.block(chance), other.block(chance));
        let (source, target) = (one.read_block(from)?, other.read_block(to)?);
        let mut damage = vec![other.damage(to..to + BLOCK_BYTES)];
        match round.number % 3 {
            0 => other.file()?.write_all_at(&[0; BLOCK_BYTES as usize], to)?,
            1 => other.file()?.write_all_at(&source, to)?,
            _ => {
                other.file()?.write_all_at(&source, to)?;
                one.file()?.write_all_at(&target, from)?;
                damage.push(one.damage(from..from + BLOCK_BYTES));
            }
        }
        Ok(damage)
    })
}

/// A segment is cut short or goes away. The newest is not chosen: what is missing at its end cannot
/// be told from what was never written.
pub(super) fn files(round: &Round) -> Result<Vec<Violation>> {
    damaged(round, |segments, chance| {
        let older = segments.split_last().map(|(_, older)| older);
        let segment = chosen(older.unwrap_or_default(), chance)?;
        let cut = match round.number % 2 {
            0 => {
                fs::remove_file(&segment.path)?;
                0
            }
            _ => {
                let cut = chance.below(segment.bytes);
                segment.file()?.set_len(cut)?;
                cut
            }
        };
        Ok(vec![segment.damage(cut..segment.bytes)])
    })
}

/// A segment of another log lies in the place of one. Either the log is not opened, says so, and is
/// whole when the right file is back; or it says what the other file took the place of.
pub(super) fn foreign(round: &Round) -> Result<Vec<Violation>> {
    in_place(round, |segments, chance| {
        chance.below(segments.saturating_sub(1))
    })
}

/// The same with the newest, which no other segment tells of.
pub(super) fn foreign_newest(round: &Round) -> Result<Vec<Violation>> {
    in_place(round, |segments, _| segments.saturating_sub(1))
}

fn in_place(round: &Round, choose: impl FnOnce(u64, &mut Chance) -> u64) -> Result<Vec<Violation>> {
    let mut rig = loaded(round, "store")?;
    let stranger = loaded(round, "other")?;
    let mut chance = round.chance();
    let segments = segments(&rig.orders.log_folder())?;
    let others = self::segments(&stranger.orders.log_folder())?;
    let index = choose(segments.len() as u64, &mut chance) as usize;
    let own = segments.get(index).context("the store has no segment")?;
    let other = chosen(&others, &mut chance)?;
    let kept = round.folder.join("kept");
    fs::copy(&own.path, &kept)?;
    fs::copy(&other.path, &own.path)?;
    rig.orders.transactions = 0;
    let mut opened = false;
    rig.oracle.forgive_reads(true);
    rig.run(&[], |_, event, _| {
        opened |= matches!(event, Event::Opened(_));
        Ok(match opened {
            true => Next::Kill,
            false => Next::Go,
        })
    })?;
    rig.oracle.forgive_reads(false);
    if opened {
        rig.oracle.damaged(own.damage(0..own.bytes));
    } else {
        fs::copy(&kept, &own.path)?;
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// Loads a store, damages it and looks what it says.
fn damaged(
    round: &Round,
    harm: impl FnOnce(&[Segment], &mut Chance) -> Result<Vec<Damage>>,
) -> Result<Vec<Violation>> {
    let mut rig = loaded(round, "store")?;
    let segments = segments(&rig.orders.log_folder())?;
    for damage in harm(&segments, &mut round.chance())? {
        rig.oracle.damaged(damage);
    }
    rig.verify()?;
    Ok(rig.verdict())
}

/// A store that was closed with some segments in it. In every other round acknowledgements stand
/// between the puts; in the others each missing item has to be told exactly.
fn loaded(round: &Round, name: &str) -> Result<Rig> {
    let mut rig = Rig::new(round.orders(name));
    rig.orders.take = round.number % 4 >= 2;
    // With so few waiting, segments are freed as fast as they can be.
    rig.orders.backlog_max = match rig.orders.take {
        true => 10,
        false => u64::MAX,
    };
    let mut events = 0;
    rig.run(&[], |_, _, _| {
        events += 1;
        Ok(match events == EVENTS {
            true => Next::Stop,
            false => Next::Go,
        })
    })?;
    if rig.oracle.closed().is_none() {
        let what = "a store that nothing had happened to was not closed well".to_owned();
        rig.oracle.violate("closing", what);
    }
    Ok(rig)
}

struct Segment {
    number: u64,
    path: PathBuf,
    bytes: u64,
}

impl Segment {
    fn file(&self) -> Result<File> {
        let file = File::options().read(true).write(true).open(&self.path);
        file.with_context(|| self.path.display().to_string())
    }

    fn damage(&self, bytes: std::ops::Range<u64>) -> Damage {
        Damage {
            segment: self.number,
            bytes,
        }
    }

    fn block(&self, chance: &mut Chance) -> u64 {
        chance.below(self.bytes / BLOCK_BYTES) * BLOCK_BYTES
    }

    fn read_block(&self, at: u64) -> Result<[u8; BLOCK_BYTES as usize]> {
        let mut block = [0; BLOCK_BYTES as usize];
        self.file()?.read_exact_at(&mut block, at)?;
        Ok(block)
    }
}

/// A byte of each kind in turn: the two heads, the snapshot, and any of the frames.
fn some_byte(number: u64, segment: &Segment, chance: &mut Chance) -> u64 {
    match number % 5 {
        0 => chance.below(128),
        1 => BLOCK_BYTES + chance.below(128),
        2 => 2 * BLOCK_BYTES + chance.below(256),
        _ => 3 * BLOCK_BYTES + chance.below(segment.bytes - 3 * BLOCK_BYTES),
    }
}

/// The segments of a folder, oldest first.
fn segments(folder: &Path) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some(digits) = name.strip_prefix(SEGMENT_NAME) else {
            continue;
        };
        segments.push(Segment {
            number: u64::from_str_radix(digits, 16)?,
            path: entry.path(),
            bytes: entry.metadata()?.len(),
        });
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

fn chosen<'segments>(
    segments: &'segments [Segment],
    chance: &mut Chance,
) -> Result<&'segments Segment> {
    let index = chance.below(segments.len() as u64) as usize;
    segments.get(index).context("the store has no such segment")
}
