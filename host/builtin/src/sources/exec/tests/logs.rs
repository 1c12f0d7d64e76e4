//! What a command leaves in the log.

use std::fmt::Write;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

/// Keeps level and message of each event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    fn entries(&self) -> Vec<(Level, String)> {
        self.0.lock().expect("not poisoned").clone()
    }
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").expect("a string takes all");
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().contains("exec") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut Message(&mut text));
        let entry = (*event.metadata().level(), text);
        self.0.lock().expect("not poisoned").push(entry);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

async fn log_of(exec: Exec) -> Vec<(Level, String)> {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    lines_of(exec).await;
    drop(guard);
    log.entries()
}

#[tokio::test]
async fn standard_error_is_logged_line_by_line_as_flume_does() {
    let script = r"printf 'first\nsec\377ond\nlast' >&2; echo out";
    let log = log_of(shell(script, &[("logStdErr", "true")])).await;
    let lines: Vec<&str> = log
        .iter()
        .filter(|(level, text)| *level == Level::INFO && text.starts_with("StderrLogger"))
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            "StderrLogger[1] = 'first'",
            "StderrLogger[2] = 'sec\u{FFFD}ond'",
            "StderrLogger[3] = 'last'"
        ]
    );
}

#[tokio::test]
async fn standard_error_is_otherwise_discarded_and_blocks_nothing() {
    let script = "head -c 1000000 /dev/zero >&2; echo out";
    let log = log_of(shell(script, &[])).await;
    assert!(
        !log.iter().any(|(_, text)| text.contains("Stderr")),
        "{log:?}"
    );
}

#[tokio::test]
async fn an_exit_is_logged_with_its_code() {
    let log = log_of(shell("exit 3", &[])).await;
    assert_eq!(
        log,
        [(
            Level::WARN,
            String::from("command has failed with exit status: 3")
        )]
    );
    let log = log_of(shell("exit 0", &[])).await;
    assert_eq!(
        log,
        [(
            Level::INFO,
            String::from("command has ended with exit status: 0")
        )]
    );
}

#[tokio::test]
async fn cuts_of_long_lines_are_counted_and_not_printed_one_by_one() {
    let mut exec = shell("printf %09999d 1", &[]);
    exec.line_bytes_max = 10;
    let log = log_of(exec).await;
    let cuts = log
        .iter()
        .filter(|(level, text)| *level == Level::WARN && text.contains("cut"));
    assert!((1..10).contains(&cuts.count()), "{log:?}");
}
