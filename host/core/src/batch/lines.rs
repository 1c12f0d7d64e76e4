//! Finding line ends: the one loop over every byte that comes in as text.

use super::rows::row_number;

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineScan {
    /// Where the unfinished rest begins: behind the last delimiter that was taken.
    pub rest: usize,
    /// The longest line, without its delimiter, in bytes.
    pub longest: usize,
}

/// Finds the delimiters of a buffer. Holds nothing but the delimiter.
#[derive(Clone, Copy, Debug)]
pub struct LineScanner {
    delimiter: u8,
}

impl LineScanner {
    /// A scanner for lines that end with this byte.
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter }
    }

    /// Appends the positions of the delimiters in `data` to `ends`, which stays at or below
    /// `lines_max` entries. Positions are relative to `data`, whose length is below 2^32.
    pub fn scan(&self, data: &[u8], ends: &mut Vec<u32>, lines_max: usize) -> LineScan {
        let mut rest = 0;
        let mut longest = 0;
        let room = lines_max.saturating_sub(ends.len());
        for end in memchr::memchr_iter(self.delimiter, data).take(room) {
            longest = longest.max(end - rest);
            rest = end + 1;
            ends.push(row_number(end));
        }
        LineScan { rest, longest }
    }
}
