//! Source `ticker`: one numbered event in every interval. The number goes on after a restart, because
//! it is the cursor.
//!
//! | setting | default | |
//! |---|---|---|
//! | `text` | `tick` | what stands before the number |
//! | `interval_ms` | `1000` | milliseconds between two events |
//! | `limit` | none | after this many events the source has ended |

use flumen_sdk::{BatchBuilder, Error, Next, Polled, Settings, Source, export_source};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "tick")]
    text: String,
    #[serde(default = "second")]
    interval_ms: u32,
    limit: Option<u64>,
}

fn tick() -> String {
    "tick".to_owned()
}

fn second() -> u32 {
    1000
}

struct Ticker {
    config: Config,
    count: u64,
}

impl Source for Ticker {
    fn init(settings: &Settings) -> Result<Self, Error> {
        Ok(Ticker {
            config: settings.parse()?,
            count: 0,
        })
    }

    fn open(&mut self, cursor: Option<&[u8]>) -> Result<(), Error> {
        self.count = match cursor.map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) => u64::from_le_bytes(bytes),
            Some(Err(_)) => {
                return Err(Error::configuration(
                    "the stored position is not one of ticker: give the source another name",
                ));
            }
        };
        Ok(())
    }

    fn poll(&mut self, events_max: usize) -> Result<Polled, Error> {
        if self.config.limit.is_some_and(|limit| self.count >= limit) {
            return Ok(Polled::nothing(Next::End));
        }
        if events_max == 0 {
            return Ok(Polled::nothing(Next::Again));
        }
        self.count += 1;
        let mut events = BatchBuilder::new();
        events.push(format!("{} {}", self.config.text, self.count));
        Ok(Polled {
            events: events.finish()?,
            cursor: Some(self.count.to_le_bytes().to_vec()),
            next: Next::WaitMs(self.config.interval_ms),
        })
    }

    fn ack(&mut self, _cursor: Option<&[u8]>) {}
}

export_source!(Ticker);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{SourceHarness, TestBatch};

    #[test]
    fn one_event_in_every_interval() {
        let settings = [("text", "t"), ("interval_ms", "50")];
        let mut ticker = SourceHarness::<Ticker>::new(settings).unwrap();
        let polled = ticker.poll(100).unwrap();
        assert_eq!(polled.events, TestBatch::of(["t 1"]));
        assert_eq!(polled.next, Next::WaitMs(50));
        assert_eq!(ticker.poll(100).unwrap().events, TestBatch::of(["t 2"]));
    }

    #[test]
    fn after_a_restart_it_goes_on_behind_the_last_commit() {
        let mut ticker = SourceHarness::<Ticker>::new([]).unwrap();
        ticker.poll(1).unwrap();
        ticker.commit();
        ticker.poll(1).unwrap();
        ticker.restart().unwrap();
        assert_eq!(ticker.poll(1).unwrap().events, TestBatch::of(["tick 2"]));
    }

    #[test]
    fn it_ends_at_the_limit() {
        let mut ticker = SourceHarness::<Ticker>::new([("limit", "1")]).unwrap();
        assert_eq!(ticker.poll(1).unwrap().events.len(), 1);
        let polled = ticker.poll(1).unwrap();
        assert!(polled.events.is_empty());
        assert_eq!(polled.next, Next::End);
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        let mut ticker = SourceHarness::<Ticker>::new([]).unwrap();
        let refused = ticker.instance().open(Some(b"abc"));
        assert!(matches!(refused, Err(Error::Configuration(_))));
    }
}
