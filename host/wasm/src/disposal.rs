//! Where instances go that are not used any more.
//!
//! Giving back the memory of an instance takes longer than a call. One thread of low priority does
//! it, so that no batch waits for a processor that is busy with the past.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flumen_core::Fault;
use tracing::debug;

use crate::engine::machine;

/// How far behind the flow: a tenth of its share when both want the same processor. Not the last
/// place, because what waits here holds memory.
const NICE: i32 = 10;

/// How many may wait. More than a reload or a failing guest gives at once; what comes when it is full
/// is dropped where it is, so that memory is bounded by that.
const WAITING_MAX: usize = 64;

/// Anything that takes long to drop.
type Waste = Box<dyn Send>;

/// Gives things to the thread that drops them. The thread ends with the last of its givers.
#[derive(Clone)]
pub(crate) struct Disposal(SyncSender<Waste>);

impl Disposal {
    /// # Errors
    /// A fault of the machine, when there is no thread.
    pub(crate) fn new() -> Result<Self, Fault> {
        let (give, given) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("flumen-disposal".into());
        thread
            .spawn(move || drop_all(&given))
            .map_err(|error| machine("no thread for used instances", error.into()))?;
        Ok(Self(give))
    }

    /// Drops it soon, elsewhere. Never waits.
    pub(crate) fn take(&self, waste: impl Send + 'static) {
        // What is refused comes back and is dropped here.
        let _ = self.0.try_send(Box::new(waste));
    }
}

fn drop_all(given: &Receiver<Waste>) {
    // On Linux this is the priority of the calling thread and not of the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        debug!("used instances are dropped at the priority of the flow: {error}");
    }
    given.iter().for_each(drop);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::ThreadId;

    struct TellsWhere(SyncSender<ThreadId>);

    impl Drop for TellsWhere {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn what_is_given_is_dropped_on_another_thread() {
        let disposal = Disposal::new().unwrap();
        let (tell, told) = sync_channel(1);
        disposal.take(TellsWhere(tell.clone()));
        let first = told.recv().unwrap();
        assert_ne!(first, thread::current().id());
        disposal.take(TellsWhere(tell));
        assert_eq!(told.recv().unwrap(), first, "one thread for all");
    }

    #[test]
    fn what_finds_no_place_is_dropped_at_once() {
        struct Holds(Receiver<()>);
        impl Drop for Holds {
            fn drop(&mut self) {
                let _ = self.0.recv();
            }
        }
        let disposal = Disposal::new().unwrap();
        let (release, held) = sync_channel::<()>(1);
        disposal.take(Holds(held));
        let (tell, told) = sync_channel(WAITING_MAX + 1);
        // One more than wait: the thread may have taken the first already.
        for _ in 0..=WAITING_MAX {
            disposal.take(TellsWhere(tell.clone()));
        }
        assert_eq!(told.recv().unwrap(), thread::current().id());
        drop(release);
        drop(tell);
        assert_eq!(told.iter().count(), WAITING_MAX);
    }
}
