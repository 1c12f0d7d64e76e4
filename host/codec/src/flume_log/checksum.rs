//! CRC-32 of ISO 3309, the checksum of `java.util.zip.CRC32`: eight tables, eight bytes a step.

/// The polynomial, lowest bit first.
const POLYNOMIAL: u32 = 0xedb8_8320;

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which would not compile an index out of range"
)]
const TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
};

static LOOKUP: [[u32; 256]; 8] = TABLES;

fn look_up(table: usize, byte: u32) -> u32 {
    // Both are always in range; the fallback spares the reader the proof and costs nothing.
    let table = LOOKUP.get(table & 7);
    table
        .and_then(|table| table.get((byte & 0xff) as usize))
        .copied()
        .unwrap_or_default()
}

/// The checksum of these bytes.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut value = u32::MAX;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in chunks {
        let low = value ^ u32::from_le_bytes([*a, *b, *c, *d]);
        let high = u32::from_le_bytes([*e, *f, *g, *h]);
        value = look_up(7, low)
            ^ look_up(6, low >> 8)
            ^ look_up(5, low >> 16)
            ^ look_up(4, low >> 24)
            ^ look_up(3, high)
            ^ look_up(2, high >> 8)
            ^ look_up(1, high >> 16)
            ^ look_up(0, high >> 24);
    }
    for byte in rest {
        value = (value >> 8) ^ look_up(0, value ^ u32::from(*byte));
    }
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            crc32(b"The quick brown fox jumps over the lazy dog"),
            0x414f_a339
        );
    }
}
