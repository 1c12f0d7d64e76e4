//! Work for reloads: beside the flow, and behind it.
//!
//! Reading a configuration, compiling a component and running its `init` takes milliseconds of a
//! processor. At the priority of the flow the scheduler may give them to a reload while a batch
//! waits; behind it they cost the flow next to nothing.

use std::thread;

use flumen_core::{Fault, Side};
use tracing::debug;

/// How far behind the flow: a tenth of its share when both want the same processor. Not the last
/// place, because a reload must come to its end on a machine that is never idle.
const NICE: i32 = 10;

/// Does work of a reload on a thread of its own, of low priority. What is dropped while it waits
/// runs on to its end.
///
/// # Errors
/// A transient fault when there is no thread, or the work panicked.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let fail = |message: &'static str| Fault::transient(Side::Component, message);
    // The runtime knows of the thread by the one that waits for it: a stop waits as well.
    let waiting = tokio::task::spawn_blocking(move || {
        let quiet = thread::Builder::new().name("flumen-reload".into());
        let running = quiet.spawn(move || {
            step_back();
            work()
        });
        match running {
            Ok(running) => running.join().map_err(|_| fail("a reload's work panicked")),
            Err(error) => Err(fail("no thread for a reload").with_cause(error)),
        }
    });
    let waited = waiting.await;
    waited.unwrap_or_else(|error| Err(fail("a reload's work was cut off").with_cause(error)))
}

/// Gives this thread the low priority, if that can be had; without it the work is done all the same.
fn step_back() {
    // On Linux this is the priority of the calling thread and not of the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        debug!("a reload keeps the priority of the flow: {error}");
    }
}
