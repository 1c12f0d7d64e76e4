//! Lines at, over and far over the limit.

use flumen_core::settings::Value;

use super::rig::{Running, lines, settings};

use super::super::buffer::BUFFER_BYTES;

const TOO_LONG: &str = "FAILED: Event exceeds the maximum length (512 chars, including newline)\n";

#[tokio::test]
async fn a_line_of_exactly_the_limit_passes() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    let line = "x".repeat(511);
    client.send(format!("{line}\n")).await;
    client.expect("OK\n").await;
    assert_eq!(source.processor.events(1).await, lines(&[&line]));
}

#[tokio::test]
async fn a_longer_line_is_refused_behind_the_lines_before_it() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    let line = "x".repeat(512);
    client.send(format!("one\ntwo\n{line}\nfour\n")).await;
    client.expect_last(&format!("OK\nOK\n{TOO_LONG}")).await;
    assert_eq!(source.processor.events(2).await, lines(&["one", "two"]));
    assert_eq!(source.counters.event_read_fail.get(), 1);
}

#[tokio::test]
async fn a_line_without_end_is_refused_as_soon_as_it_is_too_long() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send("one\n".to_owned() + &"x".repeat(511)).await;
    client.expect("OK\n").await;
    client.send("x").await;
    client.expect_last(TOO_LONG).await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_told_without_acks_too() {
    let source = Running::start(&settings().with("ack-every-event", Value::Boolean(false))).await;
    let mut client = source.client().await;
    client
        .send("one\n".to_owned() + &"x".repeat(5000) + "\n")
        .await;
    client.expect_last(TOO_LONG).await;
    assert_eq!(source.processor.events(1).await, lines(&["one"]));
}

#[tokio::test]
async fn the_limit_counts_characters_and_not_bytes() {
    let source = Running::start(&settings().with("max-line-length", Value::Integer(4))).await;
    let mut client = source.client().await;
    client.send("€€€\n😀€\n").await;
    client.expect("OK\nOK\n").await;
    assert_eq!(source.processor.events(2).await, lines(&["€€€", "😀€"]));
    client.send("😀😀\n").await;
    client
        .expect_last("FAILED: Event exceeds the maximum length (4 chars, including newline)\n")
        .await;
}

#[tokio::test]
async fn a_line_longer_than_a_buffer_is_one_event() {
    let source = Running::start(&settings().with("max-line-length", Value::Integer(1 << 20))).await;
    let mut client = source.client().await;
    let long = "y".repeat(BUFFER_BYTES * 5 / 2);
    client.send(format!("one\n{long}\ntwo\n")).await;
    client.expect("OK\nOK\nOK\n").await;
    assert_eq!(
        source.processor.events(3).await,
        lines(&["one", &long, "two"])
    );
}

#[tokio::test]
async fn the_limit_holds_for_decoded_characters() {
    let settings = settings()
        .with("max-line-length", Value::Integer(4))
        .with("encoding", Value::Text("iso-8859-1".into()));
    let source = Running::start(&settings).await;
    let mut client = source.client().await;
    client.send(b"\xE9\xE9\xE9\n").await;
    client.expect("OK\n").await;
    client.send(b"\xE9\xE9\xE9\xE9\n").await;
    client
        .expect_last("FAILED: Event exceeds the maximum length (4 chars, including newline)\n")
        .await;
}
