//! Drivers as processes: started under a wrapper, watched event by event, killed, started again.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::driver::{Kind, Orders};
use crate::event::{Event, Told};
use crate::oracle::{Oracle, Violation};

/// After this a run hangs. Far above the longest run on a busy machine; only a failure takes it.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// What a run told last, to be shown when it hangs.
const LINES_KEPT: usize = 12;

/// Descriptors of a driver at the end of a run, for each log: the lock, a folder, and files of
/// segments being written, read and made, with the standard streams and room to spare. Not one for
/// each segment.
const DESCRIPTORS_MAX: u64 = 24;

/// What is to become of a run after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It goes on.
    Go,
    /// It is killed, with its wrapper.
    Kill,
    /// It is asked to close and end.
    Stop,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Of the driver or of its wrapper, which repeats it.
    pub(crate) status: ExitStatus,
}

impl End {
    /// Whether a signal ended it.
    pub(crate) fn is_killed(&self) -> bool {
        self.status.signal().is_some()
    }
}

/// One folder with a store, and what the oracle knows of it.
pub(crate) struct Rig {
    pub(crate) orders: Orders,
    pub(crate) oracle: Oracle,
}

/// A driver that runs.
pub(crate) struct Driver {
    child: Child,
    orders: ChildStdin,
}

impl Driver {
    /// Tells the driver something; one that is gone need not hear it.
    pub(crate) fn order(&mut self, word: &str) {
        let _ = writeln!(self.orders, "{word}");
    }

    /// Sends a signal to the driver and its wrapper.
    ///
    /// # Errors
    /// When they are gone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let raw = i32::try_from(self.child.id()).context("process id")?;
        let group = Pid::from_raw(raw).context("process id 0")?;
        kill_process_group(group, signal).context("signal a driver")
    }
}

impl Rig {
    /// A rig for a store that does not exist yet.
    pub(crate) fn new(orders: Orders) -> Rig {
        let oracle = Oracle::new(orders.segment_bytes, orders.kind.promises());
        Rig { orders, oracle }
    }

    /// Starts a driver behind the words of a wrapper, and lets `course` decide after each event.
    /// What it tells goes to the oracle first.
    ///
    /// # Errors
    /// When it cannot be started, hangs, or says what no driver says.
    pub(crate) fn run(
        &mut self,
        wrapper: &[String],
        mut course: impl FnMut(&mut Oracle, &Event, &mut Driver) -> Result<Next>,
    ) -> Result<End> {
        self.orders.run += 1;
        self.oracle.begin_run();
        let (mut driver, watch) = start(wrapper, &self.orders)?;
        let told = driver.child.stdout.take().context("no pipe")?;
        let mut told = BufReader::new(told);
        let mut line = String::new();
        let mut last = VecDeque::new();
        loop {
            line.clear();
            let read = told.read_line(&mut line).context("listen to a driver")?;
            // A line without its end was cut off by a kill.
            let Some(whole) = line.strip_suffix('\n').filter(|_| read > 0) else {
                break;
            };
            let told: Told<Event> = whole.parse().with_context(|| line.clone())?;
            let event = told.event;
            self.oracle.see_time(told.now_us);
            self.oracle.see(event.clone());
            if event == Event::Ready && !self.orders.kind.promises().tells_state {
                driver.order(&self.oracle.cursors());
            }
            if last.len() == LINES_KEPT {
                last.pop_front();
            }
            last.push_back(whole.to_owned());
            match course(&mut self.oracle, &event, &mut driver)? {
                Next::Go => {}
                // One that has ended by itself needs no kill.
                Next::Kill => drop(driver.signal(Signal::KILL)),
                Next::Stop => driver.order("stop"),
            }
        }
        let status = driver.child.wait().context("wait for a driver")?;
        watch.end().with_context(|| {
            let waiting = self.oracle.waiting();
            format!("{waiting} items wait; the last that the driver told: {last:#?}")
        })?;
        if status.code().is_some_and(|code| code != 0) {
            let what = format!("the driver ended with {status}: see what it printed");
            self.oracle.violate("no panic", what);
        }
        Ok(End { status })
    }

    /// Lets a driver run under load and kills it after so many events.
    ///
    /// # Errors
    /// Those of [`Rig::run`].
    pub(crate) fn run_and_kill(&mut self, after_events: u64) -> Result<End> {
        let mut events = 0;
        self.run(&[], |_, _, _| {
            events += 1;
            Ok(match events == after_events {
                true => Next::Kill,
                false => Next::Go,
            })
        })
    }

    /// Opens the store, lists it, and does so again after killing the one that listed it: recovering
    /// twice is recovering once. Ends with a store that was closed.
    ///
    /// # Errors
    /// Those of [`Rig::run`].
    pub(crate) fn verify(&mut self) -> Result<()> {
        let transactions = std::mem::replace(&mut self.orders.transactions, 0);
        let outcome = self.verify_twice();
        self.orders.transactions = transactions;
        outcome
    }

    fn verify_twice(&mut self) -> Result<()> {
        self.run(&[], |_, event, _| {
            Ok(match event {
                Event::Ready => Next::Kill,
                _ => Next::Go,
            })
        })?;
        self.expect_ready();
        self.run(&[], |_, _, _| Ok(Next::Go))?;
        self.expect_ready();
        self.check_bounds()
    }

    /// A run that did not open the store and list it is a broken promise.
    pub(crate) fn expect_ready(&mut self) {
        if self.oracle.is_ready() {
            return;
        }
        let reason = self.oracle.not_opened().unwrap_or("it ended before");
        let what = format!("the store was not opened: {reason}");
        self.oracle.violate("opening", what);
    }

    fn check_bounds(&mut self) -> Result<()> {
        let most = DESCRIPTORS_MAX * self.orders.kind.channels().max(1);
        if let Some(descriptors) = self.oracle.closed().filter(|d| *d > most) {
            let what = format!("{descriptors} descriptors were open");
            self.oracle.violate("I12", what);
        }
        if self.orders.kind != Kind::Log {
            // The channel's bound follows from its capacity, which no scenario reaches.
            return Ok(());
        }
        let bytes = folder_bytes(&self.orders.folder)?;
        let most = (self.orders.segments_max + 1) * self.orders.segment_bytes;
        if bytes > most {
            let what = format!("the files take {bytes} bytes, more than {most}");
            self.oracle.violate("I12", what);
        }
        Ok(())
    }

    /// What was broken.
    pub(crate) fn verdict(self) -> Vec<Violation> {
        self.oracle.violations().to_vec()
    }
}

fn start(wrapper: &[String], orders: &Orders) -> Result<(Driver, Watch)> {
    let own = std::env::current_exe().context("find the running program")?;
    let own = own.display().to_string();
    let mut words = wrapper.iter().map(String::as_str).chain([own.as_str()]);
    let program = words.next().context("a program")?;
    let mut command = Command::new(program);
    command.args(words).arg("drive").args(orders.arguments());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // A group of its own, so that a wrapper and what it wraps are killed together.
    command.process_group(0);
    let mut child = command
        .spawn()
        .with_context(|| format!("start {program}; is it installed?"))?;
    let stdin = child.stdin.take().context("no pipe")?;
    let watch = Watch::start(&child)?;
    let driver = Driver {
        child,
        orders: stdin,
    };
    Ok((driver, watch))
}

/// Kills a run that hangs.
struct Watch {
    ended: SyncSender<()>,
    thread: JoinHandle<bool>,
}

impl Watch {
    fn start(child: &Child) -> Result<Watch> {
        let raw = i32::try_from(child.id()).context("process id")?;
        let group = Pid::from_raw(raw).context("process id 0")?;
        let (ended, end) = sync_channel(1);
        let thread = thread::spawn(move || {
            let hangs = matches!(end.recv_timeout(RUN_LIMIT), Err(RecvTimeoutError::Timeout));
            if hangs {
                // One that has just ended is no hang any more, and needs no kill.
                let _ = kill_process_group(group, Signal::KILL);
            }
            hangs
        });
        Ok(Watch { ended, thread })
    }

    fn end(self) -> Result<()> {
        // The thread may have given up already.
        let _ = self.ended.try_send(());
        match self.thread.join() {
            Ok(false) => Ok(()),
            _ => bail!(
                "a run took more than {} s and was killed",
                RUN_LIMIT.as_secs()
            ),
        }
    }
}

/// Bytes of the files of a folder.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
