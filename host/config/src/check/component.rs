//! One component: its type, and its options against the rows of that type.

use std::collections::HashSet;

use flumen_core::Place;
use flumen_core::option::{
    ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, ValueKind,
};
use flumen_core::settings::{Setting, Settings, Value};

use super::Checker;
use super::outline::{Property, take};
use super::value::{BadValue, value_of_default, value_of_entry};
use crate::document::{Dialect, Entry};
use crate::plan::Component;
use crate::problem::{Problem, Severity, nearest_name, quoted};

/// How deep components stand in options of components: a serializer in a sink is one level, and
/// no row of Flume's has two. Rows that name each other end here.
const NESTING_MAX: usize = 4;

/// What is checked: a component's key, the place of problems about what it lacks, and the words
/// that are no options and yet belong below its key.
#[derive(Clone, Copy)]
pub(super) struct Subject<'s> {
    pub(super) kind: ComponentKind,
    pub(super) key: &'s str,
    pub(super) place: &'s Place,
    pub(super) grammar: &'static [&'static str],
    pub(super) depth: usize,
}

/// What the entries of a component left to its defaults.
#[derive(Default)]
struct Filled<'d> {
    settings: Settings,
    seen: HashSet<&'static str>,
    nested: Vec<(&'static OptionRow, Property<'d>)>,
}

impl<'d> Checker<'d> {
    /// A component whose type stands in its properties, or is `default_type` where none does.
    pub(super) fn component(
        &mut self,
        subject: Subject<'_>,
        default_type: Option<&str>,
        mut properties: Vec<Property<'d>>,
    ) -> Option<Component> {
        if let Some(entry) = take(&mut properties, "config") {
            self.know(entry, ValueKind::Text);
            let what =
                "flumen knows its components without a configuration class; the key has no effect";
            self.ignore_as(Severity::Warning, entry, what, None);
        }
        let written = take(&mut properties, "type");
        let place = written.map_or(subject.place, |entry| &entry.place).clone();
        let row = match (written, default_type) {
            (Some(entry), _) => {
                self.know(entry, ValueKind::Text);
                self.row(subject.kind, entry)?
            }
            (None, Some(name)) => self.default_row(subject, name)?,
            (None, None) => {
                let what = format!("the {} has no type", subject.kind.word());
                self.error(&place, format!("{}.type", subject.key), what);
                return None;
            }
        };
        let subject = Subject {
            place: &place,
            ..subject
        };
        let settings = self.settings(subject, row, properties);
        Some(Component {
            row,
            settings,
            content: None,
            place,
        })
    }

    /// The row that a type's name means, when it is built.
    fn row(&mut self, kind: ComponentKind, entry: &'d Entry) -> Option<&'static ComponentRow> {
        let name = entry.value.text();
        let Some(row) = self.catalogue.find(kind, &name) else {
            if self.is_reported(entry) {
                return None;
            }
            let catalogue = self.catalogue;
            let names = catalogue.of_kind(kind).map(|row| row.name);
            let mut what = format!("unknown {} type {}", kind.word(), quoted(&name));
            if name.contains('.') {
                what.push_str("; of Java classes only those that Flume bundles are known");
            }
            self.error_near(entry, what, &name, names);
            return None;
        };
        let what = format!("{} type {}", kind.word(), quoted(row.name));
        match row.support {
            Support::Built => Some(row),
            Support::Cautioned(caution) => {
                self.warn(entry, format!("{what}: {caution}"));
                Some(row)
            }
            Support::NoEffect(why) => {
                self.warn(entry, format!("{what} has no effect: {why}"));
                Some(row)
            }
            Support::NotBuilt => {
                let what = format!("{what} is a Flume type that flumen does not have yet");
                self.error(&entry.place, &entry.key, what);
                None
            }
        }
    }

    fn default_row(&mut self, subject: Subject<'_>, name: &str) -> Option<&'static ComponentRow> {
        let row = self.catalogue.find(subject.kind, name);
        let built = row.filter(|row| row.support != Support::NotBuilt);
        if built.is_none() {
            let word = subject.kind.word();
            let what = format!(
                "the default {word} {} is not in flumen; name another type",
                quoted(name)
            );
            self.error(subject.place, subject.key, what);
        }
        built
    }

    /// The settings of a component of a known type.
    fn settings(
        &mut self,
        subject: Subject<'_>,
        row: &'static ComponentRow,
        properties: Vec<Property<'d>>,
    ) -> Settings {
        let mut filled = Filled::default();
        for property in properties {
            self.option(subject, row, property, &mut filled);
        }
        for option in row.options {
            match option.value {
                ValueKind::Component(kind) => self.nested(subject, option, kind, &mut filled),
                _ => self.default(subject, row, option, &mut filled),
            }
        }
        filled.settings
    }

    fn option(
        &mut self,
        subject: Subject<'_>,
        row: &'static ComponentRow,
        property: Property<'d>,
        filled: &mut Filled<'d>,
    ) {
        let exact = row
            .options
            .iter()
            .find(|option| !option.is_pattern() && option.matches(property.key));
        let nested = || {
            row.options
                .iter()
                .find_map(|option| Some((option, below_option(option, property.key)?)))
        };
        let option = match exact {
            Some(option) => option,
            None => match (nested(), row.option(property.key)) {
                (Some((option, key)), _) => {
                    let entry = property.entry;
                    return filled.nested.push((option, Property { key, entry }));
                }
                (None, Some(option)) => option,
                (None, None) => return self.unknown_option(subject, row, property),
            },
        };
        self.know(property.entry, option.value);
        if let Support::NotBuilt = option.support {
            let what = "an option of Flume that flumen does not have yet";
            return self.error(&property.entry.place, &property.entry.key, what);
        }
        if let Support::NoEffect(why) = option.support {
            return self.warn(property.entry, format!("has no effect: {why}"));
        }
        let name = if option.is_pattern() {
            property.key
        } else {
            option.name
        };
        if filled.settings.has(name) {
            let what =
                format!("option {name} is given twice, in two spellings; the first one holds");
            return self.ignore(property.entry, what, None);
        }
        filled.seen.insert(option.name);
        match value_of_entry(option, property.entry) {
            Ok(value) => {
                if let (ValueKind::Channel, Value::Text(channel)) = (option.value, &value) {
                    let channels = self.channels.clone();
                    self.known_channels(property.entry, std::slice::from_ref(channel), &channels);
                }
                let place = Some(property.entry.place.clone());
                filled.settings.insert(name, Setting { value, place });
            }
            Err(_) if self.is_reported(property.entry) => {}
            Err(BadValue { what, nearest }) => {
                let problem = Problem::error(&property.entry.place, &property.entry.key, what);
                self.problems.push(problem.nearest(nearest));
            }
        }
    }

    fn unknown_option(
        &mut self,
        subject: Subject<'_>,
        row: &'static ComponentRow,
        property: Property<'d>,
    ) {
        let names = row
            .options
            .iter()
            .filter(|option| !option.is_pattern())
            .flat_map(|option| std::iter::once(&option.name).chain(option.aliases))
            .chain(subject.grammar)
            .copied();
        let nearest = nearest_name(property.key, names);
        let what = format!("unknown option of {} {}", subject.kind.word(), row.name);
        self.ignore(property.entry, what, nearest);
    }

    fn default(
        &mut self,
        subject: Subject<'_>,
        row: &'static ComponentRow,
        option: &'static OptionRow,
        filled: &mut Filled<'d>,
    ) {
        if filled.seen.contains(option.name) || option.support == Support::NotBuilt {
            return;
        }
        let key = format!("{}.{}", subject.key, option.name);
        match value_of_default(option) {
            Some(Ok(value)) => {
                filled
                    .settings
                    .insert(option.name, Setting { value, place: None });
            }
            Some(Err(bad)) => {
                let what = format!("the default is a defect of flumen: {}", bad.what);
                self.error(subject.place, key, what);
            }
            None if option.default == DefaultValue::Required
                && option.support == Support::Built =>
            {
                let what = format!("{} {} needs this option", subject.kind.word(), row.name);
                self.error(subject.place, key, what);
            }
            None => {}
        }
    }

    /// An option that names a component, with the options below it.
    fn nested(
        &mut self,
        subject: Subject<'_>,
        option: &'static OptionRow,
        kind: ComponentKind,
        filled: &mut Filled<'d>,
    ) {
        let all = std::mem::take(&mut filled.nested);
        let (own, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(of, _)| std::ptr::eq(*of, option));
        filled.nested = others;
        let mut properties: Vec<Property<'d>> =
            own.into_iter().map(|(_, property)| property).collect();
        if option.support != Support::Built {
            let what = format!("has no effect, as {} has none", option.name);
            return self.ignore_all(&properties, &what);
        }
        let written = self.nested_entry(subject, option, &mut properties, filled);
        let key = format!("{}.{}", subject.key, option.name);
        let inner = Subject {
            kind,
            key: &key,
            place: written.map_or(subject.place, |entry| &entry.place),
            grammar: &[],
            depth: subject.depth + 1,
        };
        if written.is_none() && option.default == DefaultValue::Absent {
            let what = format!("has no effect, as {} is not set", option.name);
            return self.ignore_all(&properties, &what);
        }
        let Some(row) = self.nested_row(inner, option, written) else {
            return;
        };
        let settings = self.settings(inner, row, properties);
        for (name, setting) in settings.iter() {
            filled
                .settings
                .insert(format!("{}.{name}", option.name), setting.clone());
        }
        let place = written.map(|entry| entry.place.clone());
        let value = Value::Text(row.name.to_owned());
        filled
            .settings
            .insert(option.name, Setting { value, place });
    }

    fn ignore_all(&mut self, properties: &[Property<'d>], what: &str) {
        for property in properties {
            self.ignore_as(Severity::Warning, property.entry, what, None);
        }
    }

    fn nested_row(
        &mut self,
        inner: Subject<'_>,
        option: &'static OptionRow,
        written: Option<&'d Entry>,
    ) -> Option<&'static ComponentRow> {
        match (written, option.default) {
            _ if inner.depth > NESTING_MAX => {
                let what = "a defect of flumen: the rows nest without end";
                self.error(inner.place, inner.key, what);
                None
            }
            (Some(entry), _) => {
                self.know(entry, ValueKind::Text);
                self.row(inner.kind, entry)
            }
            (None, DefaultValue::Is(name)) => self.default_row(inner, name),
            (None, DefaultValue::Required | DefaultValue::Absent) => {
                let what = format!("the {} has no type", inner.kind.word());
                self.error(inner.place, inner.key, what);
                None
            }
        }
    }

    /// The entry that names a nested component: the option in any spelling, or in TOML the type
    /// of a table, which is the natural form there (`[a1.sinks.k1.sink.serializer]`).
    fn nested_entry(
        &mut self,
        subject: Subject<'_>,
        option: &'static OptionRow,
        properties: &mut Vec<Property<'d>>,
        filled: &Filled<'d>,
    ) -> Option<&'d Entry> {
        let document = self.document;
        let own = std::iter::once(&option.name)
            .chain(option.aliases)
            .filter(|_| filled.seen.contains(option.name))
            .find_map(|name| document.get(&format!("{}.{name}", subject.key)));
        let is_native = properties
            .iter()
            .any(|property| property.key == "type" && property.entry.dialect == Dialect::Toml);
        if own.is_none() && is_native {
            take(properties, "type")
        } else {
            own
        }
    }
}

/// What stands below the name of an option that names a component.
fn below_option<'k>(option: &OptionRow, key: &'k str) -> Option<&'k str> {
    if !matches!(option.value, ValueKind::Component(_)) {
        return None;
    }
    std::iter::once(&option.name)
        .chain(option.aliases)
        .find_map(|name| key.strip_prefix(name)?.strip_prefix('.'))
}
