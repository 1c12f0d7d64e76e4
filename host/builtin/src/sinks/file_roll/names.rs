//! The names of the files, as Flume's path managers make them:
//! `<prefix><time>-<number>[.<extension>]`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Which time stands in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The start of the sink in milliseconds since 1970; numbers go on until the sink stops.
    Start,
    /// The local time of the roll to the second; numbers begin again with each new second.
    Roll,
}

/// Names without end, each another one.
#[derive(Clone, Debug)]
pub(super) struct FileNames {
    stamp: Stamp,
    prefix: String,
    extension: String,
    zone: TimeZone,
    time: String,
    number: u64,
}

impl FileNames {
    pub(super) fn new(stamp: Stamp, prefix: &str, extension: &str) -> Self {
        Self {
            stamp,
            prefix: prefix.to_owned(),
            extension: extension.to_owned(),
            zone: TimeZone::system(),
            time: String::new(),
            number: 0,
        }
    }

    /// The names of a sink that starts now.
    pub(super) fn started_at(&self, now_ms: i64) -> Self {
        Self {
            time: match self.stamp {
                Stamp::Start => now_ms.to_string(),
                Stamp::Roll => String::new(),
            },
            number: 0,
            ..self.clone()
        }
    }

    /// The next name.
    pub(super) fn next(&mut self, now_ms: i64) -> String {
        if self.stamp == Stamp::Roll {
            let time = self.local_second(now_ms);
            if time != self.time {
                self.time = time;
                self.number = 0;
            }
        }
        self.number += 1;
        let (prefix, time, number) = (&self.prefix, &self.time, self.number);
        match self.extension.as_str() {
            "" => format!("{prefix}{time}-{number}"),
            extension => format!("{prefix}{time}-{number}.{extension}"),
        }
    }

    fn local_second(&self, now_ms: i64) -> String {
        match Timestamp::from_millisecond(now_ms) {
            Ok(now) => now
                .to_zoned(self.zone.clone())
                .strftime("%Y%m%d%H%M%S")
                .to_string(),
            // A clock beyond the year 9999 still gets names that differ.
            Err(_) => now_ms.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2023-11-14 22:13:20 UTC.
    const NOW_MS: i64 = 1_700_000_000_000;

    #[test]
    fn default_names_count_from_the_start_of_the_sink() {
        let mut names = FileNames::new(Stamp::Start, "", "").started_at(NOW_MS);
        assert_eq!(names.next(NOW_MS), "1700000000000-1");
        assert_eq!(names.next(NOW_MS + 30_000), "1700000000000-2");
        let mut names = FileNames::new(Stamp::Start, "web-", "log").started_at(NOW_MS);
        assert_eq!(names.next(NOW_MS), "web-1700000000000-1.log");
        let mut again = names.started_at(NOW_MS + 1);
        assert_eq!(again.next(NOW_MS + 1), "web-1700000000001-1.log");
    }

    #[test]
    fn roll_time_names_count_within_a_second_of_local_time() {
        let mut names = FileNames::new(Stamp::Roll, "p", "txt").started_at(NOW_MS);
        names.zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(names.next(NOW_MS), "p20231115001320-1.txt");
        assert_eq!(names.next(NOW_MS + 999), "p20231115001320-2.txt");
        assert_eq!(names.next(NOW_MS + 1000), "p20231115001321-1.txt");
    }
}
