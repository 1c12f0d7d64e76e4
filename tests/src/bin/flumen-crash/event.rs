//! What a driver tells the oracle: one line of text for each event, written at once, with the time of
//! the driver in front.
//!
//! A line that was written is read even when the driver is killed behind it, because the pipe
//! belongs to the rig too. So the oracle never knows less than the driver had promised. A line that
//! was cut off by the kill is the last one and is passed over.

use std::fmt;
use std::str::{FromStr, SplitAsciiWhitespace};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flumen_wal::Recovery;

/// A numbered body of a producer, as it was submitted or is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    /// Who submitted it.
    pub(crate) producer: u32,
    /// Its number, from 1, without gaps.
    pub(crate) number: u64,
    /// Of the whole body, see [`crate::body::hash`].
    pub(crate) hash: u64,
}

/// Where the frame of a transaction stands, when the store can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// The number of the segment; 0 when the store does not tell.
    pub(crate) segment: u64,
    /// Bytes from the start of its file.
    pub(crate) offset: u64,
    /// Bytes of the frame.
    pub(crate) length: u64,
}

/// What the store found when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Opened {
    /// Items that wait.
    pub(crate) pending_items: u64,
    /// Frames that were durable and cannot be read.
    pub(crate) lost_frames: u64,
    /// Their items, less those that were acknowledged.
    pub(crate) lost_items: u64,
    /// Snapshots that could not be used.
    pub(crate) damaged_snapshots: u64,
    /// Segments that are gone.
    pub(crate) missing_segments: u64,
    /// 1 when nothing but frames was left.
    pub(crate) without_snapshot: u64,
    /// Bytes that were looked through.
    pub(crate) scanned_bytes: u64,
    /// How long it took.
    pub(crate) elapsed_us: u64,
}

impl Opened {
    /// What the log reports of an opening that took so long.
    pub(crate) fn of(recovery: &Recovery, elapsed: Duration) -> Opened {
        Opened {
            pending_items: recovery.pending_items,
            lost_frames: recovery.quarantined_frames,
            lost_items: recovery.quarantined_items,
            damaged_snapshots: recovery.damaged_snapshots,
            missing_segments: recovery.missing_segments,
            without_snapshot: u64::from(recovery.without_snapshot),
            scanned_bytes: recovery.scanned_bytes,
            elapsed_us: elapsed.as_micros() as u64,
        }
    }
}

/// One thing that happened in the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The store did not open; why.
    NotOpened(String),
    /// The store is open.
    Opened(Opened),
    /// The state in the store: this producer is to go on behind this number.
    Cursor(u32, u64),
    /// An item that waits, in the order of the store.
    Listed(Item),
    /// Frames and waiting items that turned out to be unreadable when they were read.
    Lost(u64, u64),
    /// All that waits was listed.
    Ready,
    /// A transaction is handed in.
    Submit { transaction: u64, items: Vec<Item> },
    /// It was confirmed.
    Confirmed { transaction: u64, place: Place },
    /// It was refused and is not in the store; why, in one word.
    Refused { transaction: u64, reason: String },
    /// Nobody knows whether it is in the store.
    Unknown { transaction: u64, reason: String },
    /// An item was taken.
    Taken(Item),
    /// Nothing can be taken now; why.
    TakeFailed(String),
    /// An item that was taken is given back.
    Returned(u32, u64),
    /// Items are to be acknowledged in one step.
    Acknowledge { step: u64, items: Vec<(u32, u64)> },
    /// They are.
    Acknowledged { step: u64 },
    /// Nobody knows whether they are.
    AcknowledgeFailed { step: u64, reason: String },
    /// The driver was asked whether it is there.
    Here,
    /// The store was closed, and this many descriptors were open before.
    Closed(u64),
    /// It was not closed well; why.
    NotClosed(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::NotOpened(reason) => write!(f, "not-opened {}", one_line(reason)),
            Event::Opened(o) => write!(
                f,
                "opened {} {} {} {} {} {} {} {}",
                o.pending_items,
                o.lost_frames,
                o.lost_items,
                o.damaged_snapshots,
                o.missing_segments,
                o.without_snapshot,
                o.scanned_bytes,
                o.elapsed_us
            ),
            Event::Cursor(producer, number) => write!(f, "cursor {producer} {number}"),
            Event::Listed(item) => write!(f, "listed {item}"),
            Event::Lost(frames, items) => write!(f, "lost {frames} {items}"),
            Event::Ready => write!(f, "ready"),
            Event::Submit { transaction, items } => {
                write!(f, "submit {transaction}")?;
                items.iter().try_for_each(|item| write!(f, " {item}"))
            }
            Event::Confirmed { transaction, place } => write!(
                f,
                "confirmed {transaction} {} {} {}",
                place.segment, place.offset, place.length
            ),
            Event::Refused {
                transaction,
                reason,
            } => write!(f, "refused {transaction} {}", one_line(reason)),
            Event::Unknown {
                transaction,
                reason,
            } => write!(f, "unknown {transaction} {}", one_line(reason)),
            Event::Taken(item) => write!(f, "taken {item}"),
            Event::TakeFailed(reason) => write!(f, "take-failed {}", one_line(reason)),
            Event::Returned(producer, number) => write!(f, "returned {producer} {number}"),
            Event::Acknowledge { step, items } => {
                write!(f, "acknowledge {step}")?;
                items.iter().try_for_each(|(p, n)| write!(f, " {p} {n}"))
            }
            Event::Acknowledged { step } => write!(f, "acknowledged {step}"),
            Event::AcknowledgeFailed { step, reason } => {
                write!(f, "acknowledge-failed {step} {}", one_line(reason))
            }
            Event::Here => write!(f, "here"),
            Event::Closed(descriptors) => write!(f, "closed {descriptors}"),
            Event::NotClosed(reason) => write!(f, "not-closed {}", one_line(reason)),
        }
    }
}

/// A line of a driver: an event, and when it was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<E> {
    /// Microseconds since the driver began.
    pub(crate) now_us: u64,
    pub(crate) event: E,
}

impl<E: fmt::Display> fmt::Display for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.now_us, self.event)
    }
}

impl FromStr for Told<Event> {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Told<Event>> {
        let (time, event) = line.split_once(' ').context("a word is missing")?;
        Ok(Told {
            now_us: time.parse().with_context(|| format!("the time {time:?}"))?,
            event: event.parse()?,
        })
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:x}", self.producer, self.number, self.hash)
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

impl FromStr for Event {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Event> {
        let mut words = Words(line.split_ascii_whitespace());
        let event = match words.word()? {
            "not-opened" => Event::NotOpened(words.rest()),
            "opened" => Event::Opened(Opened {
                pending_items: words.number()?,
                lost_frames: words.number()?,
                lost_items: words.number()?,
                damaged_snapshots: words.number()?,
                missing_segments: words.number()?,
                without_snapshot: words.number()?,
                scanned_bytes: words.number()?,
                elapsed_us: words.number()?,
            }),
            "cursor" => Event::Cursor(words.producer()?, words.number()?),
            "listed" => Event::Listed(words.item()?),
            "lost" => Event::Lost(words.number()?, words.number()?),
            "ready" => Event::Ready,
            "submit" => Event::Submit {
                transaction: words.number()?,
                items: words.until_end(Words::item)?,
            },
            "confirmed" => Event::Confirmed {
                transaction: words.number()?,
                place: Place {
                    segment: words.number()?,
                    offset: words.number()?,
                    length: words.number()?,
                },
            },
            "refused" => Event::Refused {
                transaction: words.number()?,
                reason: words.rest(),
            },
            "unknown" => Event::Unknown {
                transaction: words.number()?,
                reason: words.rest(),
            },
            "taken" => Event::Taken(words.item()?),
            "take-failed" => Event::TakeFailed(words.rest()),
            "returned" => Event::Returned(words.producer()?, words.number()?),
            "acknowledge" => Event::Acknowledge {
                step: words.number()?,
                items: words.until_end(|words| Ok((words.producer()?, words.number()?)))?,
            },
            "acknowledged" => Event::Acknowledged {
                step: words.number()?,
            },
            "acknowledge-failed" => Event::AcknowledgeFailed {
                step: words.number()?,
                reason: words.rest(),
            },
            "here" => Event::Here,
            "closed" => Event::Closed(words.number()?),
            "not-closed" => Event::NotClosed(words.rest()),
            other => bail!("no driver says {other:?}"),
        };
        if words.0.next().is_some() {
            bail!("more words than expected in {line:?}");
        }
        Ok(event)
    }
}

struct Words<'line>(SplitAsciiWhitespace<'line>);

impl<'line> Words<'line> {
    fn word(&mut self) -> Result<&'line str> {
        self.0.next().context("a word is missing")
    }

    fn number(&mut self) -> Result<u64> {
        let word = self.word()?;
        word.parse().with_context(|| format!("the number {word:?}"))
    }

    fn producer(&mut self) -> Result<u32> {
        Ok(u32::try_from(self.number()?)?)
    }

    fn item(&mut self) -> Result<Item> {
        Ok(Item {
            producer: self.producer()?,
            number: self.number()?,
            hash: u64::from_str_radix(self.word()?, 16)?,
        })
    }

    fn until_end<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while self.0.clone().next().is_some() {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn rest(&mut self) -> String {
        let words: Vec<&str> = self.0.by_ref().collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_comes_back_from_its_line() {
        let item = Item {
            producer: 2,
            number: 7,
            hash: 0xfeed,
        };
        let events = [
            Event::NotOpened("the log is in use".into()),
            Event::Opened(Opened {
                pending_items: 1,
                lost_frames: 2,
                lost_items: 3,
                damaged_snapshots: 4,
                missing_segments: 5,
                without_snapshot: 1,
                scanned_bytes: 6,
                elapsed_us: 7,
            }),
            Event::Cursor(1, 9),
            Event::Listed(item),
            Event::Lost(1, 2),
            Event::Ready,
            Event::Submit {
                transaction: 3,
                items: vec![item, item],
            },
            Event::Confirmed {
                transaction: 3,
                place: Place {
                    segment: 1,
                    offset: 8192,
                    length: 80,
                },
            },
            Event::Refused {
                transaction: 4,
                reason: "full".into(),
            },
            Event::Unknown {
                transaction: 5,
                reason: "the disk".into(),
            },
            Event::Taken(item),
            Event::TakeFailed("the disk".into()),
            Event::Returned(2, 7),
            Event::Acknowledge {
                step: 1,
                items: vec![(2, 7), (2, 8)],
            },
            Event::Acknowledged { step: 1 },
            Event::AcknowledgeFailed {
                step: 1,
                reason: "the disk".into(),
            },
            Event::Here,
            Event::Closed(9),
            Event::NotClosed("the disk".into()),
        ];
        for event in events {
            let line = Told {
                now_us: 17,
                event: &event,
            };
            let line = line.to_string();
            let told: Told<Event> = line.parse().unwrap();
            assert_eq!((told.now_us, told.event), (17, event), "{line}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_event() {
        for line in ["", "list", "listed 2", "listed 2 7", "cursor 1", "ready 5"] {
            assert!(line.parse::<Event>().is_err(), "{line}");
        }
        for line in ["", "5", "5 ", "ready"] {
            assert!(line.parse::<Told<Event>>().is_err(), "{line}");
        }
    }
}
