//! What the operator says by signals: SIGHUP reads the configuration again, SIGTERM and SIGINT ask
//! for the end.

use std::fmt;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A wish for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndSignal {
    Terminate,
    Interrupt,
}

impl EndSignal {
    /// The exit code when it cuts a drain short: what a shell reports for a process that the signal
    /// has killed.
    pub(crate) fn exit_code(self) -> u8 {
        const KILLED_BY: u8 = 128;
        match self {
            EndSignal::Terminate => KILLED_BY + 15,
            EndSignal::Interrupt => KILLED_BY + 2,
        }
    }
}

impl fmt::Display for EndSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndSignal::Terminate => "SIGTERM",
            EndSignal::Interrupt => "SIGINT",
        })
    }
}

/// SIGTERM and SIGINT. While this lives, neither kills the process.
pub(crate) struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Listens from now on. Needs a runtime.
    ///
    /// # Errors
    /// When the system has no room for a handler.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> EndSignal {
        tokio::select! {
            Some(()) = self.terminate.recv() => EndSignal::Terminate,
            Some(()) = self.interrupt.recv() => EndSignal::Interrupt,
            else => std::future::pending().await,
        }
    }
}

/// SIGHUP. While this lives, it does not kill the process.
pub(crate) struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Listens from now on. Needs a runtime.
    ///
    /// # Errors
    /// When the system has no room for a handler.
    pub(crate) fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// The next one. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
