use proptest::prelude::{any, proptest};

use super::Charset;

fn charset(name: &str) -> Charset {
    Charset::for_name(name).unwrap_or_else(|| panic!("{name} is a character set"))
}

fn decode(name: &str, bytes: &[u8]) -> String {
    let mut text = Vec::new();
    charset(name).decoder().decode(bytes, true, &mut text);
    String::from_utf8(text).expect("a decoder gives UTF-8")
}

fn encode(name: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    charset(name).encode(text, &mut bytes);
    bytes
}

#[test]
fn names_of_java_are_known_in_any_case() {
    for (name, canonical) in [
        ("utf-8", "UTF-8"),
        ("UTF8", "UTF-8"),
        ("ASCII", "US-ASCII"),
        ("ISO8859_1", "ISO-8859-1"),
        ("latin1", "ISO-8859-1"),
        ("UTF_16", "UTF-16"),
        ("utf-16be", "UTF-16BE"),
        ("UTF-16LE", "UTF-16LE"),
        ("UTF-32", "UTF-32"),
        ("Cp1252", "windows-1252"),
        ("windows-1251", "windows-1251"),
        ("ISO8859_15", "ISO-8859-15"),
        ("KOI8_R", "KOI8-R"),
        ("Shift_JIS", "Shift_JIS"),
        ("SJIS", "Shift_JIS"),
        ("MS932", "Shift_JIS"),
        ("EUC_JP", "EUC-JP"),
        ("GB18030", "gb18030"),
        ("Big5", "Big5"),
        ("x-windows-949", "EUC-KR"),
        ("MacRoman", "macintosh"),
        ("IBM866", "IBM866"),
    ] {
        assert_eq!(charset(name).name(), canonical, "{name}");
    }
}

#[test]
fn names_that_mean_nothing_are_refused() {
    for name in [
        "",
        "utf-9",
        "klingon",
        "IBM037",
        "replacement",
        "iso-2022-kr",
        "x-user-defined",
        "ucs-2",
    ] {
        assert_eq!(Charset::for_name(name), None, "{name}");
    }
}

#[test]
fn only_sets_whose_bytes_are_utf_8_pass_through() {
    assert!(charset("utf-8").passes_through());
    assert!(charset("us-ascii").passes_through());
    assert!(!charset("iso-8859-1").passes_through());
    assert!(!charset("utf-16le").passes_through());
}

#[test]
fn latin_1_is_javas_and_not_the_webs() {
    assert_eq!(decode("iso-8859-1", &[b'a', 0xE9, 0x80]), "aé\u{80}");
    assert_eq!(decode("windows-1252", &[b'a', 0xE9, 0x80]), "aé€");
}

#[test]
fn utf_16_without_a_mark_is_big_endian() {
    assert_eq!(decode("utf-16", &[0, b'a', 0, b'b']), "ab");
    assert_eq!(decode("utf-16", &[0xFF, 0xFE, b'a', 0]), "a");
    assert_eq!(decode("utf-16", &[0xFE, 0xFF, 0, b'a']), "a");
    assert_eq!(decode("utf-16", &[]), "");
    assert_eq!(decode("utf-16be", &[0xFE, 0xFF, 0, b'a']), "\u{FEFF}a");
}

#[test]
fn utf_32_in_both_orders() {
    assert_eq!(decode("utf-32", &[0, 1, 0xF6, 0x00]), "😀");
    assert_eq!(decode("utf-32", &[0xFF, 0xFE, 0, 0, b'a', 0, 0, 0]), "a");
    assert_eq!(decode("utf-32le", &[0, 0xF6, 1, 0]), "😀");
    assert_eq!(
        decode("utf-32be", &[0, 0x11, 0, 0, 0, 0]),
        "\u{FFFD}\u{FFFD}"
    );
}

#[test]
fn malformed_bytes_become_the_replacement_character() {
    assert_eq!(decode("utf-16be", &[0xD8, 0x00, 0, b'a']), "\u{FFFD}a");
    assert_eq!(decode("utf-16be", &[0, b'a', 0]), "a\u{FFFD}");
    assert_eq!(decode("shift_jis", &[0x81]), "\u{FFFD}");
    assert_eq!(decode("utf-8", &[b'a', 0xFF, b'b']), "a\u{FFFD}b");
}

#[test]
fn replies_are_written_as_java_writes_them() {
    assert_eq!(encode("utf-16le", "OK\n"), b"O\0K\0\n\0");
    assert_eq!(encode("utf-16be", "OK\n"), b"\0O\0K\0\n");
    assert_eq!(charset("utf-16").stream_prefix(), [0xFE, 0xFF]);
    assert_eq!(encode("utf-16", "OK\n"), b"\0O\0K\0\n");
    assert_eq!(encode("utf-32le", "O"), b"O\0\0\0");
    assert_eq!(encode("iso-8859-1", "é€"), [0xE9, b'?']);
    assert_eq!(encode("us-ascii", "aé"), b"a?");
    assert_eq!(encode("windows-1252", "€ш"), [0x80, b'?']);
    assert_eq!(encode("utf-16be", "😀"), [0xD8, 0x3D, 0xDE, 0x00]);
}

proptest! {
    /// Where a stream is cut into pieces makes no difference.
    #[test]
    fn pieces_decode_as_the_whole(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        cuts in proptest::collection::vec(1..9_usize, 64),
    ) {
        for name in ["utf-8", "iso-8859-1", "utf-16", "utf-16le", "utf-32", "utf-32le", "gb18030", "shift_jis", "iso-2022-jp"] {
            let mut decoder = charset(name).decoder();
            let mut text = Vec::new();
            let mut left = bytes.as_slice();
            for cut in &cuts {
                let (piece, rest) = left.split_at((*cut).min(left.len()));
                decoder.decode(piece, false, &mut text);
                left = rest;
            }
            decoder.decode(left, true, &mut text);
            proptest::prop_assert_eq!(String::from_utf8(text), Ok(decode(name, &bytes)), "{}", name);
        }
    }

    /// What a set that has all characters encodes, it decodes to the same text.
    #[test]
    fn text_comes_back(text in "\\PC{0,32}") {
        for name in ["utf-8", "utf-16", "utf-16be", "utf-16le", "utf-32", "utf-32be", "utf-32le", "gb18030"] {
            // A leading mark is dropped by those that look for one.
            let text = text.trim_start_matches('\u{FEFF}');
            proptest::prop_assert_eq!(decode(name, &encode(name, text)), text, "{}", name);
        }
    }
}
