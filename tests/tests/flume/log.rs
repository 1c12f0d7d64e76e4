//! Flume's first example, and the line of the logger sink.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::pair::{Place, compare, start};

fn example(place: &Place) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/example.conf");
    let text = fs::read_to_string(path).unwrap();
    text.replace("44444", &place.ports[0].to_string())
}

#[test]
fn the_logger_prints_alike() -> Result<()> {
    let sides = start(1, example)?;
    let bodies: [&[u8]; 12] = [
        b"Hello world!\r",
        b"",
        b" ",
        b"\x01\x02\x1f\x7f\t",
        b"0123456789abcde",
        b"0123456789abcdef",
        b"0123456789abcdefg",
        b"0123456789012345678901234567890123456789",
        "gr\u{fc}\u{df} \u{20ac} \u{1f600}".as_bytes(),
        b"} body: {",
        b"\\ \" ' $",
        b"~}|{z",
    ];
    for (number, body) in (1..).zip(bodies) {
        let line = [body, b"\n"].concat();
        let what = format!("the body {:?}", String::from_utf8_lossy(body));
        compare(&sides, &what, |side| side.tell(0, &line))?;
        let printed = compare(&sides, &what, |side| side.logged(number))?;
        println!("{}", printed.last().context("no event")?);
    }
    Ok(())
}
