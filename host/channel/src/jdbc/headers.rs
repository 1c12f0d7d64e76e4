//! Headers of an event as a JSON object of texts, so that SQL can ask for one:
//! `headers ->> 'host'`.

use flumen_core::EventBatch;
use flumen_core::batch::HeaderName;
use serde_json::Value;

/// Writes the headers of the events of a batch, one event at a time, into one buffer.
pub(super) struct HeaderWriter<'a> {
    events: &'a EventBatch,
    /// The same text for all events.
    is_constant: bool,
    text: String,
}

impl<'a> HeaderWriter<'a> {
    pub(super) fn new(events: &'a EventBatch) -> Self {
        let is_constant = events.headers().all(|(_, view)| view.constant().is_some());
        let mut writer = Self {
            events,
            is_constant,
            text: String::new(),
        };
        if is_constant {
            writer.write(0);
        }
        writer
    }

    /// The headers of this event.
    pub(super) fn of(&mut self, index: usize) -> &str {
        if !self.is_constant {
            self.write(index);
        }
        &self.text
    }

    fn write(&mut self, index: usize) {
        let text = &mut self.text;
        text.clear();
        text.push('{');
        for (name, value) in self.events.headers_of(index) {
            if text.len() > 1 {
                text.push(',');
            }
            write_text(text, name);
            text.push(':');
            write_text(text, value);
        }
        text.push('}');
    }
}

/// A JSON string. Control characters are escaped, so a zero byte, at which SQL tools stop, is never
/// in the text.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                let code = u32::from(control);
                out.push_str(&format!("\\u{code:04x}"));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Reads what [`HeaderWriter`] wrote, or another tool. `None` when it is no object of texts under
/// names that a header may have.
pub(super) fn read(text: &str) -> Option<Vec<(HeaderName, String)>> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
    let header = |(name, value)| match value {
        Value::String(value) => Some((HeaderName::new(name).ok()?, value)),
        _ => None,
    };
    object.into_iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use flumen_core::batch::BatchBuilder;
    use proptest::prelude::*;

    use super::*;

    fn event(headers: &[(String, String)]) -> EventBatch {
        let mut builder = BatchBuilder::new();
        builder.push(b"").unwrap();
        for (name, value) in headers {
            builder
                .set_header(&HeaderName::new(name.as_str()).unwrap(), value)
                .unwrap();
        }
        builder.finish().unwrap()
    }

    fn as_text(headers: &[(&str, &str)]) -> String {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        HeaderWriter::new(&event(&headers)).of(0).to_owned()
    }

    #[test]
    fn headers_are_a_json_object() {
        assert_eq!(as_text(&[]), "{}");
        assert_eq!(
            as_text(&[("host", "a"), ("path", "C:\\\"x\"\0\n")]),
            r#"{"host":"a","path":"C:\\\"x\"\u0000\n"}"#
        );
    }

    #[test]
    fn what_is_no_object_of_texts_is_refused() {
        assert!(read("{").is_none());
        assert!(read("[]").is_none());
        assert!(read(r#"{"a":1}"#).is_none());
        let long = format!(r#"{{"{}":"a"}}"#, "x".repeat(5000));
        assert!(read(&long).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_headers_come_back(headers in prop::collection::btree_map("\\PC{1,8}|[\\x00-\\x7f]{1,4}", "(?s).{0,20}", 0..5)) {
            let headers: Vec<_> = headers.into_iter().collect();
            let text = HeaderWriter::new(&event(&headers)).of(0).to_owned();
            prop_assert!(!text.contains('\0'));
            let back: Vec<_> = read(&text).unwrap().into_iter()
                .map(|(name, value)| (name.as_str().to_owned(), value)).collect();
            prop_assert_eq!(back, headers);
        }
    }
}
