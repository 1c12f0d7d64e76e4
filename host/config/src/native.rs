//! Native TOML, flattened to the keys of the document.
//!
//! Limits: nesting is bounded by the TOML reader (80 levels). Of a text that is not TOML only the
//! first error is reported, since nothing after it can be trusted.

use std::sync::Arc;

use flumen_core::Place;
use toml_edit::{Item, Key, TableLike, Value};

use crate::document::{Dialect, Document, Entry, EntryValue, parts_words};
use crate::group::Group;
use crate::problem::{Problem, quoted};
use crate::substitute::escaped;

/// Reads all entries of a text into the document.
pub(crate) fn parse(document: &mut Document, file: &Arc<str>, text: &str) {
    let mut reader = Reader {
        document,
        file,
        line_starts: line_starts(text),
    };
    match toml_edit::Document::parse(text) {
        Ok(parsed) => reader.table(&mut Vec::new(), parsed.as_table()),
        Err(error) => {
            let place = reader.place(error.span().map(|span| span.start));
            let what = format!("not TOML: {}", error.message().replace('\n', ", "));
            reader
                .document
                .problems
                .push(Problem::error(&place, "", what));
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after_newlines).collect()
}

struct Reader<'a> {
    document: &'a mut Document,
    file: &'a Arc<str>,
    line_starts: Vec<usize>,
}

impl Reader<'_> {
    fn place(&self, offset: Option<usize>) -> Place {
        let offset = offset.unwrap_or(0);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        Place {
            file: self.file.clone(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }

    fn place_of(&self, key: &Key) -> Place {
        self.place(key.span().map(|span| span.start))
    }

    fn error(&mut self, place: &Place, key: String, what: impl Into<String>) {
        self.document
            .problems
            .push(Problem::error(place, key, what));
    }

    fn table(&mut self, path: &mut Vec<String>, table: &dyn TableLike) {
        for (name, _) in table.iter() {
            let Some((key, item)) = table.get_key_value(name) else {
                continue;
            };
            path.push(name.to_owned());
            let place = self.place_of(key);
            if path.len() <= NAMED_DEPTH
                && item.as_value().is_none_or(Value::is_inline_table)
                && !(is_name(name) || path.len() == 1 && is_agent_name(name))
            {
                let what = "not a name: agents, groups and components have no dots in theirs, and the latter no white space";
                self.error(&place, path.join("."), what);
            } else {
                self.item(path, &place, item);
            }
            path.pop();
        }
    }

    fn item(&mut self, path: &mut Vec<String>, place: &Place, item: &Item) {
        if let Some(table) = item.as_table_like() {
            self.imply_member(path, place);
            self.table(path, table);
        } else if let Some(tables) = tables(item) {
            self.chain(path, place, &tables);
        } else if let Some(value) = item.as_value() {
            match entry_value(value) {
                Some(value) => self.insert(path.join("."), value, place.clone()),
                None => self.error(
                    place,
                    path.join("."),
                    "a list holds texts, numbers and switches only",
                ),
            }
        }
    }

    fn insert(&mut self, key: String, value: EntryValue, place: Place) {
        let entry = Entry::new(key.clone(), value, place.clone(), Dialect::Toml);
        if let Some(earlier) = self.document.insert(entry) {
            let what = format!("given twice, at line {} and here", earlier.place.line);
            self.error(&place, key, what);
        }
    }

    /// A table of a component makes it a member of its group.
    fn imply_member(&mut self, path: &[String], place: &Place) {
        let [agent, group, name] = path else {
            return;
        };
        if Group::of_word(group).is_none() {
            return;
        }
        let key = format!("{agent}.{group}");
        match self.document.get_mut(&key) {
            Some(list) if list.implied => list.push_name(name),
            // A list that was written has to agree; the check tells who is missing.
            Some(_) => {}
            None => {
                let members = EntryValue::List(vec![escaped(name)]);
                let mut list = Entry::new(key, members, place.clone(), Dialect::Toml);
                list.implied = true;
                self.document.insert(list);
            }
        }
    }

    /// An array of tables: a list of names in order, and what stands below each name.
    fn chain(&mut self, path: &mut Vec<String>, place: &Place, tables: &[&dyn TableLike]) {
        let is_interceptors = path
            .get(1)
            .is_some_and(|group| group == Group::Sources.word())
            && path.get(3).is_some_and(|word| word == "interceptors")
            && path.len() == 4;
        if !is_interceptors {
            let what =
                "an array of tables: only the interceptors of a source are written like this";
            return self.error(place, path.join("."), what);
        }
        let mut names = Vec::new();
        for table in tables {
            let Some((key, item)) = table.get_key_value("name") else {
                let first = table.iter().next().and_then(|(first, _)| table.key(first));
                let place = first.map_or_else(|| place.clone(), |key| self.place_of(key));
                self.error(&place, path.join("."), "an interceptor needs a name");
                continue;
            };
            let place = self.place_of(key);
            match item.as_str() {
                Some(name) if names.contains(&escaped(name)) => {
                    let what = format!("two interceptors are called {}", quoted(name));
                    self.error(&place, path.join("."), what);
                }
                Some(name) if is_name(name) => {
                    names.push(escaped(name));
                    path.push(name.to_owned());
                    self.members(path, *table);
                    path.pop();
                }
                _ => self.error(
                    &place,
                    path.join("."),
                    "the name of an interceptor is a text without dots and white space",
                ),
            }
        }
        self.insert(path.join("."), EntryValue::List(names), place.clone());
    }

    fn members(&mut self, path: &mut Vec<String>, table: &dyn TableLike) {
        for (name, _) in table.iter().filter(|(name, _)| *name != "name") {
            let Some((key, item)) = table.get_key_value(name) else {
                continue;
            };
            let place = self.place_of(key);
            path.push(name.to_owned());
            self.item(path, &place, item);
            path.pop();
        }
    }
}

/// Agent, group and component: the parts of a path that are names.
const NAMED_DEPTH: usize = 3;

/// Whether keys and lists can hold the name.
pub(crate) fn is_name(name: &str) -> bool {
    is_agent_name(name) && !name.contains(parts_words)
}

/// Whether keys can hold the name; agents are in no list.
fn is_agent_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('.')
}

/// The tables of `[[x]]` and of `x = [{…}]`.
fn tables(item: &Item) -> Option<Vec<&dyn TableLike>> {
    if let Some(tables) = item.as_array_of_tables() {
        return Some(tables.iter().map(|table| table as &dyn TableLike).collect());
    }
    let array = item.as_array().filter(|array| !array.is_empty())?;
    array
        .iter()
        .map(|value| value.as_inline_table().map(|table| table as &dyn TableLike))
        .collect()
}

fn entry_value(value: &Value) -> Option<EntryValue> {
    match value {
        Value::Array(array) => array
            .iter()
            .map(scalar)
            .collect::<Option<_>>()
            .map(EntryValue::List),
        value => scalar(value).map(EntryValue::Text),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(number) => Some(number.value().to_string()),
        Value::Boolean(switch) => Some(switch.value().to_string()),
        Value::Datetime(moment) => Some(moment.value().to_string()),
        Value::Array(_) | Value::InlineTable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let document = Document::parse(Dialect::Toml, "t.toml", text);
        let entries = document
            .entries()
            .iter()
            .map(|entry| format!("{} {} = {:?}", entry.place.line, entry.key, entry.written))
            .collect();
        (
            entries,
            document
                .problems()
                .iter()
                .map(ToString::to_string)
                .collect(),
        )
    }

    #[test]
    fn tables_become_keys_and_lists() {
        let (entries, problems) = read(
            "top = 1\n[a1.sources.r1]\nport = 4\nmapping.x = [\"c1\"]\n\"mapping.y.z\" = true\n\
             [[a1.sources.r1.interceptors]]\nname = \"i1\"\ntype = \"host\"\n[a1.channels]\nc1.type = \"memory\"\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            entries,
            [
                r#"1 top = Text("1")"#,
                r#"2 a1.sources = List(["r1"])"#,
                r#"3 a1.sources.r1.port = Text("4")"#,
                r#"4 a1.sources.r1.mapping.x = List(["c1"])"#,
                r#"5 a1.sources.r1.mapping.y.z = Text("true")"#,
                r#"8 a1.sources.r1.interceptors.i1.type = Text("host")"#,
                r#"6 a1.sources.r1.interceptors = List(["i1"])"#,
                r#"10 a1.channels = List(["c1"])"#,
                r#"10 a1.channels.c1.type = Text("memory")"#,
            ]
        );
    }

    #[test]
    fn what_has_no_meaning_is_an_error_with_its_line() {
        for (text, message) in [
            ("[a1\n", "t.toml:1: error: not TOML: "),
            (
                "x = 1\n[\"a.b\".sources.r]",
                "t.toml:2: error: a.b: not a name",
            ),
            (
                "[[a1.sources]]\nx = 1",
                "t.toml:1: error: a1.sources: an array of tables",
            ),
            (
                "[[a.sources.r.interceptors]]\ntype = 1",
                "t.toml:2: error: a.sources.r.interceptors: an interceptor needs",
            ),
            ("x = [[1]]", "t.toml:1: error: x: a list holds"),
            (
                "[a.sinks.k]\n\"s.x\" = 1\ns.x = 2",
                "t.toml:3: error: a.sinks.k.s.x: given twice, at line 2",
            ),
        ] {
            let (_, problems) = read(text);
            assert!(
                problems.iter().any(|problem| problem.starts_with(message)),
                "{text}: {problems:?}"
            );
        }
    }
}
