//! An interceptor: changes or drops events between a source and its channels.

use flumen_sdk::{Answer, Batch, Error, Interceptor, Settings, export_interceptor};

struct Component {
    mark: String,
}

impl Interceptor for Component {
    fn init(settings: &Settings) -> Result<Self, Error> {
        Ok(Component {
            mark: settings.get("mark").unwrap_or("seen").to_owned(),
        })
    }

    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
        let mut edits = events.edit();
        edits.set_header_on_all("mark", &self.mark);
        for (row, body) in events.bodies().enumerate() {
            if body.is_empty() {
                edits.drop_event(row);
            }
        }
        edits.finish()
    }
}

export_interceptor!(Component);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{InterceptorHarness, TestBatch};

    #[test]
    fn marks_events_and_drops_empty_ones() {
        let mut interceptor = InterceptorHarness::<Component>::new([("mark", "x")]).unwrap();
        let answer = interceptor
            .intercept(&TestBatch::of(["a", "", "b"]))
            .unwrap();
        assert_eq!(answer, TestBatch::of(["a", "b"]).with_header("mark", "x"));
    }
}
