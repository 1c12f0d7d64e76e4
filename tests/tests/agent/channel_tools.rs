//! A backlog of Flume brought over, looked at, checked, copied, and delivered by an agent.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flumen_tests::agent::AgentBuilder;
use flumen_tests::lines::files_in_order;
use flumen_tests::ports;
use flumen_tests::wait::{PATIENCE, wait_for};

use crate::command_line::{Finished, run};

/// A folder that the real Flume made and that was copied while it ran.
fn made_by_flume() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("../host/channel/tests/flume-file-channel/killed")
}

/// The words of a command, of which the last ones are paths.
fn command(words: &str, paths: &[&Path]) -> Result<Finished> {
    let words = words.split_ascii_whitespace().map(OsString::from);
    run(words.chain(paths.iter().map(|path| path.into())))
}

/// The number that each of the nine events has in its body.
const BODIES: [u32; 9] = [3, 4, 5, 8, 9, 11, 12, 10, 13];

/// A configuration around the channel. Small segments, because an unoptimised build takes long to look
/// through large ones.
fn config(channel: &Path, source: &str, sink: &str) -> String {
    format!(
        "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
         a1.sources.r1.channels = c1\n{source}\
         a1.channels.c1.type = file\na1.channels.c1.dataDirs = {}\n\
         a1.channels.c1.maxFileSize = 262144\na1.channels.c1.minimumRequiredSpace = 1048576\n\
         a1.sinks.k1.channel = c1\n{sink}",
        channel.display()
    )
}

/// Imports the folder of Flume through a configuration of the channel.
fn import(channel: &Path, flume: &Path) -> Result<Finished> {
    let file = tempfile::Builder::new().suffix(".properties").tempfile()?;
    let (source, sink) = ("a1.sources.r1.type = seq\n", "a1.sinks.k1.type = null\n");
    fs::write(file.path(), config(channel, source, sink))?;
    command("import-flume-channel --conf-file", &[file.path(), flume])
}

fn imported(channel: &Path) -> Result<()> {
    let done = import(channel, &made_by_flume())?;
    assert_eq!(
        (done.code, done.err.as_str()),
        (Some(0), ""),
        "{}",
        done.out
    );
    let expected = [
        "read 27 records in 1 log file, 1445 bytes\n",
        "used the checkpoint in ",
        "2 events: left out because they were never committed\n",
        "imported 9 events, 67 bytes, into ",
    ];
    for words in expected {
        assert!(done.out.contains(words), "{}", done.out);
    }
    Ok(())
}

fn texts(numbers: &[u32]) -> String {
    numbers
        .iter()
        .map(|number| format!("event {number}\n"))
        .collect()
}

#[test]
fn a_backlog_is_imported_once_and_delivered_by_an_agent() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (channel, out) = (folder.path().join("channel"), folder.path().join("out"));
    fs::create_dir(&out)?;
    let dry = command(
        "import-flume-channel --dryrun --to",
        &[&channel, &made_by_flume()],
    )?;
    assert!(
        dry.out.ends_with("9 events would be imported\n"),
        "{}",
        dry.out
    );
    assert!(!channel.exists());
    imported(&channel)?;
    let again = import(&channel, &made_by_flume())?;
    assert_eq!(again.code, Some(1));
    assert!(
        again.err.contains("has these 9 events already"),
        "{}",
        again.err
    );

    let port = ports::free_port()?;
    let source = format!(
        "a1.sources.r1.type = netcat\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\n"
    );
    let sink = format!(
        "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = {}\n",
        out.display()
    );
    let mut agent = AgentBuilder::new(config(&channel, &source, &sink)).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    wait_for("all events in a file", PATIENCE, || {
        let mut text = String::new();
        for path in files_in_order(&out)? {
            text.push_str(&fs::read_to_string(path)?);
        }
        Ok((text == texts(&BODIES)).then_some(()))
    })?;
    for verb in ["show", "dump", "verify", "ls"] {
        let used = command(&format!("channel {verb}"), &[&channel])?;
        let said = format!("{}{}", used.out, used.err);
        assert!(said.contains("in use by a running agent"), "{verb}: {said}");
    }
    agent.terminate()?;
    agent.wait_exit(PATIENCE)?;
    let empty = command("channel ls", &[&channel])?;
    assert!(empty.out.ends_with("\tno events\n"), "{}", empty.out);
    Ok(())
}

#[test]
fn an_import_that_was_cut_off_keeps_agents_away_until_it_is_finished() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let channel = folder.path();
    imported(channel)?;
    // As a kill right before the end would leave it.
    let ledger = channel.join("flumen-log/flume-import");
    let text = fs::read_to_string(&ledger)?;
    assert!(text.contains(" 0 9 complete "), "{text}");
    fs::write(&ledger, text.replace("complete", "begun"))?;
    let (source, sink) = ("a1.sources.r1.type = seq\n", "a1.sinks.k1.type = null\n");
    let mut agent = AgentBuilder::new(config(channel, source, sink)).start()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(1));
    let said = agent.output().tail();
    assert!(said.contains("was cut off; run it again"), "{said}");
    let again = import(channel, &made_by_flume())?;
    assert_eq!(again.code, Some(0), "{}", again.err);
    for words in ["went on behind 9 events", "imported 0 events"] {
        assert!(again.out.contains(words), "{}", again.out);
    }
    assert_eq!(fs::read_to_string(&ledger)?, text);
    let dumped = command("channel dump --text", &[channel])?;
    assert_eq!(dumped.out, texts(&BODIES));
    Ok(())
}

#[test]
fn the_configuration_names_both_flumes_folders_and_the_channel() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flume = folder.path().join("flume");
    for name in ["data1", "checkpoint"] {
        fs::create_dir_all(flume.join(name))?;
        for entry in fs::read_dir(made_by_flume().join(name))? {
            let path = entry?.path();
            fs::copy(
                &path,
                flume.join(name).join(path.file_name().context("name")?),
            )?;
        }
    }
    let checkpoint = format!(
        "a1.sinks.k1.type = null\na1.channels.c1.checkpointDir = {}\n",
        flume.join("checkpoint").display()
    );
    let source = "a1.sources.r1.type = seq\n";
    let text = config(&flume.join("data1"), source, &checkpoint);
    let config = folder.path().join("flume.properties");
    fs::write(&config, text)?;
    let done = command("import-flume-channel --conf-file", &[&config])?;
    assert!(
        done.out.contains("used the checkpoint"),
        "{}{}",
        done.out,
        done.err
    );
    assert!(done.out.contains("data1/flumen-log\n"), "{}", done.out);
    let listed = command("channel ls --conf-file", &[&config])?;
    assert!(
        listed.out.starts_with("c1\t"),
        "{}{}",
        listed.out,
        listed.err
    );
    assert!(listed.out.contains("9 events, 67 bytes"), "{}", listed.out);
    let dumped = command("channel dump --text --channel c1 --conf-file", &[&config])?;
    assert_eq!(dumped.out, texts(&BODIES));
    Ok(())
}

#[test]
fn what_waits_is_shown_dumped_and_verified() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let channel = folder.path();
    imported(channel)?;
    let shown = command("channel show", &[channel])?;
    for words in ["9 events, 67 bytes of bodies, from sequence 0", "segment-"] {
        assert!(shown.out.contains(words), "{}", shown.out);
    }
    let dumped = command("channel dump --from 1 --count 2", &[channel])?;
    assert_eq!(
        dumped.out,
        "{\"body\":\"event 4\",\"headers\":{\"n\":\"4\"},\"sequence\":1}\n\
         {\"body\":\"event 5\",\"headers\":{\"n\":\"5\"},\"sequence\":2}\n"
    );
    let dumped = command("channel dump --body-bytes 5 --text --count 1", &[channel])?;
    assert_eq!(dumped.out, "event\n");
    let verified = command("channel verify", &[channel])?;
    assert_eq!(verified.code, Some(0), "{}", verified.err);
    assert!(
        verified.out.contains("waiting: 9 events"),
        "{}",
        verified.out
    );
    let none = command("channel verify", &[&folder.path().join("flumen-log/none")])?;
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("holds no file channel"), "{}", none.err);
    Ok(())
}

/// Damages the frame that holds these bytes.
fn damage(channel: &Path, wanted: &[u8]) -> Result<()> {
    for entry in fs::read_dir(channel.join("flumen-log"))? {
        let path = entry?.path();
        let mut bytes = fs::read(&path)?;
        let found = bytes.windows(wanted.len()).position(|own| own == wanted);
        if let Some(byte) = found.and_then(|place| bytes.get_mut(place)) {
            *byte ^= 1;
            fs::write(&path, bytes)?;
            return Ok(());
        }
    }
    anyhow::bail!("the bytes are in no segment")
}

#[test]
fn log_files_that_are_missing_are_told_when_no_checkpoint_knows_better() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = made_by_flume().with_file_name("two-folders").join("data2");
    let done = command(
        "import-flume-channel --dryrun --to",
        &[folder.path(), &data],
    )?;
    assert_eq!(done.code, Some(0), "{}", done.err);
    let words = "1 log file between the lowest number and the highest not there";
    assert!(done.out.contains(words), "{}", done.out);
    Ok(())
}

#[test]
fn damage_is_told_and_the_rest_is_copied() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (channel, copy) = (folder.path().join("channel"), folder.path().join("copy"));
    imported(&channel)?;
    let more = made_by_flume().with_file_name("two-folders");
    let done = import(&channel, &more)?;
    assert_eq!(done.code, Some(0), "{}", done.err);
    damage(&channel, b"event 3event 4")?;
    let verified = command("channel verify", &[&channel])?;
    assert_eq!(verified.code, Some(1));
    for words in [
        "damage: sequences 0 to 8, 1 frame: damaged",
        "waiting: 10 events",
    ] {
        assert!(verified.out.contains(words), "{}", verified.out);
    }
    let copied = command("channel salvage --to", &[&copy, &channel])?;
    assert_eq!(copied.code, Some(0), "{}", copied.err);
    assert!(
        copied.out.contains("copied 10 events and 0 records"),
        "{}",
        copied.out
    );
    assert!(
        copied
            .out
            .contains("left out 1 damaged frame with 9 events"),
        "{}",
        copied.out
    );
    let verified = command("channel verify", &[&copy])?;
    assert_eq!(verified.code, Some(0), "{}", verified.out);
    assert!(
        verified.out.contains("waiting: 10 events"),
        "{}",
        verified.out
    );
    Ok(())
}
