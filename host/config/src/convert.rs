//! The native TOML of a document.
//!
//! Guarantees: several agents and the order of the file are kept, references stay references, and
//! the text read back gives equal plans, with the same [`crate::Lookups`]. What `check` calls
//! without effect (an unknown option, a component that is not listed, an empty value) would be an
//! error in TOML, so it stands in a comment at the end. Comments of the original are not kept.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use flumen_core::option::{Catalogue, ValueKind};

use crate::check::{Checker, stray_keys};
use crate::document::{Document, Entry, EntryValue};
use crate::group::Group;
use crate::substitute::names_in;

/// Writes a resolved document as TOML. The rows of the catalogue tell which values are numbers,
/// switches and lists; what no row knows is written as text. A document with errors is converted
/// as far as it goes, errors included: only [`crate::check()`] tells them.
pub fn to_toml(document: &Document, catalogue: &Catalogue) -> String {
    let agents = document.agents();
    let mut kinds = HashMap::new();
    let mut shortened = HashMap::new();
    let mut left_out = stray_keys(document, &agents).keys;
    for agent in &agents {
        let mut checker = Checker::new(document, catalogue, agent);
        checker.plan();
        kinds.extend(checker.known);
        shortened.extend(checker.shortened);
        left_out.extend(checker.ignored);
    }
    let mut writer = Writer {
        document,
        kinds,
        shortened,
        left_out,
        written: BTreeSet::new(),
        text: String::new(),
    };
    for agent in &agents {
        writer.agent(agent.as_str());
    }
    let tables = std::mem::take(&mut writer.text);
    writer.variables();
    let variables = std::mem::take(&mut writer.text);
    writer.remainder();
    let sections = [variables, tables, writer.text];
    sections
        .iter()
        .filter(|section| !section.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("\n")
}

struct Writer<'d> {
    document: &'d Document,
    kinds: HashMap<&'d str, ValueKind>,
    /// What a list is taken for where that is not its whole value.
    shortened: HashMap<&'d str, Vec<String>>,
    left_out: BTreeSet<&'d str>,
    /// The keys that have found their place.
    written: BTreeSet<&'d str>,
    text: String,
}

impl<'d> Writer<'d> {
    fn agent(&mut self, agent: &str) {
        let mut groups: Vec<Group> = Vec::new();
        for entry in self.document.entries() {
            let mut parts = entry.key.splitn(3, '.');
            if parts.next() == Some(agent)
                && let Some(group) = parts.next().and_then(Group::of_word)
                && !groups.contains(&group)
            {
                groups.push(group);
            }
        }
        for group in groups {
            let key = format!("{agent}.{}", group.word());
            for name in self.take_list(&key) {
                self.component(group, &[agent, group.word(), &name]);
            }
        }
    }

    /// The words of a list whose members are written as tables.
    fn take_list(&mut self, key: &str) -> Vec<String> {
        let Some(entry) = self.document.get(key) else {
            return Vec::new();
        };
        self.written.insert(&entry.key);
        let mut seen = BTreeSet::new();
        let mut words = match self.shortened.get(key) {
            Some(names) => names.clone(),
            None => entry.value.words(),
        };
        words.retain(|word| seen.insert(word.clone()));
        words
    }

    fn component(&mut self, group: Group, path: &[&str]) {
        let key = path.join(".");
        let options = self.take_below(&key);
        let (chained, options) = split_below(options, "interceptors", group == Group::Sources);
        let (selector, options) = split_below(options, "selector", group == Group::Sources);
        let (processor, options) = split_below(options, "processor", group == Group::SinkGroups);
        self.header("[", path, "]");
        self.options(&options);
        if group == Group::Sources {
            for name in self.take_list(&format!("{key}.interceptors")) {
                let mine = format!("{name}.");
                let own: Vec<Keyed<'d>> = chained
                    .iter()
                    .filter_map(|(below, entry)| Some((below.strip_prefix(&mine)?, *entry)))
                    .collect();
                self.header("[[", &[path, &["interceptors"]].concat(), "]]");
                let _ = writeln!(self.text, "name = {}", string(&name));
                self.options(&own);
            }
        }
        for (word, below) in [("selector", selector), ("processor", processor)] {
            if !below.is_empty() {
                self.header("[", &[path, &[word]].concat(), "]");
                self.options(&below);
            }
        }
    }

    /// What stands below a key and has an effect.
    fn take_below(&mut self, key: &str) -> Vec<Keyed<'d>> {
        let document = self.document;
        let mut options = Vec::new();
        for entry in document.entries() {
            let below = entry
                .key
                .strip_prefix(key)
                .and_then(|rest| rest.strip_prefix('.'));
            let Some(below) = below.filter(|_| !self.left_out.contains(entry.key.as_str())) else {
                continue;
            };
            // In TOML these are tables, so that a value of the same name has no place.
            if matches!(below, "interceptors" | "selector" | "processor") {
                continue;
            }
            self.written.insert(&entry.key);
            options.push((below, entry));
        }
        options
    }

    fn header(&mut self, open: &str, path: &[&str], close: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(
            self.text,
            "{open}{}{close}",
            path_text(path.iter().copied())
        );
    }

    fn options(&mut self, options: &[Keyed<'d>]) {
        let (types, others): (Vec<_>, Vec<_>) = options.iter().partition(|(key, _)| *key == "type");
        let names: BTreeSet<&str> = options.iter().map(|(key, _)| *key).collect();
        for (key, entry) in types.into_iter().chain(others) {
            let value = self.value(entry);
            let _ = writeln!(self.text, "{} = {value}", option_key(key, &names));
        }
    }

    /// Keys that belong to no component and that values refer to.
    fn variables(&mut self) {
        let document = self.document;
        let variables: Vec<Keyed<'d>> = document
            .entries()
            .iter()
            .filter(|entry| document.referenced.contains(&entry.key))
            .filter(|entry| !self.written.contains(entry.key.as_str()))
            .filter(|entry| !self.left_out.contains(entry.key.as_str()))
            .map(|entry| (entry.key.as_str(), entry))
            .collect();
        self.written.extend(variables.iter().map(|(key, _)| *key));
        self.options(&variables);
    }

    /// Keys without effect, as comments.
    fn remainder(&mut self) {
        let document = self.document;
        let mut is_first = true;
        for entry in document
            .entries()
            .iter()
            .filter(|entry| !self.written.contains(entry.key.as_str()))
        {
            if std::mem::take(&mut is_first) {
                self.text
                    .push_str("# Left out, because it has no effect (flumen check says why):\n");
            }
            let value = format!("{:?}", entry.written.text());
            let _ = writeln!(self.text, "# {} = {value}", entry.key.escape_debug());
        }
    }

    fn value(&self, entry: &Entry) -> String {
        let kind = self.kinds.get(entry.key.as_str()).copied();
        if let Some(names) = self.shortened.get(entry.key.as_str()) {
            return typed(&names.join(" ").replace("${", "$${"), kind);
        }
        match &entry.written {
            EntryValue::List(words) => list(
                words
                    .iter()
                    .map(|word| self.reference_or_value(word, entry)),
            ),
            EntryValue::Text(text) if text.contains("${") => {
                string(&self.reference_or_value(text, entry))
            }
            EntryValue::Text(text) => typed(text, kind),
        }
    }

    /// The text as it was written, unless it refers to a key that is left out.
    fn reference_or_value(&self, written: &str, entry: &Entry) -> String {
        let loses = |name: &String| self.left_out.contains(name.as_str());
        if names_in(written).iter().any(loses) {
            return entry.value.text().replace("${", "$${");
        }
        written.to_owned()
    }
}

/// A key relative to its table, and its entry.
type Keyed<'d> = (&'d str, &'d Entry);

/// Parts options into those below a word, the word removed, and the others.
fn split_below<'d>(
    options: Vec<Keyed<'d>>,
    word: &str,
    applies: bool,
) -> (Vec<Keyed<'d>>, Vec<Keyed<'d>>) {
    let mut inside = Vec::new();
    let mut outside = Vec::new();
    for (key, entry) in options {
        match key
            .strip_prefix(word)
            .and_then(|rest| rest.strip_prefix('.'))
            .filter(|_| applies)
        {
            Some(below) => inside.push((below, entry)),
            None => outside.push((key, entry)),
        }
    }
    (inside, outside)
}

/// The key of an option: dotted, or in quotes as a whole where a part of it has a value of its own
/// and so cannot be a table.
fn option_key(key: &str, names: &BTreeSet<&str>) -> String {
    let has_value = key
        .match_indices('.')
        .any(|(at, _)| key.get(..at).is_some_and(|part| names.contains(part)));
    if has_value {
        return path_text([key]);
    }
    path_text(key.split('.'))
}

fn path_text<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let parts: Vec<String> = parts
        .into_iter()
        .map(|part| toml_edit::Key::new(part).to_string())
        .collect();
    parts.join(".")
}

fn typed(text: &str, kind: Option<ValueKind>) -> String {
    match kind {
        Some(ValueKind::Boolean) if text.eq_ignore_ascii_case("true") => "true".to_owned(),
        Some(ValueKind::Boolean) if text.eq_ignore_ascii_case("false") => "false".to_owned(),
        Some(ValueKind::Integer { .. }) => text
            .parse::<i64>()
            .map_or_else(|_| string(text), |number| number.to_string()),
        Some(ValueKind::List) => list(text.split_ascii_whitespace().map(str::to_owned)),
        _ => string(text),
    }
}

fn string(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.map(|word| string(&word)).collect();
    format!("[{}]", words.join(", "))
}
