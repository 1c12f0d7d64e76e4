//! A group on its way to the disk: written once, and once more elsewhere when the disk refuses it.

use crate::error::Refusal;
use crate::layout::round_up;
use crate::options::{Durability, GROUP_BYTES_MAX};
use crate::pool::Purpose;
use crate::position::Position;
use crate::record::{Appended, Passing, Place};
use crate::segment::BLOCK_BYTES;

use super::outcomes::{Group, Outcomes};
use super::{Active, RollError, Writer, pad};

impl Writer {
    /// Writes a group for which there is room: once, and once more elsewhere.
    pub(super) fn write(&mut self, group: Group, outcomes: &mut Outcomes) {
        let first = self.write_once(&group);
        let written = first.or_else(|_| {
            self.active.suspect = true;
            self.counters.failovers.add(1);
            self.roll(Purpose::Reserve)?;
            self.write_once(&group)
        });
        match written {
            Ok(places) => self.confirm(group, places, outcomes),
            Err(error) => {
                let failure = self.fail(error);
                outcomes.refuse_all(group, &Refusal::Unknown(failure));
            }
        }
    }

    fn write_once(&mut self, group: &Group) -> Result<Vec<Appended>, RollError> {
        let mut memory = std::mem::take(&mut self.group);
        let start = room_at_block(group, &mut memory);
        let places = self.encode(group, start, &mut memory);
        pad(&mut memory, start);
        let bytes = memory.get(start..).unwrap_or_default();
        let length = bytes.len() as u64;
        let end = self.active.next + length;
        let written = self.write_bytes(bytes, end);
        memory.clear();
        memory.shrink_to((GROUP_BYTES_MAX + BLOCK_BYTES) as usize);
        self.group = memory;
        written?;
        self.active.next = end;
        self.counters.groups.add(1);
        self.counters.group_bytes.add(length);
        self.counters.records.add(places.len() as u64);
        Ok(places)
    }

    /// Appends the frames of a group that begins at `start` in memory, and says where they go.
    fn encode(&self, group: &Group, start: usize, memory: &mut Vec<u8>) -> Vec<Appended> {
        let mut places = Vec::with_capacity(group.len());
        let mut count = self.count;
        for (_, prepared) in group {
            let offset = self.active.next + (memory.len() - start) as u64;
            let place = Place {
                salt: self.active.entry.salt,
                position: Position::new(self.active.entry.number, offset as u32),
                durable: self.durable,
                count,
            };
            prepared.encode(place, memory);
            places.push(Appended {
                position: place.position,
                sequence: count.sequence,
                first_item: count.item,
            });
            count = count.after(prepared.record.items);
        }
        places
    }

    /// Writes a group that ends at `end` in the segment, durably where that was asked for.
    fn write_bytes(&mut self, bytes: &[u8], end: u64) -> Result<(), RollError> {
        let refused = |cause| RollError::Disk("write to the log", cause);
        let Active { file, next, .. } = &self.active;
        if self.options.durability != Durability::Sync {
            return file.write_at(*next, bytes).map_err(refused);
        }
        if self.active.fresh {
            // Its head and its name have to become durable too, so it is synced as a whole.
            file.write_at(*next, bytes).map_err(refused)?;
            return self.sync_up_to(end);
        }
        let written = file.write_durably_at(*next, bytes);
        self.counters.syncs.add(1);
        if let Err(cause) = written {
            self.counters.sync_failures.add(1);
            return Err(refused(cause));
        }
        self.durable = Position::new(self.active.entry.number, end as u32);
        Ok(())
    }

    fn confirm(&mut self, group: Group, places: Vec<Appended>, outcomes: &mut Outcomes) {
        let mut acknowledges = false;
        for ((index, prepared), place) in group.into_iter().zip(places) {
            let record = prepared.record;
            for range in &record.acknowledged {
                acknowledges = true;
                self.acknowledged.add(range.clone());
            }
            self.count = self.count.after(record.items);
            self.state.apply(Passing {
                position: place.position,
                sequence: place.sequence,
                first_item: place.first_item,
                items: record.items,
                payload: &record.payload,
            });
            outcomes.set(index, Ok(place));
        }
        self.active.entry.last = self.count;
        self.active.entry.end = self.active.next as u32;
        self.view.lock().active = Some(self.active.entry);
        if acknowledges || self.release_due {
            self.release();
        }
    }
}

/// Makes room for a group in memory and gives the place where it begins: at a whole block, because
/// disks that take bytes straight from memory ask for that.
fn room_at_block(group: &Group, memory: &mut Vec<u8>) -> usize {
    let length: u64 = group.iter().map(|(_, p)| p.frame_length()).sum();
    memory.clear();
    memory.reserve((round_up(length, BLOCK_BYTES) + BLOCK_BYTES) as usize);
    let start = memory.as_ptr().align_offset(BLOCK_BYTES as usize);
    memory.resize(start, 0);
    start
}
