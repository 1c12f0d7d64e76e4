//! Character sets: the name that a configuration gives, bytes to UTF-8 as they come in, text to
//! bytes for a reply.
//!
//! Names are those of Java's `Charset.forName` (canonical names and the usual aliases, in any
//! case), because that is what Flume's files hold. What a name means is Java's meaning too:
//! `ISO-8859-1` maps byte n to character n, `UTF-16` without a byte order mark is big endian, and
//! `UTF-16BE` keeps a mark as a character. Other single-byte and Asian sets follow the WHATWG
//! tables, which are Java's apart from `ISO-8859-9` and `ISO-8859-11`, read as `windows-1254` and
//! `windows-874` (a difference in bytes 0x80 to 0x9F only). EBCDIC sets are not there.
//!
//! Malformed bytes become U+FFFD; a character that a set does not have becomes `?`. UTF-8 and
//! US-ASCII need no decoder at all (see [`Charset::passes_through`]).

mod decode;
mod name;
#[cfg(test)]
mod tests;

use encoding_rs::{EncoderResult, Encoding};

pub use decode::CharsetDecoder;

/// A character set. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    kind: Kind,
}

/// The order of the bytes of a wide character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// A byte order mark decides; big endian without one.
    Marked,
    Big,
    Little,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Utf8,
    Ascii,
    Latin1,
    Utf16(Order),
    Utf32(Order),
    Table(&'static Encoding),
}

impl Charset {
    /// UTF-8.
    pub const UTF_8: Self = Self { kind: Kind::Utf8 };

    /// The set of this name, in any case; `None` for a name that nobody knows.
    pub fn for_name(name: &str) -> Option<Self> {
        name::find(name).map(|kind| Self { kind })
    }

    /// The canonical name.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Utf8 => "UTF-8",
            Kind::Ascii => "US-ASCII",
            Kind::Latin1 => "ISO-8859-1",
            Kind::Utf16(Order::Marked) => "UTF-16",
            Kind::Utf16(Order::Big) => "UTF-16BE",
            Kind::Utf16(Order::Little) => "UTF-16LE",
            Kind::Utf32(Order::Marked) => "UTF-32",
            Kind::Utf32(Order::Big) => "UTF-32BE",
            Kind::Utf32(Order::Little) => "UTF-32LE",
            Kind::Table(encoding) => encoding.name(),
        }
    }

    /// Whether its bytes are UTF-8 already, so that nothing needs to be decoded: UTF-8 and
    /// US-ASCII.
    pub fn passes_through(&self) -> bool {
        matches!(self.kind, Kind::Utf8 | Kind::Ascii)
    }

    /// A decoder for one stream of bytes.
    pub fn decoder(&self) -> CharsetDecoder {
        CharsetDecoder::new(self.kind)
    }

    /// What stands before the first character of an encoded stream, as Java writes it: the big
    /// endian mark for `UTF-16`, nothing for all others.
    pub fn stream_prefix(&self) -> &'static [u8] {
        match self.kind {
            Kind::Utf16(Order::Marked) => &[0xFE, 0xFF],
            _ => &[],
        }
    }

    /// Appends the text in this set, without [`Charset::stream_prefix`].
    pub fn encode(&self, text: &str, into: &mut Vec<u8>) {
        match self.kind {
            Kind::Utf8 => into.extend_from_slice(text.as_bytes()),
            Kind::Ascii => encode_low(text, 0x7F, into),
            Kind::Latin1 => encode_low(text, 0xFF, into),
            Kind::Utf16(Order::Little) => {
                into.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            }
            Kind::Utf16(_) => into.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Kind::Utf32(Order::Little) => {
                into.extend(text.chars().flat_map(|c| u32::from(c).to_le_bytes()));
            }
            Kind::Utf32(_) => into.extend(text.chars().flat_map(|c| u32::from(c).to_be_bytes())),
            Kind::Table(encoding) => encode_table(encoding, text, into),
        }
    }
}

/// Sets whose character n is byte n, up to `max`.
fn encode_low(text: &str, max: u8, into: &mut Vec<u8>) {
    into.extend(text.chars().map(|c| match u8::try_from(u32::from(c)) {
        Ok(byte) if byte <= max => byte,
        _ => b'?',
    }));
}

fn encode_table(encoding: &'static Encoding, text: &str, into: &mut Vec<u8>) {
    let mut encoder = encoding.new_encoder();
    let mut left = text;
    loop {
        // Never zero, so that every turn of the loop gets further; the escape sequences of
        // ISO-2022-JP are what the constant covers.
        let room = encoder
            .max_buffer_length_from_utf8_without_replacement(left.len())
            .unwrap_or(left.len())
            .saturating_add(16);
        into.reserve(room);
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(left, into, true);
        left = left.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(_) => into.push(b'?'),
        }
    }
}
