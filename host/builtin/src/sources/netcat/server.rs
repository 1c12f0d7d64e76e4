//! The listening side: binding, accepting, and what a successor takes over.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flumen_core::future::BoxFuture;
use flumen_core::source::{Handover, Source, SourceContext, StopReason};
use flumen_core::{Fault, FaultKind, Side};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedRwLockWriteGuard, RwLock, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Options;
use super::bind;
use super::buffer::BufferPool;
use super::connection::Connection;

/// Connections that are open at a time; above it they wait in the kernel's backlog. Each costs a
/// file descriptor and a few KiB; this many leave room for files in the usual limit of 20 000.
const CONNECTIONS_MAX: usize = 16_384;

/// Connections that hold a read at a time. Each holds up to one buffer while its lines wait for
/// room in a channel, so this bounds the memory of a source in front of a full channel to 64 MiB.
const READS_IN_HAND_MAX: usize = 256;

/// First and longest wait after an accept that failed because the machine is out of something
/// (file descriptors, memory). Only another close helps, and those take moments.
const ACCEPT_WAIT_MIN: Duration = Duration::from_millis(10);
const ACCEPT_WAIT_MAX: Duration = Duration::from_secs(1);

/// The `netcat` source.
pub(super) struct NetcatSource {
    options: Options,
    /// From `prepare` until a successor has taken over.
    core: Option<Arc<Core>>,
    /// A listener that replaces the predecessor's when this one runs.
    moved_to: Option<TcpListener>,
    address: Option<SocketAddr>,
}

/// What all connections of a source share, through all its successors.
pub(super) struct Core {
    /// Read-locked while a batch is on its way into the channels, write-locked from the moment at
    /// which one instance ends until its successor runs: the successor's settings are found at a
    /// batch border, and nothing is under way through a context that has ended.
    pub(super) live: Arc<RwLock<Option<Live>>>,
    /// One permit per connection that holds a read.
    pub(super) reads: Semaphore,
    pub(super) pool: Arc<BufferPool>,
    /// Set once, when the source drains.
    pub(super) draining: watch::Sender<bool>,
    // Moved in and out under the lock, never held while waiting.
    seat: Mutex<Seat>,
    seat_changed: Notify,
}

/// What the running instance gave the connections.
pub(super) struct Live {
    pub(super) context: SourceContext,
    pub(super) line_characters_max: usize,
    pub(super) ack_every_event: bool,
}

/// Who serves.
enum Seat {
    /// An instance runs. Becomes `Left` on a handover, else `Empty`.
    Taken,
    /// Ready for the next instance, whose run makes it `Taken`.
    Left(Box<Belongings>),
    /// The last instance ended without leaving anything. Final.
    Empty,
}

/// What goes from one instance to the next.
struct Belongings {
    listener: TcpListener,
    connections: JoinSet<()>,
    live: OwnedRwLockWriteGuard<Option<Live>>,
}

/// What a successor finds behind the handover.
struct Predecessor {
    core: Arc<Core>,
    bind: String,
    port: u16,
    address: SocketAddr,
}

impl Core {
    /// A source that has bound its socket and has not begun.
    fn new(listener: TcpListener) -> Result<Arc<Self>, Fault> {
        let live = Arc::new(RwLock::new(None));
        let locked = Arc::clone(&live)
            .try_write_owned()
            .map_err(|error| defect("a new lock is taken").with_cause(error))?;
        let belongings = Belongings {
            listener,
            connections: JoinSet::new(),
            live: locked,
        };
        Ok(Arc::new(Self {
            live,
            reads: Semaphore::new(READS_IN_HAND_MAX),
            pool: Arc::new(BufferPool::default()),
            draining: watch::Sender::new(false),
            seat: Mutex::new(Seat::Left(Box::new(belongings))),
            seat_changed: Notify::new(),
        }))
    }

    /// Waits until the predecessor has left.
    async fn take_seat(&self) -> Result<Box<Belongings>, Fault> {
        loop {
            let changed = self.seat_changed.notified();
            {
                let mut seat = self.lock_seat();
                match std::mem::replace(&mut *seat, Seat::Taken) {
                    Seat::Left(belongings) => return Ok(belongings),
                    Seat::Taken => {}
                    Seat::Empty => {
                        *seat = Seat::Empty;
                        return Err(Fault::new(
                            FaultKind::Broken,
                            Side::Component,
                            "the running netcat source ended before it handed over its socket",
                        ));
                    }
                }
            }
            changed.await;
        }
    }

    fn leave_seat(&self, to: Seat) {
        *self.lock_seat() = to;
        self.seat_changed.notify_one();
    }

    /// Closes what was left for a successor that will not come.
    fn close_if_left(&self) {
        let mut seat = self.lock_seat();
        if matches!(*seat, Seat::Left(_)) {
            let left = std::mem::replace(&mut *seat, Seat::Empty);
            drop(seat);
            drop(left);
        }
    }

    fn lock_seat(&self) -> std::sync::MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties the seat when a run ends in any way but a handover.
struct SeatHolder<'a> {
    core: &'a Core,
    left: bool,
}

impl Drop for SeatHolder<'_> {
    fn drop(&mut self) {
        if !self.left {
            self.core.leave_seat(Seat::Empty);
        }
    }
}

impl NetcatSource {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            core: None,
            moved_to: None,
            address: None,
        }
    }

    async fn prepare_after(&mut self, predecessor: Option<Handover>) -> Result<(), Fault> {
        let predecessor = predecessor.and_then(|any| any.downcast::<Predecessor>().ok());
        let (bind, port) = (self.options.bind.as_str(), self.options.port);
        let Some(old) = predecessor else {
            // Prepared before and not run: its socket holds the address.
            if let Some(unused) = self.core.take() {
                unused.close_if_left();
            }
            self.moved_to = None;
            let listener = bind::listen(&bind::resolve(bind, port).await?, bind, port)?;
            self.address = listener.local_addr().ok();
            self.core = Some(Core::new(listener)?);
            return Ok(());
        };
        let same = old.bind == bind && old.port == port;
        if same {
            self.moved_to = None;
            self.address = Some(old.address);
        } else {
            let addresses = bind::resolve(bind, port).await?;
            if addresses.first() == Some(&old.address) {
                self.moved_to = None;
                self.address = Some(old.address);
            } else {
                let listener = bind::listen(&addresses, bind, port)?;
                self.address = listener.local_addr().ok();
                self.moved_to = Some(listener);
            }
        }
        self.core = Some(Arc::clone(&old.core));
        Ok(())
    }

    async fn serve(&mut self, context: SourceContext) -> Result<(), Fault> {
        let core = self
            .core
            .clone()
            .ok_or_else(|| defect("the netcat source was run before it was prepared"))?;
        let belongings = core.take_seat().await?;
        let mut holder = SeatHolder {
            core: &core,
            left: false,
        };
        let Belongings {
            listener,
            connections,
            mut live,
        } = *belongings;
        *live = Some(Live {
            context: context.clone(),
            line_characters_max: self.options.line_characters_max,
            ack_every_event: self.options.ack_every_event,
        });
        drop(live);
        let mut service = Service {
            core: &core,
            options: &self.options,
            context: &context,
            // The old socket closes here, with the new one open.
            listener: self.moved_to.take().unwrap_or(listener),
            connections,
        };
        match service.accept_until_stopped().await {
            StopReason::Drain => service.drain().await,
            StopReason::HandOver => {
                let live = Arc::clone(&core.live).write_owned().await;
                let Service {
                    listener,
                    connections,
                    ..
                } = service;
                holder.left = true;
                core.leave_seat(Seat::Left(Box::new(Belongings {
                    listener,
                    connections,
                    live,
                })));
                self.core = None;
            }
        }
        Ok(())
    }
}

impl Source for NetcatSource {
    fn prepare(&mut self, predecessor: Option<Handover>) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.prepare_after(predecessor))
    }

    fn run(&mut self, context: SourceContext) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.serve(context))
    }

    fn handover(&self) -> Option<Handover> {
        Some(Arc::new(Predecessor {
            core: Arc::clone(self.core.as_ref()?),
            bind: self.options.bind.clone(),
            port: self.options.port,
            address: self.address?,
        }))
    }

    fn address(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }
}

impl Drop for NetcatSource {
    /// Connections that wait for a successor hold the core, and the core holds them.
    fn drop(&mut self) {
        if let Some(core) = &self.core {
            core.close_if_left();
        }
    }
}

/// One run.
struct Service<'a> {
    core: &'a Arc<Core>,
    options: &'a Options,
    context: &'a SourceContext,
    listener: TcpListener,
    connections: JoinSet<()>,
}

impl Service<'_> {
    async fn accept_until_stopped(&mut self) -> StopReason {
        let mut stopped = self.context.stop.stopped();
        let mut wait = ACCEPT_WAIT_MIN;
        let mut paused_until: Option<Instant> = None;
        let mut full = false;
        self.count_connections();
        loop {
            let room = self.connections.len() < CONNECTIONS_MAX;
            if room == full {
                full = !room;
                self.log_full(full);
            }
            tokio::select! {
                biased;
                reason = &mut stopped => return reason,
                Some(ended) = self.connections.join_next() => self.ended(ended),
                () = pause(paused_until), if paused_until.is_some() => paused_until = None,
                accepted = self.listener.accept(), if room && paused_until.is_none() => match accepted {
                    Ok((stream, peer)) => {
                        wait = ACCEPT_WAIT_MIN;
                        self.begin(stream, peer);
                    }
                    Err(error) if is_of_one_connection(&error) => {
                        tracing::debug!(source = %self.context.name, %error, "a connection ended before it was accepted");
                    }
                    Err(error) => {
                        tracing::warn!(
                            source = %self.context.name, %error, wait_ms = wait.as_millis() as u64,
                            "cannot accept connections; raise the limit of open files if that is what is missing"
                        );
                        paused_until = Some(Instant::now() + wait);
                        wait = (wait * 2).min(ACCEPT_WAIT_MAX);
                    }
                },
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, peer: SocketAddr) {
        let connection = Connection::new(
            Arc::clone(self.core),
            self.context.name.clone(),
            stream,
            peer,
            self.options.charset,
        );
        self.connections.spawn(connection.serve());
        self.count_connections();
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            tracing::error!(source = %self.context.name, %error, "a connection was closed by a defect");
        }
        self.count_connections();
    }

    fn count_connections(&self) {
        let open = self.connections.len();
        let counter = &self.context.counters.open_connection;
        counter.set(u64::try_from(open).unwrap_or(u64::MAX));
    }

    fn log_full(&self, full: bool) {
        let name = &self.context.name;
        if full {
            tracing::warn!(source = %name, connections = CONNECTIONS_MAX, "no more connections are accepted until some are closed");
        } else {
            tracing::info!(source = %name, "connections are accepted again");
        }
    }

    /// Ends all connections once what they have read is in the channels and answered.
    async fn drain(self) {
        let Self {
            core,
            context,
            listener,
            mut connections,
            ..
        } = self;
        drop(listener);
        core.draining.send_replace(true);
        while let Some(ended) = connections.join_next().await {
            if let Err(error) = ended {
                tracing::error!(source = %context.name, %error, "a connection was closed by a defect");
            }
        }
        context.counters.open_connection.set(0);
    }
}

async fn pause(until: Option<Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

/// Whether an accept failed for the connection that was to be accepted, and not for us.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut
    )
}

fn defect(what: &str) -> Fault {
    Fault::new(FaultKind::Broken, Side::Component, what)
}
