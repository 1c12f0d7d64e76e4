//! The little of protobuf that these files need: fields one after the other, nothing trusted.

use super::FormatError;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// `varint`: no field of this format has it, but a reader has to be able to pass one over.
    Number,
    /// `sfixed32`.
    Fixed32(u32),
    /// `sfixed64`.
    Fixed64(u64),
    /// `bytes`, `string` or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn fixed32(self) -> Result<u32, FormatError> {
        match self {
            Value::Fixed32(number) => Ok(number),
            _ => Err(FormatError::BadField),
        }
    }

    pub(super) fn fixed64(self) -> Result<u64, FormatError> {
        match self {
            Value::Fixed64(number) => Ok(number),
            _ => Err(FormatError::BadField),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], FormatError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(FormatError::BadField),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, FormatError> {
        str::from_utf8(self.bytes()?).map_err(|_| FormatError::NotText)
    }
}

/// The fields of one message in the order in which they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The number and value of the next field; `None` at the end of the message.
    pub(super) fn next_field(&mut self) -> Result<Option<(u64, Value<'a>)>, FormatError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = varint(&mut self.rest)?;
        let value = match tag & 7 {
            0 => {
                varint(&mut self.rest)?;
                Value::Number
            }
            1 => Value::Fixed64(u64::from_le_bytes(array(&mut self.rest)?)),
            2 => Value::Bytes(delimited(&mut self.rest)?),
            5 => Value::Fixed32(u32::from_le_bytes(array(&mut self.rest)?)),
            _ => return Err(FormatError::BadField),
        };
        match tag >> 3 {
            0 => Err(FormatError::BadField),
            number => Ok(Some((number, value))),
        }
    }
}

/// A message behind its length, taken from the front.
pub(super) fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], FormatError> {
    let bytes = usize::try_from(varint(rest)?).map_err(|_| FormatError::Truncated)?;
    let (message, behind) = rest.split_at_checked(bytes).ok_or(FormatError::Truncated)?;
    *rest = behind;
    Ok(message)
}

/// So many bytes, taken from the front.
pub(super) fn array<const BYTES: usize>(rest: &mut &[u8]) -> Result<[u8; BYTES], FormatError> {
    let (first, behind) = rest
        .split_first_chunk::<BYTES>()
        .ok_or(FormatError::Truncated)?;
    *rest = behind;
    Ok(*first)
}

/// A number of seven bits a byte, the lowest first, at most ten bytes.
fn varint(rest: &mut &[u8]) -> Result<u64, FormatError> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let [byte] = array(rest)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(FormatError::BadField);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(FormatError::BadField)
}

/// The value of a field that has to be there.
pub(super) fn required<T>(value: Option<T>) -> Result<T, FormatError> {
    value.ok_or(FormatError::MissingField)
}
