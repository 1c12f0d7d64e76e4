//! Files as Flume writes them, for folders that no real Flume would make in a test.

use flumen_codec::flume_log::FlumePointer;

/// What a record does.
#[derive(Clone, Debug)]
pub(super) enum Does {
    Put {
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Take(FlumePointer),
    Rollback,
    CommitPuts,
    CommitTakes,
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn delimited(message: &[u8]) -> Vec<u8> {
    [varint(message.len()), message.to_vec()].concat()
}

fn fixed32(field: u8, value: u32) -> Vec<u8> {
    [vec![field << 3 | 5], value.to_le_bytes().to_vec()].concat()
}

fn fixed64(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3 | 1], value.to_le_bytes().to_vec()].concat()
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], delimited(value)].concat()
}

/// CRC-32, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut value = u32::MAX;
    for byte in bytes {
        value ^= u32::from(*byte);
        for _ in 0..8 {
            value = (value >> 1) ^ if value & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !value
}

/// A record with its operation and length.
pub(super) fn record(transaction: u64, write_order: u64, does: &Does) -> Vec<u8> {
    let (kind, body) = match does {
        Does::Put { headers, body } => {
            let mut event = Vec::new();
            for (name, value) in headers {
                let header = [bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat();
                event.extend(bytes(1, &header));
            }
            event.extend(bytes(2, body));
            let checksum = fixed64(2, u64::from(crc32(body)));
            (1, [bytes(1, &event), checksum].concat())
        }
        Does::Take(pointer) => (
            2,
            [fixed32(1, pointer.file), fixed32(2, pointer.offset)].concat(),
        ),
        Does::Rollback => (3, Vec::new()),
        Does::CommitPuts => (4, fixed32(1, 1)),
        Does::CommitTakes => (4, fixed32(1, 2)),
    };
    let header = [
        fixed32(1, kind),
        fixed64(2, transaction),
        fixed64(3, write_order),
    ]
    .concat();
    let inner = [delimited(&header), delimited(&body), vec![0]].concat();
    [
        vec![0x7f],
        (inner.len() as u32).to_be_bytes().to_vec(),
        inner,
    ]
    .concat()
}

/// `log-N.meta`.
pub(super) fn meta(file: u32, key: Option<&str>) -> Vec<u8> {
    let mut message = [
        fixed32(1, 3),
        fixed32(2, file),
        fixed64(3, 0),
        fixed64(4, 0),
    ]
    .concat();
    if let Some(key) = key {
        let encryption = [bytes(1, b"AESCTRNOPADDING"), bytes(2, key.as_bytes())].concat();
        message.extend(bytes(5, &encryption));
    }
    delimited(&message)
}

/// `checkpoint`, `checkpoint.meta` and `inflighttakes`.
pub(super) fn checkpoint(
    write_order: u64,
    queue: &[FlumePointer],
    inflight: &[(u64, Vec<FlumePointer>)],
    capacity: usize,
    head: usize,
) -> [Vec<u8>; 3] {
    let mut words = vec![0_u64; 1029 + capacity];
    words[0] = 3;
    words[1] = write_order;
    for (index, pointer) in queue.iter().enumerate() {
        words[1029 + (head + index) % capacity] = pointer.word();
    }
    let ring = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let meta = [
        fixed32(1, 3),
        fixed64(2, write_order),
        fixed32(3, queue.len() as u32),
        fixed32(4, head as u32),
    ]
    .concat();
    let mut takes = vec![0; 16];
    for (transaction, pointers) in inflight {
        takes.extend(transaction.to_be_bytes());
        takes.extend((pointers.len() as u64).to_be_bytes());
        takes.extend(
            pointers
                .iter()
                .flat_map(|pointer| pointer.word().to_be_bytes()),
        );
    }
    [ring, delimited(&meta), takes]
}
