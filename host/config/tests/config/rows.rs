//! A small catalogue after Flume's rows, so that this room is tested alone.

use flumen_core::option::{
    Catalogue, ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, Unit, ValueKind,
};
use flumen_core::poison::{DEAD_LETTER_CHANNEL_ROW, ON_POISON_ROW};

use ComponentKind::{
    ChannelSelector, ConfigFilter, EventSerializer, Interceptor, SinkProcessor, Source,
};
use DefaultValue::{Absent, Is, Required};
use ValueKind::{Boolean, Choice, Component, List, Secret, Text};

const POSITIVE: ValueKind = ValueKind::Integer {
    min: 1,
    max: i64::MAX,
};
const NATURAL: ValueKind = ValueKind::Integer {
    min: 0,
    max: i64::MAX,
};

const fn row(
    kind: ComponentKind,
    name: &'static str,
    aliases: &'static [&'static str],
    options: &'static [OptionRow],
) -> ComponentRow {
    ComponentRow {
        kind,
        name,
        aliases,
        doc: "",
        support: Support::Built,
        options,
    }
}

const fn not_built(kind: ComponentKind, name: &'static str) -> ComponentRow {
    ComponentRow {
        kind,
        name,
        aliases: &[],
        doc: "",
        support: Support::NotBuilt,
        options: &[],
    }
}

const fn option(name: &'static str, value: ValueKind, default: DefaultValue) -> OptionRow {
    OptionRow::new(name, value, default, "")
}

static ROWS: &[ComponentRow] = &[
    row(
        Source,
        "netcat",
        &["org.apache.flume.source.NetcatSource"],
        &[
            option("bind", Text, Required),
            option("port", ValueKind::Integer { min: 0, max: 65535 }, Required).unit(Unit::Port),
            option("max-line-length", POSITIVE, Is("512")).unit(Unit::Characters),
            option("ack-every-event", Boolean, Is("true")),
            option("encoding", Text, Is("utf-8")),
            option("batch-size", POSITIVE, Absent)
                .no_effect("a batch is what one read of the socket brings"),
        ],
    ),
    row(
        Source,
        "seq",
        &["org.apache.flume.source.SequenceGeneratorSource"],
        &[
            option("batchSize", POSITIVE, Is("1")).unit(Unit::Events),
            option("totalEvents", POSITIVE, Is("9223372036854775807")).unit(Unit::Events),
        ],
    ),
    row(
        Source,
        "thrift",
        &["org.apache.flume.source.ThriftSource"],
        &[
            option("port", ValueKind::Integer { min: 0, max: 65535 }, Required).unit(Unit::Port),
            option("keystore-password", Secret, Absent),
            option("kerberos", Boolean, Is("false")).not_built(),
        ],
    ),
    not_built(Source, "spooldir"),
    row(
        ComponentKind::Channel,
        "memory",
        &["org.apache.flume.channel.MemoryChannel"],
        &[
            option("capacity", POSITIVE, Is("100")).unit(Unit::Events),
            option("transactionCapacity", POSITIVE, Is("100")).unit(Unit::Events),
            option("keep-alive", NATURAL, Is("3")).unit(Unit::Seconds),
            option(
                "byteCapacityBufferPercentage",
                ValueKind::Integer { min: 0, max: 100 },
                Is("20"),
            )
            .unit(Unit::Percent),
        ],
    ),
    ComponentRow {
        aliases: &["org.apache.flume.channel.kafka.KafkaChannel"],
        ..not_built(ComponentKind::Channel, "kafka")
    },
    ComponentRow {
        support: Support::Cautioned("what lies in memory is lost"),
        ..row(ComponentKind::Channel, "SPILLABLEMEMORY", &[], &[])
    },
    row(
        ComponentKind::Sink,
        "logger",
        &["org.apache.flume.sink.LoggerSink"],
        &[option("maxBytesToLog", NATURAL, Is("16")).unit(Unit::Bytes)],
    ),
    row(
        ComponentKind::Sink,
        "null",
        &["org.apache.flume.sink.NullSink"],
        &[option("batchSize", POSITIVE, Is("100")).unit(Unit::Events)],
    ),
    row(
        ComponentKind::Sink,
        "file_roll",
        &["org.apache.flume.sink.RollingFileSink"],
        &[
            option("sink.directory", Text, Required),
            option("sink.rollInterval", NATURAL, Is("30")).unit(Unit::Seconds),
            option("sink.batchSize", POSITIVE, Is("100")).unit(Unit::Events),
            option(
                "sink.pathManager",
                Choice(&["DEFAULT", "ROLLTIME"]),
                Is("DEFAULT"),
            ),
            option("sink.serializer", Component(EventSerializer), Is("TEXT"))
                .aliases(&["serializer"]),
        ],
    ),
    row(
        ComponentKind::Sink,
        "fragile",
        &[],
        &[DEAD_LETTER_CHANNEL_ROW, ON_POISON_ROW],
    ),
    row(
        Interceptor,
        "fragile",
        &[],
        &[DEAD_LETTER_CHANNEL_ROW, ON_POISON_ROW],
    ),
    not_built(ComponentKind::Sink, "hdfs"),
    row(
        EventSerializer,
        "TEXT",
        &["org.apache.flume.serialization.BodyTextEventSerializer$Builder"],
        &[option("appendNewline", Boolean, Is("true"))],
    ),
    not_built(EventSerializer, "AVRO_EVENT"),
    row(
        Interceptor,
        "timestamp",
        &["org.apache.flume.interceptor.TimestampInterceptor$Builder"],
        &[
            option("headerName", Text, Is("timestamp")).aliases(&["header"]),
            option("preserveExisting", Boolean, Is("false")),
        ],
    ),
    row(
        Interceptor,
        "static",
        &["org.apache.flume.interceptor.StaticInterceptor$Builder"],
        &[
            option("key", Text, Is("key")),
            option("value", Text, Is("value")),
            option("preserveExisting", Boolean, Is("true")),
        ],
    ),
    row(
        Interceptor,
        "regex_filter",
        &["org.apache.flume.interceptor.RegexFilteringInterceptor$Builder"],
        &[
            option("regex", Text, Is(".*")),
            option("excludeEvents", Boolean, Is("false")),
        ],
    ),
    row(
        ChannelSelector,
        "replicating",
        &["org.apache.flume.channel.ReplicatingChannelSelector"],
        &[option("optional", List, Absent)],
    ),
    row(
        ChannelSelector,
        "multiplexing",
        &["org.apache.flume.channel.MultiplexingChannelSelector"],
        &[
            option("header", Text, Is("flume.selector.header")),
            option("mapping.<value>", List, Absent),
            option("optional.<value>", List, Absent),
            option("default", List, Absent),
        ],
    ),
    row(
        SinkProcessor,
        "default",
        &["org.apache.flume.sink.DefaultSinkProcessor"],
        &[],
    ),
    row(
        SinkProcessor,
        "failover",
        &["org.apache.flume.sink.FailoverSinkProcessor"],
        &[
            option(
                "priority.<sink>",
                ValueKind::Integer {
                    min: i64::MIN,
                    max: i64::MAX,
                },
                Absent,
            ),
            option("maxpenalty", POSITIVE, Is("30000")).unit(Unit::Milliseconds),
        ],
    ),
    row(
        Interceptor,
        "wasm",
        &[],
        &[
            option("component", Text, Required),
            option("config.<name>", Text, Absent),
        ],
    ),
    row(
        ComponentKind::Sink,
        "wasm",
        &[],
        &[
            option("component", Text, Required),
            option("config.<name>", Text, Absent),
        ],
    ),
    row(
        ConfigFilter,
        "env",
        &["org.apache.flume.configfilter.EnvironmentVariableConfigFilter"],
        &[],
    ),
    not_built(ConfigFilter, "hadoop"),
];

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new(ROWS)
}
