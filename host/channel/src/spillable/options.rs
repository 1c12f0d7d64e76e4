//! Flume's options of the spillable memory channel: its own, and those of the file channel that is
//! its overflow.

use std::time::Duration;

use flumen_core::channel::ChannelLimits;
use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::ValueKind::Integer;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};
use flumen_core::settings::{Settings, Value};
use flumen_core::{ComponentName, Fault};

use super::state::Policy;
use crate::bounded::{Bounds, Room};
use crate::file;

/// Flume reads these as 32-bit numbers.
const INTEGER_MAX: i64 = i32::MAX as i64;

const FROM_ZERO: ValueKind = Integer {
    min: 0,
    max: INTEGER_MAX,
};

const PERCENT: ValueKind = Integer { min: 0, max: 100 };

/// `byteCapacity` when it is not set, as for the memory channel: Flume takes 80 % of Java's heap,
/// and there is none here.
const BYTE_CAPACITY_DEFAULT: u64 = 268_435_456;

/// What the channel has beside the options of the file channel.
const OWN: [OptionRow; 8] = [
    OptionRow::new(
        "memoryCapacity",
        FROM_ZERO,
        Is("10000"),
        "Most events in memory; with 0 all go to files.",
    )
    .unit(Unit::Events),
    OptionRow::new(
        "overflowCapacity",
        FROM_ZERO,
        Is("100000000"),
        "Most events in files; with 0 none go there. Memory and files together never hold more \
         than both capacities; files may take what memory had room for.",
    )
    .unit(Unit::Events),
    OptionRow::new(
        "overflowTimeout",
        FROM_ZERO,
        Is("3"),
        "Wait for room in memory before events go to files.",
    )
    .unit(Unit::Seconds),
    OptionRow::new(
        "overflowDeactivationThreshold",
        PERCENT,
        Is("5"),
        "Room in memory at which events stop going to files. Order is kept across the change.",
    )
    .unit(Unit::Percent),
    OptionRow::new(
        "byteCapacity",
        Integer {
            min: 0,
            max: i64::MAX,
        },
        Absent,
        "Most bytes of event bodies in memory, the buffer percentage set aside; 256 MiB when it is \
         not set, no limit with 0. Flume's default is 80 % of Java's heap.",
    )
    .unit(Unit::Bytes),
    OptionRow::new(
        "byteCapacityBufferPercentage",
        PERCENT,
        Is("20"),
        "Part of byteCapacity that is set aside for headers.",
    )
    .unit(Unit::Percent),
    OptionRow::new(
        "avgEventSize",
        Integer {
            min: 1,
            max: INTEGER_MAX,
        },
        Is("500"),
        "Size of an event that memory is reckoned with.",
    )
    .unit(Unit::Bytes)
    .no_effect("Bytes of bodies are counted one by one."),
    OptionRow::new(
        "keep-alive",
        FROM_ZERO,
        Is("3"),
        "Longest wait of a put for room when memory and files are full, and of a take for events. \
         In Flume only the file channel has it.",
    )
    .unit(Unit::Seconds),
];

/// Options of the file channel that have another name here, or stand above.
const NOT_OF_THE_FILE_CHANNEL: [&str; 2] = ["capacity", "keep-alive"];

const COUNT: usize = OWN.len() + file::ROW.options.len() - NOT_OF_THE_FILE_CHANNEL.len();

static OPTIONS: [OptionRow; COUNT] = options();

/// The row of the spillable memory channel.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "SPILLABLEMEMORY",
    aliases: &["org.apache.flume.channel.SpillableMemoryChannel"],
    doc: "Keeps events in memory, and goes over to files when memory stays full. What lies in \
          memory is lost when the agent ends or crashes; what lies in files is delivered after the \
          next start. A source's client is answered in both cases alike: who cannot do without an \
          event takes the file channel.",
    support: Support::Cautioned(
        "what lies in memory is lost when the agent ends or crashes; only what went over to files \
         is delivered after the next start",
    ),
    options: &OPTIONS,
};

/// Own options and those of the file channel, which are the same rows.
#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which would stop at an index out of range"
)]
const fn options() -> [OptionRow; COUNT] {
    let mut options = [const { copy(&OWN[0]) }; COUNT];
    let mut filled = 0;
    while filled < OWN.len() {
        options[filled] = copy(&OWN[filled]);
        filled += 1;
    }
    let mut index = 0;
    while index < file::ROW.options.len() {
        let row = &file::ROW.options[index];
        if !is_one_of(row.name, &NOT_OF_THE_FILE_CHANNEL) {
            options[filled] = copy(row);
            filled += 1;
        }
        index += 1;
    }
    options
}

const fn copy(row: &OptionRow) -> OptionRow {
    OptionRow {
        name: row.name,
        aliases: row.aliases,
        value: row.value,
        unit: row.unit,
        default: row.default,
        doc: row.doc,
        support: row.support,
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which would stop at an index out of range"
)]
const fn is_one_of(name: &str, names: &[&str]) -> bool {
    let mut index = 0;
    while index < names.len() {
        if equal(name.as_bytes(), names[index].as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which would stop at an index out of range"
)]
const fn equal(one: &[u8], other: &[u8]) -> bool {
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// What the settings of a channel come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setup {
    pub(super) total: Bounds,
    pub(super) memory: Bounds,
    pub(super) policy: Policy,
    pub(super) overflow_timeout: Duration,
    /// The settings of the file channel.
    pub(super) overflow: Settings,
}

/// More than any channel holds.
const NO_BOUND: i64 = i64::MAX / 4;

impl Setup {
    /// Reads the settings of the channel of this name. Touches no file.
    ///
    /// # Errors
    /// A configuration fault when settings contradict each other or one is missing.
    pub(super) fn read(name: &ComponentName, settings: &Settings) -> Result<Self, Fault> {
        let memory_events: u64 = settings.number("memoryCapacity")?;
        let overflow_events: u64 = settings.number("overflowCapacity")?;
        let events = memory_events + overflow_events;
        if events == 0 {
            return Err(Fault::configuration(format!(
                "channel {name}: memoryCapacity and overflowCapacity are both 0; raise one of them"
            )));
        }
        let overflow_bytes = match overflow_events {
            0 => 0,
            _ => settings.number("capacity_bytes")?,
        };
        let memory_bytes = match memory_events {
            0 => 0,
            _ => memory_bytes(name, settings)?,
        };
        let transaction: usize = settings.number("transactionCapacity")?;
        let keep_alive = Duration::from_secs(settings.number("keep-alive")?);
        let bounds = |events, size| Bounds {
            capacity: Room { events, size },
            transaction_events: transaction.min(usize::try_from(events).unwrap_or(usize::MAX)),
            keep_alive,
        };
        let total = bounds(events, memory_bytes.saturating_add(overflow_bytes));
        let overflow_timeout = Duration::from_secs(settings.number("overflowTimeout")?);
        Ok(Self {
            total,
            // A batch above the capacity of memory is not refused there but goes to files.
            memory: Bounds {
                transaction_events: total.transaction_events,
                ..bounds(memory_events, memory_bytes)
            },
            policy: Policy {
                may_spill: overflow_events > 0,
                waits: !overflow_timeout.is_zero(),
                free_percent: settings.number("overflowDeactivationThreshold")?,
            },
            overflow_timeout,
            overflow: overflow(settings, total.capacity)?,
        })
    }

    /// The settings of the file channel once it is open: without bounds of its own, because what it
    /// gets was granted by the whole, perhaps when that was larger. Its log may
    /// then be as large as its table of segments allows.
    pub(super) fn overflow_without_bounds(&self) -> Settings {
        ["capacity", "capacity_bytes", "transactionCapacity"]
            .into_iter()
            .fold(self.overflow.clone(), |settings, option| {
                settings.with(option, Value::Integer(NO_BOUND))
            })
    }

    /// Bounds in the words of the contract.
    pub(super) fn limits(total: &Bounds) -> ChannelLimits {
        ChannelLimits {
            capacity_events: total.capacity.events,
            capacity_bytes: total.capacity.size,
            transaction_events: total.transaction_events,
            keep_alive: total.keep_alive,
        }
    }
}

fn memory_bytes(name: &ComponentName, settings: &Settings) -> Result<u64, Fault> {
    let bytes = match settings.optional_integer("byteCapacity")? {
        Some(bytes) => u64::try_from(bytes).unwrap_or(0),
        None => BYTE_CAPACITY_DEFAULT,
    };
    if bytes == 0 {
        return Ok(i64::MAX.unsigned_abs());
    }
    let percent: u64 = settings.number("byteCapacityBufferPercentage")?;
    let left = u128::from(bytes) * u128::from(100_u64.saturating_sub(percent)) / 100;
    match u64::try_from(left).unwrap_or(u64::MAX) {
        0 => Err(Fault::configuration(format!(
            "channel {name}: byteCapacity {bytes} less byteCapacityBufferPercentage {percent} \
             leaves no room; raise byteCapacity, or set it to 0 for no bound"
        ))),
        left => Ok(left),
    }
}

/// The settings that the overflow is opened with. It may hold as much as the whole.
fn overflow(settings: &Settings, capacity: Room) -> Result<Settings, Fault> {
    let number = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX).max(1));
    let mut overflow = Settings::new();
    for row in file::ROW.options {
        let all_of_it = settings
            .iter()
            .filter(|(name, _)| row.matches(name) && *name != "keep-alive");
        for (name, setting) in all_of_it {
            overflow.insert(name, setting.clone());
        }
    }
    let transaction: u64 = settings.number("transactionCapacity")?;
    Ok(overflow
        .with("capacity", number(capacity.events))
        .with("capacity_bytes", number(capacity.size))
        .with(
            "transactionCapacity",
            number(transaction.min(capacity.events)),
        )
        .with("keep-alive", number(1)))
}
