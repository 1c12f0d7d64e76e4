//! What guests and sources keep over a restart, after a kill, and on a disk that is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use flumen_tests::agent::Agent;
use flumen_tests::ports;
use flumen_tests::wait::{PATIENCE, wait_for};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::flow::{Flow, contents};
use crate::guests::{agent, example, say};

/// What the sink has delivered.
const DELIVERED: (&str, &str) = ("SINK.k1", "EventDrainSuccessCount");

/// A folder for the state and one for what the sinks of all lives wrote.
struct Rig {
    parent: TempDir,
    lives: usize,
}

impl Rig {
    fn new() -> Result<Self> {
        let parent = tempfile::tempdir()?;
        Ok(Self { parent, lives: 0 })
    }

    fn state(&self) -> PathBuf {
        self.parent.path().join("state")
    }

    /// A folder for the sink of the next life.
    fn next_life(&mut self) -> Result<PathBuf> {
        self.lives += 1;
        let folder = self.parent.path().join(format!("life-{}", self.lives));
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// A guest that counts, up to a limit, into files.
    fn start_ticker(&mut self, limit: u64) -> Result<Agent> {
        let folder = self.next_life()?;
        let config = format!(
            "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
             a1.sources.r1.type = wasm\na1.sources.r1.component = {}\n\
             a1.sources.r1.channels = c1\na1.sources.r1.config.interval_ms = 1\n\
             a1.sources.r1.config.limit = {limit}\na1.channels.c1.type = memory\n\
             a1.sinks.k1.type = file_roll\na1.sinks.k1.channel = c1\n\
             a1.sinks.k1.sink.rollInterval = 0\na1.sinks.k1.sink.directory = {}\n",
            example("ticker").display(),
            folder.display()
        );
        agent(&config).state_folder(self.state()).start()
    }

    /// The numbers that were delivered, life by life.
    fn numbers(&self) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for life in 1..=self.lives {
            let folder = self.parent.path().join(format!("life-{life}"));
            let text = String::from_utf8(contents(&folder)?)?;
            // What stands behind the last line break is still being written.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                numbers.push(line.strip_prefix("tick ").unwrap().parse()?);
            }
        }
        Ok(numbers)
    }
}

fn wait_delivered(agent: &Agent, events: u64) -> Result<()> {
    let (component, attribute) = DELIVERED;
    agent.wait_for_count(component, attribute, events, PATIENCE)?;
    Ok(())
}

fn end(mut agent: Agent) -> Result<()> {
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    Ok(())
}

#[test]
fn a_source_goes_on_after_a_restart_without_repeating_or_skipping() -> Result<()> {
    let mut rig = Rig::new()?;
    for _ in 0..4 {
        let agent = rig.start_ticker(u64::MAX)?;
        wait_delivered(&agent, 25)?;
        end(agent)?;
    }
    let numbers = rig.numbers()?;
    assert!(numbers.len() >= 100);
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    Ok(())
}

#[test]
fn a_source_never_skips_after_a_kill() -> Result<()> {
    let mut rig = Rig::new()?;
    let mut last = 0;
    for life in 1..=6 {
        // The source ends at the limit, so that the memory channel, which a kill empties, is empty
        // when the kill comes. What the state knows of all this may be old by then.
        let limit = life * 20;
        let mut agent = rig.start_ticker(limit)?;
        let what = format!("tick {limit} to be delivered");
        wait_for(&what, PATIENCE, || {
            let is_last = rig.numbers()?.last() == Some(&limit);
            Ok(is_last.then_some(()))
        })?;
        agent.signal(Signal::KILL)?;
        agent.wait_exit(PATIENCE)?;
    }
    for number in rig.numbers()? {
        assert!(number <= last + 1, "{number} after {last}");
        last = last.max(number);
    }
    assert_eq!(last, 120);
    Ok(())
}

/// Lines to files, without those that came before.
fn start_dedup(rig: &mut Rig, wrapper: &[&str]) -> Result<(Agent, u16, PathBuf)> {
    let folder = rig.next_life()?;
    let port = ports::free_port()?;
    let mut flow = Flow::to_files(port, &folder);
    flow.source = format!(
        "interceptors = i1\ninterceptors.i1.type = wasm\ninterceptors.i1.component = {}",
        example("dedup").display()
    );
    let builder = agent(&flow.text()).state_folder(rig.state());
    let mut agent = builder.wrapper(wrapper).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    Ok((agent, port, folder))
}

#[test]
fn an_interceptor_remembers_over_a_restart() -> Result<()> {
    let mut rig = Rig::new()?;
    let (agent, port, folder) = start_dedup(&mut rig, &[])?;
    say(port, "a\nb\na\n")?;
    end(agent)?;
    assert_eq!(contents(&folder)?, b"a\nb\n");
    let (agent, port, folder) = start_dedup(&mut rig, &[])?;
    say(port, "b\nc\na\n")?;
    end(agent)?;
    assert_eq!(contents(&folder)?, b"c\n");
    Ok(())
}

#[test]
fn a_second_agent_on_the_same_folder_is_refused() -> Result<()> {
    let mut rig = Rig::new()?;
    let first = rig.start_ticker(u64::MAX)?;
    wait_delivered(&first, 1)?;
    let mut second = rig.start_ticker(u64::MAX)?;
    assert_eq!(second.wait_exit(PATIENCE)?.code(), Some(1));
    let said = second
        .output()
        .wait_for("in use by another agent", PATIENCE)?
        .text;
    assert!(said.contains(&rig.state().display().to_string()), "{said}");
    assert!(said.contains("-Dflumen.stateFolder"), "{said}");
    end(first)?;
    let third = rig.start_ticker(u64::MAX)?;
    wait_delivered(&third, 1)?;
    end(third)
}

#[test]
fn a_damaged_state_is_told_and_may_be_moved_away() -> Result<()> {
    let mut rig = Rig::new()?;
    let agent = rig.start_ticker(1)?;
    wait_delivered(&agent, 1)?;
    end(agent)?;
    let file = rig.state().join("state.redb");
    let sound = fs::read(&file)?;
    fs::write(&file, &sound[..sound.len() / 2])?;
    let mut agent = rig.start_ticker(5)?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(1));
    let said = agent.output().wait_for("is damaged", PATIENCE)?.text;
    assert!(said.contains("safe to move it away"), "{said}");
    assert_eq!(fs::read(&file)?, &sound[..sound.len() / 2]);
    fs::rename(&file, rig.state().join("old"))?;
    let agent = rig.start_ticker(5)?;
    wait_delivered(&agent, 5)?;
    end(agent)
}

/// Takes all that is left of a disk.
fn fill(filler: &Path) -> Result<()> {
    let mut file = File::create(filler)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    Ok(())
}

#[test]
fn a_full_disk_is_told_once_and_stops_nothing() -> Result<()> {
    let mut rig = Rig::new()?;
    fs::create_dir(rig.state())?;
    let place = rig.state().display().to_string();
    let mount = format!("mount -t tmpfs -o size=4m tmpfs '{place}' && exec \"$@\"");
    let wrapper = ["unshare", "-rm", "sh", "-c", &mount, "sh"];
    let (agent, port, folder) = start_dedup(&mut rig, &wrapper)?;
    // The disk of the state, through the agent's view of the file system.
    let seen = PathBuf::from(format!("/proc/{}/root{place}", agent.process_id()));
    let filler = seen.join("filler");
    say(port, "first\n")?;
    fill(&filler)?;
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    say(port, &lines)?;
    let told = "cannot be written; the agent runs on";
    agent.output().wait_for(told, PATIENCE)?;
    say(port, "more\nline 7\n")?;
    wait_delivered(&agent, 5002)?;
    fs::remove_file(&filler)?;
    agent.output().wait_for("are written again", PATIENCE)?;
    assert_eq!(agent.output().count(told), 1);
    // What the disk holds now is what another agent would begin with.
    let position = agent.output().position();
    say(port, "last\n")?;
    end_and_look(agent, position, &folder)
}

fn end_and_look(mut agent: Agent, position: usize, folder: &Path) -> Result<()> {
    agent.terminate()?;
    assert!(agent.wait_exit(PATIENCE)?.success());
    let output = agent.output();
    assert_eq!(output.count("are not on disk"), 0);
    output.wait_for_after(position, "all channels are empty", PATIENCE)?;
    let text = String::from_utf8(contents(folder)?)?;
    assert_eq!(text.lines().count(), 5003);
    assert!(text.ends_with("more\nlast\n"), "{}", text.len());
    Ok(())
}
