//! The naive model: a list of maps and bodies. What it says is obvious; the batch must agree.

use std::collections::{BTreeMap, BTreeSet};

use crate::batch::{BatchBuilder, EventBatch, HeaderName, TextRun};

pub(super) type Event = (BTreeMap<String, String>, Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    pub(super) events: Vec<Event>,
}

pub(super) fn name(text: &str) -> HeaderName {
    HeaderName::new(text).expect("a valid header name")
}

/// One event of a model.
pub(super) fn event(body: &str, headers: &[(&str, &str)]) -> Event {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    (headers.collect(), body.as_bytes().to_vec())
}

impl Model {
    pub(super) fn of(batch: &EventBatch) -> Self {
        let events = (0..batch.len()).map(|index| {
            let pairs: Vec<(&str, &str)> = batch.headers_of(index).collect();
            let headers: BTreeMap<String, String> = pairs
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            assert_eq!(headers.len(), pairs.len(), "a name occurs once in an event");
            (headers, batch.body(index).expect("a body").to_vec())
        });
        Self {
            events: events.collect(),
        }
    }

    pub(super) fn batch(&self) -> EventBatch {
        let mut builder = BatchBuilder::with_capacity(self.events.len(), 0);
        for (headers, body) in &self.events {
            builder.push(body).expect("within the limits");
            for (key, value) in headers {
                builder
                    .set_header(&name(key), value)
                    .expect("within the limits");
            }
        }
        builder.finish().expect("within the limits")
    }

    fn text(&self, delimiter: u8) -> Vec<u8> {
        let bodies = self.events.iter();
        bodies
            .flat_map(|(_, body)| body.iter().copied().chain([delimiter]))
            .collect()
    }

    /// Holds every accessor of the batch against the model.
    pub(super) fn assert_shown_by(&self, batch: &EventBatch) {
        assert_eq!(batch.len(), self.events.len());
        assert_eq!(batch.is_empty(), self.events.is_empty());
        assert_eq!(&Model::of(batch), self);
        assert_eq!(batch, &self.batch(), "equal to the same events built anew");
        self.assert_bodies(batch);
        self.assert_headers(batch);
        for delimiter in [b'\n', b';'] {
            self.assert_text(batch, delimiter);
        }
        self.assert_contiguous(batch);
    }

    fn assert_bodies(&self, batch: &EventBatch) {
        assert_eq!(batch.body(self.events.len()), None);
        assert_eq!(batch.headers_of(self.events.len()).count(), 0);
        let bodies = || self.events.iter().map(|(_, body)| body.as_slice());
        assert!(batch.bodies().eq(bodies()));
        let bytes: usize = bodies().map(<[u8]>::len).sum();
        assert_eq!(batch.body_bytes(), bytes as u64);
        let slots = |slot: usize| -> u64 {
            bodies()
                .map(|body| body.len().div_ceil(slot).max(1) as u64)
                .sum()
        };
        assert_eq!(batch.body_slots::<1>(), slots(1));
        assert_eq!(batch.body_slots::<3>(), slots(3));
        assert_eq!(batch.body_slots::<100>(), slots(100));
    }

    fn assert_headers(&self, batch: &EventBatch) {
        let own = self.events.iter().flat_map(|(headers, _)| headers.keys());
        let names: BTreeSet<&str> = own
            .map(String::as_str)
            .chain(batch.header_names())
            .collect();
        for name in names {
            let values: Vec<Option<&str>> = self
                .events
                .iter()
                .map(|(headers, _)| headers.get(name).map(String::as_str))
                .collect();
            let view = batch.header(name).expect("a column for every header");
            assert_eq!(view.iter().collect::<Vec<_>>(), values, "{name}");
            assert_eq!(view.get(self.events.len()), None);
            if let Some(constant) = view.constant() {
                assert!(values.iter().all(|value| *value == Some(constant)));
            }
        }
        assert!(batch.header("never set").is_none());
        let of_all: Vec<&str> = batch.headers().map(|(name, _)| name).collect();
        assert_eq!(batch.header_names().collect::<Vec<_>>(), of_all);
    }

    fn assert_text(&self, batch: &EventBatch, delimiter: u8) {
        let mut text = Vec::new();
        for run in batch.text_runs(delimiter) {
            match run {
                TextRun::Delimited(run) => text.extend_from_slice(run),
                TextRun::Bare(body) => {
                    text.extend_from_slice(body);
                    text.push(delimiter);
                }
            }
        }
        assert_eq!(text, self.text(delimiter));
    }

    fn assert_contiguous(&self, batch: &EventBatch) {
        let Some((stretch, places)) = batch.contiguous() else {
            return;
        };
        let places: Vec<_> = places.collect();
        assert_eq!(places.len(), self.events.len());
        for (place, (_, body)) in places.iter().zip(&self.events) {
            assert_eq!(&stretch[place.clone()], body.as_slice());
        }
        assert_eq!(places.first().map_or(0, |place| place.start), 0);
        assert_eq!(places.last().map_or(0, |place| place.end), stretch.len());
    }
}
