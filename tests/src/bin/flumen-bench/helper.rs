//! The generator and the raw reader as processes of their own, and the few words they exchange
//! with the benchmark: a line `ready …` when set up, a line `go` from the benchmark, a line
//! `done …` with the figures at the end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// A child process that runs one of the sub-commands of this program. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a generator sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Lines, at most.
    pub(crate) lines: u64,
    pub(crate) connections: usize,
    /// After so many seconds no further block of lines is begun.
    pub(crate) seconds: Option<u64>,
}

impl Load {
    /// A load that ends with its last line.
    pub(crate) fn new(lines: u64, connections: usize) -> Self {
        Self {
            lines,
            connections,
            seconds: None,
        }
    }
}

impl Helper {
    /// Starts this program again with other arguments.
    pub(crate) fn start(arguments: &[String]) -> Result<Self> {
        let program = std::env::current_exe().context("find the running program")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start flumen-bench {}", arguments.join(" ")))?;
        let input = child
            .stdin
            .take()
            .context("the helper has no standard input")?;
        let output = child
            .stdout
            .take()
            .context("the helper has no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Starts the generator and waits until its connections are made.
    pub(crate) fn generator(port: u16, load: Load) -> Result<Self> {
        let mut words = vec![
            "generate".to_owned(),
            format!("--port={port}"),
            format!("--lines={}", load.lines),
            format!("--connections={}", load.connections),
        ];
        words.extend(load.seconds.map(|seconds| format!("--seconds={seconds}")));
        let mut helper = Self::start(&words)?;
        helper.expect("ready")?;
        Ok(helper)
    }

    /// Starts the raw reader and waits until it listens; returns its port.
    pub(crate) fn raw_reader(buffer_bytes: usize, connections: usize) -> Result<(Self, u16)> {
        let mut helper = Self::start(&[
            "raw-reader".to_owned(),
            format!("--buffer-kib={}", buffer_bytes / 1024),
            format!("--connections={connections}"),
        ])?;
        let port = helper.expect("ready")?;
        let port = port.first().context("the raw reader named no port")?;
        Ok((helper, u16::try_from(*port)?))
    }

    /// Lets the generator begin.
    pub(crate) fn go(&mut self) -> Result<()> {
        self.input
            .write_all(b"go\n")
            .context("tell the generator to begin")
    }

    /// Waits for the end, and returns the figures: lines, nanoseconds of processor time.
    pub(crate) fn done(&mut self) -> Result<(u64, Duration)> {
        match self.expect("done")?.as_slice() {
            [lines, cpu_nanos] => Ok((*lines, Duration::from_nanos(*cpu_nanos))),
            other => bail!(
                "the helper ended with {} figures instead of two",
                other.len()
            ),
        }
    }

    fn expect(&mut self, word: &str) -> Result<Vec<u64>> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("listen to the helper")?;
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some(word) {
            bail!("the helper said {line:?} where {word:?} was due");
        }
        words
            .map(|figure| figure.parse().context("the helper's figure"))
            .collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only when the process has ended and was waited for, which is the aim.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of this process so far, to the nanosecond.
pub(crate) fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// One of the processors that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processor {
    /// The one with the lowest number.
    First,
    /// The one with the highest number.
    Last,
}

/// Ties this process, threads yet to come included, to one processor.
pub(crate) fn keep_to_processor(which: Processor) -> Result<()> {
    let permitted = sched_getaffinity(None).context("ask for the processors")?;
    let mut processors = (0..CpuSet::MAX_CPU).filter(|number| permitted.is_set(*number));
    let chosen = match which {
        Processor::First => processors.next(),
        Processor::Last => processors.next_back(),
    };
    let mut only = CpuSet::new();
    only.set(chosen.context("no processor is permitted")?);
    sched_setaffinity(None, &only).context("keep to one processor")
}
