//! Reload: sockets and connections go from one instance to the next.

use std::sync::Arc;

use flumen_core::settings::Value;
use flumen_core::source::StopReason;

use super::rig::{Channels, Client, FakeProcessor, Running, lines, settings, soon};

/// Sends numbered lines and reads the answer of each.
async fn send_numbered(mut client: Client, id: usize, count: usize) -> Client {
    for n in 0..count {
        client.send(format!("{id} {n}\n")).await;
        client.expect("OK\n").await;
    }
    client
}

#[tokio::test]
async fn connections_go_on_and_find_the_new_settings() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send("one\n").await;
    client.expect("OK\n").await;
    let shorter = settings().with("max-line-length", Value::Integer(4));
    let source = source.replace(&shorter).await;
    client.send("abc\n").await;
    client.expect("OK\n").await;
    assert_eq!(source.counters.open_connection.get(), 1);
    assert_eq!(source.counters.event_accepted.get(), 1);
    let silent = shorter.with("ack-every-event", Value::Boolean(false));
    let source = source.replace(&silent).await;
    client.send("def\nabcd\n").await;
    client
        .expect_last("FAILED: Event exceeds the maximum length (4 chars, including newline)\n")
        .await;
    assert_eq!(
        source.processor.events(3).await,
        lines(&["one", "abc", "def"])
    );
}

#[tokio::test]
async fn an_unfinished_line_survives() {
    let source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send("one\nhel").await;
    client.expect("OK\n").await;
    let source = source.replace(&settings()).await;
    client.send("lo\n").await;
    client.expect("OK\n").await;
    assert_eq!(source.processor.events(2).await, lines(&["one", "hello"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_or_doubled_under_load() {
    const CLIENTS: usize = 8;
    const LINES: usize = 1000;
    let mut source = Running::start(&settings()).await;
    let mut clients = Vec::new();
    for id in 0..CLIENTS {
        clients.push(tokio::spawn(send_numbered(
            source.client().await,
            id,
            LINES,
        )));
    }
    let processor = Arc::clone(&source.processor);
    for reload in 1..=20_usize {
        processor.events(reload * CLIENTS * LINES / 25).await;
        let length = 512 + i64::try_from(reload).expect("a small number");
        let changed = settings().with("max-line-length", Value::Integer(length));
        source = source.replace(&changed).await;
    }
    for client in clients {
        soon("a client", client).await.expect("no panic");
    }
    let (processor, _) = source.stop(StopReason::Drain).await;
    let events = processor.events(CLIENTS * LINES).await;
    assert_eq!(events.len(), CLIENTS * LINES);
    let mut next = [0; CLIENTS];
    for event in events {
        let text = String::from_utf8(event).expect("text");
        let (id, n) = text.split_once(' ').expect("two numbers");
        let id: usize = id.parse().expect("a number");
        assert_eq!(n, next[id].to_string());
        next[id] += 1;
    }
}

#[tokio::test]
async fn nothing_is_under_way_through_a_context_that_has_ended() {
    let mut source = Running::start(&settings()).await;
    let old = Arc::clone(&source.processor);
    old.channels.send_replace(Channels::Waiting);
    let mut client = source.client().await;
    client.send("one\n").await;
    old.calls(1).await;
    let next = Running::prepared(&settings(), source.handover.take()).await;
    let new = FakeProcessor::new();
    let next = Running::run(next.expect("it takes over"), Arc::clone(&new));
    source.tell(StopReason::HandOver);
    // The old run ends only after the put that it began.
    old.channels.send_replace(Channels::Open);
    client.expect("OK\n").await;
    source.ended().await;
    client.send("two\n").await;
    client.expect("OK\n").await;
    assert_eq!(old.events(1).await, lines(&["one"]));
    assert_eq!(new.events(1).await, lines(&["two"]));
    next.stop(StopReason::Drain).await;
}

#[tokio::test]
async fn lines_that_wait_for_room_go_on_under_the_successor() {
    let silent = settings().with("ack-every-event", Value::Boolean(false));
    let mut source = Running::start(&silent).await;
    let old = Arc::clone(&source.processor);
    old.channels.send_replace(Channels::FullAfter(1));
    let mut client = source.client().await;
    client
        .send("one\ntwo\nthree\nfour\nfive\nsix\nseven\n")
        .await;
    old.calls(2).await;
    let next = Running::prepared(&silent, source.handover.take()).await;
    source.stop(StopReason::HandOver).await;
    let new = FakeProcessor::new();
    let taken = old.events(1).await;
    let _next = Running::run(next.expect("it takes over"), Arc::clone(&new));
    let mut all = taken.clone();
    all.extend(new.events(7 - taken.len()).await);
    assert_eq!(
        all,
        lines(&["one", "two", "three", "four", "five", "six", "seven"])
    );
}

#[tokio::test]
async fn another_port_moves_the_socket_and_keeps_the_connections() {
    let source = Running::start(&settings()).await;
    let old_address = source.address.clone();
    let mut client = source.client().await;
    client.send("one\n").await;
    client.expect("OK\n").await;
    let free = tokio::net::TcpListener::bind("127.0.0.2:0")
        .await
        .expect("a free port");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let moved = settings()
        .with("bind", Value::Text("127.0.0.2".into()))
        .with("port", Value::Integer(port.into()));
    let source = source.replace(&moved).await;
    assert_eq!(source.address, format!("127.0.0.2:{port}"));
    let mut other = source.client().await;
    other.send("two\n").await;
    other.expect("OK\n").await;
    client.send("three\n").await;
    client.expect("OK\n").await;
    assert!(tokio::net::TcpStream::connect(old_address).await.is_err());
    assert_eq!(source.counters.open_connection.get(), 2);
}

#[tokio::test]
async fn a_successor_that_cannot_bind_changes_nothing() {
    let mut source = Running::start(&settings()).await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let bad = settings().with("port", Value::Integer(port.into()));
    let refused = Running::prepared(&bad, source.handover.take()).await;
    assert!(refused.is_err());
    drop(refused);
    let mut client = source.client().await;
    client.send("one\n").await;
    client.expect("OK\n").await;
}

#[tokio::test]
async fn a_successor_that_never_runs_closes_what_was_left_to_it() {
    let mut source = Running::start(&settings()).await;
    let mut client = source.client().await;
    client.send("one\n").await;
    client.expect("OK\n").await;
    let next = Running::prepared(&settings(), source.handover.take()).await;
    let address = source.address.clone();
    source.stop(StopReason::HandOver).await;
    drop(next);
    client.expect_last("").await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_predecessor_that_ends_otherwise_is_a_fault_of_the_successor() {
    let mut source = Running::start(&settings()).await;
    let next = Running::prepared(&settings(), source.handover.take()).await;
    source.stop(StopReason::Drain).await;
    let next = Running::run(next.expect("it would take over"), FakeProcessor::new());
    let fault = next.fault().await;
    assert_eq!(fault.kind(), flumen_core::FaultKind::Broken);
}
