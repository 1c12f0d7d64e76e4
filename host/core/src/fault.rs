//! Faults: what went wrong, on whose side, and whether trying again helps.
//!
//! The transaction decides from [`FaultKind`], never from a message. A fault is returned *or*
//! logged, not both; it is logged once, where the task that met it ends or retries.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a fault means for what was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The configuration is wrong: nothing helps until it changes. The component is not restarted.
    Configuration,
    /// The same batch or action may succeed later: it is tried again after a back-off.
    Transient,
    /// This batch can never succeed, however often it is tried: it is taken out of the flow by the
    /// component's policy (dead-letter channel, or blocked loudly).
    Poison,
    /// The instance is broken: it is dropped and a new one made after a back-off, and the same
    /// batch is tried again.
    Broken,
}

/// Whose side failed, so that an operator knows where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The configuration or the machine's set-up: a taken port, a missing folder, no permission.
    Operator,
    /// The far end: a peer, a server, a child process.
    Peer,
    /// The events themselves.
    Data,
    /// The component: a defect of a guest or of flumen.
    Component,
    /// The machine under us: disk full, out of memory, out of file descriptors.
    Machine,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Operator => "configuration",
            Side::Peer => "peer",
            Side::Data => "data",
            Side::Component => "component",
            Side::Machine => "machine",
        })
    }
}

/// A failure of a component, with what to decide from and what to tell the operator.
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    side: Side,
    message: String,
    retry_after: Option<Duration>,
    is_uncertain: bool,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault. The message is lower case, without a full stop, names the thing that failed and,
    /// where there is one, the remedy.
    pub fn new(kind: FaultKind, side: Side, message: impl Into<String>) -> Self {
        Self {
            kind,
            side,
            message: message.into(),
            retry_after: None,
            is_uncertain: false,
            cause: None,
        }
    }

    /// Nothing helps until the configuration changes.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Configuration, Side::Operator, message)
    }

    /// Trying again may help.
    pub fn transient(side: Side, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Transient, side, message)
    }

    /// The error beneath, kept as the source and never flattened into the message.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The earliest time at which trying again makes sense, as the far end said.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Nobody knows whether what failed took place all the same. A restart may find that it did.
    #[must_use]
    pub fn uncertain(mut self) -> Self {
        self.is_uncertain = true;
        self
    }

    /// Whether what failed may have taken place all the same.
    pub fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }

    /// What the fault means for what was being done.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whose side failed.
    pub fn side(&self) -> Side {
        self.side
    }

    /// What the far end said of when to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message alone, without the causes.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    /// The message, then each cause behind a colon: one line that says all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause: Option<&(dyn Error + 'static)> = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_its_causes_on_one_line() {
        let inner = std::io::Error::other("no space left on device");
        let fault = Fault::transient(Side::Machine, "cannot write file roll-1").with_cause(inner);
        assert_eq!(
            fault.to_string(),
            "cannot write file roll-1: no space left on device"
        );
        assert_eq!(fault.kind(), FaultKind::Transient);
    }
}
