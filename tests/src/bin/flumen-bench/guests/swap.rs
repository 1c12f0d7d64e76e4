//! Row (l): an interceptor whose file is replaced again and again at full load.
//!
//! One connection always has a hundred acknowledged lines in flight, as fast as the answers come,
//! into file_roll. A guest writes its version behind every line. First nothing happens, then the
//! file of the guest is replaced by one of two versions in turn, which are compiled and kept, and at
//! last by versions that nobody has seen before and that have to be compiled.
//!
//! * A wait is the time between the write of a hundred lines and their last answer. The pause of a
//!   swap is the longest wait of the lines that the new version saw first and of their neighbours
//!   before and behind. The longest wait from one replacement to the next also shows what preparing
//!   the new version costs. What a hundred lines take anyway is in both; the same figures at as many
//!   moments of the quiet time tell how much that is.
//! * The time to effect ends when the first lines with the new version are answered.
//! * The output is read back when all is over: every line once, in order, with one version, and
//!   every version in its turn. Some gigabytes of it wait in memory until then: whoever reads them
//!   earlier takes processors from the flow, and shows in its longest waits.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::guests::fixture;
use flumen_tests::ports;
use flumen_tests::sender::ACKNOWLEDGEMENT;
use flumen_tests::wait::PATIENCE;
use tempfile::TempDir;

use super::swap_check::{LINE_BYTES, read_back};
use super::swap_figures::{Moment, Outcome, Plan, WINDOW_LINES, Window, figures};
use crate::arguments::Arguments;
use crate::flow::{Flow, Guest, Sink};
use crate::table::Table;
use crate::throughput::{cache_argument, stop};

/// What the version stands behind in the file of the guest.
const MARK: &[u8] = b"flumen fixture stamp ";
/// The two versions that are compiled and kept.
const KEPT: [u64; 2] = [1, 2];
/// The first of the versions that nobody has seen.
const FIRST_NEW: u64 = 100;
/// Longest wait for an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

const PLAN: Plan = Plan {
    quiet: 1000,
    kept: 1000,
    // Not in step with the files of the output, which change each second.
    kept_interval: Duration::from_millis(59),
    new: 20,
    new_interval: Duration::from_secs(1),
};

/// The same, when the benchmark only shows that it works.
const PLAN_QUICK: Plan = Plan {
    quiet: 10,
    kept: 50,
    new: 3,
    ..PLAN
};

/// The row, one run for each binary.
pub(crate) fn row(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let plan = if arguments.quick { PLAN_QUICK } else { PLAN };
    for (place, binary) in arguments.binaries.iter().enumerate() {
        let outcome = run(binary, plan)?;
        figures(table, &arguments.label(place), &outcome, plan)?;
    }
    Ok(())
}

/// The file of the guest, in any version.
struct Versions {
    folder: TempDir,
    template: Vec<u8>,
    place: usize,
}

impl Versions {
    fn new() -> Result<Self> {
        let template = fs::read(fixture("stamp")?).context("read the guest")?;
        let place = memchr::memmem::find(&template, MARK).context("the guest has no mark")?;
        Ok(Self {
            folder: in_memory()?,
            template,
            place: place + MARK.len(),
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("stamp.wasm")
    }

    /// Puts a version in the place of the file, as careful tools do: a new file, renamed.
    fn put(&self, version: u64) -> Result<()> {
        let mut bytes = self.template.clone();
        let digits = format!("{version:08}");
        let place = bytes.get_mut(self.place..self.place + digits.len());
        let place = place.context("the guest is cut off behind its mark")?;
        place.copy_from_slice(digits.as_bytes());
        let next = self.folder.path().join("next");
        fs::write(&next, bytes).context("write the next version")?;
        fs::rename(&next, self.path()).context("rename the next version")
    }
}

/// A folder whose files cost no disk, where there is one: the output is long.
fn in_memory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
    .context("make a folder")
}

fn run(binary: &Path, plan: Plan) -> Result<Outcome> {
    let (output, compiled) = (in_memory()?, tempfile::tempdir()?);
    let versions = Versions::new()?;
    // The agent makes the folder, for itself alone.
    let kept = compiled.path().join("kept");
    let (mut agent, port) = start(binary, &versions, output.path(), &kept)?;
    let over = AtomicBool::new(false);
    let begin = Instant::now();
    let (windows, moments) = thread::scope(|scope| {
        let client = scope.spawn(|| send_windows(port, begin, &over));
        let moments = replace_repeatedly(&versions, plan, begin);
        over.store(true, Ordering::Release);
        let windows = client.join().map_err(|_| anyhow!("the client panicked"));
        let stopped = stop(&mut agent);
        let windows = windows?.with_context(|| said(&agent))?;
        stopped?;
        anyhow::Ok((windows, moments?))
    })?;
    let check = read_back(output.path())?;
    Ok(Outcome {
        windows,
        moments,
        check,
    })
}

fn said(agent: &Agent) -> String {
    format!("the agent printed:\n{}", agent.output().tail())
}

fn start(
    binary: &Path,
    versions: &Versions,
    output: &Path,
    compiled: &Path,
) -> Result<(Agent, u16)> {
    let [first, second] = KEPT;
    let port = ports::free_port()?;
    let component = versions.path();
    let guest = Guest {
        component: &component,
        settings: &[],
    };
    let flow = Flow {
        acknowledge: true,
        guest: Some((guest, 1)),
        roll_interval_s: 1,
        ..Flow::new(port, Sink::FileRoll(output))
    };
    let builder = AgentBuilder::new(flow.properties())
        .binary(binary)
        .argument(cache_argument(compiled));
    // Whichever is compiled now is compiled before.
    versions.put(second)?;
    let mut warm = builder.clone().start()?;
    warm.wait_until_listening(port, PATIENCE)?;
    stop(&mut warm)?;
    versions.put(first)?;
    let mut agent = builder.start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    Ok((agent, port))
}

/// Writes a hundred lines and reads their answers, again and again.
fn send_windows(port: u16, begin: Instant, over: &AtomicBool) -> Result<Vec<Window>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    let now = || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let due = ACKNOWLEDGEMENT.repeat(WINDOW_LINES);
    let mut answers = vec![0; due.len()];
    let mut windows = Vec::new();
    let mut text = Vec::with_capacity(WINDOW_LINES * (LINE_BYTES + 1));
    while !over.load(Ordering::Acquire) {
        let first = windows.len() * WINDOW_LINES;
        text.clear();
        for number in first..first + WINDOW_LINES {
            writeln!(text, "{number:012} {:.<26}", "")?;
        }
        let written = now();
        stream.write_all(&text).context("send lines")?;
        stream.read_exact(&mut answers).context("read answers")?;
        anyhow::ensure!(
            answers == due,
            "answered {:?}",
            String::from_utf8_lossy(&answers)
        );
        let answered = now();
        windows.push(Window { written, answered });
    }
    Ok(windows)
}

/// Replaces the file as planned; tells when.
fn replace_repeatedly(versions: &Versions, plan: Plan, begin: Instant) -> Result<Vec<Moment>> {
    let quiet = (0..plan.quiet).map(|_| (plan.kept_interval, None));
    let [first, second] = KEPT;
    let kept = [second, first].into_iter().cycle().take(plan.kept);
    let kept = kept.map(|version| (plan.kept_interval, Some(version)));
    let new = (FIRST_NEW..).take(plan.new);
    let new = new.map(|version| (plan.new_interval, Some(version)));
    let mut moments = Vec::new();
    // The first interval is that of the client's start.
    let mut due = begin + plan.kept_interval;
    for (interval, version) in quiet.chain(kept).chain(new) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += interval;
        if let Some(version) = version {
            versions.put(version)?;
        }
        moments.push(Moment {
            nanos: u64::try_from(begin.elapsed().as_nanos())?,
            interval,
            version,
        });
    }
    thread::sleep(due.saturating_duration_since(Instant::now()));
    Ok(moments)
}
