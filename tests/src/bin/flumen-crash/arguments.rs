//! The command line of the rig.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, Value, ValueExt};

use crate::driver::{Kind, Orders};
use crate::foreign::Foreign;
use crate::mutation::{self, MUTATIONS, Mutation};
use crate::scenario::{self, Choice, SCENARIOS, Scenario};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
usage: flumen-crash list [--short]
       flumen-crash run [SCENARIO ...] [FLAGS]
       flumen-crash mutations [PROTECTION ...] [FLAGS]
       flumen-crash foreign NAME COMMAND [FOREIGN FLAGS]

run: plays scenarios, all of them when none is named, and ends with 1 when a promise was broken.
mutations: switches protections off, one after the other, all of them when none is named, and ends
with 1 when no scenario notices. Needs a build with --features mutations.

--seed N          decides all that chance decides (1)
--rounds N        rounds of each scenario (a few, which take minutes in all)
--round N         that one round only
--seconds N       each scenario as often as it goes in its share of this time
--store NAME      what is driven (log): log, the log below the file channel;
                  channel, the file channel with everything on the disk before the answer;
                  lazy, interval, os: with that value of acknowledge or durability;
                  pair, two of them with puts into both
--mutation NAME   with this protection switched off: a promise must be broken
--folder PATH     where the folders of rounds are made (the system's temporary folder)

foreign: cuts the power of any program that reads lines and keeps them, and counts what comes out
afterwards. COMMAND has {port}, {folder}, {stage} (fill or drain), {output} and {output-port}. Ends
with 1 when a line that was answered is lost.

--answers         the program answers each line with OK, and is cut under load
--pause MILLIS    between the last line and the cut, given once or more (0, 200, 1000, 5000)
--lines N         lines sent, or answered, before the cut (50000)
--rate N          lines a second to a program that does not answer (10000)
--rounds N        trials of each pause (1)";

/// The exit code for a broken promise.
pub(crate) const BROKEN: u8 = 1;

/// The exit code when the rig could not do its work.
pub(crate) const NOT_PLAYED: u8 = 2;

/// What this process is to do.
#[derive(Debug)]
pub(crate) enum Run {
    /// Print [`HELP`].
    Help,
    /// Print the scenarios, all or those of the short form.
    List { short: bool },
    /// Try a foreign program, here.
    Foreign(Foreign),
    /// Play in a process of its own, with these words.
    Apart(Vec<String>),
    /// Switch protections off, here.
    Weaken(Vec<&'static Mutation>, Choice),
    /// Play, here.
    Play(Vec<&'static Scenario>, Choice),
    /// Be a faulty disk of so many bytes under this folder.
    Disk(PathBuf, usize),
    /// Be the driver.
    Drive(Orders),
}

impl std::fmt::Debug for Mutation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads the command line.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Run> {
    match parser.next()? {
        Some(Value(verb)) => match verb.string()?.as_str() {
            "list" => Ok(Run::List {
                short: parser.next()? == Some(Long("short")),
            }),
            "run" => apart("play", parser, play),
            "mutations" => apart("weaken", parser, weaken),
            "foreign" => apart("foreign-here", parser, foreign),
            "play" => play(parser),
            "weaken" => weaken(parser),
            "foreign-here" => foreign(parser),
            "drive" => drive(parser).map(Run::Drive),
            "disk" => {
                let folder = PathBuf::from(parser.value()?);
                let mebibytes: usize = parser.value()?.parse()?;
                Ok(Run::Disk(folder, mebibytes << 20))
            }
            other => bail!("no verb {other:?}; see --help"),
        },
        _ => Ok(Run::Help),
    }
}

/// The verb that does the work in a process of its own, with the words that are left. What is wrong
/// with them is told here, once.
fn apart(
    verb: &str,
    mut parser: lexopt::Parser,
    check: fn(lexopt::Parser) -> Result<Run>,
) -> Result<Run> {
    let words = parser.raw_args()?.map(ValueExt::string);
    let words = words.collect::<Result<Vec<_>, _>>()?;
    check(lexopt::Parser::from_args(&words))?;
    let verb = std::iter::once(verb.to_owned());
    Ok(Run::Apart(verb.chain(words).collect()))
}

fn foreign(parser: lexopt::Parser) -> Result<Run> {
    Foreign::parse(parser).map(Run::Foreign)
}

fn play(parser: lexopt::Parser) -> Result<Run> {
    let (names, mut choice, seconds) = choose(parser)?;
    let named = names.iter().map(|name| {
        let known = scenario::named(name);
        known.with_context(|| format!("no scenario {name:?}; see list"))
    });
    let mut scenarios = named.collect::<Result<Vec<_>>>()?;
    let is_played = |scenario: &&Scenario| scenario.rounds_on(choice.kind).is_some();
    if let Some(other) = scenarios.iter().find(|scenario| !is_played(scenario)) {
        let store = choice.kind.name();
        bail!("{} is not played on the store {store:?}", other.name);
    }
    if scenarios.is_empty() {
        scenarios = SCENARIOS.iter().filter(is_played).collect();
    }
    choice.share = seconds.map(|all| Duration::from_secs(all / scenarios.len() as u64));
    Ok(Run::Play(scenarios, choice))
}

fn weaken(parser: lexopt::Parser) -> Result<Run> {
    let (names, choice, _) = choose(parser)?;
    let chosen =
        |mutation: &&Mutation| names.is_empty() || names.iter().any(|n| n == mutation.name);
    let mutations: Vec<_> = MUTATIONS.iter().filter(chosen).collect();
    if let Some(other) = names
        .iter()
        .find(|name| mutations.iter().all(|mutation| mutation.name != **name))
    {
        bail!("no scenario is said to notice the protection {other:?}");
    }
    mutations
        .iter()
        .try_for_each(|mutation| mutation::check(mutation.name))?;
    Ok(Run::Weaken(mutations, choice))
}

/// Names, and how rounds are chosen; the seconds are for all that is named.
fn choose(mut parser: lexopt::Parser) -> Result<(Vec<String>, Choice, Option<u64>)> {
    let mut names = Vec::new();
    let mut seconds = None;
    let mut choice = Choice {
        seed: 1,
        kind: Kind::Log,
        mutation: None,
        round: None,
        rounds: None,
        share: None,
        folder: std::env::temp_dir(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) => names.push(name.string()?),
            Long("seed") => choice.seed = parser.value()?.parse()?,
            Long("rounds") => choice.rounds = Some(parser.value()?.parse()?),
            Long("round") => choice.round = Some(parser.value()?.parse()?),
            Long("seconds") => seconds = Some(parser.value()?.parse::<u64>()?),
            Long("store") => choice.kind = kind(&parser.value()?.string()?)?,
            Long("mutation") => {
                let name = parser.value()?.string()?;
                mutation::check(&name)?;
                choice.mutation = Some(name);
            }
            Long("folder") => choice.folder = PathBuf::from(parser.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok((names, choice, seconds))
}

fn drive(mut parser: lexopt::Parser) -> Result<Orders> {
    let mut orders = Orders::new(Kind::Log, &PathBuf::new(), 0);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("store") => orders.kind = kind(&parser.value()?.string()?)?,
            Long("folder") => orders.folder = PathBuf::from(parser.value()?),
            Long("seed") => orders.seed = parser.value()?.parse()?,
            Long("run") => orders.run = parser.value()?.parse()?,
            Long("producers") => orders.producers = parser.value()?.parse()?,
            Long("transactions") => orders.transactions = parser.value()?.parse()?,
            Long("segment-bytes") => orders.segment_bytes = parser.value()?.parse()?,
            Long("segments-max") => orders.segments_max = parser.value()?.parse()?,
            Long("backlog-max") => orders.backlog_max = parser.value()?.parse()?,
            Long("take") => orders.take = parser.value()?.parse()?,
            Long("descriptors") => orders.descriptors = Some(parser.value()?.parse()?),
            Long("mutation") => orders.mutation = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(orders)
}

fn kind(name: &str) -> Result<Kind> {
    let named = |kind: &Kind| kind.name() == name;
    let kind = Kind::ALL.into_iter().find(named);
    kind.with_context(|| format!("no store {name:?}"))
}
