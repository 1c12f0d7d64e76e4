//! The splitter against a naive model: however a stream is cut into reads, the lines are the same.

use super::super::lines::LineSplitter;

/// Lines of a whole stream, cut at `line_bytes_max`.
fn model(stream: &[u8], line_bytes_max: usize) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\n' || byte == b'\r' {
            if byte == b'\r' && bytes.peek() == Some(&b'\n') {
                bytes.next();
            }
            lines.push(std::mem::take(&mut line));
            continue;
        }
        if line.len() == line_bytes_max {
            lines.push(std::mem::take(&mut line));
        }
        line.push(byte);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Lines of a stream that comes in these pieces.
fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, line_bytes_max: usize) -> Vec<Vec<u8>> {
    let mut splitter = LineSplitter::new(line_bytes_max);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for piece in pieces {
        splitter.space(piece.len()).extend_from_slice(piece);
        let batch = splitter.take_lines().expect("fits");
        lines.extend(batch.bodies().map(<[u8]>::to_vec));
    }
    let batch = splitter.take_rest().expect("fits");
    lines.extend(batch.bodies().map(<[u8]>::to_vec));
    lines
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn lines_do_not_depend_on_the_reads() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for round in 0..3000 {
        // Streams with and without carriage returns: each has a way of its own.
        let alphabet: &[u8] = if round % 2 == 0 { b"ab\n\r" } else { b"abcd\n" };
        let length = dice.below(40);
        let stream: Vec<u8> = (0..length)
            .map(|_| alphabet[dice.below(alphabet.len())])
            .collect();
        let line_bytes_max = 1 + dice.below(6);
        let mut pieces = Vec::new();
        let mut left = stream.as_slice();
        while !left.is_empty() {
            let (piece, behind) = left.split_at(1 + dice.below(left.len()));
            pieces.push(piece);
            left = behind;
        }
        assert_eq!(
            split(pieces.iter().copied(), line_bytes_max),
            model(&stream, line_bytes_max),
            "{:?} in pieces {pieces:?}, cut at {line_bytes_max}",
            String::from_utf8_lossy(&stream)
        );
    }
}

#[test]
fn a_return_ends_its_line_at_once_and_a_feed_in_the_next_read_belongs_to_it() {
    let mut splitter = LineSplitter::new(100);
    splitter.space(4).extend_from_slice(b"50%\r");
    assert_eq!(splitter.take_lines().expect("fits").len(), 1);
    splitter.space(4).extend_from_slice(b"\n");
    assert_eq!(splitter.take_lines().expect("fits").len(), 0);
    splitter.space(4).extend_from_slice(b"\n");
    assert_eq!(splitter.take_lines().expect("fits").len(), 1);
}

#[test]
fn a_stream_without_line_ends_holds_one_line_at_most() {
    let mut splitter = LineSplitter::new(1000);
    let mut events = 0;
    for _ in 0..1000 {
        splitter.space(64).extend_from_slice(&[b'x'; 64]);
        events += splitter.take_lines().expect("fits").len();
        assert!(splitter.space(64).capacity() < 10_000);
    }
    assert_eq!(events, 63, "64 000 bytes but the last 1000");
    assert_eq!(splitter.cuts(), 63);
    assert_eq!(splitter.take_rest().expect("fits").len(), 1);
}

#[test]
fn lines_keep_their_feeds_so_that_a_file_gets_them_in_one_piece() {
    use flumen_core::batch::TextRun;
    let mut splitter = LineSplitter::new(100);
    splitter.space(16).extend_from_slice(b"a\nbc\nd");
    let batch = splitter.take_lines().expect("fits");
    let runs: Vec<_> = batch.text_runs(b'\n').collect();
    assert_eq!(runs, [TextRun::Delimited(b"a\nbc\n")]);
}
