//! A source: brings events in.

use flumen_sdk::{BatchBuilder, Error, Next, Polled, Settings, Source, export_source};

struct Component {
    text: String,
    number: u64,
}

impl Source for Component {
    fn init(settings: &Settings) -> Result<Self, Error> {
        Ok(Component {
            text: settings.get("text").unwrap_or("hello").to_owned(),
            number: 0,
        })
    }

    fn open(&mut self, cursor: Option<&[u8]>) -> Result<(), Error> {
        if let Some(cursor) = cursor {
            let number = cursor.try_into();
            self.number = u64::from_le_bytes(number.map_err(|_| {
                Error::configuration("a position that this source did not write: rename it")
            })?);
        }
        Ok(())
    }

    fn poll(&mut self, _events_max: usize) -> Result<Polled, Error> {
        self.number += 1;
        let mut events = BatchBuilder::new();
        events.push(format!("{} {}", self.text, self.number));
        Ok(Polled {
            events: events.finish()?,
            cursor: Some(self.number.to_le_bytes().to_vec()),
            next: Next::WaitMs(1000),
        })
    }

    fn ack(&mut self, _cursor: Option<&[u8]>) {}
}

export_source!(Component);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{SourceHarness, TestBatch};

    #[test]
    fn goes_on_behind_the_last_commit() {
        let mut source = SourceHarness::<Component>::new([("text", "n")]).unwrap();
        assert_eq!(source.poll(1).unwrap().events, TestBatch::of(["n 1"]));
        source.commit();
        source.restart().unwrap();
        assert_eq!(source.poll(1).unwrap().events, TestBatch::of(["n 2"]));
    }
}
