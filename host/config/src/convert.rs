//! The native TOML of a document.
//!
//! Guarantees: several agents and the order of the file are kept, and each agent that has a plan
//! has an equal one when the text is read back with the same [`crate::Lookups`]. What `check` calls
//! without effect (an unknown option, a component that is not listed, an empty value) would be an
//! error in TOML, so it stands in a comment at the end. References stay references; only a value
//! that refers to a key that is left out, or whose text TOML says differently, is written as it was
//! resolved. Comments of the original are not kept.

mod layout;
mod references;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use flumen_core::AgentName;
use flumen_core::option::{Catalogue, ValueKind};

use crate::check::{Checker, stray_keys};
use crate::document::{Document, Entry, EntryValue, words_of};
use crate::substitute::escaped;
use layout::Layout;
use references::References;

/// The most parts of a key that are tables within each other; a longer key is one name in quotes,
/// since TOML readers bound how deep tables nest (80 levels here).
const KEY_TABLES_MAX: usize = 16;

/// Writes a resolved document as TOML. The rows of the catalogue tell which values are numbers,
/// switches and lists; what no row knows is written as text. A document with errors is converted
/// as far as it goes, errors included: only [`crate::check()`] tells them.
pub fn to_toml(document: &Document, catalogue: &Catalogue) -> String {
    let agents = document.agents();
    let facts = Facts::new(document, &agents, catalogue);
    let mut layout = Layout::default();
    for agent in &agents {
        layout.agent(&facts, agent.as_str());
    }
    let references = References::new(&facts, &agents, &layout);
    let writer = Writer {
        facts: &facts,
        layout: &layout,
        references: &references,
        agents: &agents,
    };
    let mut sections = vec![writer.variables()];
    sections.extend(layout.tables.iter().map(|table| writer.table(table)));
    sections.push(writer.remainder());
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

/// A key relative to its table, and its entry.
type Keyed<'d> = (&'d str, &'d Entry);

/// What the check knows of the keys.
struct Facts<'d> {
    document: &'d Document,
    kinds: HashMap<&'d str, ValueKind>,
    /// What a list is taken for where that is not its whole value.
    shortened: HashMap<&'d str, Vec<String>>,
    /// The keys without effect.
    left_out: BTreeSet<&'d str>,
}

impl<'d> Facts<'d> {
    fn new(document: &'d Document, agents: &'d [AgentName], catalogue: &'d Catalogue) -> Self {
        let mut facts = Self {
            document,
            kinds: HashMap::new(),
            shortened: HashMap::new(),
            left_out: stray_keys(document, agents).keys,
        };
        for agent in agents {
            let mut checker = Checker::new(document, catalogue, agent);
            checker.plan();
            facts.kinds.extend(checker.known);
            facts.shortened.extend(checker.shortened);
            facts.left_out.extend(checker.ignored);
        }
        facts
    }
}

struct Writer<'w, 'd> {
    facts: &'w Facts<'d>,
    layout: &'w Layout<'d>,
    references: &'w References<'d>,
    agents: &'w [AgentName],
}

impl<'d> Writer<'_, 'd> {
    fn table(&self, table: &layout::Table<'d>) -> String {
        let mut text = format!("{}\n", table.header);
        if let Some(name) = &table.name {
            let _ = writeln!(text, "name = {}", string(name));
        }
        let (types, others): (Vec<_>, Vec<_>) =
            table.options.iter().partition(|(key, _)| *key == "type");
        let names: BTreeSet<&str> = table.options.iter().map(|(key, _)| *key).collect();
        for (key, entry) in types.into_iter().chain(others) {
            let _ = writeln!(text, "{} = {}", option_key(key, &names), self.value(entry));
        }
        text
    }

    /// Keys that belong to no component and that values refer to.
    fn variables(&self) -> String {
        let names = &self.references.variables;
        let mut text = String::new();
        for entry in self.facts.document.entries() {
            let key = entry.key.as_str();
            if !names.contains(key) {
                continue;
            }
            let owner = key.split('.').next().unwrap_or(key);
            let is_of_agent = self.agents.iter().any(|agent| agent.as_str() == owner);
            let has_names = key.split('.').all(|part| {
                !part.is_empty() && !part.contains(|letter: char| letter.is_whitespace())
            });
            let key = if is_of_agent || !has_names {
                path_text(&[key])
            } else {
                option_key(key, names)
            };
            let _ = writeln!(text, "{key} = {}", self.value(entry));
        }
        text
    }

    /// Keys that stand nowhere else, as comments.
    fn remainder(&self) -> String {
        let mut text = String::new();
        for entry in self.facts.document.entries() {
            let key = entry.key.as_str();
            if self.layout.options.contains(key)
                || self.layout.lists.contains_key(key)
                || self.references.variables.contains(key)
            {
                continue;
            }
            if text.is_empty() {
                text.push_str("# Left out, because it has no effect (flumen check says why):\n");
            }
            let value = format!("{:?}", entry.written.text());
            let _ = writeln!(text, "# {} = {value}", key.escape_debug());
        }
        text
    }

    fn value(&self, entry: &Entry) -> String {
        let key = entry.key.as_str();
        let kind = self.facts.kinds.get(key).copied();
        if let Some(names) = self.facts.shortened.get(key) {
            return typed(&escaped(&names.join(" ")), kind);
        }
        let (value, is_kept) = match self.references.are_kept(self.facts, entry) {
            true => (&entry.written, true),
            false => (&entry.value, false),
        };
        let written = |text: &String| match is_kept {
            true => text.clone(),
            false => escaped(text),
        };
        match value {
            EntryValue::List(words) => list(words.iter().map(written)),
            EntryValue::Text(text) => {
                let is_referenced = self.facts.document.referenced.contains(key);
                let is_plain = is_referenced && !is_canonical(text, kind);
                typed(&written(text), kind.filter(|_| !is_plain))
            }
        }
    }
}

/// The key of an option: dotted, or in quotes as a whole where a part of it has a value of its own
/// and so cannot be a table.
fn option_key(key: &str, names: &BTreeSet<&str>) -> String {
    let has_value = key
        .match_indices('.')
        .any(|(at, _)| key.get(..at).is_some_and(|part| names.contains(part)));
    let parts: Vec<&str> = key.split('.').collect();
    if has_value || parts.len() > KEY_TABLES_MAX {
        return path_text(&[key]);
    }
    path_text(&parts)
}

fn path_text(parts: &[&str]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| toml_edit::Key::new(*part).to_string())
        .collect();
    parts.join(".")
}

/// The value of a text of this kind. What holds a reference, or is not as its kind has it, stays
/// text.
fn typed(text: &str, kind: Option<ValueKind>) -> String {
    if text.contains("${") {
        return string(text);
    }
    match kind {
        Some(ValueKind::Boolean) => {
            switch(text).map_or_else(|| string(text), |switch| switch.to_string())
        }
        Some(ValueKind::Integer { .. }) => text
            .parse::<i64>()
            .map_or_else(|_| string(text), |number| number.to_string()),
        // An empty list would be a key without effect.
        Some(ValueKind::List) if words_of(text).next().is_some() => {
            list(words_of(text).map(str::to_owned))
        }
        _ => string(text),
    }
}

/// Whether the typed value of a text is the same text again, for those who refer to it.
fn is_canonical(text: &str, kind: Option<ValueKind>) -> bool {
    match kind {
        Some(ValueKind::Boolean) => switch(text).is_none_or(|switch| switch.to_string() == text),
        Some(ValueKind::Integer { .. }) => text
            .parse::<i64>()
            .map_or(true, |number| number.to_string() == text),
        Some(ValueKind::List) => words_of(text).collect::<Vec<_>>().join(" ") == text,
        _ => true,
    }
}

fn switch(text: &str) -> Option<bool> {
    [true, false]
        .into_iter()
        .find(|switch| text.eq_ignore_ascii_case(&switch.to_string()))
}

fn string(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.map(|word| string(&word)).collect();
    format!("[{}]", words.join(", "))
}
