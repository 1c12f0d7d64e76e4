//! Lines, answers, character sets and the end of a connection.

use flumen_core::settings::Value;
use flumen_core::source::StopReason;

use super::rig::{Channels, Running, lines, make, settings, soon};

const FULL: &str = "FAILED: channel c1 is full after waiting 0 ms; its sink may be slow or its capacity too small\n";

#[tokio::test]
async fn each_line_is_an_event_and_is_answered() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send("hello\r\n\nworld\n").await;
    client.expect("OK\nOK\nOK\n").await;
    assert_eq!(
        source.processor.events(3).await,
        lines(&["hello\r", "", "world"])
    );
    assert_eq!(source.counters.event_received.get(), 3);
    assert_eq!(source.counters.event_accepted.get(), 3);
    assert_eq!(source.counters.open_connection.get(), 1);
    let (_, counters) = source.stop(StopReason::Drain).await;
    client.expect_last("").await;
    assert_eq!(counters.open_connection.get(), 0);
}

#[tokio::test]
async fn a_line_may_come_byte_by_byte() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.0.set_nodelay(true).expect("a socket option");
    for byte in b"ab\ncd\n" {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    client.expect("OK\nOK\n").await;
    assert_eq!(source.processor.events(2).await, lines(&["ab", "cd"]));
}

#[tokio::test]
async fn bodies_are_the_bytes_that_came() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send(b"a\xFF\x00\xC3\n").await;
    client.expect("OK\n").await;
    assert_eq!(
        source.processor.events(1).await,
        [b"a\xFF\x00\xC3".to_vec()]
    );
}

#[tokio::test]
async fn without_acks_nothing_is_answered() {
    let source = Running::start(&settings().with("ack-every-event", Value::Boolean(false))).await;
    let mut client = source.client().await;
    client.send("one\ntwo\n").await;
    client.half_close().await;
    client.expect_last("").await;
    assert_eq!(source.processor.events(2).await, lines(&["one", "two"]));
}

#[tokio::test]
async fn lines_before_a_half_close_are_delivered_and_answered() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send("one\ntwo\nunfinished").await;
    client.half_close().await;
    client.expect_last("OK\nOK\n").await;
    assert_eq!(source.processor.events(2).await, lines(&["one", "two"]));
}

#[tokio::test]
async fn refused_lines_are_answered_in_order_and_the_connection_goes_on() {
    let source = Running::start(&settings()).await;
    source
        .processor
        .channels
        .send_replace(Channels::FullAfter(1));
    let mut client = source.client().await;
    client.send("one\ntwo\nthree\n").await;
    client.expect(format!("OK\n{FULL}{FULL}")).await;
    source.processor.channels.send_replace(Channels::Open);
    client.send("four\n").await;
    client.expect("OK\n").await;
    assert_eq!(source.processor.events(2).await, lines(&["one", "four"]));
    assert_eq!(source.counters.event_received.get(), 4);
    assert_eq!(source.counters.event_accepted.get(), 2);
    assert_eq!(source.counters.channel_write_fail.get(), 1);
}

#[tokio::test]
async fn without_acks_a_full_channel_makes_the_sender_wait_and_loses_nothing() {
    let source = Running::start(&settings().with("ack-every-event", Value::Boolean(false))).await;
    source.processor.channels.send_replace(Channels::Waiting);
    let mut client = source.client().await;
    // More than all buffers on the way hold, so that the sender can only end once we read again.
    let count = 400_000;
    let numbered: Vec<String> = (0..count).map(|n| format!("{n:0>99}\n")).collect();
    let all = numbered.concat();
    let sender = tokio::spawn(async move {
        client.send(all).await;
        client
    });
    source.processor.calls(1).await;
    assert!(!sender.is_finished());
    // Each try takes a few lines of the batch; the rest is tried again and not doubled.
    source
        .processor
        .channels
        .send_replace(Channels::FullAfter(7));
    source.processor.calls(3).await;
    source.processor.channels.send_replace(Channels::Open);
    let mut client = soon("the sender", sender).await.expect("no panic");
    client.half_close().await;
    let events = source.processor.events(count).await;
    assert_eq!(events.len(), count);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event, format!("{n:0>99}").as_bytes());
    }
    let counters = &source.counters;
    assert_eq!(counters.event_received.get(), count as u64);
    assert_eq!(counters.event_accepted.get(), count as u64);
}

#[tokio::test]
async fn without_acks_lines_that_never_fit_end_the_connection_with_the_reason() {
    let source = Running::start(&settings().with("ack-every-event", Value::Boolean(false))).await;
    source.processor.channels.send_replace(Channels::TooSmall);
    let mut client = source.client().await;
    client.send("one\ntwo\n").await;
    client
        .expect_last("FAILED: batch does not fit channel c1: more bytes than it holds\n")
        .await;
}

#[tokio::test]
async fn lines_and_answers_in_other_character_sets() {
    let two = |text: &str, little: bool| -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    };
    let text = "é\n€😀\n";
    let mut marked = vec![0xFE, 0xFF];
    marked.extend(two("OK\nOK\n", false));
    for (encoding, sent, answer) in [
        ("utf-16be", two(text, false), two("OK\nOK\n", false)),
        ("UTF-16LE", two(text, true), two("OK\nOK\n", true)),
        ("utf-16", two(text, false), marked),
        ("UTF-8", text.into(), b"OK\nOK\n".to_vec()),
    ] {
        let source =
            Running::start(&settings().with("encoding", Value::Text(encoding.into()))).await;
        let mut client = source.client().await;
        // Cut within a character.
        client.send(&sent[..1]).await;
        tokio::task::yield_now().await;
        client.send(&sent[1..]).await;
        client.expect(&answer).await;
        assert_eq!(
            source.processor.events(2).await,
            lines(&["é", "€😀"]),
            "{encoding}"
        );
    }
    let source =
        Running::start(&settings().with("encoding", Value::Text("iso-8859-1".into()))).await;
    let mut client = source.client().await;
    client.send(b"caf\xE9\n").await;
    client.expect("OK\n").await;
    assert_eq!(source.processor.events(1).await, lines(&["café"]));
}

#[test]
fn an_unknown_character_set_is_named() {
    let settings = settings().with("encoding", Value::Text("klingon".into()));
    let fault = super::super::build(&settings).err().expect("no such set");
    assert!(fault.to_string().contains("klingon"), "{fault}");
    assert_eq!(fault.kind(), flumen_core::FaultKind::Configuration);
}

#[tokio::test]
async fn many_connections_keep_their_order() {
    let source = Running::start(&settings()).await;
    let mut clients = Vec::new();
    for id in 0..64 {
        let mut client = source.client().await;
        clients.push(tokio::spawn(async move {
            for n in 0..50 {
                client.send(format!("{id} {n}\n")).await;
                client.expect("OK\n").await;
            }
        }));
    }
    for client in clients {
        soon("a client", client).await.expect("no panic");
    }
    let events = source.processor.events(64 * 50).await;
    let mut next = [0; 64];
    for event in events {
        let text = String::from_utf8(event).expect("text");
        let (id, n) = text.split_once(' ').expect("two numbers");
        let id: usize = id.parse().expect("a number");
        assert_eq!(n, next[id].to_string());
        next[id] += 1;
    }
    assert_eq!(next, [50; 64]);
}

#[tokio::test]
async fn a_defect_closes_one_connection_and_not_the_source() {
    let source = Running::start(&settings()).await;
    let mut other = source.client().await;
    other.send("one\n").await;
    other.expect("OK\n").await;
    source.processor.channels.send_replace(Channels::Defective);
    let mut client = source.client().await;
    client.send("two\n").await;
    client.expect_last("").await;
    source.processor.channels.send_replace(Channels::Open);
    other.send("three\n").await;
    other.expect("OK\n").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_blocks_only_itself() {
    let source = Running::start(&settings()).await;
    let mut deaf = source.client().await;
    let sender = tokio::spawn(async move {
        let feeds = vec![b'\n'; 64 * 1024];
        loop {
            if let Err(error) = tokio::io::AsyncWriteExt::write_all(&mut deaf.0, &feeds).await {
                return error;
            }
        }
    });
    source.processor.events(100_000).await;
    let mut client = source.client().await;
    client.send("hello\n").await;
    client.expect("OK\n").await;
    sender.abort();
}

#[tokio::test]
async fn draining_finishes_what_was_read() {
    let source = Running::start(&settings()).await;
    source.processor.channels.send_replace(Channels::Waiting);
    let mut client = source.client().await;
    client.send("one\ntwo\n").await;
    source.processor.calls(1).await;
    source.tell(StopReason::Drain);
    source.processor.channels.send_replace(Channels::Open);
    client.expect("OK\nOK\n").await;
    let address = source.address.clone();
    let (processor, _) = source.ended().await;
    assert_eq!(processor.events(2).await, lines(&["one", "two"]));
    client.expect_last("").await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_named_and_a_later_try_may_succeed() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let settings = settings().with("port", Value::Integer(address.port().into()));
    let mut source = make(&settings);
    let fault = source.prepare(None).await.expect_err("the port is taken");
    assert_eq!(fault.kind(), flumen_core::FaultKind::Transient);
    assert_eq!(fault.side(), flumen_core::Side::Operator);
    assert!(fault.to_string().contains(&address.to_string()), "{fault}");
    assert!(fault.to_string().contains("another port"), "{fault}");
    drop(taken);
    source.prepare(None).await.expect("the port is free");
    assert_eq!(source.address(), Some(address.to_string()));
}

#[tokio::test]
async fn a_host_name_that_does_not_exist_is_named() {
    let settings = settings().with("bind", Value::Text("no such host".into()));
    let fault = make(&settings).prepare(None).await.expect_err("no address");
    assert!(fault.to_string().contains("no such host"), "{fault}");
}
