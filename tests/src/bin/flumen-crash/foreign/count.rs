//! Finds the lines again in whatever form a program writes them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use flumen_tests::lines::{Block, NUMBER_DIGITS};
use memchr::memmem::Finder;

/// Which numbers came.
#[derive(Debug, Default)]
pub(super) struct Count {
    seen: Vec<bool>,
    /// Lines that came again.
    pub(super) doubled: u64,
}

impl Count {
    /// Counts the lines with the numbers from 0 to `sent` in all files of a folder.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn of_folder(folder: &Path, sent: u64) -> Result<Count> {
        let mut count = Count {
            seen: vec![false; usize::try_from(sent)?],
            doubled: 0,
        };
        let marker = marker()?;
        for entry in fs::read_dir(folder).context("list the output")? {
            count.text(
                &fs::read(entry?.path()).context("read the output")?,
                &marker,
            );
        }
        Ok(count)
    }

    fn text(&mut self, text: &[u8], marker: &[u8]) {
        for place in Finder::new(marker).find_iter(text) {
            let before = text.get(..place).unwrap_or_default();
            let Some(digits) = before.last_chunk::<NUMBER_DIGITS>() else {
                continue;
            };
            let number = std::str::from_utf8(digits).ok();
            let number = number.and_then(|digits| digits.parse::<usize>().ok());
            let Some(seen) = number.and_then(|number| self.seen.get_mut(number)) else {
                continue;
            };
            self.doubled += u64::from(*seen);
            *seen = true;
        }
    }

    /// How many of the numbers below this one came.
    pub(super) fn distinct_below(&self, end: u64) -> u64 {
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        self.seen.iter().take(end).filter(|seen| **seen).count() as u64
    }
}

/// What follows the number in each line.
fn marker() -> Result<Vec<u8>> {
    let block = Block::new();
    let mut words = block.first(1).splitn(3, |byte| *byte == b' ');
    let word = words.nth(1).context("a line has several words")?;
    Ok([b" ", word, b" "].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_any_wrapping_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let block = Block::new();
        fs::write(folder.path().join("plain"), block.first(3)).unwrap();
        let wrapped = format!("{{\"log\":{:?}}}", String::from_utf8_lossy(block.first(2)));
        fs::write(folder.path().join("wrapped"), wrapped).unwrap();
        let count = Count::of_folder(folder.path(), 5).unwrap();
        assert_eq!(count.distinct_below(5), 3);
        assert_eq!(count.distinct_below(2), 2);
        assert_eq!(count.doubled, 2);
    }

    #[test]
    fn a_torn_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let block = Block::new();
        fs::write(folder.path().join("torn"), &block.first(1)[..9]).unwrap();
        fs::write(folder.path().join("headless"), &block.first(1)[4..]).unwrap();
        let count = Count::of_folder(folder.path(), 5).unwrap();
        assert_eq!(count.distinct_below(5), 0);
    }
}
