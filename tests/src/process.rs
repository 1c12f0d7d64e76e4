//! What the kernel says about a process: processor time, memory, threads. Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

/// Processor time, user and system, of all threads of a process since its start.
///
/// The resolution is that of the kernel's tick, 10 ms on most machines: measure over seconds.
///
/// # Errors
/// When the process is gone, or `/proc` does not speak as expected.
pub fn cpu_time(process_id: u32) -> Result<Duration> {
    let path = format!("/proc/{process_id}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = stat_ticks(&text).with_context(|| format!("read the times in {path}"))?;
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_nanos(
        ticks.saturating_mul(1_000_000_000 / ticks_per_second.max(1)),
    ))
}

/// User and system ticks of one line of `/proc/PID/stat`. The name of the program, second field,
/// may hold blanks and parentheses: the fields are counted from its end.
fn stat_ticks(text: &str) -> Result<u64> {
    const USER_TIME_AFTER_NAME: usize = 11;
    let (_, fields) = text.rsplit_once(')').context("no program name")?;
    let mut times = fields.split_ascii_whitespace().skip(USER_TIME_AFTER_NAME);
    let user: u64 = times.next().context("no user time")?.parse()?;
    let system: u64 = times.next().context("no system time")?.parse()?;
    Ok(user + system)
}

/// Bytes of memory that the process holds now.
///
/// # Errors
/// When the process is gone, or `/proc` does not speak as expected.
pub fn resident_bytes(process_id: u32) -> Result<u64> {
    status_bytes(process_id, "VmRSS:")
}

/// The most bytes of memory that the process has held at any time.
///
/// # Errors
/// When the process is gone, or `/proc` does not speak as expected.
pub fn peak_resident_bytes(process_id: u32) -> Result<u64> {
    status_bytes(process_id, "VmHWM:")
}

fn status_bytes(process_id: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{process_id}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .ok_or_else(|| anyhow!("{path} has no {field} (a process that has ended has none)"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context(path)?;
    Ok(kibibytes * 1024)
}

/// How many file descriptors the process has open.
///
/// # Errors
/// When the process is gone, or belongs to somebody else.
pub fn open_files(process_id: u32) -> Result<usize> {
    let path = format!("/proc/{process_id}/fd");
    Ok(fs::read_dir(&path)
        .with_context(|| format!("list {path}"))?
        .count())
}

/// Sends a signal.
///
/// # Errors
/// When the process is gone, or belongs to somebody else.
pub fn send_signal(process_id: u32, signal: Signal) -> Result<()> {
    let raw = i32::try_from(process_id).context("process id")?;
    let id = Pid::from_raw(raw).context("process id 0")?;
    kill_process(id, signal).with_context(|| format!("send {signal:?} to process {process_id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_ticks_behind_a_name_with_blanks_and_parentheses() {
        let line = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 110 20 13 14";
        assert_eq!(stat_ticks(line).unwrap(), 130);
    }

    #[test]
    fn sees_this_process() {
        let own = std::process::id();
        cpu_time(own).unwrap();
        let now = resident_bytes(own).unwrap();
        assert!(now > 0);
        assert!(peak_resident_bytes(own).unwrap() > 0);
        assert!(open_files(own).unwrap() >= 3);
    }

    #[test]
    fn says_which_process_is_missing() {
        let error = cpu_time(u32::MAX).unwrap_err();
        assert!(
            error.to_string().contains("/proc/4294967295/stat"),
            "{error}"
        );
    }
}
