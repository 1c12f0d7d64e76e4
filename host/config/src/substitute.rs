//! References in values: `${env:X}`, `${sys:X}`, `${other.key}`, `${x:-default}`, and the
//! placeholders of config filters, `${filter[key]}`.
//!
//! Keys are never touched. `$${` is the text `${`. Names may hold references themselves, and so may
//! defaults and the values of other keys; what the environment gives is taken as it is. A
//! reference that nothing answers stays as it was written, with a warning; a cycle is an error.
//!
//! Limits: [`REFERENCE_DEPTH_MAX`] and [`RESOLVED_BYTES_MAX`]; each key is resolved once.

use std::collections::{BTreeSet, HashMap};

use flumen_core::option::{ComponentKind, ComponentRow, Support};

use crate::document::{Document, Entry, EntryValue};
use crate::group::Group;
use crate::problem::{Problem, quoted};

/// The deepest nesting of references in one value and the longest chain of keys that refer to each
/// other: far more than a person can follow, and little enough for any stack.
pub const REFERENCE_DEPTH_MAX: usize = 32;

/// The longest resolved value, in bytes: keys that refer twice to each other double at each step,
/// and no option needs more.
pub const RESOLVED_BYTES_MAX: usize = 1 << 20;

/// Look-ups of Flume that read more than a value; none of them is built.
const NOT_BUILT: [&str; 16] = [
    "java",
    "date",
    "base64Decoder",
    "base64Encoder",
    "const",
    "dns",
    "file",
    "localhost",
    "properties",
    "resourceBundle",
    "script",
    "url",
    "urlDecoder",
    "urlEncoder",
    "xml",
    "class",
];

/// The config filter that reads the environment; the one filter that is resolved here.
pub static ENVIRONMENT_FILTER: ComponentRow = ComponentRow {
    kind: ComponentKind::ConfigFilter,
    name: "env",
    aliases: &["org.apache.flume.configfilter.EnvironmentVariableConfigFilter"],
    doc: "Puts the value of an environment variable in the place of `${filter[VARIABLE]}`.",
    support: Support::Built,
    options: &[],
};

/// What a configuration may refer to outside of its files.
pub trait Lookups {
    /// An environment variable, `None` when it is not set.
    fn env(&self, name: &str) -> Option<String>;
    /// A system property (`-Dname=value`), `None` when it is not set.
    fn system_property(&self, name: &str) -> Option<String>;
}

/// An environment in which nothing is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLookups;

impl Lookups for NoLookups {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn system_property(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Resolves the values of all entries.
pub(crate) fn resolve(document: &mut Document, lookups: &dyn Lookups) {
    let mut resolver = Resolver {
        document,
        lookups,
        resolved: HashMap::new(),
        open: Vec::new(),
        problems: Vec::new(),
        references: HashMap::new(),
    };
    for entry in document.entries() {
        resolver.entry(entry);
    }
    let Resolver {
        mut resolved,
        problems,
        references,
        ..
    } = resolver;
    for entry in document.entries_mut() {
        if let Some(value) = resolved.remove(&entry.key) {
            entry.value = value;
        }
    }
    document.problems.extend(problems);
    document
        .referenced
        .extend(references.values().flatten().cloned());
    document.references.extend(references);
}

/// A part of a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Reference {
        /// As it was written, braces included.
        verbatim: &'t str,
        name: Vec<Piece<'t>>,
        default: Option<Vec<Piece<'t>>>,
    },
}

/// A reference that is not closed yet.
struct Frame<'t> {
    start: usize,
    name: Option<Vec<Piece<'t>>>,
    current: Vec<Piece<'t>>,
}

/// Takes a value apart, with what is wrong in its form.
fn pieces(text: &str) -> (Vec<Piece<'_>>, Option<String>) {
    let mut splitter = Splitter {
        text,
        frames: Vec::new(),
        outer: Vec::new(),
        from: 0,
        at: 0,
        defect: None,
    };
    while let Some(rest) = text.get(splitter.at..).filter(|rest| !rest.is_empty()) {
        let length = splitter.joint(rest);
        splitter.at += length.unwrap_or_else(|| rest.chars().next().map_or(1, char::len_utf8));
        if length.is_some() {
            splitter.from = splitter.at;
        }
    }
    splitter.finish()
}

struct Splitter<'t> {
    text: &'t str,
    /// The references that are open, the innermost last.
    frames: Vec<Frame<'t>>,
    outer: Vec<Piece<'t>>,
    /// Where the text begins that has no piece yet.
    from: usize,
    at: usize,
    defect: Option<String>,
}

impl<'t> Splitter<'t> {
    fn current(&mut self) -> &mut Vec<Piece<'t>> {
        self.frames
            .last_mut()
            .map_or(&mut self.outer, |frame| &mut frame.current)
    }

    fn push_text_before(&mut self) {
        let before = self.text.get(self.from..self.at).unwrap_or("");
        self.current().push(Piece::Text(before));
    }

    /// Acts on a sign of the reference grammar and tells its length; `None` for plain text.
    fn joint(&mut self, rest: &str) -> Option<usize> {
        if rest.starts_with("$${") {
            self.push_text_before();
            self.current().push(Piece::Text("${"));
            return Some(3);
        }
        if rest.starts_with("${") {
            if self.frames.len() == REFERENCE_DEPTH_MAX {
                self.defect = Some(format!(
                    "references are nested deeper than {REFERENCE_DEPTH_MAX}"
                ));
                return None;
            }
            self.push_text_before();
            self.frames.push(Frame {
                start: self.at,
                name: None,
                current: Vec::new(),
            });
            return Some(2);
        }
        if rest.starts_with(":-") && self.frames.last().is_some_and(|frame| frame.name.is_none()) {
            self.push_text_before();
            let frame = self.frames.last_mut()?;
            frame.name = Some(std::mem::take(&mut frame.current));
            return Some(2);
        }
        if rest.starts_with('}') && !self.frames.is_empty() {
            self.push_text_before();
            let frame = self.frames.pop()?;
            let verbatim = self.text.get(frame.start..=self.at).unwrap_or("");
            let (name, default) = match frame.name {
                Some(name) => (name, Some(frame.current)),
                None => (frame.current, None),
            };
            self.current().push(Piece::Reference {
                verbatim,
                name,
                default,
            });
            return Some(1);
        }
        None
    }

    /// What is open at the end is text.
    fn finish(mut self) -> (Vec<Piece<'t>>, Option<String>) {
        self.push_text_before();
        while let Some(frame) = self.frames.pop() {
            self.defect
                .get_or_insert_with(|| "a reference has no closing brace".to_owned());
            let current = self.current();
            current.push(Piece::Text("${"));
            if let Some(name) = frame.name {
                current.extend(name);
                current.push(Piece::Text(":-"));
            }
            current.extend(frame.current);
        }
        (self.outer, self.defect)
    }
}

/// The text that resolves to this one: what looks like a reference is none.
pub(crate) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

struct Resolver<'a> {
    document: &'a Document,
    lookups: &'a dyn Lookups,
    resolved: HashMap<String, EntryValue>,
    /// The keys that are being resolved, the innermost last.
    open: Vec<&'a Entry>,
    problems: Vec<Problem>,
    references: HashMap<String, BTreeSet<String>>,
}

impl<'a> Resolver<'a> {
    fn entry(&mut self, entry: &'a Entry) {
        if self.resolved.contains_key(&entry.key) {
            return;
        }
        self.open.push(entry);
        let value = match &entry.written {
            EntryValue::Text(text) => EntryValue::Text(self.text(text)),
            EntryValue::List(words) => {
                EntryValue::List(words.iter().map(|word| self.text(word)).collect())
            }
        };
        self.open.pop();
        self.resolved.insert(entry.key.clone(), value);
    }

    /// Adds a problem of the key that is being resolved.
    fn report(&mut self, make: fn(&flumen_core::Place, String, String) -> Problem, what: String) {
        if let Some(entry) = self.open.last() {
            self.problems
                .push(make(&entry.place, entry.key.clone(), what));
        }
    }

    fn text(&mut self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let (pieces, defect) = pieces(text);
        if let Some(defect) = defect {
            self.report(Problem::warning, format!("{defect}; it stays as text"));
        }
        let resolved = self.all(&pieces);
        if resolved.len() > RESOLVED_BYTES_MAX {
            let what = format!("the resolved value is longer than {RESOLVED_BYTES_MAX} bytes");
            self.report(Problem::error, what);
            return text.to_owned();
        }
        resolved
    }

    fn all(&mut self, pieces: &[Piece<'_>]) -> String {
        let mut resolved = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => resolved.push_str(text),
                Piece::Reference {
                    verbatim,
                    name,
                    default,
                } => resolved.push_str(&self.reference(verbatim, name, default.as_deref())),
            }
            // One piece more than the bound is enough to know that it is too long.
            if resolved.len() > RESOLVED_BYTES_MAX {
                break;
            }
        }
        resolved
    }

    fn reference(
        &mut self,
        verbatim: &str,
        name: &[Piece<'_>],
        default: Option<&[Piece<'_>]>,
    ) -> String {
        let name = self.all(name);
        if let Some(value) = self.value_of(&name, verbatim) {
            return value;
        }
        if let Some(default) = default {
            return self.all(default);
        }
        verbatim.to_owned()
    }

    /// What a name stands for. Where nothing answers and the reference has no default, says so.
    fn value_of(&mut self, name: &str, verbatim: &str) -> Option<String> {
        let found = match name.split_once(':') {
            Some(("env", variable)) => self.lookups.env(variable),
            Some(("sys", property)) => self.lookups.system_property(property),
            Some((lookup, _)) if NOT_BUILT.contains(&lookup) => {
                let lookup = quoted(lookup);
                self.report(
                    Problem::error,
                    format!("look-up {lookup} is one of Flume's that flumen does not have yet"),
                );
                return None;
            }
            _ => match placeholder(name) {
                Some((filter, key)) => return self.filtered(filter, key),
                None => self.other_key(name),
            },
        };
        if found.is_none() && !verbatim.contains(":-") {
            let what = format!(
                "nothing is known as {}, so it stays as it is",
                quoted(verbatim)
            );
            self.report(Problem::warning, what);
        }
        found
    }

    fn other_key(&mut self, name: &str) -> Option<String> {
        let document = self.document;
        let entry = document.get(name)?;
        if let Some(open) = self.open.last() {
            let own = self.references.entry(open.key.clone()).or_default();
            own.insert(entry.key.clone());
        }
        if let Some(at) = self.open.iter().position(|open| open.key == entry.key) {
            let chain: Vec<&str> = self
                .open
                .iter()
                .skip(at)
                .map(|open| open.key.as_str())
                .collect();
            let what = format!(
                "the value refers to itself: {} -> {}",
                chain.join(" -> "),
                entry.key
            );
            self.report(Problem::error, what);
            return Some(String::new());
        }
        if self.open.len() >= REFERENCE_DEPTH_MAX {
            let what =
                format!("more than {REFERENCE_DEPTH_MAX} keys refer to each other in a chain");
            self.report(Problem::error, what);
            return Some(String::new());
        }
        self.entry(entry);
        self.resolved
            .get(&entry.key)
            .map(|value| value.text().into_owned())
    }

    /// The value of a config filter's placeholder. A filter of another type than `env` is an error
    /// of its own where the agent is checked.
    fn filtered(&mut self, filter: &str, key: &str) -> Option<String> {
        let (document, entry) = (self.document, *self.open.last()?);
        let (agent, rest) = entry.key.split_once('.')?;
        let group = rest.split('.').next().and_then(Group::of_word)?;
        if group == Group::ConfigFilters {
            return None;
        }
        let list = document.get(&format!("{agent}.configfilters"));
        let listed =
            list.is_some_and(|list| list.written.words().iter().any(|word| word == filter));
        let kind = document.get(&format!("{agent}.configfilters.{filter}.type"));
        let Some(kind) = kind.filter(|_| listed) else {
            let what = format!("agent {agent} has no config filter {}", quoted(filter));
            self.report(
                Problem::warning,
                format!("{what}; the placeholder stays as it is"),
            );
            return None;
        };
        let kind = kind.written.text();
        if !ENVIRONMENT_FILTER.is_called(&kind) {
            return None;
        }
        let found = self.lookups.env(key);
        if found.is_none() {
            let what = format!("environment variable {} is not set", quoted(key));
            self.report(
                Problem::warning,
                format!("{what}; the placeholder stays as it is"),
            );
        }
        found
    }
}

/// Filter and key of `filter[key]`, `filter['key']` or `filter["key"]`.
fn placeholder(name: &str) -> Option<(&str, &str)> {
    let (filter, rest) = name.split_once('[')?;
    let inner = rest.strip_suffix(']')?;
    let key = ['\'', '"']
        .into_iter()
        .find_map(|quote| inner.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(inner);
    let is_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    (!filter.is_empty() && !key.is_empty() && key.chars().all(is_key)).then_some((filter, key))
}

#[cfg(test)]
mod tests;
