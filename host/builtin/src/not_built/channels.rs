//! Channels that are not built.

use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::{FROM_ONE, FROM_ZERO, kafka};

pub(super) static ROWS: &[&ComponentRow] = &[&kafka::CHANNEL, &PSEUDO_TXN_MEMORY];

static PSEUDO_TXN_MEMORY: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "pseudo_txn_memory",
    aliases: &["org.apache.flume.channel.PseudoTxnMemoryChannel"],
    doc: "Keeps events in memory without transactions, for Flume's own tests. The memory \
        channel takes its place.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "capacity",
            FROM_ONE,
            Is("50"),
            "Most events in the channel.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "keep-alive",
            FROM_ZERO,
            Is("3"),
            "Longest wait for an event or for room.",
        )
        .unit(Unit::Seconds),
    ],
};
