//! The answers of the netcat source.

use anyhow::Result;

use crate::pair::{Place, compare, start};

/// Source `r1` with Flume's defaults, `r2` without acknowledgements and with a short limit, `r3`
/// in another encoding, `r4` into a channel of two events that nobody empties.
fn config(place: &Place) -> String {
    let [plain, silent, wide, stuck] = place.ports[..] else {
        unreachable!("four ports are asked for")
    };
    format!(
        "a1.sources = r1 r2 r3 r4\na1.channels = c1 c4\na1.sinks = k1\n\
         a1.sources.r1.type = netcat\na1.sources.r1.bind = localhost\n\
         a1.sources.r1.port = {plain}\na1.sources.r1.channels = c1\n\
         a1.sources.r2.type = org.apache.flume.source.NetcatSource\n\
         a1.sources.r2.bind = 127.0.0.1\na1.sources.r2.port = {silent}\n\
         a1.sources.r2.ack-every-event = false\na1.sources.r2.max-line-length = 20\n\
         a1.sources.r2.channels = c1\n\
         a1.sources.r3.type = NETCAT\na1.sources.r3.bind = 127.0.0.1\n\
         a1.sources.r3.port = {wide}\na1.sources.r3.encoding = utf-16be\n\
         a1.sources.r3.channels = c1\n\
         a1.sources.r4.type = netcat\na1.sources.r4.bind = 127.0.0.1\n\
         a1.sources.r4.port = {stuck}\na1.sources.r4.channels = c4\n\
         a1.channels.c1.type = memory\na1.channels.c1.capacity = 1000\n\
         a1.channels.c1.transactionCapacity = 100\n\
         a1.channels.c4.type = memory\na1.channels.c4.capacity = 2\n\
         a1.channels.c4.transactionCapacity = 1\na1.channels.c4.keep-alive = 0\n\
         a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n"
    )
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[test]
fn netcat_answers_alike() -> Result<()> {
    let sides = start(4, config)?;
    let long = |characters: usize| "x".repeat(characters);
    let conversations: [(&str, usize, Vec<u8>); 10] = [
        ("one line", 0, b"Hello world!\r\n".to_vec()),
        ("many lines at once", 0, b"a\nb\n\n\nc\n".repeat(20)),
        ("an unfinished line", 0, b"one\ntwo".to_vec()),
        ("nothing", 0, Vec::new()),
        (
            "a line of just the limit",
            0,
            (long(511) + "\n").into_bytes(),
        ),
        (
            "wide characters at the limit",
            0,
            ("\u{fc}".repeat(511) + "\n").into_bytes(),
        ),
        (
            "a line above the limit",
            0,
            format!("one\n{}\nnever\n", long(512)).into_bytes(),
        ),
        ("no answers wanted", 1, b"one\ntwo\n".to_vec()),
        (
            "a line above another limit",
            1,
            format!("one\n{}\n", long(20)).into_bytes(),
        ),
        ("another encoding", 2, wide("gr\u{fc}n\n\u{20ac}\n")),
    ];
    for (what, source, bytes) in conversations {
        let answers = compare(&sides, what, |side| side.tell(source, &bytes))?;
        println!("{what}: {:?}", String::from_utf8_lossy(&answers));
    }
    Ok(())
}

/// The words behind `FAILED: ` are each agent's own.
#[test]
fn a_full_channel_is_answered_alike() -> Result<()> {
    let sides = start(4, config)?;
    let answers = compare(&sides, "a full channel", |side| {
        let mut client = side.client(3)?;
        let mut answers = Vec::new();
        for line in ["one", "two", "three", "four"] {
            let answer = client.ask(line)?;
            let beginning = answer.split_inclusive(' ').next().unwrap_or_default();
            answers.push(beginning.to_owned());
        }
        Ok(answers)
    })?;
    assert_eq!(answers, ["OK", "OK", "FAILED: ", "FAILED: "]);
    Ok(())
}
