//! The files of the file_roll sink, the source seq, and the counters of both.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use flumen_tests::http;
use flumen_tests::lines::files_in_order;
use flumen_tests::wait::{PATIENCE, wait_for};
use serde_json::Value;

use crate::pair::{Place, Side, compare, start, without_time};

/// Folders of the four sinks.
const FOLDERS: [&str; 4] = ["text", "joined", "rolled", "numbers"];
/// Numbers that seq counts.
const NUMBERS: usize = 1000;

fn sink(place: &Place, number: usize, more: &str) -> String {
    let folder = place.folder().join(FOLDERS[number]);
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.display();
    let lines = format!("type = file_roll\nchannel = c{number}\nsink.directory = {folder}\n{more}");
    let sink: String = lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("a1.sinks.k{number}.{line}\n"))
        .collect();
    format!("a1.channels.c{number}.type = memory\n{sink}")
}

/// Source `r0` into three sinks that write differently, and seq into a fourth.
fn config(place: &Place) -> String {
    [
        "a1.sources = r0 r3\na1.channels = c0 c1 c2 c3\na1.sinks = k0 k1 k2 k3\n\
         a1.sources.r0.type = netcat\na1.sources.r0.bind = 127.0.0.1\n"
            .to_owned(),
        format!("a1.sources.r0.port = {}\n", place.ports[0]),
        format!(
            "a1.sources.r0.channels = c0 c1 c2\na1.sources.r3.type = seq\n\
             a1.sources.r3.totalEvents = {NUMBERS}\na1.sources.r3.channels = c3\n"
        ),
        sink(place, 0, "sink.rollInterval = 0\nsink.pathManager.prefix = p-\nsink.pathManager.extension = log\n"),
        sink(place, 1, "sink.rollInterval = 0\nsink.serializer = text\nsink.serializer.appendNewline = false\nsink.pathManager = rolltime\n"),
        sink(place, 2, "sink.rollInterval = 1\n"),
        sink(place, 3, "sink.rollInterval = 0\nsink.batchSize = 7\n"),
    ]
    .concat()
}

const LINES: &str = "one\ntwo\r\n\n\tgr\u{fc}n\n  four  \n";

fn names(folder: &Path) -> Result<Vec<String>> {
    let files = files_in_order(folder)?;
    let names = files.iter().map(|path| {
        let name = path.file_name().unwrap_or_default();
        without_time(&name.to_string_lossy())
    });
    Ok(names.collect())
}

#[test]
fn files_are_written_alike() -> Result<()> {
    let sides = start(1, config)?;
    let joined = LINES.replace('\n', "");
    compare(&sides, "the answers", |side| side.tell(0, LINES.as_bytes()))?;
    let text = compare(&sides, "lines", |side| side.files(FOLDERS[0], LINES.len()))?;
    assert_eq!(
        text,
        [("p-<13>-1.log".to_owned(), LINES.as_bytes().to_vec())]
    );
    let text = compare(&sides, "without ends", |side| {
        side.files(FOLDERS[1], joined.len())
    })?;
    assert_eq!(text, [("<14>-1".to_owned(), joined.into_bytes())]);
    let numbers: String = (0..NUMBERS).map(|number| format!("{number}\n")).collect();
    let text = compare(&sides, "numbers", |side| {
        side.files(FOLDERS[3], numbers.len())
    })?;
    assert_eq!(text, [("<13>-1".to_owned(), numbers.into_bytes())]);
    let rolled = compare(&sides, "names of rolled files", |side| {
        let folder = side.place.folder().join(FOLDERS[2]);
        wait_for("three rolled files", PATIENCE, || {
            let names = names(&folder)?;
            Ok(names.get(..3).map(<[String]>::to_vec))
        })
    })?;
    assert_eq!(rolled, ["<13>-1", "<13>-2", "<13>-3"]);
    compare_counters(&sides)
}

/// The attributes of a component at `/metrics`.
fn attributes(side: &Side, component: &str) -> Result<BTreeSet<String>> {
    let page: Value =
        serde_json::from_str(&http::get(side.agent.metrics_port()?, "/metrics")?.body)?;
    let attributes = page[component].as_object().context("no such component")?;
    assert!(attributes.values().all(Value::is_string), "{attributes:?}");
    Ok(attributes.keys().cloned().collect())
}

/// Every attribute of Flume is there, and what does not depend on time has the same value.
fn compare_counters(sides: &[Side; 2]) -> Result<()> {
    let [real, own] = sides;
    let numbers = NUMBERS as u64;
    for side in sides {
        // Counted a moment after the bytes are in the file.
        let drained = ("SINK.k3", "EventDrainSuccessCount");
        let taken = ("CHANNEL.c3", "EventTakeSuccessCount");
        for (component, attribute) in [drained, taken] {
            side.agent
                .wait_for_count(component, attribute, numbers, PATIENCE)
                .context(side.name)?;
        }
    }
    for component in ["SOURCE.r3", "CHANNEL.c3", "SINK.k3"] {
        let expected = attributes(real, component).context(component)?;
        let found = attributes(own, component).context(component)?;
        let missing: Vec<&String> = expected.difference(&found).collect();
        assert!(missing.is_empty(), "{component} lacks {missing:?}");
    }
    for (component, attribute) in [
        ("SOURCE.r3", "Type"),
        ("SOURCE.r3", "EventAcceptedCount"),
        ("CHANNEL.c3", "Type"),
        ("CHANNEL.c3", "ChannelSize"),
        ("CHANNEL.c3", "ChannelCapacity"),
        ("CHANNEL.c3", "ChannelFillPercentage"),
        ("CHANNEL.c3", "EventPutAttemptCount"),
        ("CHANNEL.c3", "EventPutSuccessCount"),
        ("CHANNEL.c3", "EventTakeSuccessCount"),
        ("SINK.k3", "Type"),
        ("SINK.k3", "ConnectionCreatedCount"),
        ("SINK.k3", "EventDrainAttemptCount"),
        ("SINK.k3", "EventDrainSuccessCount"),
        ("SINK.k3", "StopTime"),
    ] {
        let what = format!("{component} {attribute}");
        let value = compare(sides, &what, |side| {
            let metrics = side.agent.metrics()?;
            let text = metrics.text(component, attribute).map(str::to_owned);
            text.context("no such attribute")
        })?;
        println!("{what}: {value}");
    }
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/METRICS"),
        ("GET", "/none"),
        ("OPTIONS", "/metrics"),
        ("TRACE", "/"),
    ] {
        let what = format!("{method} {path}");
        compare(sides, &what, |side| {
            let reply = http::request(side.agent.metrics_port()?, method, path)?;
            Ok(reply.status)
        })?;
    }
    Ok(())
}
