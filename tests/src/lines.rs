//! Numbered lines, and the check that an output holds each of them once and in order.
//!
//! A numbered line begins with twelve decimal digits; what follows is up to the sender, up to the
//! line feed. The numbers are parted in lanes of [`LANE_LINES`]: a sender owns one lane and counts
//! from its beginning, so that the lines of several connections can be told apart in one output.
//!
//! The benchmarks send [`Block`]s: lines of exactly [`LINE_BYTES`], every second of which contains
//! [`FILTER_WORD`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Digits at the beginning of a numbered line.
pub const NUMBER_DIGITS: usize = 12;
/// Numbers of one lane, and so the most lines that one sender may send.
pub const LANE_LINES: u64 = 1_000_000_000;
/// Bytes of a line of a [`Block`], with its line feed.
pub const LINE_BYTES: usize = 200;
/// Lines of a [`Block`]. A block of 2 MB stays in the cache of the core that sends it, so that the
/// sender reads no memory that the receiver would pay for.
pub const BLOCK_LINES: u64 = 10_000;
/// The word that the lines with an odd number contain, and the others do not.
pub const FILTER_WORD: &str = "DEBUG";

/// The digits of a number that are the same in a whole block: 10^4 lines, so all but the last four.
const BLOCK_DIGITS: usize = 8;
/// How much of a file is read at once.
const READ_BYTES: usize = 1 << 20;

/// [`BLOCK_LINES`] consecutive numbered lines.
///
/// The four last digits of each number never change; moving the block to another place in the
/// sequence rewrites eight bytes a line.
#[derive(Debug, Clone)]
pub struct Block {
    bytes: Vec<u8>,
}

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}

impl Block {
    /// The block with the lines from 0.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = Vec::new();
        for number in 0..BLOCK_LINES {
            bytes.extend_from_slice(block_line(number).as_bytes());
        }
        Self { bytes }
    }

    /// Makes this the block with the lines from `index * BLOCK_LINES`.
    pub fn renumber(&mut self, index: u64) {
        let mut digits = [b'0'; BLOCK_DIGITS];
        let mut rest = index;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        for line in self.bytes.chunks_exact_mut(LINE_BYTES) {
            if let Some(place) = line.first_chunk_mut() {
                *place = digits;
            }
        }
    }

    /// The bytes of the first `lines` lines; of the whole block, if there are not so many.
    #[must_use]
    pub fn first(&self, lines: u64) -> &[u8] {
        let length = usize::try_from(lines)
            .unwrap_or(usize::MAX)
            .saturating_mul(LINE_BYTES);
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }
}

/// A line like that of a log: what surrounds the number is not all alike, since a filler of one
/// letter would flatter every search.
fn block_line(number: u64) -> String {
    // Any odd multiplier will do: the text shall only vary.
    let noise = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let level = if number % 2 == 1 {
        FILTER_WORD
    } else {
        "INFO "
    };
    let mut line = format!(
        "{number:0NUMBER_DIGITS$} 2026-01-01T00:00:00.000Z {level} [worker-{:02}] \
         org.example.shop.OrderService - order {noise:016x} of customer {:08} accepted, \
         items={} total={}.{:02} EUR, warehouse=north, carrier=pigeon, trace={:016x}",
        noise % 16,
        noise >> 40,
        noise % 9 + 1,
        noise % 900 + 100,
        noise % 100,
        noise.rotate_left(17),
    );
    line.truncate(LINE_BYTES - 1);
    while line.len() < LINE_BYTES - 1 {
        line.push('.');
    }
    line.push('\n');
    line
}

/// The number at the beginning of a line, or nothing when it does not begin with one.
#[must_use]
pub fn line_number(line: &[u8]) -> Option<u64> {
    let digits = line.first_chunk::<NUMBER_DIGITS>()?;
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    Some(number)
}

/// What became of the lines that were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Lines seen, of any kind.
    pub lines: u64,
    /// Numbers that were sent and not seen.
    pub lost: u64,
    /// Lines whose number had been seen before.
    pub doubled: u64,
    /// Lines that came after one with a higher number of the same lane.
    pub disordered: u64,
    /// Lines without a number, or with one that nobody sent.
    pub strange: u64,
    /// The first thing that was wrong, in words.
    pub first_trouble: Option<String>,
}

impl Verdict {
    /// Whether each line was seen once and in order, and nothing else was.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.disordered + self.strange == 0
    }
}

/// Checks the lines of an output against what was sent. Memory: one bit a line.
#[derive(Debug, Default)]
pub struct LineCheck {
    lanes: BTreeMap<u64, Lane>,
    lane_last: Option<u64>,
    verdict: Verdict,
}

#[derive(Debug)]
struct Lane {
    sent: u64,
    seen: Vec<u64>,
    next: u64,
}

impl LineCheck {
    /// A check that expects nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects the lines `0..lines` of a lane.
    #[must_use]
    pub fn expect_lane(mut self, lane: u64, lines: u64) -> Self {
        let words = usize::try_from(lines.div_ceil(64)).unwrap_or(usize::MAX);
        self.lanes.insert(
            lane,
            Lane {
                sent: lines,
                seen: vec![0; words],
                next: 0,
            },
        );
        self
    }

    /// Takes one line, with or without its line feed.
    pub fn line(&mut self, line: &[u8]) {
        self.verdict.lines += 1;
        let Some(number) = line_number(line) else {
            self.verdict.strange += 1;
            let text = String::from_utf8_lossy(line.get(..LINE_BYTES).unwrap_or(line));
            return self.trouble(format!("a line without a number: {text:?}"));
        };
        self.lane_last = Some(number / LANE_LINES);
        let position = number % LANE_LINES;
        let lane = self.lanes.get_mut(&(number / LANE_LINES));
        let Some(lane) = lane.filter(|lane| position < lane.sent) else {
            self.verdict.strange += 1;
            return self.trouble(format!("line {number}, which nobody sent"));
        };
        let expected = lane.next;
        let doubled = lane.mark(position);
        lane.next = lane.next.max(position + 1);
        if doubled {
            self.verdict.doubled += 1;
            self.trouble(format!("line {number} a second time"));
        } else if position < expected {
            self.verdict.disordered += 1;
            self.trouble(format!("line {number} too late"));
        }
    }

    /// Takes every line of a reader. A last line without line feed counts.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn reader(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            self.line(&line);
            line.clear();
        }
        Ok(())
    }

    /// Takes every line of the files of a folder, in the order of [`files_in_order`].
    ///
    /// # Errors
    /// When the folder or one of the files cannot be read.
    pub fn folder(&mut self, folder: &Path) -> Result<()> {
        for path in files_in_order(folder)? {
            self.file(&path)?;
        }
        Ok(())
    }

    /// Takes every line of a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut reader = BufReader::with_capacity(READ_BYTES, file);
        self.reader(&mut reader)
            .with_context(|| format!("read {}", path.display()))
    }

    /// Ends the check: what has not been seen by now is lost.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        for (name, lane) in &self.lanes {
            let seen: u64 = lane
                .seen
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum();
            self.verdict.lost += lane.sent - seen;
            if let Some(position) = lane.first_missing() {
                let number = name * LANE_LINES + position;
                self.verdict
                    .first_trouble
                    .get_or_insert_with(|| format!("line {number} lost"));
            }
        }
        self.verdict
    }

    fn trouble(&mut self, what: String) {
        let place = self.verdict.lines;
        self.verdict
            .first_trouble
            .get_or_insert_with(|| format!("as line {place} came {what}"));
    }
}

impl Lane {
    /// Marks a position as seen; tells whether it was already.
    fn mark(&mut self, position: u64) -> bool {
        let word = usize::try_from(position / 64)
            .ok()
            .and_then(|word| self.seen.get_mut(word));
        let Some(word) = word else { return false };
        let bit = 1 << (position % 64);
        let doubled = *word & bit != 0;
        *word |= bit;
        doubled
    }

    fn first_missing(&self) -> Option<u64> {
        let (place, word) = (0..).zip(&self.seen).find(|(_, word)| **word != u64::MAX)?;
        let position = place * 64 + u64::from(word.trailing_ones());
        (position < self.sent).then_some(position)
    }
}

/// The files of a folder in the order of the numbers in their names, then of the other letters:
/// `99-2` before `99-10` before `100-1`. That is the order in which file_roll makes them.
///
/// # Errors
/// When the folder cannot be read.
pub fn files_in_order(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((name_key(&entry.file_name().to_string_lossy()), entry.path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// What [`files_in_order`] sorts by: the numbers of a name, then the name.
#[must_use]
pub fn name_key(name: &str) -> (Vec<u64>, String) {
    let digits = name.split(|letter: char| !letter.is_ascii_digit());
    (
        digits.filter_map(|digits| digits.parse().ok()).collect(),
        name.to_owned(),
    )
}

#[cfg(test)]
mod tests;
