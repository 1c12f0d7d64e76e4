//! Reads one JSON object of texts, and nothing else of JSON: a parser for all of it would make up half
//! of a small component.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// The pairs of the object; of a name that stands twice the last.
///
/// # Errors
/// What was expected instead.
pub(super) fn object_of_texts(json: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut reader = Reader {
        rest: json.chars().peekable(),
    };
    let pairs = reader.object()?;
    match reader.next_token() {
        None => Ok(pairs),
        Some(_) => Err("nothing behind the object"),
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn next_token(&mut self) -> Option<char> {
        while self
            .rest
            .next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))
            .is_some()
        {}
        self.rest.next()
    }

    fn object(&mut self) -> Result<BTreeMap<String, String>, &'static str> {
        let mut pairs = BTreeMap::new();
        if self.next_token() != Some('{') {
            return Err("an object");
        }
        let mut token = self.next_token();
        if token == Some('}') {
            return Ok(pairs);
        }
        loop {
            if token != Some('"') {
                return Err("a name");
            }
            let name = self.text()?;
            if self.next_token() != Some(':') {
                return Err("a colon behind a name");
            }
            if self.next_token() != Some('"') {
                return Err("a text behind a name");
            }
            pairs.insert(name, self.text()?);
            match self.next_token() {
                Some(',') => token = self.next_token(),
                Some('}') => return Ok(pairs),
                _ => return Err("a comma or the end of the object"),
            }
        }
    }

    /// What stands up to the closing quote.
    fn text(&mut self) -> Result<String, &'static str> {
        let mut text = String::new();
        loop {
            match self.rest.next().ok_or("the end of a text")? {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                '\0'..='\x1f' => return Err("an escape in place of a control character"),
                plain => text.push(plain),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, &'static str> {
        match self.rest.next() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\x08'),
            Some('f') => Ok('\x0c'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode(),
            _ => Err("an escape that JSON knows"),
        }
    }

    /// A character by its number, or by the two halves that JSON writes above 16 bits.
    fn unicode(&mut self) -> Result<char, &'static str> {
        let first = self.four_digits()?;
        let number = if (0xd800..0xdc00).contains(&first) {
            if self.rest.next() != Some('\\') || self.rest.next() != Some('u') {
                return Err("the second half of a character");
            }
            let second = self.four_digits()?;
            let half = second.checked_sub(0xdc00).filter(|half| *half < 0x400);
            let half = half.ok_or("the second half of a character")?;
            0x10000 + ((first - 0xd800) << 10) + half
        } else {
            first
        };
        char::from_u32(number).ok_or("the first half of a character")
    }

    fn four_digits(&mut self) -> Result<u32, &'static str> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            number = number * 16 + digit.ok_or("four hexadecimal digits")?;
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// serde_json is the judge: both read it the same, or both refuse it.
    #[test]
    fn reads_what_serde_json_reads() {
        let samples = [
            r#"{}"#,
            r#" { "a" : "b" , "c":"" } "#,
            "{\"tab\":\"a\\tb\",\"quote\":\"\\\"\\\\\\/\\b\\f\\n\\r\"}",
            r#"{"a":"\u00e9\ud83e\udd80\u0000é🦀"}"#,
            r#"{"a":"1","a":"2"}"#,
            r#"{"a":1}"#,
            r#"{"a":"b",}"#,
            r#"{"a":"b"} x"#,
            r#"{"a":"b""#,
            r#"{"a":"b"#,
            r#"{"a" "b"}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud83e"}"#,
            r#"{"a":"\ud83e\u0041"}"#,
            r#"{"a":"\udd80"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u+123"}"#,
            "{\"a\":\"b\nc\"}",
            r#"["a"]"#,
            r#"{,}"#,
            "",
        ];
        for sample in samples {
            let theirs: Result<BTreeMap<String, String>, _> = serde_json::from_str(sample);
            assert_eq!(object_of_texts(sample).ok(), theirs.ok(), "{sample}");
        }
    }
}
