//! `flumen check`: all problems of a configuration, and what a reload would change.
//!
//! Several files are one configuration, of which later files win, as with `--conf-file` given
//! several times.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use flumen_agent::load::{ConfigFiles, LoadError};
use flumen_agent::refused_changes;
use flumen_config::{CheckedAll, Plan, PlanDiff, Problem};

use crate::arguments::CheckArguments;
use crate::output::{complain, counted, print};

/// Checks, prints, and says by the exit code whether an agent would run.
pub(crate) fn run(program: &str, arguments: CheckArguments) -> ExitCode {
    let load = |paths: &[PathBuf]| {
        let files = ConfigFiles {
            paths: paths.to_vec(),
            agent: arguments.name.clone(),
            system_properties: arguments.properties.clone(),
        };
        load(&files)
    };
    let report = || -> Result<(String, bool), LoadError> {
        let new = load(&arguments.files)?;
        if arguments.against.is_empty() {
            return Ok((problems_text(&new.problems), has_error(&new)));
        }
        let old = load(&arguments.against)?;
        Ok(compare(old, new))
    };
    let (text, is_failed) = match report() {
        Ok(report) => report,
        Err(error) => {
            complain(&format!("{program}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match print(&text) {
        Ok(()) if !is_failed => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!(
                "{program}: cannot write to standard output: {error}"
            ));
            ExitCode::FAILURE
        }
    }
}

/// Reads and checks one agent, or all when none is named. A file that is not text has one problem.
pub(crate) fn load(files: &ConfigFiles) -> Result<CheckedAll, LoadError> {
    let catalogue = flumen_agent::catalogue();
    let document = match files.read() {
        Ok(document) => document,
        Err(LoadError::Text(problem)) => {
            return Ok(CheckedAll {
                plans: BTreeMap::new(),
                problems: vec![problem],
            });
        }
        Err(error) => return Err(error),
    };
    let Some(name) = &files.agent else {
        return Ok(flumen_config::check_all(&document, &catalogue));
    };
    let checked = flumen_config::check(&document, Some(name), &catalogue);
    let plans = checked.plan.map(|plan| (plan.agent.clone(), plan));
    Ok(CheckedAll {
        plans: plans.into_iter().collect(),
        problems: checked.problems,
    })
}

fn has_error(checked: &CheckedAll) -> bool {
    checked.problems.iter().any(Problem::is_error)
}

/// The problems of both sides. When there is no error, also what an agent of the old side would
/// refuse to do without a restart, and the difference.
fn compare(old: CheckedAll, new: CheckedAll) -> (String, bool) {
    let is_failed = has_error(&old) || has_error(&new);
    let mut problems: Vec<Problem> = old.problems.into_iter().chain(new.problems).collect();
    if is_failed {
        return (problems_text(&problems), true);
    }
    let both = new
        .plans
        .iter()
        .filter_map(|(name, plan)| Some((old.plans.get(name)?, plan)));
    let refused: Vec<Problem> = both
        .flat_map(|(old, new)| refused_changes(old, new))
        .collect();
    let is_refused = !refused.is_empty();
    problems.extend(refused);
    let mut text = problems_text(&problems);
    text.push_str(&difference_text(&old.plans, &new.plans));
    (text, is_refused)
}

/// One line per problem, and a summary.
pub(crate) fn problems_text(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{problem}");
    }
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    let _ = writeln!(
        text,
        "{}, {}",
        counted(errors as u64, "error"),
        counted(warnings as u64, "warning")
    );
    text
}

/// One line per change, with the agent before it when there are several.
fn difference_text<Name: Ord + Display>(
    old: &BTreeMap<Name, Plan>,
    new: &BTreeMap<Name, Plan>,
) -> String {
    let mut lines = Vec::new();
    let is_alone = old
        .keys()
        .chain(new.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .len()
        == 1;
    for (name, plan) in new {
        match old.get(name) {
            None => lines.push(format!("+ agent {name}")),
            Some(before) => {
                let difference = PlanDiff::between(before, plan);
                lines.extend(difference.lines().iter().map(|line| match is_alone {
                    true => line.clone(),
                    false => format!("{name}: {line}"),
                }));
            }
        }
    }
    let gone = old.keys().filter(|name| !new.contains_key(name));
    lines.extend(gone.map(|name| format!("- agent {name}")));
    if lines.is_empty() {
        return "no difference\n".to_owned();
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use flumen_config::{Dialect, Document};

    use super::*;

    const ONE: &str = "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
        a1.sources.r1.type = seq\na1.sources.r1.channels = c1\n\
        a1.channels.c1.type = memory\n\
        a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n";

    fn checked(text: &str) -> CheckedAll {
        let document = Document::parse(Dialect::Properties, "f.conf", text);
        flumen_config::check_all(&document, &flumen_agent::catalogue())
    }

    #[test]
    fn a_good_file_has_only_a_summary() {
        let checked = checked(ONE);
        assert_eq!(problems_text(&checked.problems), "0 errors, 0 warnings\n");
        assert!(!has_error(&checked));
    }

    #[test]
    fn problems_stand_one_a_line_and_are_counted() {
        let checked = checked(&format!(
            "{ONE}a1.channels.c1.capacity = many\na1.sinks.k1.batchsize = 7\n"
        ));
        let text = problems_text(&checked.problems);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[0].starts_with("f.conf:9: error: a1.channels.c1.capacity: "),
            "{text}"
        );
        assert!(
            lines[1].starts_with("f.conf:10: warning: a1.sinks.k1.batchsize: "),
            "{text}"
        );
        assert_eq!(lines[2], "1 error, 1 warning");
        assert!(has_error(&checked));
    }

    #[test]
    fn a_difference_is_that_of_a_reload() {
        let capacity = "c1.type = memory\na1.channels.c1.capacity = 700";
        let changed = ONE.replace("c1.type = memory", capacity);
        let (text, is_failed) = compare(checked(ONE), checked(&changed));
        let expected = "0 errors, 0 warnings\n~ channel c1: capacity 100 -> 700\n";
        assert_eq!(text, expected);
        assert!(!is_failed);
        let (text, _) = compare(checked(ONE), checked(ONE));
        assert_eq!(text, "0 errors, 0 warnings\nno difference\n");
    }

    #[test]
    fn what_a_reload_would_refuse_is_told_with_its_place() {
        let file = "c1.type = file\na1.channels.c1.dataDirs = /one\na1.channels.c1.durability = os";
        let one = ONE.replace("c1.type = memory", file);
        let more = |options: &str| {
            let options = format!("durability = sync\na1.channels.c1.{options}");
            one.replace("durability = os", &options)
        };
        let small = more("maxFileSize = 1048576");
        let (text, is_failed) = compare(checked(&one), checked(&small));
        assert!(is_failed);
        assert_eq!(
            text,
            "f.conf:9: error: a1.channels.c1.maxFileSize: cannot change while the channel is open; \
             restart the agent to change it\n1 error, 0 warnings\n\
             ~ channel c1: durability \"os\" -> \"sync\"\n\
             ~ channel c1: maxFileSize 1623195647 -> 1048576\n"
        );
        // Taken out again: all that has a place is the channel.
        let (text, _) = compare(checked(&small), checked(&one));
        assert!(
            text.starts_with("f.conf:6: error: a1.channels.c1.maxFileSize: "),
            "{text}"
        );
        let space = more("minimumRequiredSpace = 1048576");
        let (text, is_failed) = compare(checked(&one), checked(&space));
        assert!(!is_failed, "{text}");
        assert!(
            text.starts_with("0 errors, 0 warnings\n~ channel c1: "),
            "{text}"
        );
    }

    #[test]
    fn settings_that_no_channel_could_have_are_told_too() {
        let file = |provider: &str| {
            let file = format!(
                "c1.type = file\na1.channels.c1.dataDirs = /one\n\
                 a1.channels.c1.encryption.keyProvider = {provider}"
            );
            ONE.replace("c1.type = memory", &file)
        };
        let (text, is_failed) = compare(checked(&file("FILE")), checked(&file("JCEKSFILE")));
        assert!(is_failed);
        let problem = "f.conf:6: error: a1.channels.c1: channel c1: encryption.keyProvider ";
        assert!(text.starts_with(problem), "{text}");
    }

    #[test]
    fn changes_of_several_agents_carry_their_names() {
        let second = ONE.replace("a1.", "a2.");
        let third = ONE.replace("a1.", "a3.");
        let old = checked(&format!("{ONE}{second}"));
        let changed = ONE.replace("type = null", "type = null\na1.sinks.k1.batchSize = 7");
        let new = checked(&format!("{changed}{third}"));
        let (text, _) = compare(old, new);
        assert_eq!(
            text,
            "0 errors, 0 warnings\na1: ~ sink k1: batchSize 100 -> 7\n+ agent a3\n- agent a2\n"
        );
    }

    #[test]
    fn an_error_on_either_side_hides_the_difference() {
        let bad = ONE.replace("type = seq", "type = nothing");
        for (old, new) in [(ONE, bad.as_str()), (bad.as_str(), ONE)] {
            let (text, is_failed) = compare(checked(old), checked(new));
            assert!(is_failed);
            assert!(text.ends_with("1 error, 0 warnings\n"), "{text}");
        }
    }
}
