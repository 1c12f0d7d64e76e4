//! Words for poison events: events on which a component fails however often they are tried. What
//! becomes of them is the operator's choice, and a dead letter says why it is one.
//!
//! The options stand in the rows of every component type whose instances may break on an event; the
//! agent obeys them, whatever the type.

use crate::option::{DefaultValue, OptionRow, ValueKind};

/// The option that names the channel for dead letters.
pub const DEAD_LETTER_CHANNEL: &str = "dead_letter_channel";

/// The option that says what becomes of a poison event.
pub const ON_POISON: &str = "on_poison";

/// The event goes into the dead-letter channel, and counts as handled after that.
pub const DEAD_LETTER: &str = "dead-letter";

/// The event is tried again for ever and keeps what is behind it waiting.
pub const BLOCK: &str = "block";

/// The event is counted, named in the log, and gone.
pub const DROP: &str = "drop";

/// The component does nothing more until its configuration changes; the event stays.
pub const STOP: &str = "stop";

/// The row of [`DEAD_LETTER_CHANNEL`].
pub const DEAD_LETTER_CHANNEL_ROW: OptionRow = OptionRow::new(
    DEAD_LETTER_CHANNEL,
    ValueKind::Channel,
    DefaultValue::Absent,
    "The channel that gets the events on which the component fails for good, with headers that say \
     why.",
);

/// The row of [`ON_POISON`].
pub const ON_POISON_ROW: OptionRow = OptionRow::new(
    ON_POISON,
    ValueKind::Choice(&[DEAD_LETTER, BLOCK, DROP, STOP]),
    DefaultValue::Absent,
    "What becomes of an event on which the component fails for good: into the dead-letter channel, \
     tried again for ever, dropped and counted, or the component stops. Without it dead-letter where \
     a channel is named, else block.",
);

/// The headers that a dead letter has beside its own.
pub mod header {
    /// What went wrong, in words.
    pub const REASON: &str = "flumen.dead_letter.reason";
    /// What went wrong, as a word for machines: the code of a trap, `poison` when the component
    /// said so of a batch, `rejected` when a sink said so of the event, `broken` for anything else.
    pub const CODE: &str = "flumen.dead_letter.code";
    /// The functions of a guest that were active, innermost first, joined by ` < `.
    pub const BACKTRACE: &str = "flumen.dead_letter.backtrace";
    /// The component that failed: `sinks.k1`, `sources.r1.interceptors.i1`.
    pub const COMPONENT: &str = "flumen.dead_letter.component";
    /// The SHA-256 of the component's file, for a guest.
    pub const DIGEST: &str = "flumen.dead_letter.digest";
    /// What was called: `intercept`, `deliver`, `flush`.
    pub const CALL: &str = "flumen.dead_letter.call";
    /// When it became a dead letter, milliseconds since 1970.
    pub const TIMESTAMP_MS: &str = "flumen.dead_letter.timestamp_ms";
}
