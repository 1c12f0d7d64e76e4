//! `flumen docs`: the pages of the documentation that are made from rows.
//!
//! They are kept in `docs/`, where a test compares them with what is made here.

use flumen_agent::reference::{compatibility_table, option_reference};

use crate::arguments::DocsPage;
use crate::flags::{FLAGS, VERBS};
use crate::system_properties::PROPERTIES;

/// The text of a page.
pub(crate) fn text(page: DocsPage) -> String {
    let catalogue = flumen_agent::catalogue();
    match page {
        DocsPage::Compatibility => {
            let commands = commands();
            let flags = flags();
            let properties = properties();
            let sections = [
                ("Commands", commands.as_str()),
                ("Flags", flags.as_str()),
                ("System properties", properties.as_str()),
                ("What differs outside of files", DIFFERENCES),
            ];
            compatibility_table(&catalogue, &sections)
        }
        DocsPage::Reference => option_reference(&catalogue),
    }
}

/// Prose for what no row says.
const DIFFERENCES: &str = "\
* The environment of the `flume-ng` script (`JAVA_OPTS`, `FLUME_CLASSPATH` and others), `flume-env.sh`, \
`flume.opts` and log4j files are not read. Give `-D` properties on the command line.
* A wrong flag or property ends the program with exit code 1; Flume logs some of them and ends with 0.
* An argument that is no flag is an error for `agent`; Flume ignores it.
* `agent` without `--name` runs the only agent of the file, and without `--conf-file` \
`conf/default.conf`.
* Metrics are served on 127.0.0.1, not on all addresses; `-Dflumen.monitoring.bind=0.0.0.0` gives \
Flume's behaviour. A port in use keeps the agent from starting.
* At `/metrics` components appear that count nothing in Flume (netcat, logger, null), with a state; \
Prometheus text stands at `/metrics/prometheus`.
* A changed file takes effect at once, and `SIGHUP` does the same.";

fn commands() -> String {
    let mut lines = vec![
        "| Command | State | Meaning |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for row in VERBS {
        let of_flume = if row.is_of_flume {
            ""
        } else {
            " (not of Flume)"
        };
        lines.push(row_of([
            format!("`{}`", row.name),
            row.treatment.words(),
            format!("{}{of_flume}", row.doc),
        ]));
    }
    lines.join("\n")
}

fn flags() -> String {
    let mut lines = vec![
        "One hyphen and two are the same, as in Flume.\n".to_owned(),
        "| Flag | State | Meaning |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for flag in FLAGS {
        lines.push(row_of([
            format!("`{}`", flag.synopsis()),
            flag.treatment.words(),
            flag.doc.to_owned(),
        ]));
    }
    lines.join("\n")
}

fn properties() -> String {
    let mut lines = vec![
        "Given as `-Dname=value`. All others are there for `${sys:name}` only.\n".to_owned(),
        "| Property | State | Meaning |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for row in PROPERTIES {
        lines.push(row_of([
            format!("`{}`", row.name),
            row.treatment.words(),
            row.doc.to_owned(),
        ]));
    }
    lines.join("\n")
}

fn row_of(cells: [String; 3]) -> String {
    format!(
        "| {} |",
        cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_kept(page: DocsPage, name: &str) {
        let path = format!("{}/../../docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == text(page),
            "docs/{name}.md is not what the rows say; run `cargo run -- docs {name} > docs/{name}.md`"
        );
    }

    #[test]
    fn the_compatibility_page_is_kept() {
        is_kept(DocsPage::Compatibility, "compatibility");
    }

    #[test]
    fn the_reference_page_is_kept() {
        is_kept(DocsPage::Reference, "reference");
    }

    #[test]
    fn every_command_flag_and_property_is_on_the_page() {
        let page = text(DocsPage::Compatibility);
        let flags = FLAGS.iter().flat_map(|flag| flag.names.iter().copied());
        let verbs = VERBS.iter().map(|row| row.name);
        for name in flags
            .chain(verbs)
            .chain(PROPERTIES.iter().map(|row| row.name))
        {
            assert!(page.contains(name), "{name}");
        }
    }
}
