//! Waiting for something that another process does: a probe, repeated until it answers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two probes. Short, because start and stop of the agent are measured through it; long
/// enough that the prober takes little of the processor that the agent needs.
pub const POLL_PAUSE: Duration = Duration::from_micros(250);

/// Between two readings of the counters, each of which is a connection and a page for the agent.
pub const METRICS_PAUSE: Duration = Duration::from_millis(2);

/// The deadline of a test that has no reason for another. Far above what a loaded machine needs,
/// because it only decides how long a failure takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Calls `probe` until it gives a value, which is returned.
///
/// # Errors
/// The probe's own error, at once; or, after `limit`, an error that names `what`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    wait_for_every(POLL_PAUSE, what, limit, probe)
}

/// As [`wait_for`], with another pause between two probes, for probes that cost the agent
/// something.
///
/// # Errors
/// Those of [`wait_for`].
pub fn wait_for_every<T>(
    pause: Duration,
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if begin.elapsed() >= limit {
            bail!("waited {limit:?} for {what}, in vain");
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_until_there_is_an_answer() {
        let mut probes = 0;
        let answer = wait_for("the third probe", PATIENCE, || {
            probes += 1;
            Ok((probes == 3).then_some("here"))
        });
        assert_eq!(answer.unwrap(), "here");
        assert_eq!(probes, 3);
    }

    #[test]
    fn a_deadline_names_what_was_missing() {
        let error = wait_for::<()>("the moon", Duration::ZERO, || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }

    #[test]
    fn an_error_of_the_probe_ends_the_wait() {
        let error = wait_for::<()>("anything", PATIENCE, || bail!("broken probe")).unwrap_err();
        assert_eq!(error.to_string(), "broken probe");
    }
}
