//! From a name to a character set.

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

use super::{Kind, Order};

/// The sets whose meaning is Java's and not the WHATWG's, with Java's names for them.
const OWN: &[(Kind, &[&str])] = &[
    (Kind::Utf8, &["utf-8", "utf8", "unicode-1-1-utf-8"]),
    (
        Kind::Ascii,
        &[
            "us-ascii",
            "ascii",
            "ascii7",
            "646",
            "iso646-us",
            "iso-646.irv:1991",
            "iso-646.irv:1983",
            "ansi-x3.4-1968",
            "ansi-x3.4-1986",
            "iso-ir-6",
            "ibm367",
            "cp367",
            "us",
            "csascii",
            "default",
        ],
    ),
    (
        Kind::Latin1,
        &[
            "iso-8859-1",
            "iso-8859-1:1987",
            "iso8859-1",
            "8859-1",
            "iso-ir-100",
            "latin1",
            "l1",
            "ibm819",
            "ibm-819",
            "cp819",
            "819",
            "csisolatin1",
        ],
    ),
    (
        Kind::Utf16(Order::Marked),
        &["utf-16", "utf16", "unicode", "unicodebig"],
    ),
    (
        Kind::Utf16(Order::Big),
        &[
            "utf-16be",
            "x-utf-16be",
            "iso-10646-ucs-2",
            "unicodebigunmarked",
        ],
    ),
    (
        Kind::Utf16(Order::Little),
        &["utf-16le", "x-utf-16le", "unicodelittleunmarked"],
    ),
    (
        Kind::Utf32(Order::Marked),
        &["utf-32", "utf32", "iso-10646-ucs-4"],
    ),
    (Kind::Utf32(Order::Big), &["utf-32be", "x-utf-32be"]),
    (Kind::Utf32(Order::Little), &["utf-32le", "x-utf-32le"]),
];

/// Names of Java that the WHATWG's list does not have, with a name from that list.
const JAVA: &[(&str, &str)] = &[
    ("cp932", "windows-31j"),
    ("cp936", "gbk"),
    ("ms936", "gbk"),
    ("euc-cn", "gb2312"),
    ("euccn", "gb2312"),
    ("eucjp", "euc-jp"),
    ("euckr", "euc-kr"),
    ("ms949", "windows-949"),
    ("ms950", "big5"),
    ("windows-950", "big5"),
    ("ms874", "windows-874"),
    ("tis620", "tis-620"),
    ("iso2022jp", "iso-2022-jp"),
    ("jis", "iso-2022-jp"),
    ("macroman", "macintosh"),
    ("maccyrillic", "x-mac-cyrillic"),
];

pub(super) fn find(name: &str) -> Option<Kind> {
    // Java's older names differ from the newer ones in case and in `_` for `-`.
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let own = OWN.iter().find(|(_, names)| names.contains(&name.as_str()));
    if let Some((kind, _)) = own {
        return Some(*kind);
    }
    let bare = name.strip_prefix("x-").unwrap_or(&name);
    let java = JAVA
        .iter()
        .find(|(java, _)| *java == bare)
        .map(|(_, label)| *label);
    let encoding = [Some(name.as_str()), Some(bare), java]
        .into_iter()
        .flatten()
        .find_map(|label| Encoding::for_label(label.as_bytes()))
        // Labels such as `shift_jis` and `ks_c_5601-1987` are spelt with `_` only.
        .or_else(|| Encoding::for_label(name.replace('-', "_").as_bytes()))
        .or_else(|| (name == "ks-c-5601-1987").then_some(encoding_rs::EUC_KR))?;
    // Two of these are no character sets but traps of the web platform; the others have Java's
    // names above, and a web name for them may mean another byte order.
    let foreign = [REPLACEMENT, X_USER_DEFINED, UTF_16BE, UTF_16LE, UTF_8];
    (!foreign.contains(&encoding)).then_some(Kind::Table(encoding))
}
