//! `TEXT`: the body of each event, and a line feed behind it unless that is switched off. Headers
//! are not written. A body that contains line feeds is written as it is.

use std::io;

use flumen_core::batch::TextRun;
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{EventBatch, Fault};

use super::EventSerializer;

/// The options of `TEXT`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::EventSerializer,
    name: "TEXT",
    aliases: &["org.apache.flume.serialization.BodyTextEventSerializer$Builder"],
    doc: "Writes the body of each event and a line feed. Headers are not written.",
    support: Support::Built,
    options: &[OptionRow::new(
        "appendNewline",
        ValueKind::Boolean,
        Is("true"),
        "Whether a line feed follows each body.",
    )],
};

/// Makes a `TEXT` serializer.
pub(super) fn build(settings: &Settings) -> Result<Box<dyn EventSerializer>, Fault> {
    Ok(Box::new(Text {
        append_newline: settings.boolean("appendNewline")?,
    }))
}

struct Text {
    append_newline: bool,
}

impl EventSerializer for Text {
    fn write(&self, events: &EventBatch, output: &mut dyn io::Write) -> io::Result<()> {
        if !self.append_newline {
            return events.bodies().try_for_each(|body| output.write_all(body));
        }
        for run in events.text_runs(b'\n') {
            match run {
                TextRun::Delimited(lines) => output.write_all(lines)?,
                TextRun::Bare(body) => {
                    output.write_all(body)?;
                    output.write_all(b"\n")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(append_newline: bool, events: &EventBatch) -> Vec<u8> {
        let mut output = Vec::new();
        Text { append_newline }
            .write(events, &mut output)
            .expect("writes to memory");
        output
    }

    #[test]
    fn bodies_are_lines_however_the_batch_is_laid_out() {
        let lines = EventBatch::from_delimited("a\n\nccc\n".into(), b'\n', vec![1, 2, 6]);
        let lines = lines.expect("lines");
        let other_delimiter = EventBatch::from_delimited("a||ccc|".into(), b'|', vec![1, 2, 6]);
        let other_delimiter = other_delimiter.expect("fields");
        let packed = EventBatch::from_columns("accc".into(), vec![1, 1, 4]).expect("columns");
        for batch in [lines, other_delimiter, packed] {
            assert_eq!(written(true, &batch), b"a\n\nccc\n");
            assert_eq!(written(false, &batch), b"accc");
            let ends = batch.select(&[0, 2]).expect("rows");
            assert_eq!(written(true, &ends), b"a\nccc\n");
            assert_eq!(written(false, &ends), b"accc");
            assert_eq!(written(true, &batch.slice(1..2)), b"\n");
        }
    }
}
