//! `flumen help`: the usage, a command with its flags, or a component with its options.

use std::fmt::Write;

use flumen_agent::reference::component_help;

use crate::arguments::asked;
use crate::flags::{Treatment, VERBS, Verb, VerbRow, flags_of};
use crate::system_properties::PROPERTIES;

/// The widest line, as in the help of a component.
const COLUMNS_MAX: usize = 80;

/// Where the explanations of commands begin.
const COMMAND_COLUMNS: usize = 21;

/// The usage, of the program under the name that it was called by.
pub(crate) fn usage(program: &str) -> String {
    let mut text = format!("Usage: {program} COMMAND [FLAGS]\n\nCommands:\n");
    for row in VERBS {
        let doc = match row.treatment {
            Treatment::NotBuilt(_) => format!("{} (not built)", row.doc),
            Treatment::Obeyed | Treatment::NoEffect(_) => row.doc.to_owned(),
        };
        append_aligned(&mut text, row.name, &doc);
    }
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n`{program} help COMMAND` tells the flags of a command, \
         `{program} help COMPONENT`\nthe options of a source, channel or sink.\n"
    );
    text
}

/// The explanation of a command or component.
///
/// # Errors
/// The complaint, when there is neither.
pub(crate) fn topic(program: &str, name: &str) -> Result<String, String> {
    let catalogue = flumen_agent::catalogue();
    let mut texts = Vec::new();
    // `component` stands for all commands that begin with it.
    let group = format!("{name} ");
    let rows = VERBS.iter();
    let rows = rows.filter(|row| row.name == name || row.name.starts_with(&group));
    texts.extend(rows.map(|row| command_help(program, row)));
    let components = catalogue.rows().iter().filter(|row| row.is_called(name));
    texts.extend(components.map(|row| component_help(row)));
    if texts.is_empty() {
        let components = catalogue.rows().iter().map(|row| row.name);
        let known = VERBS.iter().map(|row| row.name).chain(components);
        let question = asked(name, known);
        return Err(format!(
            "no command or component is called {name}{question}"
        ));
    }
    Ok(texts.join("\n"))
}

fn command_help(program: &str, row: &VerbRow) -> String {
    let line = format!("Usage: {program} {} {}", row.name, row.usage);
    let mut text = format!("{}\n\n{}.\n", line.trim_end(), capitalised(row.doc));
    if let Treatment::NotBuilt(remedy) = row.treatment {
        let _ = write!(text, "It is not built:\n{}.\n", capitalised(remedy));
        return text;
    }
    text.push_str("\nFlags:\n");
    for flag in flags_of(row.verb) {
        let _ = writeln!(text, "  {}", flag.synopsis());
        append_wrapped(&mut text, flag.doc);
        match flag.treatment {
            Treatment::Obeyed => {}
            other => append_wrapped(&mut text, &other.words()),
        }
    }
    if row.verb == Verb::Agent {
        text.push_str("\nProperties (-Dname=value):\n");
        for row in PROPERTIES {
            let _ = writeln!(text, "  {}", row.name);
            append_wrapped(&mut text, row.doc);
            match row.treatment {
                Treatment::Obeyed => {}
                other => append_wrapped(&mut text, &other.words()),
            }
        }
        text.push_str(
            "\nSignals:\n  \
             SIGHUP    read the configuration again\n  \
             SIGTERM   deliver what the channels hold, then end with exit code 0\n  \
             SIGINT    the same\n  \
             again     end at once, with exit code 143 (SIGTERM) or 130 (SIGINT)\n",
        );
    }
    text
}

fn append_aligned(text: &mut String, name: &str, doc: &str) {
    let _ = writeln!(text, "  {name:COMMAND_COLUMNS$}{doc}");
}

/// Appends words in indented lines that fit a terminal.
fn append_wrapped(text: &mut String, words: &str) {
    const INDENT: &str = "        ";
    let mut line = String::new();
    for word in words.split_whitespace() {
        let wanted = INDENT.len() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && wanted > COLUMNS_MAX {
            let _ = writeln!(text, "{INDENT}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{INDENT}{line}");
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_names_every_command_and_the_program() {
        let text = usage("flume-ng");
        for row in VERBS {
            assert!(text.contains(row.name), "{}", row.name);
        }
        assert!(text.starts_with("Usage: flume-ng COMMAND"), "{text}");
    }

    #[test]
    fn every_help_fits_a_terminal() {
        let mut texts = vec![usage("flumen")];
        texts.extend(VERBS.iter().map(|row| topic("flumen", row.name).unwrap()));
        for line in texts.iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= COLUMNS_MAX, "{line}");
        }
    }

    #[test]
    fn a_component_is_explained_in_any_case_and_under_its_class_name() {
        let text = topic("flumen", "netcat").unwrap();
        assert!(text.contains("max-line-length"), "{text}");
        assert_eq!(topic("flumen", "NetCat").unwrap(), text);
        assert_eq!(
            topic("flumen", "org.apache.flume.source.NetcatSource").unwrap(),
            text
        );
    }

    #[test]
    fn components_of_several_kinds_with_one_name_are_all_explained() {
        let text = topic("flumen", "file").unwrap_or_default() + &topic("flumen", "null").unwrap();
        assert!(text.contains("sink null"), "{text}");
    }

    #[test]
    fn an_unknown_topic_is_refused_with_the_nearest() {
        assert_eq!(
            topic("flumen", "netcatt").unwrap_err(),
            "no command or component is called netcatt; did you mean netcat?"
        );
    }
}
