//! `flumen channel dump`: the events that wait, one a line.

use std::io::{self, BufWriter, Write};

use flumen_agent::channel_folders::{ChannelImage, Stored};
use serde_json::{Map, Value};

use crate::arguments::DumpArguments;
use crate::import::with_causes;
use crate::output::complain;

/// Prints the events. Whether all of those asked for could be read.
pub(super) fn run(image: &ChannelImage, arguments: &DumpArguments) -> Result<bool, String> {
    let mut out = BufWriter::new(io::stdout().lock());
    match dump(image, arguments, &mut out).and_then(|is_whole| {
        out.flush().map_err(DumpError::Output)?;
        Ok(is_whole)
    }) {
        Ok(is_whole) => Ok(is_whole),
        // The reader has seen enough.
        Err(DumpError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(DumpError::Output(error)) => Err(format!("cannot write to standard output: {error}")),
        Err(DumpError::Other(what)) => Err(what),
    }
}

enum DumpError {
    Output(io::Error),
    Other(String),
}

fn dump(
    image: &ChannelImage,
    arguments: &DumpArguments,
    out: &mut dyn Write,
) -> Result<bool, DumpError> {
    let from = arguments.from.unwrap_or_else(|| image.first_waiting());
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut is_whole = true;
    let mut stored = image.stored(from);
    while left > 0 {
        let next = stored.next_stored();
        let Some(found) = next.map_err(|error| DumpError::Other(with_causes(&error)))? else {
            break;
        };
        match found {
            Stored::Lost { frames, sequences } => {
                is_whole = false;
                complain(&format!(
                    "damage: {frames} frames with the sequences {} to {}",
                    sequences.start, sequences.end
                ));
            }
            Stored::Unreadable { sequences, why } => {
                is_whole = false;
                complain(&format!(
                    "unreadable: the sequences {} to {}: {}",
                    sequences.start,
                    sequences.end,
                    with_causes(&why)
                ));
            }
            Stored::Events {
                first_sequence,
                events,
            } => {
                for row in image.waiting(first_sequence, &events) {
                    let sequence = first_sequence + u64::from(row);
                    if sequence < from || left == 0 {
                        continue;
                    }
                    left -= 1;
                    let row = row as usize;
                    let body = events.body(row).unwrap_or_default();
                    let line = match arguments.is_text {
                        true => String::from_utf8_lossy(cut(body, arguments)).into_owned(),
                        false => json(sequence, events.headers_of(row), body, arguments),
                    };
                    writeln!(out, "{line}").map_err(DumpError::Output)?;
                }
            }
        }
    }
    Ok(is_whole)
}

fn cut<'b>(body: &'b [u8], arguments: &DumpArguments) -> &'b [u8] {
    let most = usize::try_from(arguments.body_bytes_max).unwrap_or(usize::MAX);
    body.get(..most).unwrap_or(body)
}

/// `sequence`, `headers`, and the body: as `body` where it is text, else as `body_hex`. One that was
/// cut has its whole length as `body_bytes`.
fn json<'e>(
    sequence: u64,
    headers: impl Iterator<Item = (&'e str, &'e str)>,
    body: &[u8],
    arguments: &DumpArguments,
) -> String {
    let headers = headers.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let mut object = Map::new();
    object.insert("sequence".to_owned(), sequence.into());
    object.insert("headers".to_owned(), headers.collect::<Map<_, _>>().into());
    let shown = cut(body, arguments);
    // A cut may go through a letter.
    let text = match str::from_utf8(shown) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && shown.len() < body.len() => {
            let whole = shown.get(..error.valid_up_to()).unwrap_or_default();
            str::from_utf8(whole).ok()
        }
        Err(_) => None,
    };
    match text {
        Some(text) => object.insert("body".to_owned(), text.into()),
        None => {
            let digits: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert("body_hex".to_owned(), digits.into())
        }
    };
    if shown.len() < body.len() {
        object.insert("body_bytes".to_owned(), body.len().into());
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(body: &[u8], body_bytes_max: u64) -> String {
        let arguments = DumpArguments {
            from: None,
            count: None,
            body_bytes_max,
            is_text: false,
        };
        json(7, [("host", "a\"b")].into_iter(), body, &arguments)
    }

    #[test]
    fn bodies_are_text_where_they_are_and_digits_where_they_are_not() {
        assert_eq!(
            line("grün\n".as_bytes(), 100),
            r#"{"body":"grün\n","headers":{"host":"a\"b"},"sequence":7}"#
        );
        assert_eq!(
            line(&[0xff, 0x00, 0x41], 100),
            r#"{"body_hex":"ff0041","headers":{"host":"a\"b"},"sequence":7}"#
        );
        assert_eq!(
            line("grün".as_bytes(), 3),
            r#"{"body":"gr","body_bytes":5,"headers":{"host":"a\"b"},"sequence":7}"#
        );
        assert_eq!(
            line(&[0xff, 0x00, 0x41], 2),
            r#"{"body_bytes":3,"body_hex":"ff00","headers":{"host":"a\"b"},"sequence":7}"#
        );
    }
}
