//! The part of `linux/fuse.h` that is needed for a folder with one file, version 7.31.
//!
//! All numbers are of this machine's byte order, as both ends run on it.

use super::FILE_NAME;
use super::image::Image;
use rustix::io::Errno;

/// Bytes of one write at most.
pub(crate) const WRITE_BYTES_MAX: u32 = 128 * 1024;

/// Bytes of the head of a request.
const REQUEST_HEAD_BYTES: usize = 40;

/// Bytes of the head of an answer.
const ANSWER_HEAD_BYTES: usize = 16;

/// The folder, as the protocol numbers it.
const ROOT: u64 = 1;
/// The file.
const DISK: u64 = 2;

/// How long the kernel may remember names and attributes, which never change.
const VALID_SECONDS: u64 = 3600;

/// Reads and writes of the file are to go past the page cache, which would outlive a power cut.
const OPEN_DIRECT_IO: u32 = 1;

/// Writes may be larger than a page.
const INIT_BIG_WRITES: u32 = 1 << 5;

// Operations.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FSYNC: u32 = 20;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const ACCESS: u32 = 34;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;

/// What the kernel asks.
pub(crate) struct Request<'buffer> {
    operation: u32,
    /// Told back with the answer.
    unique: u64,
    node: u64,
    arguments: &'buffer [u8],
}

/// What it is answered.
pub(crate) enum Answer {
    Bytes(Vec<u8>),
    Error(Errno),
    /// The kernel does not wait for any.
    Nothing,
}

impl Request<'_> {
    /// A request as it was read; nothing when it is cut off.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Request<'_>> {
        Some(Request {
            operation: u32_at(bytes, 4)?,
            unique: u64_at(bytes, 8)?,
            node: u64_at(bytes, 16)?,
            arguments: bytes.get(REQUEST_HEAD_BYTES..)?,
        })
    }
}

impl Answer {
    /// The answer as it is written.
    pub(crate) fn encode(self, request: &Request<'_>) -> Option<Vec<u8>> {
        let (error, body) = match self {
            Answer::Bytes(body) => (0, body),
            Answer::Error(error) => (-error.raw_os_error(), Vec::new()),
            Answer::Nothing => return None,
        };
        let length = ANSWER_HEAD_BYTES + body.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&(length as u32).to_ne_bytes());
        bytes.extend_from_slice(&error.to_ne_bytes());
        bytes.extend_from_slice(&request.unique.to_ne_bytes());
        bytes.extend_from_slice(&body);
        Some(bytes)
    }
}

/// Does what is asked.
pub(crate) fn dispatch(request: &Request<'_>, image: &mut Image) -> Answer {
    match request.operation {
        INIT => Answer::Bytes(init()),
        LOOKUP => lookup(request, image),
        GETATTR | SETATTR => {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(&VALID_SECONDS.to_ne_bytes());
            bytes.extend_from_slice(&[0; 8]);
            bytes.extend_from_slice(&attributes(request.node, image));
            Answer::Bytes(bytes)
        }
        OPEN | OPENDIR => {
            let mut bytes = vec![0; 8];
            let flags = match request.operation {
                OPEN => OPEN_DIRECT_IO,
                _ => 0,
            };
            bytes.extend_from_slice(&flags.to_ne_bytes());
            bytes.extend_from_slice(&[0; 4]);
            Answer::Bytes(bytes)
        }
        READ => read(request, image).unwrap_or(Answer::Error(Errno::INVAL)),
        WRITE => write(request, image).unwrap_or(Answer::Error(Errno::INVAL)),
        FSYNC => match image.flush() {
            Ok(()) => Answer::Bytes(Vec::new()),
            Err(_) => Answer::Error(Errno::IO),
        },
        STATFS => Answer::Bytes(vec![0; 80]),
        RELEASE | RELEASEDIR | FLUSH | ACCESS | DESTROY => Answer::Bytes(Vec::new()),
        FORGET | BATCH_FORGET => Answer::Nothing,
        _ => Answer::Error(Errno::NOSYS),
    }
}

fn init() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    for word in [7, 31, 0, INIT_BIG_WRITES] {
        bytes.extend_from_slice(&u32::to_ne_bytes(word));
    }
    // Requests in the background, and from how many on the kernel holds back.
    for half in [16u16, 12] {
        bytes.extend_from_slice(&half.to_ne_bytes());
    }
    for word in [WRITE_BYTES_MAX, 1] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.resize(64, 0);
    bytes
}

fn lookup(request: &Request<'_>, image: &Image) -> Answer {
    let name = request.arguments.split(|byte| *byte == 0).next();
    if name != Some(FILE_NAME.as_bytes()) {
        return Answer::Error(Errno::NOENT);
    }
    let mut bytes = Vec::with_capacity(128);
    for word in [DISK, 0, VALID_SECONDS, VALID_SECONDS, 0] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&attributes(DISK, image));
    Answer::Bytes(bytes)
}

fn attributes(node: u64, image: &Image) -> Vec<u8> {
    let (mode, length) = match node {
        ROOT => (0o040_700, 0),
        _ => (0o100_600, image.length()),
    };
    let mut bytes = Vec::with_capacity(88);
    for word in [node, length, length / 512, 0, 0, 0] {
        bytes.extend_from_slice(&u64::to_ne_bytes(word));
    }
    // Parts of seconds, mode, links, owner, device, block size, flags.
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        bytes.extend_from_slice(&u32::to_ne_bytes(word));
    }
    bytes
}

fn read(request: &Request<'_>, image: &Image) -> Option<Answer> {
    let offset = u64_at(request.arguments, 8)?;
    let length = u32_at(request.arguments, 16)?;
    Some(match image.read(offset as usize, length as usize) {
        Ok(bytes) => Answer::Bytes(bytes.to_vec()),
        Err(_) => Answer::Error(Errno::IO),
    })
}

fn write(request: &Request<'_>, image: &mut Image) -> Option<Answer> {
    let offset = u64_at(request.arguments, 8)?;
    let length = u32_at(request.arguments, 16)?;
    let bytes = request.arguments.get(40..40 + length as usize)?;
    Some(match image.write(offset as usize, bytes) {
        Ok(()) => Answer::Bytes(u64::from(length).to_ne_bytes().to_vec()),
        Err(_) => Answer::Error(Errno::IO),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
