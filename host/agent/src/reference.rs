//! Pages that are made from option rows: the compatibility table, the reference of options, and
//! the help on one component.
//!
//! Each is a pure function of the rows, so that the page cannot say anything that the parser does
//! not do. The two Markdown pages are kept beside the code and compared with what is made here;
//! they begin with the command that makes them. The order is that of the kinds in
//! [`ComponentKind`], then that of the catalogue.

use flumen_core::option::{
    Catalogue, ComponentKind, ComponentRow, DefaultValue, OptionRow, Support, ValueKind,
};

#[cfg(test)]
mod tests;

/// The widest line of [`component_help`], so that it fits the smallest usual terminal. Only a
/// single word that is longer stands out.
const HELP_COLUMNS_MAX: usize = 80;

/// The page that lists every component and option of the catalogue as built, accepted without
/// effect, or not built; `sections` (title and Markdown) follow it as they are.
pub fn compatibility_table(catalogue: &Catalogue, sections: &[(&str, &str)]) -> String {
    let mut blocks = vec![
        made_by("compatibility"),
        "# Compatibility with Apache Flume".to_owned(),
        "What becomes of each component and option of Apache Flume 1.11 (and of 1.9 where 1.11 \
         dropped it) in a file that flumen runs:"
            .to_owned(),
        "* **built**: obeyed.\n\
         * **accepted without effect**: read and checked, then left alone, for the reason given.\n\
         * **not built**: an error that says so."
            .to_owned(),
        summary(catalogue),
    ];
    for kind in kinds(catalogue) {
        blocks.push(format!("## {}", heading(kind)));
        blocks.push(components_of_kind(catalogue, kind));
        for row in catalogue
            .of_kind(kind)
            .filter(|row| !row.options.is_empty())
        {
            blocks.push(format!("### Options of {} `{}`", kind.word(), row.name));
            blocks.push(option_states(row));
        }
    }
    for (title, markdown) in sections {
        blocks.push(format!("## {title}"));
        blocks.push((*markdown).trim_end_matches('\n').to_owned());
    }
    page(&blocks)
}

/// The page that explains every option of every built component.
pub fn option_reference(catalogue: &Catalogue) -> String {
    let mut blocks = vec![
        made_by("reference"),
        "# Components and their options".to_owned(),
        "All components that are built. Names of types match in any case; names of options do \
         not. A part in angle brackets stands for any text."
            .to_owned(),
    ];
    for kind in kinds(catalogue) {
        let mut rows = catalogue
            .of_kind(kind)
            .filter(|row| is_accepted(row))
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        blocks.push(format!("## {}", heading(kind)));
        blocks.push(match key_before_options(kind) {
            Some(key) => format!("Options stand below `{key}`."),
            None => format!(
                "Options stand below the option that names the {}.",
                kind.word()
            ),
        });
        for row in rows {
            blocks.extend(explained_component(row));
        }
    }
    page(&blocks)
}

/// The text of `flumen help <component>`: plain, at most 80 columns wide.
pub fn component_help(row: &ComponentRow) -> String {
    let mut lines = vec![format!("{} {}", row.kind.word(), row.name)];
    if !row.aliases.is_empty() {
        lines.extend(wrapped(
            &format!("also called {}", row.aliases.join(", ")),
            2,
        ));
    }
    lines.push(String::new());
    lines.extend(wrapped(row.doc, 0));
    if let Some(remark) = remark(row.support) {
        lines.extend(wrapped(&remark, 0));
    }
    lines.push(String::new());
    if row.options.is_empty() {
        lines.push("It has no options.".to_owned());
    } else {
        lines.extend(wrapped(
            &match key_before_options(row.kind) {
                Some(key) => format!("Options (their keys begin with {key})"),
                None => format!(
                    "Options (below the option that names the {})",
                    row.kind.word()
                ),
            },
            0,
        ));
    }
    for option in row.options {
        lines.push(String::new());
        lines.extend(option_help(option));
    }
    page_of_lines(&lines)
}

fn option_help(option: &OptionRow) -> Vec<String> {
    let mut lines = vec![format!("  {}", option.name)];
    lines.extend(wrapped(
        &format!("{}; {}", value_words(option), default_words(option.default)),
        6,
    ));
    lines.extend(wrapped(option.doc, 6));
    if let Some(remark) = remark(option.support) {
        lines.extend(wrapped(&remark, 6));
    }
    if !option.aliases.is_empty() {
        lines.extend(wrapped(
            &format!("also spelled {}", option.aliases.join(", ")),
            6,
        ));
    }
    lines
}

/// How many components of each kind there are and how many of them are built.
fn summary(catalogue: &Catalogue) -> String {
    let mut lines = vec![
        "| Kind | Components | Built |".to_owned(),
        "|---|---:|---:|".to_owned(),
    ];
    for kind in kinds(catalogue) {
        let all = catalogue.of_kind(kind).count();
        let built = catalogue
            .of_kind(kind)
            .filter(|row| matches!(row.support, Support::Built | Support::Cautioned(_)))
            .count();
        lines.push(table_row([
            heading(kind),
            all.to_string(),
            built.to_string(),
        ]));
    }
    lines.join("\n")
}

fn components_of_kind(catalogue: &Catalogue, kind: ComponentKind) -> String {
    let mut lines = vec![
        "| Name | Flume class | State |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for row in catalogue.of_kind(kind) {
        // Only class names hold a dot; other aliases are short names like the first.
        let (classes, names): (Vec<&str>, Vec<&str>) =
            row.aliases.iter().partition(|alias| alias.contains('.'));
        lines.push(table_row([
            codes(std::iter::once(row.name).chain(names)),
            codes(classes),
            escaped(&state_words(row.support)),
        ]));
    }
    lines.join("\n")
}

/// The options of a component with their states. A component that is not simply built decides for
/// all of them, so its options are a list only.
fn option_states(row: &ComponentRow) -> String {
    let list = || codes(row.options.iter().flat_map(spellings));
    match row.support {
        Support::Built | Support::Cautioned(_) => {}
        Support::NoEffect(_) => return format!("Accepted without effect: {}.", list()),
        Support::NotBuilt => return format!("Not built: {}.", list()),
    }
    let mut lines = vec!["| Option | State |".to_owned(), "|---|---|".to_owned()];
    for option in row.options {
        lines.push(table_row([
            codes(spellings(option)),
            escaped(&state_words(option.support)),
        ]));
    }
    lines.join("\n")
}

fn explained_component(row: &ComponentRow) -> Vec<String> {
    let mut blocks = vec![format!("### `{}`", row.name), escaped(row.doc)];
    if let Some(remark) = remark(row.support) {
        blocks.push(escaped(&remark));
    }
    if !row.aliases.is_empty() {
        blocks.push(format!(
            "Also called {}.",
            codes(row.aliases.iter().copied())
        ));
    }
    if row.options.is_empty() {
        blocks.push("It has no options.".to_owned());
        return blocks;
    }
    let mut lines = vec![
        "| Option | Value | Default | Meaning |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(row.options.iter().map(explained_option));
    blocks.push(lines.join("\n"));
    blocks
}

fn explained_option(option: &OptionRow) -> String {
    let mut meaning = escaped(option.doc);
    if let Some(remark) = remark(option.support) {
        meaning.push(' ');
        meaning.push_str(&escaped(&remark));
    }
    if !option.aliases.is_empty() {
        let aliases = codes(option.aliases.iter().copied());
        meaning.push_str(&format!(" Also spelled {aliases}."));
    }
    let default = match option.default {
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Absent => "not set".to_owned(),
        DefaultValue::Is("") => "empty".to_owned(),
        DefaultValue::Is(text) => code(&visible(text)),
    };
    table_row([
        code(option.name),
        escaped(&value_words(option)),
        default,
        meaning,
    ])
}

fn spellings(option: &OptionRow) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(option.name).chain(option.aliases.iter().copied())
}

/// The kinds that the catalogue has rows of, in the order of the pages.
fn kinds(catalogue: &Catalogue) -> Vec<ComponentKind> {
    let mut kinds: Vec<_> = catalogue.rows().iter().map(|row| row.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn is_accepted(row: &ComponentRow) -> bool {
    row.support != Support::NotBuilt
}

/// The kind as the heading of a section. All the words form their plural with an s.
fn heading(kind: ComponentKind) -> String {
    let mut letters = kind.word().chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['s']).collect()
}

/// What stands before the options of a component in a properties file; `None` for components that
/// are named by an option of another.
fn key_before_options(kind: ComponentKind) -> Option<&'static str> {
    match kind {
        ComponentKind::Source => Some("<agent>.sources.<source>."),
        ComponentKind::Channel => Some("<agent>.channels.<channel>."),
        ComponentKind::Sink => Some("<agent>.sinks.<sink>."),
        ComponentKind::Interceptor => Some("<agent>.sources.<source>.interceptors.<interceptor>."),
        ComponentKind::ChannelSelector => Some("<agent>.sources.<source>.selector."),
        ComponentKind::SinkProcessor => Some("<agent>.sinkgroups.<group>.processor."),
        ComponentKind::ConfigFilter => Some("<agent>.configfilters.<filter>."),
        ComponentKind::EventSerializer
        | ComponentKind::Deserializer
        | ComponentKind::PathManager
        | ComponentKind::HttpHandler => None,
    }
}

fn state_words(support: Support) -> String {
    match support {
        Support::Built => "built".to_owned(),
        Support::Cautioned(caution) => format!("built; {caution}"),
        Support::NoEffect(why) => format!("accepted without effect: {why}"),
        Support::NotBuilt => "not built".to_owned(),
    }
}

/// A sentence about a row that is not simply obeyed.
fn remark(support: Support) -> Option<String> {
    match support {
        Support::Built => None,
        // Its doc says it as well, at more length.
        Support::Cautioned(_) => None,
        Support::NoEffect(why) => Some(format!(
            "Accepted without effect: {}.",
            why.trim_end_matches('.')
        )),
        Support::NotBuilt => Some("Not built yet: to name it is an error.".to_owned()),
    }
}

fn value_words(option: &OptionRow) -> String {
    let mut words = match option.value {
        ValueKind::Boolean => "true or false".to_owned(),
        ValueKind::Integer { .. } => "whole number".to_owned(),
        ValueKind::Text => "text".to_owned(),
        ValueKind::Secret => "secret text".to_owned(),
        ValueKind::Choice(choices) => format!("one of {}", choices.join(", ")),
        ValueKind::List => "list of words".to_owned(),
        ValueKind::Component(kind) => format!("{} type", kind.word()),
        ValueKind::Channel => "channel".to_owned(),
    };
    if let Some(unit) = option.unit {
        words.push_str(&format!(" ({})", unit.word()));
    }
    if let ValueKind::Integer { min, max } = option.value {
        match (min > i64::MIN, max < i64::MAX) {
            (true, true) => words.push_str(&format!(", {min} to {max}")),
            (true, false) => words.push_str(&format!(", at least {min}")),
            (false, true) => words.push_str(&format!(", at most {max}")),
            (false, false) => {}
        }
    }
    words
}

fn default_words(default: DefaultValue) -> String {
    match default {
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Absent => "optional".to_owned(),
        DefaultValue::Is("") => "default empty".to_owned(),
        DefaultValue::Is(text) => format!("default {}", visible(text)),
    }
}

/// The text with control characters written as both dialects escape them.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => visible.push_str("\\n"),
            '\r' => visible.push_str("\\r"),
            '\t' => visible.push_str("\\t"),
            control if control.is_control() => {
                visible.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => visible.push(other),
        }
    }
    visible
}

/// Cells, in which a bar would otherwise begin the next one, code span or not.
fn table_row<const CELLS: usize>(cells: [String; CELLS]) -> String {
    format!(
        "| {} |",
        cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
    )
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let spans: Vec<_> = texts.into_iter().map(code).collect();
    spans.join(", ")
}

/// The text with the characters that Markdown would take for its own made harmless. What a row has
/// between back-quotes stays a code span, in which nothing has to be escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (position, part) in text.split('`').enumerate() {
        let is_code = position % 2 == 1;
        if position > 0 {
            escaped.push('`');
        }
        for character in part.chars() {
            if !is_code && matches!(character, '\\' | '*' | '<' | '[') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
    }
    escaped
}

/// The words of the text in indented lines of at most [`HELP_COLUMNS_MAX`] columns.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let wanted = indent + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && wanted > HELP_COLUMNS_MAX {
            lines.push(format!("{:indent$}{line}", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(format!("{:indent$}{line}", ""));
    }
    lines
}

fn made_by(page: &str) -> String {
    format!("<!-- Generated by `flumen docs {page}`. Change the option rows, not this file. -->")
}

fn page(blocks: &[String]) -> String {
    let mut text = blocks.join("\n\n");
    text.push('\n');
    text
}

fn page_of_lines(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}
