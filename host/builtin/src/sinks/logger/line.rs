//! The line that Flume's logger sink prints for an event, as a pure function.
//!
//! ```text
//! Event: { headers:{k=v, k2=v2} body: 48 65 6C 6C 6F                                  Hello }
//! ```
//! A body is shown in rows of 16 bytes: each byte as two upper-case hexadecimal digits and a space,
//! missing columns as three spaces, then the bytes as text with a dot for everything outside
//! printable ASCII. The second and later rows stand on lines of their own behind an offset of eight
//! hexadecimal digits; the first has none. An empty body prints nothing.

use std::fmt::Write;

/// Bytes in one row of the dump, as in Flume.
const ROW_BYTES: usize = 16;

const HEX_DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
];

/// Appends the line of one event, with at most `body_bytes_max` bytes of its body.
pub(super) fn append_event<'a>(
    line: &mut String,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &[u8],
    body_bytes_max: usize,
) {
    line.push_str("Event: { headers:{");
    let mut headers: Vec<_> = headers.collect();
    headers.sort_unstable();
    let mut joint = "";
    for (name, value) in headers {
        for part in [joint, name, "=", value] {
            line.push_str(part);
        }
        joint = ", ";
    }
    line.push_str("} body:");
    append_dump(line, body.get(..body_bytes_max).unwrap_or(body));
    line.push_str(" }");
}

fn append_dump(line: &mut String, bytes: &[u8]) {
    for (index, row) in bytes.chunks(ROW_BYTES).enumerate() {
        if index > 0 {
            // Writing to a string cannot fail.
            let _ = write!(line, "\n{:08X}", index * ROW_BYTES);
        }
        line.push(' ');
        for byte in row {
            line.push(hex_digit(byte >> 4));
            line.push(hex_digit(byte & 0x0F));
            line.push(' ');
        }
        for _ in row.len()..ROW_BYTES {
            line.push_str("   ");
        }
        line.extend(row.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
    }
}

fn hex_digit(nibble: u8) -> char {
    HEX_DIGITS.get(usize::from(nibble)).copied().unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (
        &'static [(&'static str, &'static str)],
        &'static [u8],
        usize,
        &'static str,
    );

    fn line(headers: &[(&str, &str)], body: &[u8], body_bytes_max: usize) -> String {
        let mut line = String::new();
        append_event(&mut line, headers.iter().copied(), body, body_bytes_max);
        line
    }

    #[test]
    fn the_line_is_that_of_flume() {
        let cases: &[Case] = &[
            (
                &[],
                b"Hello",
                16,
                "Event: { headers:{} body: 48 65 6C 6C 6F                                  Hello }",
            ),
            (
                &[],
                b"Hello\r",
                16,
                "Event: { headers:{} body: 48 65 6C 6C 6F 0D                               Hello. }",
            ),
            (&[], b"", 16, "Event: { headers:{} body: }"),
            (
                &[("k2", "v2"), ("k", "v")],
                b"0123456789abcdef",
                16,
                "Event: { headers:{k=v, k2=v2} body: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef }",
            ),
            (
                &[],
                b"0123456789abcdefg",
                16,
                "Event: { headers:{} body: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef }",
            ),
            (
                &[],
                b"0123456789abcdefg",
                17,
                "Event: { headers:{} body: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef\n\
                 00000010 67                                              g }",
            ),
            (
                &[],
                b"\x00\x1f\x20\x7e\x7f\x80\xff",
                16,
                "Event: { headers:{} body: 00 1F 20 7E 7F 80 FF                            .. ~... }",
            ),
            (&[("k", "v")], b"Hello", 0, "Event: { headers:{k=v} body: }"),
        ];
        for (headers, body, body_bytes_max, expected) in cases {
            assert_eq!(line(headers, body, *body_bytes_max), *expected);
        }
    }

    #[test]
    fn offsets_are_eight_digits_in_upper_case() {
        let dump = line(&[], &[b'x'; 16 * 11], 16 * 11);
        let offsets: Vec<&str> = dump.lines().skip(1).map(|row| &row[..8]).collect();
        assert_eq!(offsets.first(), Some(&"00000010"));
        assert_eq!(offsets.last(), Some(&"000000A0"));
    }
}
