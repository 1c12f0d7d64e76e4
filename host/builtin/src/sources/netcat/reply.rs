//! The answers, as bytes in the character set of a connection.

use std::borrow::Cow;

use flumen_codec::charset::Charset;

const OK: &[u8; 3] = b"OK\n";

/// `OK` lines in one write. A read of nothing but line feeds is answered in a few writes; a usual
/// one in a single write.
const OK_LINES: usize = 8192;

/// `OK` lines in one write when a character takes more than a byte: rare, so not worth
/// the memory per connection.
const OK_WIDE_LINES: usize = 256;

/// Bytes of `FAILED` lines that are built at a time.
const FAILED_BYTES: usize = 64 * 1024;

static OK_RUN: [[u8; OK.len()]; OK_LINES] = [*OK; OK_LINES];

/// Makes the answers of one connection.
#[derive(Debug)]
pub(super) struct Replies {
    charset: Charset,
    /// What stands before the first answer and was not written yet.
    prefix: &'static [u8],
    /// A run of `OK` lines, and the length of one.
    run: Cow<'static, [u8]>,
    line_bytes: usize,
}

impl Replies {
    pub(super) fn new(charset: Charset) -> Self {
        let mut line = Vec::with_capacity(OK.len() * 4);
        charset.encode("OK\n", &mut line);
        let line_bytes = line.len();
        let run = if line == OK {
            Cow::Borrowed(OK_RUN.as_flattened())
        } else {
            Cow::Owned(line.repeat(OK_WIDE_LINES))
        };
        Self {
            charset,
            prefix: charset.stream_prefix(),
            run,
            line_bytes,
        }
    }

    /// What has to be written before the first answer; empty from the second call on.
    pub(super) fn take_prefix(&mut self) -> &'static [u8] {
        std::mem::take(&mut self.prefix)
    }

    /// As many `OK` lines as fit one write, at most `lines`, and how many they are.
    pub(super) fn ok(&self, lines: usize) -> (&[u8], usize) {
        let bytes = lines.saturating_mul(self.line_bytes).min(self.run.len());
        let run = self.run.get(..bytes).unwrap_or_default();
        (run, bytes / self.line_bytes.max(1))
    }

    /// As many `FAILED` lines as fit one write, at most `lines` and at least one, and how many they
    /// are.
    pub(super) fn failed(&self, why: &str, lines: usize) -> (Vec<u8>, usize) {
        // The answer is one line whatever the message.
        let text = format!("FAILED: {}\n", why.replace(['\n', '\r'], " "));
        let mut line = Vec::with_capacity(text.len());
        self.charset.encode(&text, &mut line);
        let count = (FAILED_BYTES / line.len().max(1)).clamp(1, lines.max(1));
        (line.repeat(count), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_lines_are_whole_and_bounded() {
        let replies = Replies::new(Charset::UTF_8);
        assert_eq!(replies.ok(2), (b"OK\nOK\n".as_slice(), 2));
        let (run, lines) = replies.ok(usize::MAX);
        assert_eq!(lines, OK_LINES);
        assert!(run.ends_with(b"OK\n"));
    }

    #[test]
    fn an_answer_is_one_line_whatever_the_message() {
        let replies = Replies::new(Charset::UTF_8);
        let (bytes, lines) = replies.failed("first\nsecond", 2);
        assert_eq!(bytes, b"FAILED: first second\nFAILED: first second\n");
        assert_eq!(lines, 2);
        let (bytes, lines) = replies.failed("full", usize::MAX);
        assert_eq!(bytes.len(), lines * "FAILED: full\n".len());
        assert!(bytes.len() <= FAILED_BYTES);
    }

    #[test]
    fn wide_characters_are_answered_in_kind() {
        let mut replies = Replies::new(Charset::for_name("utf-16").expect("a known set"));
        assert_eq!(replies.take_prefix(), [0xFE, 0xFF]);
        assert_eq!(replies.take_prefix(), [0; 0]);
        assert_eq!(replies.ok(1), (b"\0O\0K\0\n".as_slice(), 1));
        assert_eq!(replies.ok(1000).1, OK_WIDE_LINES);
    }
}
