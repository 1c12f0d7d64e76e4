//! Channel selectors and sink processors that are not built. Their options are relative to
//! `selector.` and `processor.`.

use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::ValueKind::{Boolean, Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::{ANY_INTEGER, FROM_ONE};

pub(super) static CHANNEL_SELECTOR_ROWS: &[&ComponentRow] = &[&LOAD_BALANCING];

pub(super) static SINK_PROCESSOR_ROWS: &[&ComponentRow] = &[&FAILOVER, &LOAD_BALANCE];

static LOAD_BALANCING: ComponentRow = ComponentRow {
    kind: ComponentKind::ChannelSelector,
    name: "load_balancing",
    aliases: &["org.apache.flume.channel.LoadBalancingChannelSelector"],
    doc: "Gives each event to one of the channels of its source.",
    support: Support::NotBuilt,
    options: &[OptionRow::new(
        "policy",
        Choice(&["round_robin", "random"]),
        Is("round_robin"),
        "How the channel is chosen.",
    )],
};

static FAILOVER: ComponentRow = ComponentRow {
    kind: ComponentKind::SinkProcessor,
    name: "failover",
    aliases: &["org.apache.flume.sink.FailoverSinkProcessor"],
    doc: "Gives batches to the sink of the highest priority. A sink that fails is left out \
        for a time that doubles with each failure.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "priority.<sink>",
            ANY_INTEGER,
            Absent,
            "Priority of this sink; the greatest comes first. Each sink needs another.",
        ),
        OptionRow::new(
            "maxpenalty",
            FROM_ONE,
            Is("30000"),
            "Longest time for which a failed sink is left out.",
        )
        .unit(Unit::Milliseconds),
    ],
};

static LOAD_BALANCE: ComponentRow = ComponentRow {
    kind: ComponentKind::SinkProcessor,
    name: "load_balance",
    aliases: &["org.apache.flume.sink.LoadBalancingSinkProcessor"],
    doc: "Spreads batches over two sinks or more; a batch that one sink fails to take goes \
        to the next.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "selector",
            Text,
            Is("round_robin"),
            "How the sink is chosen: round_robin, random, or a Java class.",
        ),
        OptionRow::new(
            "backoff",
            Boolean,
            Is("false"),
            "Whether a sink that fails is left out for a time that doubles with each failure.",
        ),
        OptionRow::new(
            "selector.maxTimeOut",
            FROM_ONE,
            Is("30000"),
            "Longest time for which a failed sink is left out.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "selector.<property>",
            Text,
            Absent,
            "Setting of a selector class.",
        ),
    ],
};
