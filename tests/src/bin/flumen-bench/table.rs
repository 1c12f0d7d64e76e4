//! The figures, and the table that is printed of them.

use std::fmt;

/// What a figure is counted in, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Lines in a second.
    LinesPerSecond,
    /// Microseconds of processor time for a line.
    CpuMicrosPerLine,
    /// Milliseconds.
    Millis,
    /// Mebibytes.
    Mebibytes,
    /// Kibibytes.
    Kibibytes,
    /// A quotient of two figures.
    Ratio,
    /// Things.
    Count,
}

/// What the figure shall reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Aim {
    /// Nothing: the figure is there for comparison.
    None,
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// One line of the table: the same thing measured several times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// The letter of the row.
    pub(crate) row: char,
    /// What was measured.
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) aim: Aim,
    /// One value a run.
    pub(crate) values: Vec<f64>,
}

impl Figure {
    /// The middle value; of an even number, the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
        if sorted.len() % 2 == 1 {
            return upper;
        }
        let lower = middle
            .checked_sub(1)
            .and_then(|place| sorted.get(place))
            .copied();
        lower.map_or(upper, |lower| f64::midpoint(lower, upper))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn reached(&self) -> &'static str {
        let reached = match self.aim {
            Aim::None => return "",
            Aim::AtLeast(least) => self.median() >= least,
            Aim::AtMost(most) => self.median() <= most,
        };
        if reached { "yes" } else { "**no**" }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        let show = |value: f64| written(value, self.unit);
        let range = match (sorted.first(), sorted.last()) {
            (Some(least), Some(most)) if sorted.len() > 1 => {
                format!("{} to {}", show(*least), show(*most))
            }
            _ => String::new(),
        };
        let aim = match self.aim {
            Aim::None => String::new(),
            Aim::AtLeast(least) => format!("≥ {}", show(least)),
            Aim::AtMost(most) => format!("≤ {}", show(most)),
        };
        let (row, what, runs) = (self.row, &self.what, self.values.len());
        let (median, reached) = (show(self.median()), self.reached());
        write!(
            formatter,
            "| ({row}) | {what} | {median} | {range} | {runs} | {aim} | {reached} |"
        )
    }
}

fn written(value: f64, unit: Unit) -> String {
    match unit {
        Unit::LinesPerSecond if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
        Unit::LinesPerSecond => format!("{:.1} k/s", value / 1e3),
        Unit::CpuMicrosPerLine => format!("{value:.3} µs"),
        Unit::Millis => format!("{value:.2} ms"),
        Unit::Mebibytes => format!("{value:.1} MiB"),
        Unit::Kibibytes => format!("{value:.1} KiB"),
        Unit::Ratio => format!("{:.1} %", value * 100.0),
        Unit::Count => format!("{value:.0}"),
    }
}

/// All figures in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Table {
    figures: Vec<Figure>,
}

impl Table {
    /// A table without figures.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a value to the figure of that row and name, which is made if it is not there.
    pub(crate) fn add(&mut self, row: char, what: &str, unit: Unit, aim: Aim, value: f64) {
        let known = self
            .figures
            .iter_mut()
            .find(|known| known.row == row && known.what == what);
        if let Some(figure) = known {
            figure.values.push(value);
            return;
        }
        let what = what.to_owned();
        self.figures.push(Figure {
            row,
            what,
            unit,
            aim,
            values: vec![value],
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| row | what | median | range | runs | aim | reached |"
        )?;
        writeln!(formatter, "|---|---|---|---|---|---|---|")?;
        for figure in &self.figures {
            writeln!(formatter, "{figure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[f64], unit: Unit, aim: Aim) -> String {
        let mut table = Table::new();
        for value in values {
            table.add('a', "flumen", unit, aim, *value);
        }
        table.to_string().lines().skip(2).collect()
    }

    #[test]
    fn the_median_is_the_middle_and_decides_about_the_aim() {
        assert_eq!(
            table(&[3e6, 1e6, 8.5e6], Unit::LinesPerSecond, Aim::AtLeast(4e6)),
            "| (a) | flumen | 3.00 M/s | 1.00 M/s to 8.50 M/s | 3 | ≥ 4.00 M/s | **no** |"
        );
        assert_eq!(
            table(&[2.0, 4.0], Unit::Millis, Aim::AtMost(3.0)),
            "| (a) | flumen | 3.00 ms | 2.00 ms to 4.00 ms | 2 | ≤ 3.00 ms | yes |"
        );
    }

    #[test]
    fn one_value_has_no_range_and_a_comparison_no_aim() {
        let line = table(&[0.9], Unit::Ratio, Aim::None);
        assert_eq!(line, "| (a) | flumen | 90.0 % |  | 1 |  |  |");
    }

    #[test]
    fn different_things_stand_on_different_lines() {
        let mut table = Table::new();
        table.add('a', "raw", Unit::Count, Aim::None, 1.0);
        table.add('b', "raw", Unit::Count, Aim::None, 2.0);
        assert_eq!(table.to_string().lines().count(), 4);
    }
}
