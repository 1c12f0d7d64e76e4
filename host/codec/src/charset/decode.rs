//! Bytes of a character set to UTF-8, in pieces as they come off a stream.

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};

use super::{Kind, Order};

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Decodes one stream. The pieces may be cut anywhere, inside a character too; at most four bytes
/// are held between two pieces.
pub struct CharsetDecoder {
    state: State,
}

enum State {
    Latin1,
    /// UTF-8 too: who asks for a decoder wants text that is checked.
    Table(Decoder),
    /// Too few bytes to tell whether there is a byte order mark.
    Undecided {
        held: Vec<u8>,
        width: Width,
    },
    Utf32 {
        held: Vec<u8>,
        little: bool,
    },
}

#[derive(Clone, Copy)]
enum Width {
    Two,
    Four,
}

impl CharsetDecoder {
    pub(super) fn new(kind: Kind) -> Self {
        let state = match kind {
            Kind::Utf8 | Kind::Ascii => {
                State::Table(encoding_rs::UTF_8.new_decoder_without_bom_handling())
            }
            Kind::Latin1 => State::Latin1,
            Kind::Utf16(Order::Marked) => State::Undecided {
                held: Vec::new(),
                width: Width::Two,
            },
            Kind::Utf16(Order::Big) => two_bytes(false),
            Kind::Utf16(Order::Little) => two_bytes(true),
            Kind::Utf32(Order::Marked) => State::Undecided {
                held: Vec::new(),
                width: Width::Four,
            },
            Kind::Utf32(Order::Big) => four_bytes(false),
            Kind::Utf32(Order::Little) => four_bytes(true),
            Kind::Table(encoding) => State::Table(encoding.new_decoder_without_bom_handling()),
        };
        Self { state }
    }

    /// Appends the text of the next piece as UTF-8. With `last` the stream ends here: a character
    /// that is cut off becomes U+FFFD, and the decoder is not used again.
    pub fn decode(&mut self, bytes: &[u8], last: bool, text: &mut Vec<u8>) {
        match &mut self.state {
            State::Latin1 => {
                let start = text.len();
                text.resize(start + 2 * bytes.len(), 0);
                let room = text.get_mut(start..).unwrap_or_default();
                let written = encoding_rs::mem::convert_latin1_to_utf8(bytes, room);
                text.truncate(start + written);
            }
            State::Table(decoder) => decode_table(decoder, bytes, last, text),
            State::Utf32 { held, little } => {
                decode_four_bytes(held, *little, bytes, text);
                if last && !held.is_empty() {
                    push(text, REPLACEMENT);
                }
            }
            State::Undecided { held, width } => {
                held.extend_from_slice(bytes);
                let Some((state, mark)) = decide(held, *width, last) else {
                    return;
                };
                let held = std::mem::take(held);
                self.state = state;
                self.decode(held.get(mark..).unwrap_or_default(), last, text);
            }
        }
    }
}

/// The state after the mark, and the length of the mark; `None` while it cannot be told.
fn decide(held: &[u8], width: Width, last: bool) -> Option<(State, usize)> {
    let needed = match width {
        Width::Two => 2,
        Width::Four => 4,
    };
    if held.len() < needed && !last {
        return None;
    }
    Some(match (width, held) {
        (Width::Two, [0xFF, 0xFE, ..]) => (two_bytes(true), 2),
        (Width::Two, [0xFE, 0xFF, ..]) => (two_bytes(false), 2),
        (Width::Two, _) => (two_bytes(false), 0),
        (Width::Four, [0xFF, 0xFE, 0, 0, ..]) => (four_bytes(true), 4),
        (Width::Four, [0, 0, 0xFE, 0xFF, ..]) => (four_bytes(false), 4),
        (Width::Four, _) => (four_bytes(false), 0),
    })
}

fn two_bytes(little: bool) -> State {
    let encoding = if little { UTF_16LE } else { UTF_16BE };
    State::Table(encoding.new_decoder_without_bom_handling())
}

fn four_bytes(little: bool) -> State {
    State::Utf32 {
        held: Vec::with_capacity(4),
        little,
    }
}

fn decode_table(decoder: &mut Decoder, bytes: &[u8], last: bool, text: &mut Vec<u8>) {
    let mut left = bytes;
    loop {
        // The constant keeps the room above the longest single character, so that every turn gets
        // further even if the estimate is missing.
        let room = decoder
            .max_utf8_buffer_length(left.len())
            .unwrap_or(left.len())
            .saturating_add(16);
        let start = text.len();
        text.resize(start + room, 0);
        let target = text.get_mut(start..).unwrap_or_default();
        let (result, read, written, _) = decoder.decode_to_utf8(left, target, last);
        text.truncate(start + written);
        left = left.get(read..).unwrap_or_default();
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

fn decode_four_bytes(held: &mut Vec<u8>, little: bool, bytes: &[u8], text: &mut Vec<u8>) {
    for byte in bytes {
        held.push(*byte);
        let Ok(unit) = <[u8; 4]>::try_from(held.as_slice()) else {
            continue;
        };
        held.clear();
        let code = if little {
            u32::from_le_bytes(unit)
        } else {
            u32::from_be_bytes(unit)
        };
        push(text, char::from_u32(code).unwrap_or(REPLACEMENT));
    }
}

fn push(text: &mut Vec<u8>, character: char) {
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}
