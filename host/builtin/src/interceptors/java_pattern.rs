//! Regular expressions as Flume's files write them, for the engine that flumen has.
//!
//! Flume's options hold patterns of Java's dialect and search them with `find`. The engine here
//! never backtracks, so its time is linear in the body, whatever the pattern. A pattern is
//! translated where the dialects write the same thing differently, and refused, with the place,
//! where the engine has no such thing:
//!
//! | Java | here |
//! |---|---|
//! | `\d \w \s` and their opposites | ASCII, as in Java |
//! | `\h \v \R \e \Q...\E`, `\` before a sign that is no letter or digit | translated |
//! | `$`, `\Z` without the flag `m` | the end, or before a line terminator at the end, as in Java |
//! | look-ahead, look-behind, atomic groups, back references, possessive repeats | refused |
//! | flags `d` and `U` | refused |
//! | flag `u` | has no effect: upper and lower case match over all of Unicode |
//! | `.` | does not match a line feed; does match a carriage return, unlike in Java |
//! | `.` and bytes that are not UTF-8 | no match; Java decodes first, and matches the replacement character |

use regex::bytes::Regex;

/// A compiled pattern, in the cheapest form that finds the same.
#[derive(Debug)]
pub(super) enum JavaPattern {
    /// Is found in every body.
    Everything,
    /// Is found where these bytes are; not empty.
    Literal(Vec<u8>),
    /// Everything else.
    Regex(Regex),
}

/// Why a pattern cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    /// The place in the pattern, in characters from 1, where it is known.
    pub(super) column: Option<usize>,
    /// What is wrong there.
    pub(super) what: String,
}

impl JavaPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] when it is no pattern, or one that the engine does not have.
    pub(super) fn new(pattern: &str) -> Result<Self, PatternError> {
        let mut translation = Translation::default();
        translation.run(pattern)?;
        if pattern == ".*" || pattern.is_empty() {
            return Ok(JavaPattern::Everything);
        }
        if let Some(literal) = translation.literal.take().filter(|text| !text.is_empty()) {
            return Ok(JavaPattern::Literal(literal.into_bytes()));
        }
        Regex::new(&translation.regex)
            .map(JavaPattern::Regex)
            .map_err(|error| engine_error(pattern, &error))
    }
}

/// The engine's reason, and its place where the original text fails in the same way.
fn engine_error(pattern: &str, error: &regex::Error) -> PatternError {
    let (mut column, mut what) = (None, error.to_string());
    if let regex::Error::Syntax(text) = error {
        if let Some((_, reason)) = text.rsplit_once("error: ") {
            what = reason.trim().to_owned();
        }
        if let Err(regex::Error::Syntax(own)) = Regex::new(pattern) {
            // The engine prints the pattern behind four spaces and marks the place below it.
            column = own
                .lines()
                .find(|line| line.trim_start().starts_with('^'))
                .and_then(|line| line.find('^')?.checked_sub(3));
        }
    }
    PatternError { column, what }
}

struct Translation {
    regex: String,
    // The text that the pattern stands for, as long as it is nothing but text.
    literal: Option<String>,
    class_depth: usize,
    multi_line: bool,
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            regex: String::new(),
            literal: Some(String::new()),
            class_depth: 0,
            multi_line: false,
        }
    }
}

type Characters<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'a>>>;

impl Translation {
    fn run(&mut self, pattern: &str) -> Result<(), PatternError> {
        let mut characters = pattern.chars().enumerate().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => self.escape(at, &mut characters)?,
                '[' => {
                    self.class_depth += 1;
                    self.syntax('[');
                }
                ']' => {
                    self.class_depth = self.class_depth.saturating_sub(1);
                    self.syntax(']');
                }
                _ if self.class_depth > 0 => self.syntax(character),
                '(' if characters.next_if(|(_, next)| *next == '?').is_some() => {
                    self.group(at, &mut characters)?;
                }
                '*' | '+' | '?' => self.repeat(character, &mut characters)?,
                '{' => self.counted_repeat(&mut characters)?,
                '$' => self.end_of_input(),
                '.' | '^' | '|' | '(' | ')' | '}' => self.syntax(character),
                _ => self.text(character),
            }
        }
        Ok(())
    }

    /// A character that stands for itself.
    fn text(&mut self, character: char) {
        if let Some(literal) = &mut self.literal {
            literal.push(character);
        }
        self.regex
            .push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    /// A character of the language.
    fn syntax(&mut self, character: char) {
        self.literal = None;
        self.regex.push(character);
    }

    fn syntax_text(&mut self, text: &str) {
        self.literal = None;
        self.regex.push_str(text);
    }

    fn end_of_input(&mut self) {
        if self.multi_line {
            self.syntax('$');
        } else {
            self.syntax_text(r"(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z");
        }
    }

    fn escape(&mut self, at: usize, characters: &mut Characters<'_>) -> Result<(), PatternError> {
        let Some((_, escaped)) = characters.next() else {
            return refuse(at, "a backslash with nothing behind it");
        };
        let in_class = self.class_depth > 0;
        match escaped {
            'd' => self.syntax_text("[0-9]"),
            'D' => self.syntax_text("[^0-9]"),
            'w' => self.syntax_text("[a-zA-Z0-9_]"),
            'W' => self.syntax_text("[^a-zA-Z0-9_]"),
            's' => self.syntax_text(r"[ \t\n\x0B\f\r]"),
            'S' => self.syntax_text(r"[^ \t\n\x0B\f\r]"),
            'h' => self.syntax_text(r"[ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]"),
            'H' => self.syntax_text(r"[^ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]"),
            'v' => self.syntax_text(r"[\n\x0B\f\r\x85\u2028\u2029]"),
            'V' => self.syntax_text(r"[^\n\x0B\f\r\x85\u2028\u2029]"),
            'e' => self.syntax_text(r"\x1B"),
            'R' if !in_class => self.syntax_text(r"(?:\r\n|[\n\x0B\f\r\x85\u2028\u2029])"),
            'Z' if !in_class => self.syntax_text(r"(?:\r\n|[\n\r\x85\u2028\u2029])?\z"),
            'Q' => self.quoted(characters),
            '1'..='9' | 'k' => return refuse(at, "back references are not supported"),
            _ if escaped.is_ascii_alphanumeric() => {
                self.syntax('\\');
                self.syntax(escaped);
            }
            _ => self.text(escaped),
        }
        Ok(())
    }

    /// The text between `\Q` and `\E`, or the end.
    fn quoted(&mut self, characters: &mut Characters<'_>) {
        while let Some((_, character)) = characters.next() {
            if character == '\\' && characters.next_if(|(_, next)| *next == 'E').is_some() {
                return;
            }
            self.text(character);
        }
    }

    /// What follows `(?`.
    fn group(&mut self, at: usize, characters: &mut Characters<'_>) -> Result<(), PatternError> {
        self.syntax_text("(?");
        match characters.peek().map(|(_, next)| *next) {
            Some('=' | '!') => return refuse(at, "look-ahead is not supported"),
            Some('>') => return refuse(at, "atomic groups are not supported"),
            Some('<') => {
                characters.next();
                self.syntax('<');
                if characters
                    .peek()
                    .is_some_and(|(_, next)| matches!(next, '=' | '!'))
                {
                    return refuse(at, "look-behind is not supported");
                }
                return Ok(());
            }
            _ => {}
        }
        let mut flags = String::new();
        while let Some((_, flag)) =
            characters.next_if(|(_, next)| next.is_ascii_alphabetic() || *next == '-')
        {
            match flag {
                'd' | 'U' => return refuse(at, &format!("the flag {flag} is not supported")),
                'u' => {}
                _ => flags.push(flag),
            }
        }
        self.multi_line |= flags.split('-').next().is_some_and(|on| on.contains('m'));
        if flags.is_empty() || flags == "-" {
            // `(?u)` alone leaves nothing to say; a group without flags says the same.
            if characters.next_if(|(_, next)| *next == ')').is_some() {
                self.syntax_text(":)");
            }
            return Ok(());
        }
        self.syntax_text(flags.trim_end_matches('-'));
        Ok(())
    }

    fn repeat(&mut self, sign: char, characters: &mut Characters<'_>) -> Result<(), PatternError> {
        self.syntax(sign);
        self.end_of_repeat(characters)
    }

    fn counted_repeat(&mut self, characters: &mut Characters<'_>) -> Result<(), PatternError> {
        self.syntax('{');
        for (_, character) in characters.by_ref() {
            self.syntax(character);
            if character == '}' {
                break;
            }
        }
        self.end_of_repeat(characters)
    }

    /// Behind a repeat: `?` makes it reluctant, and `+` possessive.
    fn end_of_repeat(&mut self, characters: &mut Characters<'_>) -> Result<(), PatternError> {
        if characters.next_if(|(_, next)| *next == '?').is_some() {
            self.syntax('?');
        }
        match characters.peek() {
            Some((at, '+')) => refuse(*at, "possessive repeats are not supported"),
            _ => Ok(()),
        }
    }
}

fn refuse(at: usize, what: &str) -> Result<(), PatternError> {
    Err(PatternError {
        column: Some(at + 1),
        what: what.to_owned(),
    })
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        if let Some(column) = self.column {
            write!(f, " at character {column}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests;
