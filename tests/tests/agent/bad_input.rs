//! Input and surroundings that are not as they should be: each is said, and nothing is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use flumen_tests::agent::{Agent, AgentBuilder};
use flumen_tests::client::Client;
use flumen_tests::lines::LineCheck;
use flumen_tests::ports;
use flumen_tests::sender::NumberedSender;
use flumen_tests::wait::PATIENCE;

use crate::flow::{Flow, contents, wait_for_state};

/// What the sink has delivered.
const DELIVERED: (&str, &str) = ("SINK.k1", "EventDrainSuccessCount");
/// Lines of the sender that is to be held up: more bytes than both ends of a connection hold.
const HELD_UP_LINES: u64 = 600_000;

fn start(flow: &Flow) -> Result<Agent> {
    start_under(flow, [] as [&str; 0])
}

fn start_under<const N: usize>(flow: &Flow, wrapper: [&str; N]) -> Result<Agent> {
    let builder = AgentBuilder::new(flow.text()).with_metrics();
    let mut agent = builder.wrapper(wrapper).start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    Ok(agent)
}

fn wait_delivered(agent: &Agent, events: u64) -> Result<()> {
    let (component, attribute) = DELIVERED;
    agent.wait_for_count(component, attribute, events, PATIENCE)?;
    Ok(())
}

fn assert_all_once(folder: &Path, lines: u64) -> Result<()> {
    let mut check = LineCheck::new().expect_lane(0, lines);
    check.folder(folder)?;
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    Ok(())
}

#[test]
fn a_line_that_is_too_long_is_refused_behind_the_good_ones() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let agent = start(&flow)?;
    let mut client = Client::connect(flow.port)?;
    let fits = "x".repeat(511);
    client.send(format!("one\n{fits}\n{fits}y\nnever\n").as_bytes())?;
    let answers = client.rest()?;
    let too_long = "FAILED: Event exceeds the maximum length (512 chars, including newline)\n";
    assert_eq!(String::from_utf8(answers)?, format!("OK\nOK\n{too_long}"));
    assert_eq!(Client::connect(flow.port)?.ask("another")?, "OK");
    wait_delivered(&agent, 3)?;
    let expected = format!("one\n{fits}\nanother\n");
    assert_eq!(contents(folder.path())?, expected.as_bytes());
    Ok(())
}

#[test]
fn bytes_that_are_no_text_pass_as_they_came() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let agent = start(&flow)?;
    let sent = b"\xff\xfe\xc3\x28\xed\xa0\x80\r\n\n\x00\x01\xf0\x9f\x98\x80\n";
    let mut client = Client::connect(flow.port)?;
    client.send(sent)?;
    assert_eq!(client.finish()?, b"OK\nOK\nOK\n");
    wait_delivered(&agent, 3)?;
    assert_eq!(contents(folder.path())?, sent);
    Ok(())
}

#[test]
fn a_full_channel_refuses_with_acknowledgements_and_takes_again_later() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("later");
    let flow = Flow {
        channel: "capacity = 10\ntransactionCapacity = 10\nkeep-alive = 0".to_owned(),
        sink: Flow::to_files(0, &folder).sink + "\nsink.batchSize = 10",
        ..Flow::to_logger(ports::free_port()?)
    };
    let agent = start(&flow)?;
    let mut client = Client::connect(flow.port)?;
    for number in 0..10 {
        assert_eq!(client.ask(format!("kept {number}"))?, "OK");
    }
    let refusal = client.ask("refused")?;
    assert!(refusal.starts_with("FAILED: "), "{refusal}");
    assert!(refusal.contains("c1"), "{refusal}");
    fs::create_dir(&folder)?;
    wait_delivered(&agent, 10)?;
    assert_eq!(client.ask("taken again")?, "OK");
    wait_delivered(&agent, 11)?;
    let kept: String = (0..10).map(|number| format!("kept {number}\n")).collect();
    assert_eq!(contents(&folder)?, (kept + "taken again\n").as_bytes());
    Ok(())
}

#[test]
fn without_acknowledgements_a_full_channel_makes_the_sender_wait() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("later");
    let flow = Flow {
        source: "ack-every-event = false".to_owned(),
        channel: "capacity = 1000\ntransactionCapacity = 1000\nkeep-alive = 0".to_owned(),
        sink: Flow::to_files(0, &folder).sink + "\nsink.batchSize = 1000",
        ..Flow::to_logger(ports::free_port()?)
    };
    let agent = start(&flow)?;
    let mut sender = NumberedSender::connect(flow.port, 0)?;
    let sending = thread::spawn(move || sender.send(HELD_UP_LINES).map(|()| sender));
    agent.wait_for_count("CHANNEL.c1", "ChannelSize", 900, PATIENCE)?;
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    assert!(!sending.is_finished(), "somebody swallowed the lines");
    fs::create_dir(&folder)?;
    let sender = sending.join().unwrap()?;
    wait_delivered(&agent, HELD_UP_LINES)?;
    drop(sender);
    assert_all_once(&folder, HELD_UP_LINES)
}

/// The user `root` may write everywhere, unless that capability is taken from it.
const WITHOUT_PRIVILEGE: [&str; 3] = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
];

fn set_mode(folder: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(mode))?;
    Ok(())
}

#[test]
fn a_folder_that_may_not_be_written_is_named_and_used_when_it_may() -> Result<()> {
    let folder = tempfile::tempdir()?;
    set_mode(folder.path(), 0o555)?;
    let flow = Flow::to_files(ports::free_port()?, folder.path());
    let agent = start_without_privilege(&flow)?;
    let mut sender = NumberedSender::connect(flow.port, 0)?;
    sender.send_acknowledged(50)?;
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    let said = agent.output().wait_for("ermission denied", PATIENCE)?.text;
    assert!(
        said.contains(&folder.path().display().to_string()),
        "{said}"
    );
    set_mode(folder.path(), 0o755)?;
    wait_delivered(&agent, 50)?;
    assert_all_once(folder.path(), 50)
}

#[test]
fn a_folder_that_may_no_longer_be_written_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut flow = Flow::to_files(ports::free_port()?, folder.path());
    flow.sink = flow.sink.replace("rollInterval = 0", "rollInterval = 1");
    let agent = start_without_privilege(&flow)?;
    let mut sender = NumberedSender::connect(flow.port, 0)?;
    sender.send_acknowledged(30)?;
    set_mode(folder.path(), 0o555)?;
    sender.send_acknowledged(30)?;
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    sender.send_acknowledged(30)?;
    set_mode(folder.path(), 0o755)?;
    wait_delivered(&agent, 90)?;
    assert_all_once(folder.path(), 90)
}

fn start_without_privilege(flow: &Flow) -> Result<Agent> {
    if rustix::process::geteuid().is_root() {
        start_under(flow, WITHOUT_PRIVILEGE)
    } else {
        start(flow)
    }
}

/// A disk of 1 MiB, of which a filler takes all but 16 KiB. It is seen by the agent alone, and by
/// this test through the agent's view of the file system.
#[test]
fn a_full_disk_is_said_and_loses_nothing() -> Result<()> {
    let disk = tempfile::tempdir()?;
    let place = disk.path().display().to_string();
    let flow = Flow {
        channel: "capacity = 10000".to_owned(),
        ..Flow::to_files(ports::free_port()?, disk.path())
    };
    let mount = format!(
        "mount -t tmpfs -o size=1m tmpfs '{place}' && head -c 1032192 /dev/zero > '{place}/filler' \
         && exec \"$@\""
    );
    let agent = start_under(&flow, ["unshare", "-rm", "sh", "-c", &mount, "sh"])?;
    let seen = PathBuf::from(format!("/proc/{}/root{place}", agent.process_id()));
    let mut sender = NumberedSender::connect(flow.port, 0)?;
    sender.send_acknowledged(5000)?;
    wait_for_state(&agent, "sink", "k1", "retrying")?;
    let said = agent.output().wait_for("No space left", PATIENCE)?.text;
    assert!(said.contains(&place), "{said}");
    fs::remove_file(seen.join("filler"))?;
    wait_delivered(&agent, 5000)?;
    sender.send_acknowledged(100)?;
    wait_delivered(&agent, 5100)?;
    assert_all_once(&seen, 5100)
}
