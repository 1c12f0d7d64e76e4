//! The second pass: the events, from Flume's logs into the channel.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use flumen_codec::flume_log::{FlumePointer, FormatError, Operation, PutEvent};
use flumen_core::batch::{BatchBuilder, BatchError, EventBatch, HeaderName};
use flumen_core::channel::{Channel, PutError, PutPart, ReserveError, put_all};
use flumen_core::limits::BATCH_HEADERS_MAX;

use super::error::ImportError;
use super::folders::FlumeChannel;
use super::reader::LogReader;
use super::survey::{DAMAGE_LISTED_MAX, Damage, Survey};

/// Events in one put. The cost of a durable frame is gone at that many, and a channel with a smaller
/// transaction capacity gets puts of that size.
const PUT_EVENTS_MAX: usize = 1000;

/// Bytes of bodies in one put, unless one event alone has more.
const PUT_BYTES_MAX: usize = 1 << 20;

/// Log files that are open at once. Events of one folder come file by file; two folders take turns.
const OPEN_FILES_MAX: usize = 8;

/// Header names that are kept made. Flume's sources set a dozen.
const NAMES_MAX: usize = 1024;

/// What an import has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Events that were in the channel before, from an import that was cut off.
    pub resumed_after: u64,
    /// Events that were put.
    pub events: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Headers that were left out because their name is empty or longer than a header name may be.
    pub headers_left_out: u64,
    /// Events that could not be read any more, at most [`DAMAGE_LISTED_MAX`] of them.
    pub damage: Vec<Damage>,
    /// How many could not be read any more.
    pub damaged_events: u64,
}

/// Puts the backlog into a channel, in order, behind its first `done` events, which are there already.
/// `told` hears after each put how many events are over. Reads files, so it is not for a thread that
/// serves others.
///
/// # Errors
/// [`ImportError`]: a channel that is full or fails, folders that change. What was put before stays.
pub async fn import(
    flume: &FlumeChannel,
    survey: &Survey,
    into: &Arc<dyn Channel>,
    done: u64,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<Imported, ImportError> {
    flume.check_unchanged()?;
    let mut mover = Mover {
        events: Events {
            flume,
            readers: Vec::new(),
            names: HashMap::new(),
        },
        into: Arc::clone(into),
        done,
        builder: BatchBuilder::new(),
        result: Imported {
            resumed_after: done,
            ..Imported::default()
        },
    };
    let mut pointers = survey
        .waiting
        .iter()
        .map(|word| FlumePointer::from_word(*word));
    // Those that cannot be read were not put, so only reading tells where to go on.
    let mut passed = 0;
    while passed < done {
        let Some(pointer) = pointers.next() else {
            break;
        };
        passed += u64::from(mover.events.read(pointer)?.is_ok());
    }
    for pointer in pointers {
        mover.add(pointer, told).await?;
    }
    mover.put(told).await?;
    flume.check_unchanged()?;
    Ok(mover.result)
}

/// Collects events into puts.
struct Mover<'f> {
    events: Events<'f>,
    into: Arc<dyn Channel>,
    /// Events in the channel.
    done: u64,
    builder: BatchBuilder,
    result: Imported,
}

impl Mover<'_> {
    async fn add(
        &mut self,
        pointer: FlumePointer,
        told: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), ImportError> {
        let (event, left_out) = match self.events.read(pointer)? {
            Ok(event) => event,
            Err(error) => {
                self.note_damage(pointer, &error);
                return Ok(());
            }
        };
        self.result.headers_left_out += left_out;
        let limit = self.into.limits().transaction_events.min(PUT_EVENTS_MAX);
        let bytes = usize::try_from(event.body_bytes()).unwrap_or(usize::MAX);
        let is_full = self.builder.len() >= limit.max(1)
            || self.builder.body_bytes().saturating_add(bytes) > PUT_BYTES_MAX;
        if is_full {
            self.put(told).await?;
        }
        if self.builder.append(&event).is_err() {
            // Too many header names together; alone it fits, because it was a batch by itself.
            self.put(told).await?;
            let appended = self.builder.append(&event);
            appended.map_err(|error| self.unfit(&error))?;
        }
        Ok(())
    }

    async fn put(&mut self, told: &mut (dyn FnMut(u64) + Send)) -> Result<(), ImportError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let finished = std::mem::take(&mut self.builder).finish();
        let events = finished.map_err(|error| self.unfit(&error))?;
        let (count, bytes) = (events.len() as u64, events.body_bytes());
        let part = PutPart {
            channel: Arc::clone(&self.into),
            events,
        };
        let done = self.done;
        let put = put_all(&[part], None).await;
        put.map_err(|error| ImportError::Put { done, error })?;
        self.done += count;
        self.result.events += count;
        self.result.bytes += bytes;
        told(self.done);
        Ok(())
    }

    /// Events that make no batch, although each of them is one.
    fn unfit(&self, error: &BatchError) -> ImportError {
        let refused = ReserveError::TooLarge {
            channel: self.into.name().clone(),
            reason: error.to_string(),
        };
        ImportError::Put {
            done: self.done,
            error: PutError::Refused(refused),
        }
    }

    fn note_damage(&mut self, pointer: FlumePointer, error: &dyn std::error::Error) {
        self.result.damaged_events += 1;
        if self.result.damage.len() < DAMAGE_LISTED_MAX {
            let log = self.events.flume.log(pointer.file);
            self.result.damage.push(Damage {
                path: log.map_or_else(PathBuf::new, |log| log.path.clone()),
                offset: u64::from(pointer.offset),
                bytes: 0,
                why: error.to_string(),
            });
        }
    }
}

/// Reads events by their pointers.
struct Events<'f> {
    flume: &'f FlumeChannel,
    /// The one used last is the last.
    readers: Vec<LogReader>,
    names: HashMap<String, HeaderName>,
}

impl Events<'_> {
    /// The event as a batch of one, and how many of its headers could not be kept.
    fn read(
        &mut self,
        pointer: FlumePointer,
    ) -> Result<Result<(EventBatch, u64), EventError>, ImportError> {
        let place = self
            .readers
            .iter()
            .position(|reader| reader.number() == pointer.file);
        let mut reader = match place {
            Some(place) => self.readers.remove(place),
            None => {
                let Some(log) = self.flume.log(pointer.file) else {
                    return Ok(Err(EventError::Format(FormatError::Truncated)));
                };
                if self.readers.len() >= OPEN_FILES_MAX {
                    self.readers.remove(0);
                }
                LogReader::open(log)?
            }
        };
        let record = reader.read_at(u64::from(pointer.offset))?;
        let event = match record.map(|record| record.operation) {
            Ok(Operation::Put(put)) => batch_of(&put, &mut self.names).map_err(EventError::Batch),
            Ok(_) => Err(EventError::Format(FormatError::BadValue)),
            Err(error) => Err(EventError::Format(error)),
        };
        self.readers.push(reader);
        Ok(event)
    }
}

/// Why one event could not be moved.
#[derive(Debug)]
enum EventError {
    Format(FormatError),
    Batch(BatchError),
}

impl std::fmt::Display for EventError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EventError::Format(error) => error.fmt(f),
            EventError::Batch(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EventError {}

fn batch_of(
    put: &PutEvent<'_>,
    names: &mut HashMap<String, HeaderName>,
) -> Result<(EventBatch, u64), BatchError> {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for (name, value) in put.headers() {
        // A name that comes twice has the value that comes last.
        if let Some(header) = headers.iter_mut().find(|(own, _)| *own == name) {
            header.1 = value;
            continue;
        }
        if headers.len() >= BATCH_HEADERS_MAX {
            return Err(BatchError::TooManyHeaders);
        }
        headers.push((name, value));
    }
    let mut builder = BatchBuilder::with_capacity(1, put.body.len());
    builder.push(put.body)?;
    let mut left_out = 0;
    for (name, value) in headers {
        match header_name(name, names) {
            Some(name) => builder.set_header(&name, value)?,
            None => left_out += 1,
        }
    }
    Ok((builder.finish()?, left_out))
}

fn header_name(text: &str, names: &mut HashMap<String, HeaderName>) -> Option<HeaderName> {
    if let Some(name) = names.get(text) {
        return Some(name.clone());
    }
    let name = HeaderName::new(text).ok()?;
    if names.len() >= NAMES_MAX {
        names.clear();
    }
    names.insert(text.to_owned(), name.clone());
    Some(name)
}
