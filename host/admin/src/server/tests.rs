use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::picture::samples;

async fn listener() -> MetricsListener {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    MetricsListener::bind(address).await.unwrap()
}

async fn server() -> MetricsServer {
    listener().await.serve_pictures(Arc::new(samples::picture))
}

/// Sends bytes and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_get_of_the_metrics_is_answered_with_flumes_json() {
    let server = server().await;
    let request = "GET /Metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(server.address(), request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/json;charset=utf-8"),
        "{head}"
    );
    let page: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(page["CHANNEL.c1"]["ChannelSize"], "125");
}

#[tokio::test]
async fn the_prometheus_page_names_its_format() {
    let server = server().await;
    let request = "GET /metrics/prometheus HTTP/1.0\r\n\r\n";
    let answer = exchange(server.address(), request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    assert_eq!(body, crate::prometheus_text(&samples::picture()));
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let server = server().await;
    for (request, status) in [
        ("TRACE /metrics HTTP/1.0\r\n\r\n", "403"),
        ("OPTIONS / HTTP/1.0\r\n\r\n", "403"),
        ("GET /nowhere HTTP/1.0\r\n\r\n", "404"),
        (
            "POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
            "404",
        ),
        ("rubbish\r\n\r\n", "400"),
    ] {
        let answer = exchange(server.address(), request).await;
        assert_eq!(answer.get(9..12), Some(status), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let server = server().await;
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n\
        GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(server.address(), request).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = server().await;
    // Exactly what the server reads before it refuses: unread bytes would reset the connection.
    let start = "GET / HTTP/1.1\r\nX: ";
    let request = format!("{start}{}", "x".repeat(HEAD_BYTES_MAX - start.len()));
    let answer = exchange(server.address(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_remedy() {
    let first = listener().await;
    let error = MetricsListener::bind(first.address()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "cannot listen on {} for metrics: ",
            first.address()
        )),
        "{text}"
    );
    assert!(
        text.ends_with("name another one with flume.monitoring.port"),
        "{text}"
    );
}

#[tokio::test]
async fn dropping_the_server_closes_its_connections() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).await.unwrap();
    drop(server);
    let mut rest = Vec::new();
    // Closed or reset, as long as it ends.
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn more_connections_than_permitted_wait_their_turn() {
    let server = server().await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        held.push(stream);
    }
    let address = server.address();
    let mut late = tokio::spawn(async move { exchange(address, "GET / HTTP/1.0\r\n\r\n").await });
    // Long against an answer; a slow machine can only make the test milder.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut late).await;
    assert!(early.is_err(), "answered beside {CONNECTIONS_MAX} others");
    held.clear();
    assert!(late.await.unwrap().starts_with("HTTP/1.0 200 OK"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let started = tokio::time::Instant::now();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "{answer:?}");
    assert!(started.elapsed() >= HEAD_READ_MAX);
    assert!(started.elapsed() < CONNECTION_LIFE_MAX);
}
