//! From one segment to the next, and what becomes of those that are no longer needed.

use crate::acknowledged::Acknowledged;
use crate::frame::{Header, Kind};
use crate::io::LogIo;
use crate::mutation::{Mutation, lacks};
use crate::options::{Durability, Options};
use crate::pool::{Pool, Purpose, TakeError};
use crate::position::{Count, Position};
use crate::record::LogState;
use crate::segment::{DATA_START, FileName, LogId, Sealed, SegmentHeader};
use crate::snapshot::{self, Lost};

use super::{Active, RollError, Writer, pad};

/// All that the start of a segment says.
pub(super) struct NextSegment<'log> {
    pub(super) log: LogId,
    pub(super) number: u64,
    pub(super) count: Count,
    pub(super) previous_end: Position,
    pub(super) acknowledged: &'log Acknowledged,
    pub(super) lost: Lost,
    pub(super) sealed: &'log [Sealed],
    pub(super) state: &'log dyn LogState,
    pub(super) options: &'log Options,
}

impl NextSegment<'_> {
    /// Takes a file and writes its head and its snapshot. Nothing is durable yet: the first sync
    /// of a group brings it along.
    pub(super) fn start(
        &self,
        io: &dyn LogIo,
        pool: &Pool,
        purpose: Purpose,
    ) -> Result<Active, RollError> {
        let salt = io
            .salt()
            .map_err(|cause| RollError::Disk("draw a number", cause))?;
        let bytes = self.encode(salt)?;
        let spare = pool.take(purpose).map_err(|error| match error {
            TakeError::Full => RollError::Full,
            TakeError::Disk(cause) => RollError::Disk("make a new segment", cause),
        })?;
        let name = FileName::Segment(self.number).to_string();
        let file = io
            .rename(&spare.to_string(), &name)
            .and_then(|()| io.open(&name))
            .and_then(|file| file.write_at(0, &bytes).map(|()| file))
            .map_err(|cause| RollError::Disk("begin a new segment", cause))?;
        Ok(Active {
            file,
            entry: Sealed {
                number: self.number,
                salt,
                first: self.count,
                last: self.count,
                end: bytes.len() as u32,
            },
            next: bytes.len() as u64,
            fresh: true,
            suspect: false,
            witnessed: bytes.len() as u64,
        })
    }

    fn encode(&self, salt: u64) -> Result<Vec<u8>, RollError> {
        let mut bytes = SegmentHeader {
            log: self.log,
            number: self.number,
            salt,
            count: self.count,
            previous_end: self.previous_end,
        }
        .encode();
        let mut payload = Vec::new();
        snapshot::encode(self.acknowledged, self.lost, self.sealed, &mut payload);
        let own_length = payload.len();
        self.state.snapshot(&mut payload);
        let state_length = (payload.len() - own_length) as u64;
        let most = self.options.state_bytes_max();
        if state_length > most {
            return Err(RollError::StateTooLarge {
                bytes: state_length,
                most,
            });
        }
        Header {
            kind: Kind::Snapshot,
            salt,
            position: Position::new(self.number, DATA_START),
            durable: self.previous_end,
            count: self.count,
            items: 0,
            ranges: 0,
            payload_length: payload.len() as u32,
            body_checksum: crc32c::crc32c(&payload),
        }
        .encode(&mut bytes);
        bytes.extend_from_slice(&payload);
        pad(&mut bytes, 0);
        Ok(bytes)
    }
}

impl Writer {
    /// Goes on in a new segment. When that fails, the one in use stays as it is.
    pub(super) fn roll(&mut self, purpose: Purpose) -> Result<(), RollError> {
        if self.options.durability != Durability::Sync {
            // What is left behind is never synced again.
            self.sync();
        }
        let unused = self.active_is_unused();
        if !unused {
            let end = self.active.next as u32;
            self.sealed.push(Sealed {
                end,
                ..self.active.entry
            });
        }
        let previous = self.sealed.last();
        let previous_end = previous.map_or(Position::START, |p| Position::new(p.number, p.end));
        let number = self.next_number;
        // A number is used once, whatever becomes of the attempt.
        self.next_number += 1;
        let next = NextSegment {
            log: self.log,
            number,
            count: self.count,
            previous_end,
            acknowledged: &self.acknowledged,
            lost: self.lost,
            sealed: &self.sealed,
            state: self.state.as_ref(),
            options: &self.options,
        };
        match next.start(self.io.as_ref(), &self.pool, purpose) {
            Ok(active) => {
                let before = std::mem::replace(&mut self.active, active);
                if unused {
                    // Whatever the disk did with it, it is in no chain; the next opening clears it.
                    let name = FileName::Segment(before.entry.number).to_string();
                    let _ = self.io.remove(&name);
                }
                self.durable = previous_end;
                self.release_due = true;
                self.show();
                Ok(())
            }
            Err(error) => {
                if !unused {
                    self.sealed.pop();
                }
                Err(error)
            }
        }
    }

    /// Whether the disk refused the segment in use before anything in it was confirmed. Then its
    /// own head may not be durable, so that the next one must not rest on it.
    fn active_is_unused(&self) -> bool {
        let active = &self.active;
        active.suspect && active.fresh && active.entry.first == active.entry.last
    }

    /// Frees segments whose items were all acknowledged, when that is durable. Cheap while the
    /// oldest is still needed; all are looked at once after each new segment.
    pub(super) fn release(&mut self) {
        let acknowledged = &self.acknowledged;
        let free = |s: &Sealed| acknowledged.covers(s.first.item..s.last.item);
        let due = self.release_due || self.sealed.first().is_some_and(free);
        let durable = self.all_is_durable() || lacks(self.io.as_ref(), Mutation::ReleaseOrder);
        if !due || !durable {
            return;
        }
        self.release_due = false;
        let released = take_released(self.io.as_ref(), &mut self.sealed, &self.acknowledged);
        if released.is_empty() {
            return;
        }
        // Readers stop looking before the bytes can change.
        self.show();
        for segment in released {
            self.counters.released_segments.add(1);
            // When the name cannot be changed the next opening does it.
            let _ = self.pool.give_back(FileName::Segment(segment.number));
        }
    }
}

/// Takes out the segments that are not needed: all acknowledgements are durable.
///
/// The last one stays whatever it holds: its snapshot is the one to fall back on.
pub(super) fn take_released(
    io: &dyn LogIo,
    sealed: &mut Vec<Sealed>,
    acknowledged: &Acknowledged,
) -> Vec<Sealed> {
    let Some(last) = sealed.pop() else {
        return Vec::new();
    };
    let free = |s: &mut Sealed| acknowledged.covers(s.first.item..s.last.item);
    let mut released: Vec<Sealed> = sealed.extract_if(.., free).collect();
    sealed.push(last);
    if lacks(io, Mutation::FallBack) {
        released.extend(sealed.extract_if(.., free));
    }
    released
}
