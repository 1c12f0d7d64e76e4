//! Hundreds of reloads under load: no line lost, none doubled, order kept, connections kept.
//!
//! Four connections send numbered lines with acknowledgement into netcat source `r1`, while the
//! configuration is replaced again and again by a random neighbour of the last one: sinks change
//! their folder, prefix and interval, come and go, and compete for a channel; interceptors come, go
//! and change places; the selector changes between replicating and multiplexing, and its mappings
//! change; required and optional copies come and go; capacities grow and shrink; the limit of the
//! running source changes; whole flows are added, changed and removed. In between come
//! configurations that are wrong or cannot be had, which must change nothing.
//!
//! The schedule is random. Its seed is printed; `FLUMEN_TEST_SEED` repeats it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::lines::{LineCheck, name_key};
use flumen_tests::ports;
use flumen_tests::sender::NumberedSender;
use flumen_tests::wait::PATIENCE;

use crate::flow::properties;

/// Reloads that must take effect. Each takes a little more than the agent's settling time of 50 ms.
const RELOADS: u64 = 300;
/// Every so many reloads a configuration that must be refused comes in between.
const REFUSED_EVERY: u64 = 10;
/// Connections of the main flow.
const CONNECTIONS: u64 = 4;
/// The most lines in flight on one of them.
const BURST_LINES_MAX: u64 = 40;
/// The sender's pause between two bursts: the load shall leave the processor to the reloads.
const PACE: Duration = Duration::from_millis(2);
/// Lines that the second flow gets between two reloads.
const SECOND_LINES: u64 = 20;
/// Folders that the sinks move between.
const FOLDERS: u64 = 3;
/// Makes a sink slower than its channel is filled, so that a channel that is removed holds events.
const SLOW: &str = "sink.batchSize = 1";
/// The environment variable that repeats a schedule.
const SEED_VARIABLE: &str = "FLUMEN_TEST_SEED";

/// SplitMix64: a random sequence that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }
}

fn seed() -> u64 {
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    };
    std::env::var(SEED_VARIABLE).map_or_else(|_| clock(), |seed| seed.parse().unwrap())
}

/// What the selector of the main source does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Selection {
    Replicating,
    /// The channels of value `x`, of value `y`, and of all others: `c1` or `c2`.
    Multiplexing([&'static str; 3]),
}

/// A second way for every line of the main flow.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Copied {
    optional: bool,
    sink: &'static str,
}

/// The second flow, with a connection of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Second {
    folder: u64,
    line_max: u64,
}

/// One configuration.
#[derive(Debug, Clone, PartialEq)]
struct Setup {
    folder: u64,
    prefix: &'static str,
    interval_seconds: u64,
    batch: u64,
    competitor: bool,
    selection: Selection,
    route: &'static str,
    interceptors: Vec<&'static str>,
    copied: Option<Copied>,
    capacity: u64,
    transaction: u64,
    line_max: u64,
    second: Option<Second>,
    numbers: Option<u64>,
}

/// Where everything is.
struct Rig {
    folder: PathBuf,
    port: u16,
    second_port: u16,
}

impl Setup {
    fn first() -> Self {
        Self {
            folder: 0,
            prefix: "one-",
            interval_seconds: 0,
            batch: 50,
            competitor: false,
            selection: Selection::Replicating,
            route: "x",
            interceptors: Vec::new(),
            copied: None,
            capacity: 1000,
            transaction: 100,
            line_max: 512,
            second: None,
            numbers: None,
        }
    }

    /// A neighbour that differs in one to three things.
    fn neighbour(&self, random: &mut Random) -> Self {
        let mut next = self.clone();
        for _ in 0..=random.below(3) {
            next.change(random);
        }
        if next == *self {
            next.line_max = if self.line_max == 512 { 600 } else { 512 };
        }
        next
    }

    fn change(&mut self, random: &mut Random) {
        match random.below(11) {
            0 => self.folder = random.below(FOLDERS),
            1 => self.prefix = random.one_of(&["one-", "uno-", "eins-"]),
            2 => self.interval_seconds = random.one_of(&[0, 1, 30]),
            3 => {
                self.competitor = !self.competitor;
                self.batch = random.one_of(&[1, 50]);
            }
            4 => {
                let mut channel = || random.one_of(&["c1", "c2"]);
                let mapping = [channel(), channel(), channel()];
                self.selection = Selection::Multiplexing(mapping);
                if random.below(3) == 0 {
                    self.selection = Selection::Replicating;
                }
            }
            5 => self.route = random.one_of(&["x", "y", "z"]),
            6 => {
                let mut all = vec!["route", "time", "origin", "none"];
                self.interceptors.clear();
                for _ in 0..random.below(5) {
                    let place = usize::try_from(random.below(all.len() as u64)).unwrap();
                    self.interceptors.push(all.swap_remove(place));
                }
            }
            7 => {
                let sink = random.one_of(&["null", "null", "null", "file_roll", "logger"]);
                let optional = random.yes();
                let copied = Copied { optional, sink };
                self.copied = random.yes().then_some(copied);
            }
            8 => {
                self.transaction = random.one_of(&[50, 100, 200]);
                self.capacity = self.transaction * random.one_of(&[1, 5, 100]);
            }
            9 => self.line_max = random.one_of(&[64, 512, 2048]),
            _ => {
                let folder = random.below(FOLDERS);
                let line_max = random.one_of(&[64, 512]);
                self.second = random.yes().then_some(Second { folder, line_max });
                self.numbers = random.yes().then(|| 1 + random.below(1000));
            }
        }
    }

    fn uses_second_channel(&self) -> bool {
        matches!(self.selection, Selection::Multiplexing(to) if to.contains(&"c2"))
    }

    fn text(&self, rig: &Rig) -> String {
        let mut text = Text::default();
        self.main_source(rig, &mut text);
        self.main_channels(rig, &mut text);
        if let Some(second) = self.second {
            let lines = format!(
                "port = {}\nmax-line-length = {}",
                rig.second_port, second.line_max
            );
            text.source(
                "r2",
                &format!("type = netcat\nbind = 127.0.0.1\nchannels = c8\n{lines}"),
            );
            text.channel("c8", "");
            text.files("k8", "c8", rig, second.folder, "second-", SLOW);
        }
        if let Some(total) = self.numbers {
            text.source(
                "r3",
                &format!("type = seq\nchannels = c9\ntotalEvents = {total}"),
            );
            text.channel("c9", "");
            text.sink("k9", "type = null\nchannel = c9");
        }
        text.finish()
    }

    fn main_source(&self, rig: &Rig, text: &mut Text) {
        let mut channels = vec!["c1"];
        if self.uses_second_channel() {
            channels.push("c2");
        }
        if self.copied.is_some() {
            channels.push("c3");
        }
        let mut lines = format!(
            "type = netcat\nbind = 127.0.0.1\nport = {}\nmax-line-length = {}\nchannels = {}\n",
            rig.port,
            self.line_max,
            channels.join(" ")
        );
        let copy = self.copied.map(|copied| copied.optional);
        match self.selection {
            Selection::Replicating => {
                if copy == Some(true) {
                    lines.push_str("selector.optional = c3\n");
                }
            }
            Selection::Multiplexing([x, y, default]) => {
                lines.push_str("selector.type = multiplexing\nselector.header = route\n");
                let also = if copy == Some(false) { " c3" } else { "" };
                for (key, channel) in [("mapping.x", x), ("mapping.y", y), ("default", default)] {
                    lines.push_str(&format!("selector.{key} = {channel}{also}\n"));
                }
                if copy == Some(true) {
                    lines.push_str("selector.optional.x = c3\n");
                }
            }
        }
        if !self.interceptors.is_empty() {
            lines.push_str(&format!("interceptors = {}\n", self.interceptors.join(" ")));
        }
        for name in &self.interceptors {
            let settings = match *name {
                "route" => format!("type = static\nkey = route\nvalue = {}", self.route),
                "time" => "type = timestamp".to_owned(),
                "origin" => "type = host".to_owned(),
                _ => "type = regex_filter\nregex = nowhere\nexcludeEvents = true".to_owned(),
            };
            lines.push_str(&properties(&format!("interceptors.{name}"), &settings));
        }
        text.source("r1", &lines);
    }

    fn main_channels(&self, rig: &Rig, text: &mut Text) {
        let limits = format!(
            "capacity = {}\ntransactionCapacity = {}",
            self.capacity, self.transaction
        );
        let first = format!(
            "sink.rollInterval = {}\nsink.batchSize = {}",
            self.interval_seconds, self.batch
        );
        text.channel("c1", &limits);
        text.files("k1", "c1", rig, self.folder, self.prefix, &first);
        if self.competitor {
            text.files("k2", "c1", rig, self.folder, "two-", "sink.batchSize = 50");
        }
        if self.uses_second_channel() {
            text.channel("c2", "");
            text.files("k3", "c2", rig, 0, "many-", SLOW);
        }
        if let Some(copied) = self.copied {
            text.copy(rig, copied.sink);
        }
    }
}

/// The properties of a configuration, and the lists of its components.
#[derive(Default)]
struct Text {
    properties: String,
    sources: Vec<String>,
    channels: Vec<String>,
    sinks: Vec<String>,
}

impl Text {
    fn source(&mut self, name: &str, lines: &str) {
        self.sources.push(name.to_owned());
        self.properties += &properties(&format!("a1.sources.{name}"), lines);
    }

    fn channel(&mut self, name: &str, lines: &str) {
        self.channels.push(name.to_owned());
        self.properties += &format!("a1.channels.{name}.type = memory\n");
        self.properties += &properties(&format!("a1.channels.{name}"), lines);
    }

    fn sink(&mut self, name: &str, lines: &str) {
        self.sinks.push(name.to_owned());
        self.properties += &properties(&format!("a1.sinks.{name}"), lines);
    }

    fn files(
        &mut self,
        name: &str,
        channel: &str,
        rig: &Rig,
        folder: u64,
        prefix: &str,
        more: &str,
    ) {
        let folder = rig.folder.join(folder.to_string());
        let lines = format!(
            "type = file_roll\nchannel = {channel}\nsink.directory = {}\n\
             sink.pathManager.prefix = {prefix}\n{more}",
            folder.display()
        );
        self.sink(name, &lines);
    }

    fn copy(&mut self, rig: &Rig, sink: &str) {
        self.channel("c3", "");
        if sink == "file_roll" {
            self.files("k4", "c3", rig, 0, "copy-", "sink.batchSize = 50");
        } else {
            self.sink("k4", &format!("type = {sink}\nchannel = c3"));
        }
    }

    fn finish(self) -> String {
        format!(
            "a1.sources = {}\na1.channels = {}\na1.sinks = {}\n{}",
            self.sources.join(" "),
            self.channels.join(" "),
            self.sinks.join(" "),
            self.properties
        )
    }
}

/// Replaces the configuration and waits until the agent has said what came of it.
fn replace(agent: &Agent, text: &str) -> Result<String> {
    let position = agent.output().position();
    agent.replace_config(text)?;
    let line = agent
        .output()
        .wait_for_after(position, "configuration ", PATIENCE)?;
    Ok(line.text)
}

/// A configuration that must change nothing, and a word of the reason that must be said.
fn refused(setup: &Setup, rig: &Rig, held: u16, random: &mut Random) -> (String, String) {
    let good = setup.neighbour(random).text(rig);
    match random.below(3) {
        0 => (
            good.replace("channels = c1", "channels = nowhere"),
            "nowhere".to_owned(),
        ),
        1 => {
            let broken = good.replace("type = file_roll", "type = file_rol");
            (broken, "file_rol".to_owned())
        }
        _ => {
            let extra = format!(
                "a1.sources = r1 taken\na1.sources.taken.type = netcat\n\
                 a1.sources.taken.bind = 127.0.0.1\na1.sources.taken.port = {held}\n\
                 a1.sources.taken.channels = c1\n"
            );
            // A later line wins; what the shorter list leaves out would only be removed.
            (good + &extra, held.to_string())
        }
    }
}

/// Sends bursts until told to stop; returns how many lines were acknowledged.
fn send(port: u16, lane: u64, seed: u64, over: &AtomicBool) -> Result<u64> {
    let mut random = Random(seed ^ lane);
    let mut sender = NumberedSender::connect(port, lane)?;
    while !over.load(Ordering::Acquire) {
        sender
            .send_acknowledged(1 + random.below(BURST_LINES_MAX))
            .with_context(|| format!("connection {lane}"))?;
        thread::sleep(PACE);
    }
    Ok(sender.sent())
}

/// The second flow's connection, as long as the flow is there; and the lines of the past ones.
#[derive(Default)]
struct SecondClient {
    sender: Option<NumberedSender>,
    sent: Vec<u64>,
}

impl SecondClient {
    fn follow(&mut self, flow: Option<Second>, port: u16) -> Result<()> {
        if flow.is_none() {
            self.leave();
            return Ok(());
        }
        if self.sender.is_none() {
            let lane = CONNECTIONS + self.sent.len() as u64;
            self.sender = Some(NumberedSender::connect(port, lane)?);
        }
        match &mut self.sender {
            Some(sender) => sender
                .send_acknowledged(SECOND_LINES)
                .context("second flow"),
            None => Ok(()),
        }
    }

    fn leave(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.sent.push(sender.sent());
        }
    }
}

/// Replaces the configuration `RELOADS` times.
fn drive(agent: &Agent, rig: &Rig, random: &mut Random) -> Result<SecondClient> {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free_port()?))?;
    let held_port = held.local_addr()?.port();
    let mut client = SecondClient::default();
    let mut setup = Setup::first();
    for turn in 0..RELOADS {
        if turn % REFUSED_EVERY == 0 {
            let (text, reason) = refused(&setup, rig, held_port, random);
            let position = agent.output().position();
            let said = replace(agent, &text)?;
            ensure!(said.contains("not reloaded"), "{said}, after\n{text}");
            agent
                .output()
                .wait_for_after(position, &reason, PATIENCE)
                .context("the reason of a refusal")?;
        }
        let next = setup.neighbour(random);
        let text = next.text(rig);
        let said = replace(agent, &text).with_context(|| format!("reload {turn}\n{text}"))?;
        if said.contains("not reloaded") {
            bail!(
                "reload {turn}: {said}\n{}\nfrom {setup:?}\nto {next:?}",
                agent.output().tail()
            );
        }
        setup = next;
        client
            .follow(setup.second, rig.second_port)
            .with_context(|| format!("after reload {turn} to {setup:?}"))?;
    }
    client.leave();
    Ok(client)
}

/// All files of all folders whose names begin with one of the prefixes, in the order of making.
fn files_of(rig: &Rig, prefixes: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    for folder in 0..FOLDERS {
        for entry in fs::read_dir(rig.folder.join(folder.to_string()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                files.insert((name_key(&name), folder), entry.path());
            }
        }
    }
    Ok(files.into_values().collect())
}

/// The check of these files against what was sent, in lanes from `first_lane` on.
fn check(files: &[PathBuf], first_lane: u64, sent: &[u64]) -> Result<LineCheck> {
    let mut check = LineCheck::new();
    for (lane, lines) in (first_lane..).zip(sent) {
        check = check.expect_lane(lane, *lines);
    }
    for file in files {
        check.file(file)?;
    }
    Ok(check)
}

/// Whether one sink's files, as far as they go, hold lines in order and once.
fn in_order(rig: &Rig, prefixes: &[&str], sent: &[u64]) -> Result<()> {
    let verdict = check(&files_of(rig, prefixes)?, 0, sent)?.finish();
    ensure!(
        verdict.doubled + verdict.disordered + verdict.strange == 0,
        "the files {prefixes:?}: {verdict:?}"
    );
    Ok(())
}

fn verify(rig: &Rig, sent: &[u64], second: &[u64]) -> Result<()> {
    let main = ["one-", "uno-", "eins-", "two-", "many-"];
    let verdict = check(&files_of(rig, &main)?, 0, sent)?.finish();
    ensure!(
        verdict.lost + verdict.doubled + verdict.strange == 0,
        "the main flow: {verdict:?}"
    );
    ensure!(verdict.lines == sent.iter().sum::<u64>(), "{verdict:?}");
    in_order(rig, &["one-", "uno-", "eins-"], sent)?;
    in_order(rig, &["two-"], sent)?;
    in_order(rig, &["many-"], sent)?;
    in_order(rig, &["copy-"], sent)?;
    let verdict = check(&files_of(rig, &["second-"])?, CONNECTIONS, second)?.finish();
    ensure!(verdict.is_clean(), "the second flow: {verdict:?}");
    Ok(())
}

fn run(seed: u64, folder: &Path) -> Result<()> {
    for number in 0..FOLDERS {
        fs::create_dir(folder.join(number.to_string()))?;
    }
    let rig = Rig {
        folder: folder.to_owned(),
        port: ports::free_port()?,
        second_port: ports::free_port()?,
    };
    let mut agent = AgentBuilder::new(Setup::first().text(&rig)).start()?;
    agent.wait_until_listening(rig.port, PATIENCE)?;
    let over = AtomicBool::new(false);
    let port = rig.port;
    let (driven, sent) = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|lane| {
                scope.spawn({
                    let over = &over;
                    move || send(port, lane, seed, over)
                })
            })
            .collect();
        let driven = drive(&agent, &rig, &mut Random(seed));
        over.store(true, Ordering::Release);
        let sent: Result<Vec<u64>> = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect();
        (driven, sent)
    });
    let (client, sent) = (driven?, sent.with_context(|| agent.output().tail())?);
    agent.terminate()?;
    let status = agent.wait_exit(PATIENCE)?;
    ensure!(status.success(), "{status}");
    println!(
        "{} lines on {CONNECTIONS} connections",
        sent.iter().sum::<u64>()
    );
    verify(&rig, &sent, &client.sent)
}

#[test]
fn hundreds_of_reloads_lose_double_and_disorder_nothing() -> Result<()> {
    let seed = seed();
    println!("the seed is {seed}; {SEED_VARIABLE}={seed} repeats the schedule");
    let folder = tempfile::tempdir()?;
    run(seed, folder.path()).with_context(|| format!("with {SEED_VARIABLE}={seed}"))
}
