//! Interceptor `drop-debug`: drops events whose body contains a word.
//!
//! | setting | default | |
//! |---|---|---|
//! | `word` | `DEBUG` | any text; upper and lower case differ |

use flumen_sdk::{Answer, Batch, Error, Interceptor, Settings, export_interceptor};
use memchr::memmem::Finder;

struct DropDebug {
    word: Finder<'static>,
}

impl Interceptor for DropDebug {
    fn init(settings: &Settings) -> Result<Self, Error> {
        let word = settings.get("word").unwrap_or("DEBUG");
        if word.is_empty() {
            return Err(Error::configuration(
                "config.word is empty, and every event contains that: name a word",
            ));
        }
        Ok(DropDebug {
            word: Finder::new(word).into_owned(),
        })
    }

    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
        let mut edits = events.edit();
        for (row, body) in events.bodies().enumerate() {
            if self.word.find(body).is_some() {
                edits.drop_event(row);
            }
        }
        edits.finish()
    }
}

export_interceptor!(DropDebug);

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_sdk::testing::{InterceptorHarness, TestBatch};

    #[test]
    fn events_with_the_word_are_dropped() {
        let mut interceptor = InterceptorHarness::<DropDebug>::new([]).unwrap();
        let batch = TestBatch::of(["INFO a", "x DEBUG y", "debug small", "DEBUG"]);
        let answer = interceptor.intercept(&batch).unwrap();
        assert_eq!(answer, TestBatch::of(["INFO a", "debug small"]));
    }

    #[test]
    fn another_word_by_the_settings() {
        let mut interceptor = InterceptorHarness::<DropDebug>::new([("word", "noise")]).unwrap();
        let answer = interceptor.intercept(&TestBatch::of(["DEBUG", "noise"]));
        assert_eq!(answer, Ok(TestBatch::of(["DEBUG"])));
        assert!(InterceptorHarness::<DropDebug>::new([("word", "")]).is_err());
    }
}
