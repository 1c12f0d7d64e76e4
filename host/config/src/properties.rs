//! Java's properties, as `java.util.Properties` loads them.
//!
//! Limits: none of its own; work and memory are linear in the text. Names and values are trimmed
//! as Flume trims them (every character up to the space), after the escapes are read.

use std::sync::Arc;

use flumen_core::Place;

use crate::document::{Dialect, Document, Entry, EntryValue};
use crate::problem::Problem;

/// Reads all entries of a text into the document.
pub(crate) fn parse(document: &mut Document, file: &Arc<str>, text: &str) {
    for (line, logical) in logical_lines(text) {
        let place = Place {
            file: file.clone(),
            line,
        };
        let (key, value) = split(&logical);
        let (key, key_defect) = unescape(key);
        let (value, value_defect) = unescape(value);
        let key = trim(&key).to_owned();
        for defect in key_defect.into_iter().chain(value_defect) {
            document.problems.push(Problem::error(&place, &key, defect));
        }
        let value = EntryValue::Text(trim(&value).to_owned());
        let entry = Entry::new(key.clone(), value, place.clone(), Dialect::Properties);
        if let Some(earlier) = document.insert(entry) {
            let what = format!(
                "given twice, at line {} and here; this one holds",
                earlier.place.line
            );
            document.problems.push(Problem::warning(&place, key, what));
        }
    }
}

fn is_white(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\x0c')
}

/// What `String.trim` of Java removes.
fn trim(text: &str) -> &str {
    text.trim_matches(|letter| letter <= ' ')
}

/// The logical lines with the number of their first natural line: comments and blank lines gone,
/// continued lines joined without the white space at their beginnings.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut logical = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (at, natural) in natural_lines(text).enumerate() {
        let content = natural.trim_start_matches(is_white);
        if open.is_none() && (content.is_empty() || content.starts_with(['#', '!'])) {
            continue;
        }
        let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let (first, mut joined) = open.take().unwrap_or((line, String::new()));
        let backslashes = content
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count();
        if backslashes % 2 == 1 {
            joined.push_str(content.strip_suffix('\\').unwrap_or(content));
            open = Some((first, joined));
        } else {
            joined.push_str(content);
            logical.push((first, joined));
        }
    }
    // A backslash before the end of the file continues nothing.
    logical.extend(open);
    logical
}

/// Lines that end in `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((line, ending)) = text
            .find(['\r', '\n'])
            .and_then(|at| text.split_at_checked(at))
        else {
            rest = None;
            return Some(text);
        };
        rest = ending.strip_prefix("\r\n").or_else(|| ending.get(1..));
        Some(line)
    })
}

/// Key and value of a logical line, escapes not yet read: the key ends at the first `=`, `:` or
/// white space that no backslash precedes.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|letter: char| {
        let ends = !escaped && (is_white(letter) || matches!(letter, '=' | ':'));
        escaped = !escaped && letter == '\\';
        ends
    });
    let (key, rest) = line
        .split_at_checked(end.unwrap_or(line.len()))
        .unwrap_or((line, ""));
    let rest = rest.trim_start_matches(is_white);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_white))
}

/// Reads the escapes: `\t \n \r \f \uXXXX`, and any other `\c` is `c`. A defect is what Java would
/// refuse the whole file for.
fn unescape(text: &str) -> (String, Option<&'static str>) {
    if !text.contains('\\') {
        return (text.to_owned(), None);
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut defect = None;
    let mut rest = text;
    let mut buffer = [0; 2];
    while let Some((before, escape)) = rest.split_once('\\') {
        units.extend(before.encode_utf16());
        let mut letters = escape.chars();
        match letters.next() {
            Some('t') => units.push(9),
            Some('n') => units.push(10),
            Some('r') => units.push(13),
            Some('f') => units.push(12),
            Some('u') => {
                if let Some(unit) = hexadecimal(letters.as_str()) {
                    units.push(unit);
                    rest = letters.as_str().get(4..).unwrap_or("");
                    continue;
                }
                defect = Some("malformed \\u escape: four hexadecimal digits have to follow");
                units.extend("\\u".encode_utf16());
            }
            Some(other) => units.extend_from_slice(other.encode_utf16(&mut buffer)),
            None => {}
        }
        rest = letters.as_str();
    }
    units.extend(rest.encode_utf16());
    match String::from_utf16(&units) {
        Ok(text) => (text, defect),
        Err(_) => (
            String::from_utf16_lossy(&units),
            Some("a \\u escape is half of a character: both surrogates have to be there"),
        ),
    }
}

fn hexadecimal(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
