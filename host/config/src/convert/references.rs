//! Which references the native text can keep.
//!
//! A reference is kept where the key that it names stands in the native text, too, and gives the
//! same text there. Otherwise the whole value that holds it is written as it was resolved.

use std::collections::BTreeSet;

use flumen_core::AgentName;

use super::Facts;
use super::layout::Layout;
use crate::document::Entry;
use crate::group::Group;
use crate::native::is_name;

/// What references mean for the native text.
pub(super) struct References<'d> {
    /// The keys that are referred to and that no reference of the native text may name.
    lost: BTreeSet<&'d str>,
    /// The keys that belong to no component and that a kept reference names.
    pub(super) variables: BTreeSet<&'d str>,
}

impl<'d> References<'d> {
    pub(super) fn new(facts: &Facts<'d>, agents: &[AgentName], layout: &Layout<'d>) -> Self {
        let document = facts.document;
        let lost = document
            .entries()
            .iter()
            .filter(|entry| document.referenced.contains(&entry.key))
            .filter(|entry| {
                !is_same_text(facts, layout, entry) && !is_variable(facts, agents, entry)
            })
            .map(|entry| entry.key.as_str())
            .collect();
        let mut references = Self {
            lost,
            variables: BTreeSet::new(),
        };
        let mut open: Vec<&'d Entry> = layout
            .options
            .iter()
            .filter_map(|key| document.get(key))
            .collect();
        while let Some(entry) = open.pop() {
            if !references.are_kept(facts, entry) {
                continue;
            }
            let named = document.references.get(&entry.key).into_iter().flatten();
            for entry in named.filter_map(|key| document.get(key)) {
                if is_variable(facts, agents, entry) && references.variables.insert(&entry.key) {
                    open.push(entry);
                }
            }
        }
        references
    }

    /// Whether the value of an option or a variable is written with its references.
    pub(super) fn are_kept(&self, facts: &Facts<'_>, entry: &Entry) -> bool {
        let named = facts.document.references.get(&entry.key);
        let mut named = named.into_iter().flatten();
        !facts.shortened.contains_key(entry.key.as_str())
            && !named.any(|key| self.lost.contains(key.as_str()))
    }
}

/// Whether a key stands in the tables, with a value that is the same text.
fn is_same_text(facts: &Facts<'_>, layout: &Layout<'_>, entry: &Entry) -> bool {
    let key = entry.key.as_str();
    match layout.lists.get(key) {
        Some(words) => {
            let are_names = words.iter().all(|word| is_name(word));
            are_names && !words.is_empty() && words.join(" ") == entry.value.text()
        }
        None => layout.options.contains(key) && !facts.shortened.contains_key(key),
    }
}

/// Whether a key can stand before the tables: outside of the groups of agents, and not as the
/// value of what is the table of an agent.
fn is_variable(facts: &Facts<'_>, agents: &[AgentName], entry: &Entry) -> bool {
    let mut parts = entry.key.splitn(3, '.');
    let is_agent = parts
        .next()
        .is_some_and(|owner| agents.iter().any(|agent| agent.as_str() == owner));
    let group = parts.next();
    let has_place = !is_agent || group.is_some_and(|word| Group::of_word(word).is_none());
    has_place && !facts.left_out.contains(entry.key.as_str())
}
