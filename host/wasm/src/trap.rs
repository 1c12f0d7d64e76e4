//! Why an instance was ended, in a form that an operator can act on and a dead-letter channel can
//! carry.

use std::fmt;
use std::time::Duration;

use flumen_core::{ComponentName, Fault, FaultKind, Side};
use rustc_demangle::demangle;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::digest::Digest;
use crate::limits::{BACKTRACE_FRAMES_MAX, Limits, MESSAGE_BYTES_MAX, STACK_BYTES};
use crate::text::one_line;

/// What ended an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapCause {
    /// It computed longer than its CPU limit.
    CpuTime {
        /// The limit.
        limit: Duration,
    },
    /// The call took longer than its wall limit.
    WallTime {
        /// The limit.
        limit: Duration,
    },
    /// It asked for more memory than its limit and could not do without.
    Memory {
        /// The limit.
        limit_bytes: usize,
    },
    /// An answer, or the arguments of a call of the host, were larger than the limit.
    AnswerBytes {
        /// The limit.
        limit_bytes: usize,
    },
    /// It recursed deeper than its stack.
    Stack,
    /// It ended itself through WASI.
    Exit {
        /// The exit code.
        code: i32,
    },
    /// It panicked or aborted, which is the instruction `unreachable`.
    Unreachable,
    /// Another trap of wasm.
    Wasm(String),
    /// Its answer breaks a rule of the interface.
    Answer(String),
    /// It says itself that it cannot go on.
    Broken(String),
    /// Anything else that wasmtime refuses.
    Other(String),
}

impl TrapCause {
    /// A word for machines, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            TrapCause::CpuTime { .. } => "cpu-limit",
            TrapCause::WallTime { .. } => "wall-limit",
            TrapCause::Memory { .. } => "memory-limit",
            TrapCause::AnswerBytes { .. } => "answer-limit",
            TrapCause::Stack => "stack-overflow",
            TrapCause::Exit { .. } => "exit",
            TrapCause::Unreachable => "unreachable",
            TrapCause::Wasm(_) => "trap",
            TrapCause::Answer(_) => "answer-refused",
            TrapCause::Broken(_) => "broken",
            TrapCause::Other(_) => "other",
        }
    }
}

impl fmt::Display for TrapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrapCause::CpuTime { limit } => {
                write!(
                    f,
                    "it computed longer than limits.cpu_ms = {}",
                    limit.as_millis()
                )
            }
            TrapCause::WallTime { limit } => {
                write!(
                    f,
                    "it took longer than limits.wall_ms = {}",
                    limit.as_millis()
                )
            }
            TrapCause::Memory { limit_bytes } => {
                write!(
                    f,
                    "it needs more memory than limits.memory_bytes = {limit_bytes}"
                )
            }
            TrapCause::AnswerBytes { limit_bytes } => {
                write!(
                    f,
                    "it hands over more than limits.answer_bytes = {limit_bytes}"
                )
            }
            TrapCause::Stack => write!(f, "it recursed deeper than {STACK_BYTES} bytes of stack"),
            TrapCause::Exit { code } => write!(f, "it ended itself with exit code {code}"),
            TrapCause::Unreachable => f.write_str("it panicked or aborted (unreachable)"),
            TrapCause::Wasm(trap) => f.write_str(trap),
            TrapCause::Answer(rule) => write!(f, "its answer is refused: {rule}"),
            TrapCause::Broken(reason) => write!(f, "it says that it is broken: {reason}"),
            TrapCause::Other(reason) => f.write_str(reason),
        }
    }
}

/// The end of an instance: the cause of a [`Fault`] of kind [`FaultKind::Broken`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestTrap {
    /// The component's name in the plan.
    pub component: ComponentName,
    /// Which version of it.
    pub digest: Digest,
    /// The export that was called.
    pub call: &'static str,
    /// What ended it.
    pub cause: TrapCause,
    /// The functions that were active, innermost first.
    pub backtrace: Vec<String>,
    /// The end of what the call wrote to standard error: a panic message.
    pub last_words: String,
}

impl fmt::Display for GuestTrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if !self.last_words.is_empty() {
            write!(f, ", and wrote {:?}", self.last_words)?;
        }
        write!(f, " (component {}", self.digest.short())?;
        if !self.backtrace.is_empty() {
            write!(f, ", in {}", self.backtrace.join(" < "))?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for GuestTrap {}

impl GuestTrap {
    /// The fault: the instance is gone, and the same batch may come to the next one.
    pub(crate) fn into_fault(self) -> Fault {
        let message = format!("guest {} failed in {}", self.component, self.call);
        Fault::new(FaultKind::Broken, Side::Component, message).with_cause(self)
    }

    /// The end of an instance, as the cause of a fault.
    pub fn of(fault: &Fault) -> Option<&GuestTrap> {
        std::error::Error::source(fault)?.downcast_ref()
    }
}

/// What wasmtime's error means. `memory_refused`: whether the call was denied memory.
pub(crate) fn cause(error: &wasmtime::Error, limits: &Limits, memory_refused: bool) -> TrapCause {
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return TrapCause::Exit { code: *code };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => TrapCause::CpuTime { limit: limits.cpu },
        Some(Trap::StackOverflow) => TrapCause::Stack,
        // A guest that is denied memory aborts, or fails to make its first instance.
        _ if memory_refused => TrapCause::Memory {
            limit_bytes: limits.memory_bytes,
        },
        Some(Trap::UnreachableCodeReached) => TrapCause::Unreachable,
        Some(trap) => TrapCause::Wasm(trap.to_string()),
        None => {
            let reason = error.root_cause().to_string();
            match reason.starts_with(FUEL_EXHAUSTED) {
                true => TrapCause::AnswerBytes {
                    limit_bytes: limits.answer_bytes,
                },
                false => TrapCause::Other(one_line(&reason, MESSAGE_BYTES_MAX)),
            }
        }
    }
}

/// How wasmtime's message begins when the bytes of a call are used up. It has no public type, and
/// only the wording of the report depends on this.
const FUEL_EXHAUSTED: &str = "too much data is being copied";

/// Bytes of the name of a function in a report.
const FRAME_NAME_BYTES_MAX: usize = 200;

/// The active functions, innermost first.
pub(crate) fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let frames = trace.frames().iter().take(BACKTRACE_FRAMES_MAX);
    frames
        .map(|frame| match frame.func_name() {
            // The alternate form leaves out the hash that the compiler adds.
            Some(name) => one_line(&format!("{:#}", demangle(name)), FRAME_NAME_BYTES_MAX),
            None => format!("function {}", frame.func_index()),
        })
        .collect()
}
