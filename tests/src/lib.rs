//! The harness that drives the real binary from outside, for the integration tests and the
//! benchmarks.
//!
//! * [`agent`]: starts `flumen agent` on a configuration, reads what it prints, signals it, waits
//!   for its end. Nothing outlives the value: dropping it kills the process.
//! * [`binary`]: finds, or has cargo build, the binary under test.
//! * [`guests`]: has cargo build the example and fixture components.
//! * [`flume`]: the real Apache Flume in the place of the binary, to compare with.
//! * [`lines`]: numbered lines, the block of them that the benchmarks send, and the check that an
//!   output holds each exactly once and in order.
//! * [`client`]: raw bytes to a listener, and its answers.
//! * [`sender`]: writes numbered lines to a netcat source, with and without acknowledgement.
//! * [`output`], [`http`], [`metrics`], [`process`], [`ports`], [`wait`]: the pieces of the above.
//!
//! Nothing here sleeps in order to synchronise: a wait is a probe repeated until it answers, or
//! until a deadline that the failure names.
//!
//! What is not here, but in the crash rig (`src/bin/flumen-crash`): any room of the host. The tests see flumen as an operator does, through its
//! command line, sockets, files and signals.
//!
//! ```no_run
//! use flumen_tests::{agent::AgentBuilder, ports, sender::NumberedSender, wait::PATIENCE};
//!
//! # fn main() -> anyhow::Result<()> {
//! let port = ports::free_port()?;
//! let config = format!(
//!     "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n\
//!      a1.sources.r1.type = netcat\na1.sources.r1.bind = 127.0.0.1\n\
//!      a1.sources.r1.port = {port}\na1.sources.r1.channels = c1\n\
//!      a1.channels.c1.type = memory\n\
//!      a1.sinks.k1.type = logger\na1.sinks.k1.channel = c1\n"
//! );
//! let mut agent = AgentBuilder::new(config).start()?;
//! agent.wait_until_listening(port, PATIENCE)?;
//! NumberedSender::connect(port, 0)?.send_acknowledged(10)?;
//! agent.output().wait_for("body: 30 30", PATIENCE)?;
//! agent.terminate()?;
//! assert!(agent.wait_exit(PATIENCE)?.success());
//! # Ok(())
//! # }
//! ```

pub mod agent;
pub mod binary;
pub mod client;
pub mod flume;
pub mod guests;
pub mod http;
pub mod lines;
pub mod metrics;
pub mod output;
pub mod ports;
pub mod process;
pub mod sender;
pub mod terminal;
pub mod wait;
