//! A small HTTP/1 server, bounded on every side.
//!
//! Guarantees: at most [`CONNECTIONS_MAX`] connections are open, the others wait in the kernel; a
//! connection that sends nothing for [`HEAD_READ_MAX`] is closed, and every connection after
//! [`CONNECTION_LIFE_MAX`]; a request head is at most [`HEAD_BYTES_MAX`] long. Request bodies are
//! not read. Dropping the [`MetricsServer`] closes everything at once.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flumen_agent::Handle;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, warn};

use crate::answer::answer;
use crate::picture::Picture;

/// Connections at a time. A few scrapers and a few people; a page takes microseconds, so one more
/// waits in the kernel's queue without noticing.
const CONNECTIONS_MAX: usize = 32;

/// How long a request head may take, an idle kept-alive connection included. Longer than the usual
/// scrape interval would only keep idle connections; scrapers open a new one.
const HEAD_READ_MAX: Duration = Duration::from_secs(15);

/// How long a connection may live. It ends clients that ask and never read, and nobody misses more.
const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(600);

/// How long an answer that is under way when the connection's life ends may still take.
const LAST_ANSWER_MAX: Duration = Duration::from_secs(5);

/// Bytes of a request head: the smallest buffer that the HTTP library permits. Ours are 100 bytes.
const HEAD_BYTES_MAX: usize = 8192;

/// Header lines of a request. Browsers send about 20.
const HEADERS_MAX: usize = 64;

/// Wait after a failed accept, which is nearly always for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Why nobody listens on the metrics address.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(f, "cannot listen on {address} for metrics: {error}")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "; stop what holds the port, or name another one with flume.monitoring.port",
            ),
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("; this machine does not have the address")
            }
            io::ErrorKind::PermissionDenied => {
                f.write_str("; ports below 1024 need a privilege, name a higher one")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A listening socket that does not answer yet. It is bound before the agent starts, so that a port
/// in use keeps the agent from taking anything in.
#[derive(Debug)]
pub struct MetricsListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsListener {
    /// Listens on an address; port 0 takes a free one. Needs a runtime.
    ///
    /// # Errors
    /// [`BindError`] with the remedy.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound.await.map_err(|error| BindError { address, error })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on, with what the handle shows.
    pub fn serve(self, handle: Handle) -> MetricsServer {
        self.serve_pictures(Arc::new(move || Picture::of(&handle)))
    }

    fn serve_pictures(self, pictures: TakePicture) -> MetricsServer {
        MetricsServer {
            address: self.address,
            task: tokio::spawn(accept(self.listener, pictures)),
        }
    }
}

type TakePicture = Arc<dyn Fn() -> Picture + Send + Sync>;

/// A server that answers. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, pictures: TakePicture) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    let mut is_failing = false;
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                is_failing = false;
                connections.spawn(serve_connection(stream, Arc::clone(&pictures)));
            }
            Err(error) => {
                if !is_failing {
                    warn!("metrics connections cannot be accepted now: {error}");
                }
                is_failing = true;
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, pictures: TakePicture) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &pictures);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = match tokio::time::timeout(CONNECTION_LIFE_MAX, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            let last = tokio::time::timeout(LAST_ANSWER_MAX, connection.as_mut());
            last.await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // The client's side: it went away, was silent, or did not speak HTTP.
        debug!("a metrics connection ended early: {error}");
    }
}

fn respond(request: &Request<Incoming>, pictures: &TakePicture) -> Response<Full<Bytes>> {
    let answer = answer(request.method(), request.uri().path(), || pictures());
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let content_type = HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests;
