//! What each component is doing, for logs, metrics and the operator.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The state of a source, sink or sink group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentState {
    /// Opening what it needs. Next: running, retrying, failed.
    Starting,
    /// At work. Next: retrying, failed, finished, stopped.
    Running,
    /// Failed, and tried again after a back-off. Next: running, failed, stopped.
    Retrying {
        /// What went wrong last.
        reason: String,
        /// How often in a row.
        failures: u32,
    },
    /// Failed in a way that only a new configuration mends.
    Failed {
        /// What is wrong.
        reason: String,
    },
    /// At work as the version that ran before: the one that the plan names failed on its first
    /// batches. Next: as running; a reload brings another version.
    RolledBack {
        /// What the newer version failed with.
        reason: String,
    },
    /// Its input has ended; it waits to be stopped.
    Finished,
    /// Ended.
    Stopped,
}

impl ComponentState {
    /// One word for tables and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            ComponentState::Starting => "starting",
            ComponentState::Running => "running",
            ComponentState::Retrying { .. } => "retrying",
            ComponentState::Failed { .. } => "failed",
            ComponentState::RolledBack { .. } => "rolled-back",
            ComponentState::Finished => "finished",
            ComponentState::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ComponentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ComponentState::Retrying { reason, failures } => {
                write!(f, "retrying after {failures} failures: {reason}")
            }
            ComponentState::Failed { reason } => write!(f, "failed: {reason}"),
            ComponentState::RolledBack { reason } => {
                write!(
                    f,
                    "running as the version before, as the new one failed: {reason}"
                )
            }
            other => f.write_str(other.word()),
        }
    }
}

/// A state that one task writes and others read. A plain mutex: it is held for a copy only.
#[derive(Debug)]
pub(crate) struct StateCell(Mutex<ComponentState>);

impl StateCell {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(ComponentState::Starting))
    }

    pub(crate) fn set(&self, state: ComponentState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn get(&self) -> ComponentState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
