//! Text of a guest, made fit for logs and messages.

/// At most `bytes_max` bytes, on one line, without control characters: a guest must not be able to
/// forge lines of the operator's log or to move the cursor of his terminal.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let text = text.trim_end();
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, rest) = text.split_at(end);
    let mut line: String = kept
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if !rest.is_empty() {
        line.push('\u{2026}');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_forge_lines() {
        assert_eq!(one_line("a\nERROR b\x1b[2J\r\n", 100), "a ERROR b [2J");
        assert_eq!(one_line("\u{e4}\u{e4}\u{e4}", 3), "\u{e4}\u{2026}");
        assert_eq!(one_line("", 3), "");
    }
}
