//! The document: what stands in one or several files, as ordered keys with values and places.
//!
//! Both dialects become this at the door. A TOML table `[a1.sources.r1]` becomes the keys
//! `a1.sources.r1.<option>` and makes `r1` a member of the list `a1.sources`; an array of tables
//! `[[a1.sources.r1.interceptors]]` becomes the list `a1.sources.r1.interceptors` and the keys
//! below each name. What is left of the dialect is the weight of a key that nobody knows.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use flumen_core::{AgentName, Place};

use crate::group::Group;
use crate::problem::{Problem, Severity};
use crate::substitute::Lookups;
use crate::{native, properties, substitute};

/// How a configuration file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Java properties, as Flume reads them.
    Properties,
    /// Native TOML.
    Toml,
}

/// A file name whose ending Flume knows as a format that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedDialect {
    /// The file as the operator named it.
    pub file_name: String,
}

impl fmt::Display for UnsupportedDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: JSON, YAML and XML configurations are not supported; write Java properties or TOML",
            self.file_name
        )
    }
}

impl std::error::Error for UnsupportedDialect {}

impl Dialect {
    /// The dialect of a file by the ending of its name: `.toml` is TOML, everything else is
    /// properties.
    ///
    /// # Errors
    /// When the ending is `.json`, `.yaml`, `.yml` or `.xml`, which Flume recognises and does not
    /// load either.
    pub fn of_file_name(file_name: &str) -> Result<Self, UnsupportedDialect> {
        let lower = file_name.to_ascii_lowercase();
        if lower.ends_with(".toml") {
            return Ok(Dialect::Toml);
        }
        if [".json", ".yaml", ".yml", ".xml"]
            .iter()
            .any(|ending| lower.ends_with(ending))
        {
            return Err(UnsupportedDialect {
                file_name: file_name.to_owned(),
            });
        }
        Ok(Dialect::Properties)
    }

    /// How heavy a key is that nobody knows: Flume's files run with such keys, native ones do not.
    pub(crate) fn unknown_severity(self) -> Severity {
        match self {
            Dialect::Properties => Severity::Warning,
            Dialect::Toml => Severity::Error,
        }
    }
}

/// The text of a configuration file. A byte order mark is dropped. Properties that are not UTF-8
/// are taken as ISO-8859-1, which is what Java reads.
///
/// # Errors
/// When a TOML file is not UTF-8; the problem names the line.
pub fn decode(dialect: Dialect, file_name: &str, bytes: &[u8]) -> Result<String, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) if dialect == Dialect::Properties => {
            Ok(bytes.iter().copied().map(char::from).collect())
        }
        Err(error) => {
            let good = bytes.iter().take(error.valid_up_to());
            let line = good.filter(|byte| **byte == b'\n').count() + 1;
            let place = Place {
                file: file_name.into(),
                line: u32::try_from(line).unwrap_or(u32::MAX),
            };
            Err(Problem::error(
                &place,
                "",
                "the text is not UTF-8, as TOML has to be",
            ))
        }
    }
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryValue {
    /// A text; numbers and switches are texts, too.
    Text(String),
    /// A list that was written as one (a TOML array). Properties have none: there, words in a
    /// text are a list where the option's row says so.
    List(Vec<String>),
}

impl EntryValue {
    /// The words of a list: those of an array as they are, those of a text by white space.
    pub fn words(&self) -> Vec<String> {
        match self {
            EntryValue::Text(text) => words_of(text).map(str::to_owned).collect(),
            EntryValue::List(words) => words.clone(),
        }
    }

    /// The value as one text, the words of a list with a space between.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            EntryValue::Text(text) => Cow::Borrowed(text),
            EntryValue::List(words) => Cow::Owned(words.join(" ")),
        }
    }

    /// Whether nothing stands there.
    pub fn is_empty(&self) -> bool {
        match self {
            EntryValue::Text(text) => text.is_empty(),
            EntryValue::List(words) => words.is_empty(),
        }
    }
}

/// The words of a text, parted as Java parts them (`\s+`).
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(parts_words).filter(|word| !word.is_empty())
}

/// Whether a letter stands between words and so never in a name that is listed.
pub(crate) fn parts_words(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key, its parts joined by dots.
    pub key: String,
    /// The value as it was written, references unresolved.
    pub written: EntryValue,
    /// The value with its references resolved; equal to `written` before [`Document::resolve`].
    pub value: EntryValue,
    /// Where the key stands.
    pub place: Place,
    /// How its file was written.
    pub dialect: Dialect,
    /// Whether it was not written but follows from tables that are there.
    pub(crate) implied: bool,
}

impl Entry {
    pub(crate) fn new(key: String, value: EntryValue, place: Place, dialect: Dialect) -> Self {
        Self {
            key,
            written: value.clone(),
            value,
            place,
            dialect,
            implied: false,
        }
    }

    /// Adds a name to a list that was not written.
    pub(crate) fn push_name(&mut self, name: &str) {
        for value in [&mut self.written, &mut self.value] {
            if let EntryValue::List(words) = value {
                words.push(substitute::escaped(name));
            }
        }
    }
}

/// Ordered entries, each key once, and what was wrong in getting them.
#[derive(Clone, Debug)]
pub struct Document {
    files: Vec<Arc<str>>,
    entries: Vec<Entry>,
    index: HashMap<String, usize>,
    /// The keys that values refer to, each with a place in `references`, too.
    pub(crate) referenced: BTreeSet<String>,
    /// Which keys the value of a key refers to directly, as far as it took resolving it.
    pub(crate) references: HashMap<String, BTreeSet<String>>,
    pub(crate) problems: Vec<Problem>,
}

impl Document {
    /// Reads one text. Never fails as a whole: what cannot be read is among
    /// [`Document::problems`], and what could be read is there to be checked, so that an operator
    /// sees all problems at once.
    pub fn parse(dialect: Dialect, file_name: &str, text: &str) -> Self {
        let file: Arc<str> = file_name.into();
        let mut document = Self {
            files: vec![file.clone()],
            entries: Vec::new(),
            index: HashMap::new(),
            referenced: BTreeSet::new(),
            references: HashMap::new(),
            problems: Vec::new(),
        };
        match dialect {
            Dialect::Properties => properties::parse(&mut document, &file, text),
            Dialect::Toml => native::parse(&mut document, &file, text),
        }
        document
    }

    /// Adds another document, whose values win where both have a key. The lists that follow from
    /// TOML tables are joined, since a table that is present is active.
    pub fn merge(&mut self, later: Document) {
        self.files.extend(later.files);
        self.problems.extend(later.problems);
        self.referenced.extend(later.referenced);
        self.references.extend(later.references);
        for mut entry in later.entries {
            if entry.implied
                && let Some(own) = self.get(&entry.key)
            {
                let mut words = own.written.words();
                words.extend(entry.written.words());
                let mut seen = BTreeSet::new();
                words.retain(|word| seen.insert(word.clone()));
                entry.written = EntryValue::List(words);
                entry.value = entry.written.clone();
                entry.implied = own.implied;
                entry.place = own.place.clone();
            }
            self.insert(entry);
        }
    }

    /// Resolves the references in all values: `${env:X}`, `${sys:X}`, `${other.key}`,
    /// `${x:-default}` and the placeholders of config filters of type `env`. To be called once,
    /// after the last [`Document::merge`], since a reference may name a key of another file.
    #[must_use]
    pub fn resolve(mut self, lookups: &dyn Lookups) -> Self {
        substitute::resolve(&mut self, lookups);
        self
    }

    /// What was wrong so far, in reading and in resolving. [`crate::check()`] repeats it, so there
    /// is no need to print both.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// All entries in the order of the files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a whole key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.index.get(key).and_then(|at| self.entries.get(*at))
    }

    /// The agents in the order in which they appear: the first parts of keys whose second part is
    /// a group (`sources`, `channels`, `sinks`, `sinkgroups`, `configfilters`).
    pub fn agents(&self) -> Vec<AgentName> {
        let mut seen = BTreeSet::new();
        let mut agents = Vec::new();
        for entry in &self.entries {
            let mut parts = entry.key.splitn(3, '.');
            let (Some(agent), Some(group)) = (parts.next(), parts.next()) else {
                continue;
            };
            if !agent.is_empty() && Group::of_word(group).is_some() && seen.insert(agent) {
                agents.push(AgentName::from(agent));
            }
        }
        agents
    }

    /// The top of the first file, for problems that are about the whole.
    pub(crate) fn top(&self) -> Place {
        Place {
            file: self.files.first().cloned().unwrap_or_else(|| "".into()),
            line: 1,
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.index.get(key).and_then(|at| self.entries.get_mut(*at))
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// Adds or replaces an entry and hands back the one that it replaced, whose position it takes.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        if let Some(own) = self
            .index
            .get(&entry.key)
            .and_then(|at| self.entries.get_mut(*at))
        {
            return Some(std::mem::replace(own, entry));
        }
        self.index.insert(entry.key.clone(), self.entries.len());
        self.entries.push(entry);
        None
    }
}
