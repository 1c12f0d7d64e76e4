//! The options of the memory channel, and the bounds that they come to.

use std::time::Duration;

use flumen_core::channel::ChannelLimits;
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::ValueKind::Integer;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};

use super::room::{SLOT_BYTES, bytes};
use crate::bounded::{Bounds, Room};

/// Flume reads these as 32-bit numbers.
const INTEGER_MAX: i64 = i32::MAX as i64;

/// Flume takes a capacity below 1 for a slip and uses the default; here it is an error with its
/// place.
const FROM_ONE: ValueKind = Integer {
    min: 1,
    max: INTEGER_MAX,
};

/// `byteCapacity` when it is not set. Flume takes 80 % of the largest Java heap, and there is no
/// heap here to take a part of. 256 MiB is well above what Flume's own default heap (20 MB) came
/// to, and fits the smallest machine that runs an agent.
const BYTE_CAPACITY_DEFAULT: &str = "268435456";

/// Slots behind `byteCapacity = 0`, as in Flume: about 200 GB, so that memory is the bound.
const SLOTS_MAX: u64 = i32::MAX as u64;

/// The row of the memory channel.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "memory",
    aliases: &["org.apache.flume.channel.MemoryChannel"],
    doc: "Keeps events in memory: the fastest channel. What it holds is lost when the agent ends; \
          how much that was is said at exit.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "capacity",
            FROM_ONE,
            Is("100"),
            "Most events in the channel, those that a sink is just delivering included.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "transactionCapacity",
            FROM_ONE,
            Is("100"),
            "Most events in one put and in one take; at most the capacity.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "keep-alive",
            Integer {
                min: 0,
                max: INTEGER_MAX,
            },
            Is("3"),
            "Longest wait of a put for room and of a take for events.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "byteCapacity",
            Integer {
                min: 0,
                max: i64::MAX,
            },
            Is(BYTE_CAPACITY_DEFAULT),
            "Most bytes of event bodies in the channel, the buffer percentage set aside. Counted in \
             slots of 100 bytes, at least one per event. 0 is about 200 GB. Flume's default is \
             80 % of Java's heap.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "byteCapacityBufferPercentage",
            Integer { min: 0, max: 100 },
            Is("20"),
            "Part of byteCapacity that is set aside for headers, which are not counted.",
        )
        .unit(Unit::Percent),
    ],
};

/// Reads the settings of the channel of this name.
///
/// # Errors
/// A configuration fault when the transaction capacity is above the capacity, when bytes are
/// bounded to less than one slot, or when a setting is missing.
pub(super) fn read(name: &ComponentName, settings: &Settings) -> Result<Bounds, Fault> {
    let events: u64 = settings.number("capacity")?;
    let transaction: u64 = settings.number("transactionCapacity")?;
    if transaction > events {
        return Err(Fault::configuration(format!(
            "channel {name}: transactionCapacity {transaction} is above capacity {events}; \
             raise capacity or lower transactionCapacity"
        )));
    }
    let transaction_events = settings.number("transactionCapacity")?;
    let keep_alive = Duration::from_secs(settings.number("keep-alive")?);
    let bytes: u64 = settings.number("byteCapacity")?;
    let percent: u64 = settings.number("byteCapacityBufferPercentage")?;
    let size = slots(bytes, percent).ok_or_else(|| {
        Fault::configuration(format!(
            "channel {name}: byteCapacity {bytes} less byteCapacityBufferPercentage {percent} \
             leaves no room for one event (a slot of {SLOT_BYTES} bytes); raise byteCapacity, \
             or set it to 0 for no bound"
        ))
    })?;
    Ok(Bounds {
        capacity: Room { events, size },
        transaction_events,
        keep_alive,
    })
}

/// The same, in the words of the contract.
pub(super) fn limits(bounds: &Bounds) -> ChannelLimits {
    ChannelLimits {
        capacity_events: bounds.capacity.events,
        capacity_bytes: bytes(bounds.capacity.size),
        transaction_events: bounds.transaction_events,
        keep_alive: bounds.keep_alive,
    }
}

/// Flume's arithmetic, in whole numbers: byteCapacity 1000 with 20 % gives 8 slots. `None` when
/// nothing is left, where Flume would silently set no bound.
fn slots(bytes: u64, percent: u64) -> Option<u64> {
    if bytes == 0 {
        return Some(SLOTS_MAX);
    }
    let left = u128::from(bytes) * u128::from(100_u64.saturating_sub(percent)) / 100;
    let slots = left / u128::from(SLOT_BYTES);
    match u64::try_from(slots).unwrap_or(SLOTS_MAX) {
        0 => None,
        slots => Some(slots.min(SLOTS_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_to_slots_as_in_flume() {
        assert_eq!(slots(1000, 20), Some(8));
        assert_eq!(slots(2000, 0), Some(20));
        assert_eq!(slots(0, 20), Some(SLOTS_MAX));
        assert_eq!(slots(u64::MAX, 0), Some(SLOTS_MAX));
        assert_eq!(slots(100, 20), None);
        assert_eq!(slots(1000, 100), None);
    }
}
