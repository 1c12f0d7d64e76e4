mod lines;
mod logs;
mod pending;
mod process;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flumen_core::conformance::settings::settings;
use flumen_core::conformance::source::{
    DrivenCase, ManualStop, RecordingProcessor, RunningSource, context, run_driven,
};
use flumen_core::source::StopReason;

use super::*;

/// How long a test may take before it counts as hanging.
const DEADLINE: Duration = Duration::from_secs(20);

fn exec(options: &[(&str, &str)]) -> Exec {
    Exec::new(&settings(&ROW, options)).expect("builds")
}

/// A command for `/bin/sh -c`.
fn shell<'a>(command: &'a str, others: &[(&'a str, &'a str)]) -> Exec {
    let mut options = vec![("command", command), ("shell", "/bin/sh -c")];
    options.extend(others);
    exec(&options)
}

struct Ran {
    processor: Arc<RecordingProcessor>,
    context: SourceContext,
    result: Result<(), Fault>,
}

/// Runs a command that ends by itself, against a processor that is set up before.
async fn run_with(mut exec: Exec, processor: RecordingProcessor) -> Ran {
    let processor = Arc::new(processor);
    let context = context(&processor, &Arc::new(ManualStop::new()));
    let run = exec.run(context.clone());
    let result = tokio::time::timeout(DEADLINE, run).await;
    Ran {
        processor,
        context,
        result: result.expect("ends"),
    }
}

async fn lines_of(exec: Exec) -> Vec<String> {
    let ran = run_with(exec, RecordingProcessor::new()).await;
    ran.result.expect("ends well");
    ran.processor.lines()
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Makes a named pipe.
fn fifo(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo is there").success());
    path
}

/// A command that holds both ends of a named pipe and prints what comes in.
struct Pipe {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Pipe {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = fifo(folder.path(), "in");
        Self {
            _folder: folder,
            path,
        }
    }

    /// The pipe for writing; `None` while no process has it open.
    fn writer(&self) -> Option<std::fs::File> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.path, flags, Mode::empty());
        opened.ok().map(std::fs::File::from)
    }
}

impl DrivenCase for Pipe {
    fn make(&self) -> Box<dyn Source> {
        let command = format!("exec cat <>{}", self.path.display());
        Box::new(shell(&command, &[("batchTimeout", "0")]))
    }

    fn feed(&self, _address: Option<String>, numbers: std::ops::Range<u64>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut writer = loop {
                if let Some(writer) = self.writer() {
                    break writer;
                }
                tokio::task::yield_now().await;
            };
            // A pipe holds far more than the suite feeds at once, so this never blocks.
            let text: String = numbers.map(|number| format!("{number}\n")).collect();
            std::io::Write::write_all(&mut writer, text.as_bytes()).expect("written");
        })
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while self.writer().is_some() {
                tokio::task::yield_now().await;
            }
        })
    }
}

#[tokio::test]
async fn conforms() {
    let pipe = Pipe::new();
    let suite = run_driven(&pipe);
    tokio::time::timeout(DEADLINE, suite).await.expect("ends");
}

#[tokio::test]
async fn every_line_is_an_event_without_headers_and_the_last_needs_no_end() {
    let ran = run_with(
        shell(r"printf 'a\nb\rc\r\nd\n\ne'", &[]),
        RecordingProcessor::new(),
    )
    .await;
    ran.result.expect("ends well");
    assert_eq!(ran.processor.lines(), ["a", "b", "c", "d", "", "e"]);
    for call in ran.processor.calls() {
        assert_eq!(call.events.headers().count(), 0);
        assert!(call.state.is_none());
    }
    assert_eq!(ran.context.counters.event_received.get(), 6);
    assert_eq!(ran.context.counters.event_accepted.get(), 6);
}

#[tokio::test]
async fn without_a_shell_the_command_is_split_at_white_space_only() {
    let lines = lines_of(exec(&[("command", "  printf %s\\n \"a\tb\" | * ")])).await;
    assert_eq!(lines, ["\"a", "b\"", "|", "*"]);
}

#[tokio::test]
async fn a_shell_gets_the_command_as_its_last_argument() {
    let lines = lines_of(shell(
        "for i in 1 2 3; do echo \"n  $i\"; done | tail -n 2",
        &[],
    ))
    .await;
    assert_eq!(lines, ["n  2", "n  3"]);
}

#[tokio::test]
async fn bytes_that_are_no_text_pass_unchanged() {
    for charset in ["UTF-8", "us-ascii", "ISO-8859-1", "windows-1252"] {
        let exec = shell(r"printf '\377\200\000x\n'", &[("charset", charset)]);
        let ran = run_with(exec, RecordingProcessor::new()).await;
        assert_eq!(ran.processor.bodies(), [b"\xff\x80\x00x"], "{charset}");
    }
}

#[tokio::test]
async fn a_put_has_at_most_the_batch_size() {
    let exec = shell("seq 1 10000", &[("batchSize", "7")]);
    let ran = run_with(exec, RecordingProcessor::new()).await;
    assert_eq!(ran.processor.lines(), numbers(1..=10_000));
    assert_eq!(ran.processor.largest_call(), 7);
    assert_eq!(ran.processor.calls().len(), 10_000_usize.div_ceil(7));
}

#[tokio::test]
async fn a_full_channel_loses_and_doubles_nothing() {
    let processor = RecordingProcessor::new();
    processor.refuse_next(2);
    processor.refuse_next_after(5);
    processor.refuse_next_after(11);
    let ran = run_with(shell("seq 1 5000", &[]), processor).await;
    ran.result.expect("ends well");
    assert_eq!(ran.processor.lines(), numbers(1..=5000));
    assert_eq!(ran.context.counters.event_received.get(), 5000);
    assert_eq!(ran.context.counters.event_accepted.get(), 5000);
    assert_eq!(ran.context.counters.channel_write_fail.get(), 4);
}

#[tokio::test]
async fn lines_that_can_never_be_put_block_instead_of_being_lost() {
    let processor = RecordingProcessor::new();
    let poison = || Fault::new(FaultKind::Poison, Side::Data, "this will not do");
    processor.fail_next(poison());
    processor.fail_next(poison());
    let ran = run_with(shell("seq 1 30", &[]), processor).await;
    ran.result.expect("ends well");
    assert_eq!(ran.processor.lines(), numbers(1..=30));
}

#[tokio::test]
async fn an_agent_that_takes_nothing_more_ends_the_run() {
    let processor = RecordingProcessor::new();
    processor.stop_next();
    let ran = run_with(
        shell("seq 1 5; exec tail -f /dev/null", &[("batchSize", "5")]),
        processor,
    );
    ran.await.result.expect("ends well");
}

#[tokio::test]
async fn a_long_line_is_cut_and_nothing_is_lost() {
    let mut exec = shell("printf %02500d 7; echo; echo next", &[]);
    exec.line_bytes_max = 1000;
    let lines = lines_of(exec).await;
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [1000, 1000, 500, 4]);
}

fn refused(options: &[(&str, &str)]) -> String {
    let fault = build(&settings(&ROW, options)).err().expect("refused");
    assert_eq!(fault.kind(), FaultKind::Configuration);
    fault.to_string()
}

#[test]
fn wrong_options_are_named() {
    assert!(refused(&[("command", "  ")]).contains("option command"));
    assert!(refused(&[("command", "ls"), ("shell", " ")]).contains("option shell"));
    assert!(refused(&[("command", "ls"), ("charset", "klingon")]).contains("klingon"));
    for wide in ["UTF-16", "utf-16le", "UTF-32BE"] {
        let text = refused(&[("command", "ls"), ("charset", wide)]);
        assert!(text.contains("UTF-") && text.contains("iconv"), "{text}");
    }
}
