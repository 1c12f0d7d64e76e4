//! The conformance suite of [`ChannelSelector`].

use super::samples::{
    delimited, empty_bodies, header_name, headers_only, layouts_of, numbered, selected, valid,
};
use crate::batch::{EventBatch, Existing};
use crate::selector::{ChannelSelector, Route};

/// The header by which the suite knows an event again.
const MARK: &str = "flumen.conformance.mark";

/// Runs the suite on its own batches and on `samples`, which are batches that this selector routes
/// in different ways. `channels` is the number of the source's channels.
///
/// # Panics
/// At the first broken promise, with the promise in the message.
pub fn conforms(selector: &dyn ChannelSelector, channels: usize, samples: &[EventBatch]) {
    let own = [
        numbered(0, 1),
        numbered(0, 100),
        delimited(100),
        empty_bodies(),
        headers_only(),
    ];
    for batch in own.iter().chain(samples).filter(|batch| !batch.is_empty()) {
        for layout in layouts_of(batch) {
            check(selector, channels, &layout);
        }
    }
}

fn check(selector: &dyn ChannelSelector, channels: usize, batch: &EventBatch) {
    let marks: Vec<String> = (0..batch.len()).map(|index| index.to_string()).collect();
    let values = marks.iter().map(|mark| Some(mark.as_str()));
    let marked = valid(batch.with_header(&header_name(MARK), values, Existing::Replace));
    let routes = selector.select(&marked);
    assert!(
        routes.is_ok(),
        "the suite's batches can be routed: {routes:?}"
    );
    let routes = routes.unwrap_or_default();
    let mut seen: Vec<usize> = Vec::new();
    for route in &routes {
        channels_are_valid(route, channels);
        let places = places(&route.events);
        assert!(!places.is_empty(), "a route has events");
        assert!(
            places.is_sorted_by(|a, b| a < b),
            "events within a route are in the order of the batch"
        );
        let rows: Vec<u32> = places
            .iter()
            .filter_map(|place| u32::try_from(*place).ok())
            .collect();
        assert!(
            route.events == selected(&marked, &rows),
            "a selector changes no event"
        );
        seen.extend(places);
    }
    seen.sort_unstable();
    assert!(
        seen.iter().copied().eq(0..batch.len()),
        "every event stands in exactly one route"
    );
    routes_differ(&routes);
}

fn channels_are_valid(route: &Route, channels: usize) {
    let mut all: Vec<usize> = route
        .required
        .iter()
        .chain(&route.optional)
        .copied()
        .collect();
    assert!(
        all.iter().all(|channel| *channel < channels),
        "a route names channels of the source: {route:?}"
    );
    all.sort_unstable();
    assert!(
        all.is_sorted_by(|a, b| a < b),
        "a channel stands once in a route, as required or as optional: {route:?}"
    );
}

fn routes_differ(routes: &[Route]) {
    let sorted = |channels: &[usize]| {
        let mut channels = channels.to_vec();
        channels.sort_unstable();
        channels
    };
    let mut sets: Vec<_> = routes
        .iter()
        .map(|route| (sorted(&route.required), sorted(&route.optional)))
        .collect();
    sets.sort_unstable();
    assert!(
        sets.is_sorted_by(|a, b| a < b),
        "routes with the same channels are one route"
    );
}

fn places(events: &EventBatch) -> Vec<usize> {
    let marks = events.header(MARK);
    let places: Vec<usize> = marks
        .iter()
        .flat_map(|view| view.iter().flatten())
        .filter_map(|mark| mark.parse().ok())
        .collect();
    assert_eq!(
        places.len(),
        events.len(),
        "a selector leaves the headers alone"
    );
    places
}
