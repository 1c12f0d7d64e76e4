//! The keys of one agent, sorted into groups and components.

use flumen_core::Place;
use flumen_core::option::ValueKind;

use super::Checker;
use crate::document::Entry;
use crate::group::{self, Group};
use crate::problem::{Severity, nearest_name, quoted};

/// A key below a component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Property<'d> {
    /// The key relative to the component.
    pub(super) key: &'d str,
    pub(super) entry: &'d Entry,
}

/// Removes the property of exactly this key and hands it out.
pub(super) fn take<'d>(properties: &mut Vec<Property<'d>>, key: &str) -> Option<&'d Entry> {
    let at = properties.iter().position(|property| property.key == key)?;
    Some(properties.remove(at).entry)
}

/// Removes all properties below a prefix and hands them out, the prefix removed.
pub(super) fn take_below<'d>(
    properties: &mut Vec<Property<'d>>,
    prefix: &str,
) -> Vec<Property<'d>> {
    let mut inside = Vec::new();
    properties.retain(|property| match property.key.strip_prefix(prefix) {
        Some(key) => {
            inside.push(Property {
                key,
                entry: property.entry,
            });
            false
        }
        None => true,
    });
    inside
}

/// A component as the file has it.
#[derive(Debug)]
pub(super) struct Named<'d> {
    pub(super) name: String,
    /// The whole key up to its name.
    pub(super) key: String,
    /// Where it is first seen.
    pub(super) place: Place,
    pub(super) properties: Vec<Property<'d>>,
}

/// Puts properties below their names: `i1.type` below `i1`. A key without a property comes back.
pub(super) fn by_name<'d>(
    parent: &str,
    properties: Vec<Property<'d>>,
) -> (Vec<Named<'d>>, Vec<&'d Entry>) {
    let mut named: Vec<Named<'d>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut bare = Vec::new();
    for property in properties {
        let Some((name, key)) = property
            .key
            .split_once('.')
            .filter(|(name, key)| !name.is_empty() && !key.is_empty())
        else {
            bare.push(property.entry);
            continue;
        };
        let inner = Property {
            key,
            entry: property.entry,
        };
        let at = *index.entry(name).or_insert(named.len());
        match named.get_mut(at) {
            Some(own) => own.properties.push(inner),
            None => named.push(Named {
                name: name.to_owned(),
                key: format!("{parent}.{name}"),
                place: property.entry.place.clone(),
                properties: vec![inner],
            }),
        }
    }
    (named, bare)
}

/// The list of a group, and its components that are active.
#[derive(Debug, Default)]
pub(super) struct Members<'d> {
    /// The names that are listed, each once, whether or not they have properties.
    pub(super) listed: Vec<String>,
    pub(super) active: Vec<Named<'d>>,
}

impl Members<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.listed.iter().any(|own| own == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(String::as_str)
    }
}

/// One agent's keys by group.
#[derive(Debug, Default)]
pub(super) struct Outline<'d> {
    pub(super) config_filters: Members<'d>,
    pub(super) channels: Members<'d>,
    pub(super) sources: Members<'d>,
    pub(super) sinks: Members<'d>,
    pub(super) sink_groups: Members<'d>,
}

impl<'d> Checker<'d> {
    /// Sorts the agent's keys, and reports those that have no place in the grammar.
    pub(super) fn outline(&mut self) -> Outline<'d> {
        let mut lists: Vec<(Group, &'d Entry)> = Vec::new();
        let mut below: Vec<(Group, Property<'d>)> = Vec::new();
        let document = self.document;
        for entry in document.entries() {
            let Some(rest) = self.below_agent(entry) else {
                continue;
            };
            let (word, tail) = match rest.split_once('.') {
                Some((word, tail)) => (word, Some(tail)),
                None => (rest, None),
            };
            match (Group::of_word(word), tail) {
                _ if entry.value.is_empty() => {
                    let what = "the value is empty, so the key is ignored";
                    self.ignore_as(Severity::Warning, entry, what, None);
                }
                (Some(group), None) => {
                    self.know(entry, ValueKind::List);
                    lists.push((group, entry));
                }
                (Some(group), Some(key)) => below.push((group, Property { key, entry })),
                (None, _) if document.referenced.contains(&entry.key) => {}
                (None, _) => {
                    let what = match word {
                        "" => "nothing follows the name of the agent".to_owned(),
                        word => format!("unknown group {} of an agent", quoted(word)),
                    };
                    self.ignore(entry, what, nearest_name(word, group::words()));
                }
            }
        }
        let mut members = |group| {
            let list = lists
                .iter()
                .find(|(own, _)| *own == group)
                .map(|(_, entry)| *entry);
            let own = below.iter().filter(|(own, _)| *own == group);
            self.group_members(group, list, own.map(|(_, property)| *property).collect())
        };
        Outline {
            config_filters: members(Group::ConfigFilters),
            channels: members(Group::Channels),
            sources: members(Group::Sources),
            sinks: members(Group::Sinks),
            sink_groups: members(Group::SinkGroups),
        }
    }

    fn below_agent(&self, entry: &'d Entry) -> Option<&'d str> {
        entry
            .key
            .strip_prefix(self.agent.as_str())?
            .strip_prefix('.')
    }

    fn group_members(
        &mut self,
        group: Group,
        list: Option<&'d Entry>,
        properties: Vec<Property<'d>>,
    ) -> Members<'d> {
        let parent = self.key(group.word());
        let (named, bare) = by_name(&parent, properties);
        for entry in bare {
            let what = format!("names no property of a {}", group.member());
            self.ignore(entry, what, None);
        }
        self.members(&parent, group.member(), list, named)
    }

    /// The components that a list makes active, in its order.
    pub(super) fn members(
        &mut self,
        parent: &str,
        member: &str,
        list: Option<&'d Entry>,
        mut named: Vec<Named<'d>>,
    ) -> Members<'d> {
        let mut members = Members {
            listed: list.map(|list| self.names(list)).unwrap_or_default(),
            active: Vec::new(),
        };
        for name in &members.listed {
            match named.iter().position(|own| own.name == *name) {
                Some(at) => members.active.push(named.remove(at)),
                None => {
                    let Some(list) = list else { continue };
                    let what = format!("{member} {} is listed but has no properties", quoted(name));
                    let others = named.iter().map(|own| own.name.as_str());
                    self.error_near(list, what, name, others);
                }
            }
        }
        for inactive in named {
            self.not_listed(parent, member, &inactive, &members.listed);
        }
        members
    }

    fn not_listed(&mut self, parent: &str, member: &str, inactive: &Named<'d>, listed: &[String]) {
        self.ignored.extend(
            inactive
                .properties
                .iter()
                .map(|property| property.entry.key.as_str()),
        );
        let Some(first) = inactive.properties.first() else {
            return;
        };
        let severity = first.entry.dialect.unknown_severity();
        let what = format!("{member} is not listed in {parent}, so it is not active");
        let problem = crate::problem::Problem::new(severity, &inactive.place, &inactive.key, what);
        let nearest = nearest_name(&inactive.name, listed.iter().map(String::as_str));
        self.problems.push(problem.nearest(nearest));
    }
}
