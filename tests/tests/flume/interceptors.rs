//! What interceptors and selectors make of events.

use anyhow::Result;

use crate::pair::{Place, compare, start, without_time};

/// The properties of a netcat source, and behind them those of its interceptors and its selector.
fn source(name: &str, port: u16, more: &str) -> String {
    let lines = format!("type = netcat\nbind = 127.0.0.1\nport = {port}\nchannels = c1\n{more}");
    let named = lines.lines().filter(|line| !line.is_empty());
    named
        .map(|line| format!("a1.sources.{name}.{line}\n"))
        .collect()
}

fn one_log(sources: &[String]) -> String {
    let names: Vec<String> = (1..=sources.len())
        .map(|number| format!("r{number}"))
        .collect();
    format!(
        "a1.sources = {}\na1.channels = c1\na1.sinks = k1\n{}\
         a1.channels.c1.type = memory\na1.sinks.k1.type = logger\na1.sinks.k1.channel = c1\n",
        names.join(" "),
        sources.concat()
    )
}

const MARKED: &str = "interceptors = i1\ninterceptors.i1.type = static\n\
    interceptors.i1.key = where\ninterceptors.i1.value = here and there\n";
const KEPT: &str = "interceptors = i1 i2 i3\ninterceptors.i1.type = static\n\
    interceptors.i1.value = first\n\
    interceptors.i2.type = static\ninterceptors.i2.value = second\n\
    interceptors.i3.type = org.apache.flume.interceptor.StaticInterceptor$Builder\n\
    interceptors.i3.value = third\ninterceptors.i3.preserveExisting = false\n";
const TIMED: &str = "interceptors = i1\ninterceptors.i1.type = TimeStamp\n";
const TIMED_ELSEWHERE: &str = "interceptors = i1\ninterceptors.i1.type = timestamp\n\
    interceptors.i1.headerName = at\n";
const ADDRESS: &str = "interceptors = i1\ninterceptors.i1.type = host\n";
const HOST_NAME: &str = "interceptors = i1\ninterceptors.i1.type = host\n\
    interceptors.i1.useIP = false\ninterceptors.i1.hostHeader = machine\n";
const WITHOUT: &str = "interceptors = i1\ninterceptors.i1.type = regex_filter\n\
    interceptors.i1.regex = DEBUG\ninterceptors.i1.excludeEvents = true\n";
const ONLY: &str = "interceptors = i1\ninterceptors.i1.type = regex_filter\n\
    interceptors.i1.regex = ^\\\\d{3}\\\\s+(warn|error)\\\\b\n";

#[test]
fn interceptors_work_alike() -> Result<()> {
    let all = [
        MARKED,
        KEPT,
        TIMED,
        TIMED_ELSEWHERE,
        ADDRESS,
        HOST_NAME,
        WITHOUT,
        ONLY,
    ];
    let config = |place: &Place| {
        let sources: Vec<String> = (1..)
            .zip(all)
            .zip(&place.ports)
            .map(|((number, more), port)| source(&format!("r{number}"), *port, more))
            .collect();
        one_log(&sources)
    };
    let sides = start(all.len(), config)?;
    let filtered = b"a DEBUG line\n123 warning\n123 warn\n456  error!\nx 123 warn\n\nDEBUG\nbug\n";
    let mut logged = 0;
    for (number, more) in all.iter().enumerate() {
        let (bytes, events): (&[u8], usize) = match *more {
            WITHOUT => (filtered, 6),
            ONLY => (filtered, 2),
            _ => (b"line\n", 1),
        };
        logged += events;
        compare(&sides, more, |side| side.tell(number, bytes))?;
        let printed = compare(&sides, more, |side| {
            let lines = side.logged(logged)?;
            Ok(lines
                .iter()
                .map(|line| without_time(line))
                .collect::<Vec<_>>())
        })?;
        assert_eq!(printed.len(), logged, "{printed:?}");
        println!("{more}{:?}", printed.last());
    }
    Ok(())
}

/// A source whose header `route` has the value, into `c1`, `c2` and `c3` by that value.
fn routed(name: &str, port: u16, value: &str) -> String {
    source(
        name,
        port,
        &format!(
            "interceptors = i1\ninterceptors.i1.type = static\ninterceptors.i1.key = route\n\
             interceptors.i1.value = {value}\n\
             selector.type = multiplexing\nselector.header = route\n\
             selector.mapping.one = c1\nselector.mapping.both = c1 c2\nselector.default = c3\n"
        ),
    )
    .replace("channels = c1\n", "channels = c1 c2 c3\n")
}

#[test]
fn multiplexing_sends_alike() -> Result<()> {
    let values = ["one", "both", "other"];
    let config = |place: &Place| {
        let mut text =
            "a1.sources = r0 r1 r2\na1.channels = c1 c2 c3\na1.sinks = k1 k2 k3\n".to_owned();
        for (number, (port, value)) in place.ports.iter().zip(values).enumerate() {
            text += &routed(&format!("r{number}"), *port, value);
        }
        for number in 1..=3 {
            let folder = place.folder().join(number.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            text += &format!(
                "a1.channels.c{number}.type = memory\na1.sinks.k{number}.type = file_roll\n\
                 a1.sinks.k{number}.channel = c{number}\na1.sinks.k{number}.sink.rollInterval = 0\n\
                 a1.sinks.k{number}.sink.directory = {}\n",
                folder.display()
            );
        }
        text
    };
    let sides = start(values.len(), config)?;
    for (number, value) in values.iter().enumerate() {
        let line = format!("{value}\n");
        compare(&sides, value, |side| side.tell(number, line.as_bytes()))?;
    }
    for (folder, expected) in [("1", "one\nboth\n"), ("2", "both\n"), ("3", "other\n")] {
        let files = compare(&sides, folder, |side| side.files(folder, expected.len()))?;
        assert_eq!(files, [("<13>-1".to_owned(), expected.as_bytes().to_vec())]);
    }
    Ok(())
}
