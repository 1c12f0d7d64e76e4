//! Any program that reads lines over TCP and keeps them on disk, under a power cut: how many of the
//! lines that it was sent come out afterwards.
//!
//! ```text
//! flumen-crash foreign NAME 'COMMAND with {port} {folder} {output} {output-port} {stage}' [FLAGS]
//! ```
//!
//! The command is run twice on one file system. First with the stage `fill`: it reads lines from
//! `{port}` and keeps them below `{folder}`, because its output does not work: nobody listens on
//! `{output-port}`. Then the power is cut, and it is run with the stage `drain`: what it kept it now
//! writes to files in the folder `{output}`, or sends to `{output-port}`, in any form in which the
//! lines can be found again.
//!
//! A program that answers each line with `OK` is cut off under load, and answers for the lines that
//! it answered. One that does not answer is cut off some time after the last line was sent.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flumen_tests::ports;
use flumen_tests::wait::wait_for_every;
use lexopt::prelude::{Long, Value, ValueExt};

use crate::volume::Volume;

mod count;
mod listener;
mod program;
mod sender;
mod unread;

use count::Count;
use listener::Listener;
use program::{Places, Program, Stage};
use sender::{Answers, send_paced};

/// Lines of a trial unless something else is said.
const LINES: u64 = 50_000;
/// Lines a second to a program that does not answer: as many as most can read at once.
const RATE: u64 = 10_000;
/// Between the last line and the cut.
const PAUSES_MILLIS: [u64; 4] = [0, 200, 1_000, 5_000];
/// Room enough for stores that insist on hundreds of mebibytes. The image is sparse.
const VOLUME_MEBIBYTES: u64 = 1_024;
/// An output that has not grown for so long is complete: longer than the programs wait between two
/// attempts to write.
const QUIET: Duration = Duration::from_secs(4);
/// Between two looks at the output.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for an output to be complete.
const DRAIN_LIMIT: Duration = Duration::from_secs(180);

/// The head of the table. What is lost of the lines that were read is lost by the program.
const HEAD: &str = "\
| program | pause | sent | unread | answered | came | lost | lost of the answered | doubled |
|---|---|---|---|---|---|---|---|---|";

/// What is tried, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    program: Program,
    answers: bool,
    lines: u64,
    rate: u64,
    pauses: Vec<Duration>,
    rounds: u64,
}

/// What came of one trial.
#[derive(Debug)]
struct Outcome {
    sent: u64,
    /// Lines that the program had not even read at the cut, unless it was cut under load.
    unread: Option<u64>,
    answered: Option<u64>,
    count: Count,
}

impl Foreign {
    /// Reads the words behind the verb.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Foreign> {
        let mut words = Vec::new();
        let mut pauses = Vec::new();
        let (mut answers, mut lines, mut rate, mut rounds) = (false, LINES, RATE, 1);
        while let Some(argument) = parser.next()? {
            match argument {
                Value(word) => words.push(word.string()?),
                Long("answers") => answers = true,
                Long("lines") => lines = parser.value()?.parse()?,
                Long("rate") => rate = parser.value()?.parse()?,
                Long("pause") => pauses.push(parser.value()?.parse()?),
                Long("rounds") => rounds = parser.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        let [name, command] = <[String; 2]>::try_from(words)
            .map_err(|words| anyhow::anyhow!("a name and a command are due, not {words:?}"))?;
        if lines == 0 || rate == 0 || rounds == 0 {
            bail!("--lines, --rate and --rounds must be at least 1");
        }
        if answers && !pauses.is_empty() {
            bail!("--pause is for a program that does not answer: one that does is cut under load");
        }
        if pauses.is_empty() {
            pauses.extend(if answers { &[0][..] } else { &PAUSES_MILLIS });
        }
        Ok(Foreign {
            program: Program { name, command },
            answers,
            lines,
            rate,
            pauses: pauses.into_iter().map(Duration::from_millis).collect(),
            rounds,
        })
    }

    /// Makes all trials, and prints a table of them. False when a line that was answered is lost.
    ///
    /// # Errors
    /// When the machine lacks what is needed, or the program does not do what its stages are for.
    pub(crate) fn run(&self) -> Result<bool> {
        println!("{HEAD}");
        let mut kept = true;
        for pause in &self.pauses {
            for _ in 0..self.rounds {
                let outcome = self.trial(*pause)?;
                kept &= outcome.lost_answered().is_none_or(|lost| lost == 0);
                let when = match self.answers {
                    true => "under load".to_owned(),
                    false => format!("{} ms", pause.as_millis()),
                };
                println!("| {} | {when} | {outcome} |", self.program.name);
            }
        }
        Ok(kept)
    }

    fn trial(&self, pause: Duration) -> Result<Outcome> {
        let mut volume = Volume::ext4(VOLUME_MEBIBYTES)?;
        let folder = volume.folder.join("store");
        fs::create_dir(&folder)?;
        // An empty store that is not there would be the rig's loss.
        volume.sync()?;
        let output = tempfile::tempdir().context("make a folder for the output")?;
        let places = Places {
            port: ports::free_port()?,
            folder: &folder,
            output: output.path(),
            output_port: ports::free_port()?,
        };
        let running = self.program.start(Stage::Fill, &places)?;
        let (sent, unread, answered) = match self.answers {
            true => {
                let answers = Answers::begin(places.port)?;
                // What is answered from now on nobody would hear when the power goes.
                let answered = answers.wait_for(self.lines)?;
                volume.shut_down()?;
                drop(running);
                (answers.end()?, None, Some(answered))
            }
            false => {
                let _stream = send_paced(places.port, self.lines, self.rate)?;
                // Not to wait for anything: this is what is tried.
                std::thread::sleep(pause);
                let unread = unread::lines(places.port)?;
                volume.shut_down()?;
                drop(running);
                (self.lines, Some(unread), None)
            }
        };
        volume.remount()?;
        let listener = Listener::bind(places.output_port, output.path())?;
        let running = self.program.start(Stage::Drain, &places)?;
        wait_until_quiet(output.path())?;
        drop(running);
        listener.end()?;
        Ok(Outcome {
            sent,
            unread,
            answered,
            count: Count::of_folder(output.path(), sent)?,
        })
    }
}

impl Outcome {
    fn lost_answered(&self) -> Option<u64> {
        let answered = self.answered?;
        Some(answered - self.count.distinct_below(answered))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let came = self.count.distinct_below(self.sent);
        let optional = |figure: Option<u64>| figure.map_or(String::new(), |f| f.to_string());
        write!(
            formatter,
            "{} | {} | {} | {came} | {} | {} | {}",
            self.sent,
            optional(self.unread),
            optional(self.answered),
            self.sent - came,
            optional(self.lost_answered()),
            self.count.doubled
        )
    }
}

/// Waits until no file of the folder has grown for [`QUIET`].
fn wait_until_quiet(folder: &Path) -> Result<()> {
    let mut last = 0;
    let mut since = Instant::now();
    wait_for_every(LOOK_PAUSE, "the output to be complete", DRAIN_LIMIT, || {
        let mut bytes = 0;
        for entry in fs::read_dir(folder)? {
            bytes += entry?.metadata()?.len();
        }
        if bytes != last {
            (last, since) = (bytes, Instant::now());
        }
        Ok((since.elapsed() >= QUIET).then_some(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Foreign> {
        Foreign::parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn a_program_without_answers_is_cut_at_several_times() {
        let foreign = parse(&["barrel", "barrel {port}", "--lines", "7"]).unwrap();
        assert_eq!((foreign.lines, foreign.pauses.len()), (7, 4));
        let once = parse(&["barrel", "b", "--pause", "30"]).unwrap();
        assert_eq!(once.pauses, [Duration::from_millis(30)]);
    }

    #[test]
    fn a_program_with_answers_has_no_pause() {
        assert_eq!(parse(&["n", "c", "--answers"]).unwrap().pauses.len(), 1);
        assert!(parse(&["n", "c", "--answers", "--pause", "1"]).is_err());
    }

    #[test]
    fn what_is_missing_is_told() {
        let error = parse(&["barrel"]).unwrap_err().to_string();
        assert!(error.contains("a name and a command"), "{error}");
        assert!(parse(&["n", "c", "--rounds", "0"]).is_err());
    }
}
