//! A document against the option rows: all problems in one go, and a plan when none is an error.
//!
//! What Flume drops silently is said here. It is an error where events would not flow as the file
//! says (a component without a type, a channel that does not exist), and a warning where the file
//! runs without it (a component that is not listed, an unknown option in properties).

mod component;
mod fit;
mod flow;
mod outline;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use flumen_core::option::{Catalogue, ValueKind};
use flumen_core::{AgentName, Place};

use crate::document::{Dialect, Document, Entry, parts_words};
use crate::group::{self, Group};
use crate::plan::Plan;
use crate::problem::{Problem, Severity, arrange, nearest_name, quoted};

/// The outcome of checking one agent.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the agent runs; `None` when there is an error.
    pub plan: Option<Plan>,
    /// All problems, those of reading and resolving the document included, by place.
    pub problems: Vec<Problem>,
}

/// The outcome of checking all agents of a document.
#[derive(Clone, Debug)]
pub struct CheckedAll {
    /// The plans of the agents that have no error.
    pub plans: BTreeMap<AgentName, Plan>,
    /// The problems of all agents, by place.
    pub problems: Vec<Problem>,
}

/// Checks one agent. Without a name the document has to hold exactly one. Keys of other agents are
/// not looked at.
pub fn check(document: &Document, agent: Option<&str>, catalogue: &Catalogue) -> Checked {
    let agents = document.agents();
    let mut problems = stray_keys(document, &agents).problems;
    let chosen = match agent {
        Some(name) => agents.iter().find(|own| own.as_str() == name).cloned(),
        None => Some(&agents)
            .filter(|agents| agents.len() == 1)
            .and_then(|agents| agents.first().cloned()),
    };
    let Some(chosen) = chosen else {
        problems.extend(document.problems.iter().cloned());
        problems.extend(no_agent(document, agent, &agents));
        arrange(&mut problems);
        return Checked {
            plan: None,
            problems,
        };
    };
    // An agent of which nothing could be read is not among the agents, and its problems still are
    // its own. Where no agent is named, they tell that there is another one.
    let is_of_another = |problem: &Problem| {
        let mut parts = problem.key.splitn(3, '.');
        let (Some(owner), Some(word)) = (parts.next(), parts.next()) else {
            return false;
        };
        let is_agent = agents.iter().any(|agent| agent.as_str() == owner)
            || agent.is_some() && Group::of_word(word).is_some();
        is_agent && owner != chosen.as_str()
    };
    problems.extend(
        document
            .problems
            .iter()
            .filter(|problem| !is_of_another(problem))
            .cloned(),
    );
    let mut checker = Checker::new(document, catalogue, &chosen);
    let plan = checker.plan();
    problems.extend(checker.problems);
    arrange(&mut problems);
    let plan = plan.filter(|_| !problems.iter().any(Problem::is_error));
    Checked { plan, problems }
}

/// Checks every agent of a document. A document without an agent is an error.
pub fn check_all(document: &Document, catalogue: &Catalogue) -> CheckedAll {
    let agents = document.agents();
    let mut plans = BTreeMap::new();
    let mut problems = stray_keys(document, &agents).problems;
    problems.extend(document.problems.iter().cloned());
    if agents.is_empty() {
        problems.extend(no_agent(document, None, &agents));
    }
    for agent in agents {
        let checked = check(document, Some(agent.as_str()), catalogue);
        problems.extend(checked.problems);
        if let Some(plan) = checked.plan {
            plans.insert(agent, plan);
        }
    }
    arrange(&mut problems);
    CheckedAll { plans, problems }
}

/// Says that the agent is not there, unless nothing is because the text could not be read.
fn no_agent(document: &Document, wanted: Option<&str>, agents: &[AgentName]) -> Option<Problem> {
    if agents.is_empty() && document.problems.iter().any(Problem::is_error) {
        return None;
    }
    let names: Vec<&str> = agents.iter().map(AgentName::as_str).collect();
    let known = names.join(", ");
    let what = match wanted {
        _ if names.is_empty() => {
            "there is no agent here: no key is like <agent>.sources, .channels or .sinks".to_owned()
        }
        Some(name) => format!(
            "agent {} is not here; the agents are: {known}",
            quoted(name)
        ),
        None => format!("there are several agents, so one has to be named: {known}"),
    };
    let nearest = wanted.and_then(|name| nearest_name(name, names));
    Some(Problem::error(&document.top(), "", what).nearest(nearest))
}

/// Keys that belong to no agent and that no reference names.
pub(crate) struct Strays<'d> {
    pub(crate) problems: Vec<Problem>,
    pub(crate) keys: BTreeSet<&'d str>,
}

pub(crate) fn stray_keys<'d>(document: &'d Document, agents: &[AgentName]) -> Strays<'d> {
    let mut strays = Strays {
        problems: Vec::new(),
        keys: BTreeSet::new(),
    };
    for entry in document.entries() {
        let (owner, rest) = entry.key.split_once('.').unwrap_or((&entry.key, ""));
        let has_agent =
            entry.key.contains('.') && agents.iter().any(|agent| agent.as_str() == owner);
        if has_agent || document.referenced.contains(&entry.key) {
            continue;
        }
        let word = rest.split('.').next().unwrap_or("");
        let what = match word {
            _ if owner.is_empty() => "no agent stands before the first dot".to_owned(),
            "" => "belongs to no agent, and no value refers to it".to_owned(),
            word => format!("unknown group {} of an agent", quoted(word)),
        };
        strays.keys.insert(&entry.key);
        let severity = entry.dialect.unknown_severity();
        let problem = Problem::new(severity, &entry.place, &entry.key, what);
        strays
            .problems
            .push(problem.nearest(nearest_name(word, group::words())));
    }
    strays
}

/// One agent being checked.
pub(crate) struct Checker<'d> {
    document: &'d Document,
    catalogue: &'d Catalogue,
    agent: &'d AgentName,
    /// The channels that the agent lists.
    channels: Vec<String>,
    pub(crate) problems: Vec<Problem>,
    /// The kinds of the values of the keys that a row or the grammar knows.
    pub(crate) known: HashMap<&'d str, ValueKind>,
    /// The names of lists that do not use their whole value.
    pub(crate) shortened: HashMap<&'d str, Vec<String>>,
    /// The keys that have no effect because nobody knows them or their component is not active.
    pub(crate) ignored: BTreeSet<&'d str>,
}

impl<'d> Checker<'d> {
    pub(crate) fn new(
        document: &'d Document,
        catalogue: &'d Catalogue,
        agent: &'d AgentName,
    ) -> Self {
        Self {
            document,
            catalogue,
            agent,
            channels: Vec::new(),
            problems: Vec::new(),
            known: HashMap::new(),
            shortened: HashMap::new(),
            ignored: BTreeSet::new(),
        }
    }

    /// The whole key of something of this agent.
    fn key(&self, rest: &str) -> String {
        format!("{}.{rest}", self.agent)
    }

    fn error(&mut self, place: &Place, key: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem::error(place, key, what));
    }

    /// Reports a name that nothing is known under, with the nearest one that is.
    fn error_near<'c>(
        &mut self,
        entry: &Entry,
        what: String,
        written: &str,
        names: impl IntoIterator<Item = &'c str>,
    ) {
        let problem = Problem::error(&entry.place, &entry.key, what);
        self.problems
            .push(problem.nearest(nearest_name(written, names)));
    }

    fn warn(&mut self, entry: &Entry, what: impl Into<String>) {
        self.problems
            .push(Problem::warning(&entry.place, &entry.key, what));
    }

    /// Reports a key that has no effect, as heavily as its dialect takes it.
    fn ignore(&mut self, entry: &'d Entry, what: impl Into<String>, nearest: Option<String>) {
        let severity = entry.dialect.unknown_severity();
        self.ignore_as(severity, entry, what, nearest);
    }

    fn ignore_as(
        &mut self,
        severity: Severity,
        entry: &'d Entry,
        what: impl Into<String>,
        nearest: Option<String>,
    ) {
        self.ignored.insert(&entry.key);
        let problem = Problem::new(severity, &entry.place, &entry.key, what);
        self.problems.push(problem.nearest(nearest));
    }

    /// Whether reading or resolving found an error in the value, so that what follows from it
    /// needs no words.
    fn is_reported(&self, entry: &Entry) -> bool {
        self.document
            .problems
            .iter()
            .any(|problem| problem.is_error() && problem.key == entry.key)
    }

    /// The names of a list. Flume's files may end a list with what looks like a comment, since
    /// Flume drops names that it does not know; so the names end there, with a warning.
    fn names(&mut self, entry: &'d Entry) -> Vec<String> {
        let mut names = entry.value.words();
        if entry.dialect == Dialect::Properties
            && let Some(at) = names.iter().position(|name| name.starts_with('#'))
        {
            names.truncate(at);
            self.shortened.insert(&entry.key, names.clone());
            self.warn(
                entry,
                "what follows # is ignored here; a comment has a line of its own",
            );
        }
        if let Some(name) = names.iter().find(|name| name.contains(parts_words)) {
            let what = format!("{} is not a name: there is white space in it", quoted(name));
            self.error(&entry.place, &entry.key, what);
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    fn know(&mut self, entry: &'d Entry, kind: ValueKind) {
        self.known.insert(&entry.key, kind);
    }
}
