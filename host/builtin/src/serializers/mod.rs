//! The event serializers: how events become the bytes of a file. Path managers, which name the
//! files, stand with the sink that uses them.

pub mod text;

use std::io;

use flumen_core::option::ComponentRow;
use flumen_core::settings::Settings;
use flumen_core::{EventBatch, Fault};

/// Turns events into bytes.
///
/// # Bytes
/// The bytes of two calls follow one another in the file. A serializer keeps nothing between two
/// calls: when a call fails, what it wrote is cut off again and the same events come back later.
pub trait EventSerializer: Send {
    /// Writes the events in order. A slice that is long is best passed on as it is: the writer
    /// gathers short ones and hands long ones to the system without a copy.
    ///
    /// # Errors
    /// The writer's; some bytes may have been written.
    fn write(&self, events: &EventBatch, output: &mut dyn io::Write) -> io::Result<()>;
}

type Constructor = fn(&Settings) -> Result<Box<dyn EventSerializer>, Fault>;

/// Each type with what makes one.
static TYPES: &[(&ComponentRow, Constructor)] = &[(&text::ROW, text::build)];

/// The rows of all serializers.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    TYPES.iter().map(|(row, _)| *row)
}

/// Makes a serializer of the type with this name, from its own settings.
///
/// # Errors
/// A configuration fault that names the option or the type.
pub fn build(name: &str, settings: &Settings) -> Result<Box<dyn EventSerializer>, Fault> {
    match TYPES.iter().find(|(row, _)| row.is_called(name)) {
        Some((_, constructor)) => constructor(settings),
        None => Err(Fault::configuration(format!(
            "no event serializer type {name:?} is built"
        ))),
    }
}
