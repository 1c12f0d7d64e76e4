//! The option rows of the type `wasm`, one per kind of component that a guest can be.

use flumen_core::option::{
    ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, Unit, ValueKind,
};
use flumen_core::poison::{DEAD_LETTER_CHANNEL_ROW, ON_POISON_ROW};

/// The type name in both dialects.
pub const TYPE_NAME: &str = "wasm";

/// The option that names the file of a component.
pub const COMPONENT: &str = "component";
pub(crate) const CONFIG_PREFIX: &str = "config.";
pub(crate) const CPU_MS: &str = "limits.cpu_ms";
pub(crate) const WALL_MS: &str = "limits.wall_ms";
pub(crate) const MEMORY_BYTES: &str = "limits.memory_bytes";
pub(crate) const ANSWER_BYTES: &str = "limits.answer_bytes";
pub(crate) const LOG_LINES_PER_SECOND: &str = "limits.log_lines_per_second";
pub(crate) const STATE_BYTES: &str = "limits.state_bytes";
pub(crate) const WORKERS: &str = "workers";
pub(crate) const BATCH_SIZE: &str = "batchSize";

/// Events in one delivery to a guest at most. Above some thousands the columns leave the cache and
/// an event costs twice as much (measured), so more is never better.
const BATCH_SIZE_MAX: i64 = 100_000;

/// Instances of one interceptor at most: each may use its whole memory limit.
const WORKERS_MAX: i64 = 64;

const COMPONENT_ROW: OptionRow = OptionRow::new(
    COMPONENT,
    ValueKind::Text,
    DefaultValue::Required,
    "The path of the component: a file built for wasm32-wasip2 against flumen:plugin.",
);

const CONFIG_ROW: OptionRow = OptionRow::new(
    "config.<name>",
    ValueKind::Text,
    DefaultValue::Absent,
    "A setting of the component's own, handed to it under its name.",
);

const CPU_ROW: OptionRow = OptionRow::new(
    CPU_MS,
    ValueKind::Integer {
        min: 10,
        max: 600_000,
    },
    DefaultValue::Is("1000"),
    "How long one call may compute, in steps of 10 ms. A call that needs more is stopped, its \
     batch given back, and the instance replaced.",
)
.unit(Unit::Milliseconds);

const WALL_ROW: OptionRow = OptionRow::new(
    WALL_MS,
    ValueKind::Integer {
        min: 10,
        max: 3_600_000,
    },
    DefaultValue::Is("30000"),
    "How long one call may take, waits included.",
)
.unit(Unit::Milliseconds);

const MEMORY_ROW: OptionRow = OptionRow::new(
    MEMORY_BYTES,
    ValueKind::Integer {
        min: 1 << 20,
        max: 4 << 30,
    },
    DefaultValue::Is("67108864"),
    "The memory of one instance, all its memories together.",
)
.unit(Unit::Bytes);

const ANSWER_ROW: OptionRow = OptionRow::new(
    ANSWER_BYTES,
    ValueKind::Integer {
        min: 1 << 10,
        max: 1 << 30,
    },
    DefaultValue::Is("67108864"),
    "The bytes that one answer, or the arguments of one call of the host, may have.",
)
.unit(Unit::Bytes);

const LOG_ROW: OptionRow = OptionRow::new(
    LOG_LINES_PER_SECOND,
    ValueKind::Integer {
        min: 0,
        max: 100_000,
    },
    DefaultValue::Is("100"),
    "Log lines that are kept in a second, those written to standard output and error among them. \
     What is above is counted, and the count is said once.",
);

const STATE_ROW: OptionRow = OptionRow::new(
    STATE_BYTES,
    ValueKind::Integer {
        min: 0,
        max: 256 << 20,
    },
    DefaultValue::Is("1048576"),
    "The bytes of the component's state, keys and values together.",
)
.unit(Unit::Bytes);

static SOURCE: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: TYPE_NAME,
    aliases: &[],
    doc: "A source that is a Wasm component (world source of flumen:plugin).",
    support: Support::Built,
    options: &[
        COMPONENT_ROW,
        CONFIG_ROW,
        CPU_ROW,
        WALL_ROW,
        MEMORY_ROW,
        ANSWER_ROW,
        LOG_ROW,
        STATE_ROW,
    ],
};

static INTERCEPTOR: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: TYPE_NAME,
    aliases: &[],
    doc: "An interceptor that is a Wasm component (world interceptor of flumen:plugin).",
    support: Support::Built,
    options: &[
        COMPONENT_ROW,
        CONFIG_ROW,
        OptionRow::new(
            WORKERS,
            ValueKind::Integer {
                min: 1,
                max: WORKERS_MAX,
            },
            DefaultValue::Is("1"),
            "How many instances handle batches of different connections at the same time. Batches \
             of one connection stay in order. Instances share the state, but not their memory.",
        ),
        CPU_ROW,
        WALL_ROW,
        MEMORY_ROW,
        ANSWER_ROW,
        LOG_ROW,
        STATE_ROW,
        DEAD_LETTER_CHANNEL_ROW,
        ON_POISON_ROW,
    ],
};

static SINK: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: TYPE_NAME,
    aliases: &[],
    doc: "A sink that is a Wasm component (world sink of flumen:plugin).",
    support: Support::Built,
    options: &[
        COMPONENT_ROW,
        CONFIG_ROW,
        OptionRow::new(
            BATCH_SIZE,
            ValueKind::Integer {
                min: 1,
                max: BATCH_SIZE_MAX,
            },
            DefaultValue::Is("1000"),
            "How many events one delivery has at most.",
        )
        .unit(Unit::Events),
        CPU_ROW,
        WALL_ROW,
        MEMORY_ROW,
        ANSWER_ROW,
        LOG_ROW,
        STATE_ROW,
        DEAD_LETTER_CHANNEL_ROW,
        ON_POISON_ROW,
    ],
};

/// The rows of the type `wasm`: as a source, an interceptor and a sink.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    [&SOURCE, &INTERCEPTOR, &SINK].into_iter()
}
