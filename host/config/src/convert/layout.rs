//! Where the keys of the agents stand: the tables of the native text.

use std::collections::{BTreeMap, BTreeSet};

use super::{Facts, Keyed, path_text};
use crate::document::Document;
use crate::group::Group;

/// One table of a component, of one of its interceptors, or of what joins it to others.
pub(super) struct Table<'d> {
    /// The header, brackets included.
    pub(super) header: String,
    /// The name that stands in the table rather than in its header.
    pub(super) name: Option<String>,
    pub(super) options: Vec<Keyed<'d>>,
}

/// The tables of all agents, in the order of the document.
#[derive(Default)]
pub(super) struct Layout<'d> {
    pub(super) tables: Vec<Table<'d>>,
    /// The keys that stand in the tables.
    pub(super) options: BTreeSet<&'d str>,
    /// The lists that are not written because the tables imply them, with their words.
    pub(super) lists: BTreeMap<&'d str, Vec<String>>,
}

impl<'d> Layout<'d> {
    pub(super) fn agent(&mut self, facts: &Facts<'d>, agent: &str) {
        let mut groups: Vec<Group> = Vec::new();
        for entry in facts.document.entries() {
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
            for name in self.take_list(facts, &key) {
                self.component(facts, group, &[agent, group.word(), &name]);
            }
        }
    }

    /// The words of a list whose members are written as tables.
    fn take_list(&mut self, facts: &Facts<'d>, key: &str) -> Vec<String> {
        let Some(entry) = facts.document.get(key) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let mut words = match facts.shortened.get(key) {
            Some(names) => names.clone(),
            None => entry.value.words(),
        };
        words.retain(|word| seen.insert(word.clone()));
        self.lists.insert(&entry.key, words.clone());
        words
    }

    fn component(&mut self, facts: &Facts<'d>, group: Group, path: &[&str]) {
        let key = path.join(".");
        let (is_source, is_sink_group) = (group == Group::Sources, group == Group::SinkGroups);
        let options = below(facts, &key);
        let (chained, options) = split_below(options, "interceptors", is_source);
        let (selector, options) = split_below(options, "selector", is_source);
        let (processor, options) = split_below(options, "processor", is_sink_group);
        self.table(format!("[{}]", path_text(path)), None, options);
        if is_source {
            let header = format!("[[{}]]", path_text(&[path, &["interceptors"]].concat()));
            for name in self.take_list(facts, &format!("{key}.interceptors")) {
                let mine = format!("{name}.");
                let own = chained
                    .iter()
                    .filter_map(|(below, entry)| Some((below.strip_prefix(&mine)?, *entry)))
                    .collect();
                self.table(header.clone(), Some(name), own);
            }
        }
        for (word, below) in [("selector", selector), ("processor", processor)] {
            if !below.is_empty() {
                let header = format!("[{}]", path_text(&[path, &[word]].concat()));
                self.table(header, None, below);
            }
        }
    }

    fn table(&mut self, header: String, name: Option<String>, options: Vec<Keyed<'d>>) {
        let keys = options.iter().map(|(_, entry)| entry.key.as_str());
        self.options.extend(keys);
        self.tables.push(Table {
            header,
            name,
            options,
        });
    }
}

/// What stands below a key and has an effect.
fn below<'d>(facts: &Facts<'d>, key: &str) -> Vec<Keyed<'d>> {
    let document: &'d Document = facts.document;
    document
        .entries()
        .iter()
        .filter(|entry| !facts.left_out.contains(entry.key.as_str()))
        .filter_map(|entry| Some((entry.key.strip_prefix(key)?.strip_prefix('.')?, entry)))
        .collect()
}

/// Parts options into those below a word, the word removed, and the others. A value of the word
/// itself is in neither, as the word is a table.
fn split_below<'d>(
    options: Vec<Keyed<'d>>,
    word: &str,
    applies: bool,
) -> (Vec<Keyed<'d>>, Vec<Keyed<'d>>) {
    let mut inside = Vec::new();
    let mut outside = Vec::new();
    for (key, entry) in options {
        let rest = key.strip_prefix(word).filter(|_| applies);
        match rest.map(|rest| (rest, rest.strip_prefix('.'))) {
            Some(("", _)) => {}
            Some((_, Some(below))) => inside.push((below, entry)),
            Some((_, None)) | None => outside.push((key, entry)),
        }
    }
    (inside, outside)
}
