//! Reads the output of row (l) back.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use flumen_tests::lines::{files_in_order, line_number};

/// Bytes of a line as it is sent, without its line feed.
pub(super) const LINE_BYTES: usize = 39;

/// What the lines of one connection show.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// The number behind the last line.
    pub(super) next: u64,
    /// Numbers that were left out.
    pub(super) lost: u64,
    /// Lines that came again, or after a later one.
    pub(super) late: u64,
    /// Lines without a number, or without exactly one version.
    pub(super) strange: u64,
    /// Each version and the first line that it was seen in, as they follow one another.
    pub(super) versions: Vec<(u64, u64)>,
}

impl Check {
    /// Takes one line, without its line feed.
    fn line(&mut self, line: &[u8]) {
        let sent = line_number(line).zip(version(line));
        let Some((number, version)) = sent else {
            self.strange += 1;
            return;
        };
        if number < self.next {
            self.late += 1;
            return;
        }
        self.lost += number - self.next;
        self.next = number + 1;
        if self
            .versions
            .last()
            .is_none_or(|(last, _)| *last != version)
        {
            self.versions.push((version, number));
        }
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            self.line(line.strip_suffix(b"\n").unwrap_or(&line));
            line.clear();
        }
        fs::remove_file(path).with_context(|| format!("remove {}", path.display()))
    }
}

/// The version behind a line, when there is exactly one.
fn version(line: &[u8]) -> Option<u64> {
    let digits = line.get(LINE_BYTES..)?.strip_prefix(b"#")?;
    std::str::from_utf8(digits.as_array::<8>()?)
        .ok()?
        .parse()
        .ok()
}

/// Checks and removes the files of a folder, in order.
pub(super) fn read_back(folder: &Path) -> Result<Check> {
    let mut check = Check::default();
    for file in files_in_order(folder)? {
        check.file(&file)?;
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str]) -> Check {
        let mut check = Check::default();
        for line in lines {
            check.line(line.as_bytes());
        }
        check
    }

    fn sent(number: u64, behind: &str) -> String {
        format!("{number:012} {:.<26}{behind}", "")
    }

    #[test]
    fn lines_in_order_with_one_version_each_are_clean() {
        let lines = [
            sent(0, "#00000001"),
            sent(1, "#00000001"),
            sent(2, "#00000002"),
        ];
        let check = check(&lines.each_ref().map(String::as_str));
        assert_eq!((check.lost, check.late, check.strange), (0, 0, 0));
        assert_eq!(check.next, 3);
        assert_eq!(check.versions, [(1, 0), (2, 2)]);
    }

    #[test]
    fn what_is_wrong_is_counted() {
        let lines = [
            sent(0, "#00000001"),
            sent(0, "#00000001"),
            sent(2, "#00000001#00000002"),
            sent(3, ""),
            sent(4, "#00000002"),
            "nothing".to_owned(),
        ];
        let check = check(&lines.each_ref().map(String::as_str));
        assert_eq!((check.lost, check.late, check.strange), (3, 1, 3));
    }
}
