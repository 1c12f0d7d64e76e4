//! The figures of row (l), from what its client and its check have seen.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::swap_check::Check;
use crate::reload::nearest_rank;
use crate::table::{Aim, Table, Unit};
use crate::throughput::per_second;

/// Lines in flight.
pub(super) const WINDOW_LINES: usize = 100;

/// How often, and how far apart. A replacement must have taken effect before the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) quiet: usize,
    pub(super) kept: usize,
    pub(super) kept_interval: Duration,
    pub(super) new: usize,
    pub(super) new_interval: Duration,
}

/// A hundred lines and their answers, in nanoseconds since the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) written: u64,
    pub(super) answered: u64,
}

impl Window {
    fn wait(&self) -> u64 {
        self.answered - self.written
    }
}

/// A moment from which a stretch of windows is looked at: a replacement, or nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) nanos: u64,
    pub(super) interval: Duration,
    /// The version of the new file.
    pub(super) version: Option<u64>,
}

pub(super) struct Outcome {
    pub(super) windows: Vec<Window>,
    pub(super) moments: Vec<Moment>,
    pub(super) check: Check,
}

/// The figures of one run.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people; counts are below 2^52"
)]
pub(super) fn figures(table: &mut Table, name: &str, outcome: &Outcome, plan: Plan) -> Result<()> {
    let check = &outcome.check;
    let mut add = |what: &str, unit, aim, value| {
        table.add('l', &format!("{name}, {what}"), unit, aim, value);
    };
    let none = Aim::AtMost(0.0);
    let lines = u64::try_from(outcome.windows.len() * WINDOW_LINES)?;
    let last = outcome.windows.last().map_or(1, |last| last.answered);
    let rate = per_second(lines, Duration::from_nanos(last));
    add("load", Unit::LinesPerSecond, Aim::None, rate);
    let lost = check.lost + lines.saturating_sub(check.next);
    add("lost", Unit::Count, none, lost as f64);
    add(
        "doubled or out of order",
        Unit::Count,
        none,
        check.late as f64,
    );
    let what = "seen by no version or by two";
    add(what, Unit::Count, none, check.strange as f64);
    let lost = lost + check.late + check.strange;
    waits(table, name, outcome, plan)?;
    if lost > 0 {
        bail!("the output is not what was sent: {check:?}");
    }
    Ok(())
}

/// The waits of the three times, and how soon each version was seen.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people; counts are below 2^52"
)]
fn waits(table: &mut Table, name: &str, outcome: &Outcome, plan: Plan) -> Result<()> {
    let mut add = |what: &str, unit, aim, value| {
        table.add('l', &format!("{name}, {what}"), unit, aim, value);
    };
    let changed = changes(outcome)?;
    let (quiet, rest) = outcome.moments.split_at(plan.quiet);
    let quiet_places = quiet
        .iter()
        .map(|moment| place(&outcome.windows, moment.nanos));
    let (kept_places, new_places) = changed.split_at(plan.kept);
    let (kept, new) = rest.split_at(plan.kept);
    for (what, places, moments, aims) in [
        (
            "quiet",
            &*quiet_places.collect::<Vec<_>>(),
            quiet,
            [Aim::None; 2],
        ),
        (
            "swap",
            kept_places,
            kept,
            [Aim::AtMost(1.0), Aim::AtMost(5.0)],
        ),
        ("swap, compiling", new_places, new, [Aim::None; 2]),
    ] {
        let pauses = at_once(&outcome.windows, places);
        let waits = longest_waits(&outcome.windows, moments);
        let [most, longest] = aims;
        for (figure, values, share, aim) in [
            ("pause, half", &pauses, 0.5, Aim::None),
            ("pause, 99 %", &pauses, 0.99, most),
            ("pause, longest", &pauses, 1.0, longest),
            ("longest wait of all", &waits, 1.0, Aim::None),
        ] {
            let millis = nearest_rank(values, share) as f64 / 1e6;
            let what = format!("{what}: {figure} of {}", values.len());
            add(&what, Unit::Millis, aim, millis);
        }
    }
    let effects = effects(outcome, &changed)?;
    let (kept, new) = effects.split_at(plan.kept);
    for (what, effects, most_ms) in [
        ("new file to effect, compiled before", kept, 50.0),
        ("new file to effect, to be compiled", new, 300.0),
    ] {
        for effect in effects {
            let aim = Aim::AtMost(most_ms);
            add(what, Unit::Millis, aim, effect.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

/// The window that is under way at a moment, or the next one.
fn place(windows: &[Window], nanos: u64) -> usize {
    windows.partition_point(|window| window.answered < nanos)
}

/// For each place, the longest wait of the window there and of its neighbours, in nanoseconds.
fn at_once(windows: &[Window], places: &[usize]) -> Vec<u64> {
    let longest = |place: &usize| {
        let around = windows.iter().skip(place.saturating_sub(1)).take(3);
        around.map(Window::wait).max()
    };
    places.iter().filter_map(longest).collect()
}

/// For each moment, the longest wait that was under way in its interval, in nanoseconds.
fn longest_waits(windows: &[Window], moments: &[Moment]) -> Vec<u64> {
    let longest = |moment: &Moment| {
        let interval = u64::try_from(moment.interval.as_nanos()).unwrap_or(u64::MAX);
        let end = moment.nanos.saturating_add(interval);
        let under_way = windows.iter().skip(place(windows, moment.nanos));
        let under_way = under_way.take_while(|window| window.written < end);
        under_way.map(Window::wait).max()
    };
    moments.iter().filter_map(longest).collect()
}

/// For each replacement, the window whose lines its version saw first.
fn changes(outcome: &Outcome) -> Result<Vec<usize>> {
    let replaced = outcome.moments.iter().filter_map(|moment| moment.version);
    // The first version was there from the beginning.
    let mut seen = outcome.check.versions.iter().skip(1);
    let mut changes = Vec::new();
    for version in replaced {
        let Some((_, line)) = seen.next().filter(|(seen, _)| *seen == version) else {
            bail!(
                "replacement {} was not seen to take effect before the next",
                changes.len() + 1
            );
        };
        changes.push(usize::try_from(*line)? / WINDOW_LINES);
    }
    Ok(changes)
}

/// For each replacement, the time until the first lines with its version were answered.
fn effects(outcome: &Outcome, changes: &[usize]) -> Result<Vec<Duration>> {
    let replaced = outcome
        .moments
        .iter()
        .filter(|moment| moment.version.is_some());
    let mut effects = Vec::new();
    for (moment, place) in replaced.zip(changes) {
        let window = outcome.windows.get(*place);
        let answered = window.context("a line from nowhere")?.answered;
        effects.push(Duration::from_nanos(answered.saturating_sub(moment.nanos)));
    }
    Ok(effects)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_nanos(100);

    fn window(written: u64, answered: u64) -> Window {
        Window { written, answered }
    }

    fn moment(nanos: u64, version: Option<u64>) -> Moment {
        Moment {
            nanos,
            interval: INTERVAL,
            version,
        }
    }

    #[test]
    fn waits_are_those_of_the_interval_or_of_three_neighbours() {
        let windows = [
            window(0, 90),
            window(90, 110),
            window(110, 150),
            window(150, 160),
            window(199, 300),
            window(300, 900),
        ];
        let moments = [moment(100, None), moment(205, None)];
        assert_eq!(longest_waits(&windows, &moments), [101, 600]);
        assert_eq!(at_once(&windows, &[0, 2, 5]), [90, 40, 600]);
        assert_eq!(place(&windows, 100), 1);
    }

    #[test]
    fn the_effect_is_seen_in_the_answers_of_the_first_new_line() {
        let mut outcome = Outcome {
            windows: vec![window(0, 10), window(10, 250), window(250, 300)],
            moments: vec![moment(1, None), moment(5, Some(2)), moment(260, Some(1))],
            check: Check {
                versions: vec![(1, 0), (2, 150), (1, 299)],
                ..Check::default()
            },
        };
        let expected = [245, 40].map(Duration::from_nanos);
        let places = changes(&outcome).unwrap();
        assert_eq!(places, [1, 2]);
        assert_eq!(effects(&outcome, &places).unwrap(), expected);
        outcome.check.versions.remove(1);
        let error = changes(&outcome).unwrap_err().to_string();
        assert!(error.contains("replacement 1"), "{error}");
    }
}
