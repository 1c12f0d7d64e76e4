//! Starts and ends of real processes.

use std::os::unix::fs::PermissionsExt;

use tokio::io::AsyncReadExt;

use super::*;

/// A running source with a stop signal.
struct Bench {
    exec: Exec,
    processor: Arc<RecordingProcessor>,
    stop: Arc<ManualStop>,
}

impl Bench {
    fn new(mut exec: Exec) -> Self {
        exec.stop_grace = Duration::from_millis(100);
        Self {
            exec,
            processor: Arc::new(RecordingProcessor::new()),
            stop: Arc::new(ManualStop::new()),
        }
    }

    /// Runs until there are that many lines, then stops.
    async fn stop_after(&mut self, lines: usize) -> Result<(), Fault> {
        let context = context(&self.processor, &self.stop);
        let mut running = RunningSource::new(&mut self.exec, context);
        let accepted = running.during(self.processor.until_accepted(lines));
        tokio::time::timeout(DEADLINE, accepted)
            .await
            .expect("lines come");
        self.stop.stop(StopReason::Drain);
        tokio::time::timeout(DEADLINE, running.end())
            .await
            .expect("ends")
    }
}

/// Whether a process is there, a zombie counted.
fn exists(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[tokio::test]
async fn a_command_that_has_ended_finishes_the_source_and_leaves_no_zombie() {
    let lines = lines_of(shell("echo $$", &[])).await;
    assert_eq!(lines.len(), 1);
    assert!(!exists(&lines[0]));
}

#[tokio::test]
async fn a_command_that_closes_its_output_and_stays_is_ended() {
    let mut exec = shell("echo $$; exec >&-; exec tail -f /dev/null", &[]);
    exec.stop_grace = Duration::from_millis(20);
    let lines = lines_of(exec).await;
    assert!(!exists(&lines[0]));
}

#[tokio::test]
async fn a_command_is_run_again_until_the_stop() {
    let exec = shell(
        "echo again",
        &[("restart", "true"), ("restartThrottle", "0")],
    );
    let mut bench = Bench::new(exec);
    bench.stop_after(3).await.expect("ends well");
    assert!(bench.processor.lines().iter().all(|line| line == "again"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_the_throttle() {
    let mut bench = Bench::new(shell("echo again", &[("restart", "true")]));
    let started = Instant::now();
    let context = context(&bench.processor, &bench.stop);
    let mut running = RunningSource::new(&mut bench.exec, context);
    running.during(bench.processor.until_accepted(3)).await;
    assert!(started.elapsed() >= Duration::from_secs(20));
    bench.stop.stop(StopReason::Drain);
    running.end().await.expect("ends well");
}

#[tokio::test]
async fn a_partial_batch_goes_after_its_timeout_while_the_command_goes_on() {
    let exec = shell("echo a; exec tail -f /dev/null", &[("batchTimeout", "10")]);
    let mut bench = Bench::new(exec);
    bench.stop_after(1).await.expect("ends well");
    assert_eq!(bench.processor.lines(), ["a"]);
}

#[tokio::test]
async fn what_a_command_prints_when_it_is_told_to_end_is_put() {
    let script =
        "trap 'echo bye; printf last; exit' TERM; echo hello; while :; do sleep 1 & wait; done";
    let mut bench = Bench::new(shell(script, &[("batchTimeout", "0")]));
    bench.exec.stop_grace = DEADLINE;
    bench.stop_after(1).await.expect("ends well");
    assert_eq!(bench.processor.lines(), ["hello", "bye", "last"]);
}

#[tokio::test]
async fn a_command_that_does_not_obey_is_killed_after_the_grace() {
    let script = "trap '' TERM; echo $$; while :; do read line <&0 || :; done";
    let mut bench = Bench::new(shell(script, &[("batchTimeout", "0")]));
    bench.stop_after(1).await.expect("ends well");
    assert!(!exists(&bench.processor.lines()[0]));
}

/// Ignores SIGTERM and keeps a process in the background.
const STUBBORN: &str =
    "trap '' TERM; exec 3<>HELD; tail -f /dev/null >/dev/null & echo started; wait";

/// Ends at SIGTERM, but keeps a process in the background that ignores it.
const STUBBORN_CHILD: &str =
    "(trap '' TERM; exec 3<>HELD; echo started; exec tail -f /dev/null >/dev/null) & wait";

/// The whole process group ends: a pipe that a process in the background holds comes to its end.
async fn background_ends(script: &str, after: impl AsyncFnOnce(&mut Bench)) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path(), "held");
    let script = script.replace("HELD", path.to_str().expect("text"));
    let mut bench = Bench::new(shell(&script, &[("batchTimeout", "0")]));
    let held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&path);
    let mut held = held.expect("opens");
    after(&mut bench).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, held.read_to_end(&mut rest)).await;
    ended.expect("all processes end").expect("reads");
}

#[tokio::test]
async fn a_stop_ends_the_processes_of_a_command_too() {
    for script in [STUBBORN, STUBBORN_CHILD] {
        background_ends(script, async |bench| {
            bench.stop_after(1).await.expect("ends well");
        })
        .await;
    }
}

#[tokio::test]
async fn a_dropped_run_kills_the_processes_of_a_command_too() {
    background_ends(STUBBORN, async |bench| {
        let context = context(&bench.processor, &bench.stop);
        let mut running = RunningSource::new(&mut bench.exec, context);
        running.during(bench.processor.until_accepted(1)).await;
        drop(running);
    })
    .await;
}

#[tokio::test]
async fn a_stop_reaches_the_command_while_the_channel_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path(), "held");
    let script = format!("exec 3<>{}; seq 1 100000; echo not stopped", path.display());
    let mut bench = Bench::new(shell(&script, &[]));
    let held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&path);
    let mut held = held.expect("opens");
    bench.processor.block();
    let context = context(&bench.processor, &bench.stop);
    let mut running = RunningSource::new(&mut bench.exec, context);
    running.during(bench.processor.until_held()).await;
    bench.stop.stop(StopReason::Drain);
    let mut rest = Vec::new();
    let ended = running.during(held.read_to_end(&mut rest));
    tokio::time::timeout(DEADLINE, ended)
        .await
        .expect("the command ends")
        .expect("reads");
    assert!(
        !running.has_ended(),
        "the lines that were read are still tried"
    );
    bench.processor.release();
    running.end().await.expect("ends well");
    let lines = bench.processor.lines();
    let whole = lines.len() - 1;
    assert_eq!(
        lines[..whole],
        numbers(1..=100_000)[..whole],
        "in order, without a gap"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_with_the_option() {
    let mut exec = exec(&[("command", "no-such-program-here -x")]);
    let fault = exec.prepare(None).await.expect_err("not there");
    assert_eq!(
        (fault.kind(), fault.side()),
        (FaultKind::Transient, Side::Operator)
    );
    let text = fault.to_string();
    assert!(
        text.contains("\"no-such-program-here\"") && text.contains("option command"),
        "{text}"
    );

    let mut exec = super::exec(&[("command", "x"), ("shell", "/no/such/shell -c")]);
    let text = exec.prepare(None).await.expect_err("not there").to_string();
    assert!(
        text.contains("/no/such/shell") && text.contains("option shell"),
        "{text}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_run_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script");
    std::fs::write(&path, "#!/bin/sh\necho hello\n").expect("written");
    let command = path.to_str().expect("text");
    let mut exec = exec(&[("command", command)]);
    let text = exec
        .prepare(None)
        .await
        .expect_err("not executable")
        .to_string();
    assert!(
        text.contains(command) && text.contains("not an executable file"),
        "{text}"
    );

    // The same instance, after the operator has mended it.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    exec.prepare(None).await.expect("prepares");
    assert_eq!(lines_of(exec).await, ["hello"]);
}

#[tokio::test]
async fn a_program_that_vanishes_after_prepare_is_a_fault_of_the_run() {
    let ran = run_with(
        exec(&[("command", "/no/such/program")]),
        RecordingProcessor::new(),
    )
    .await;
    let fault = ran.result.expect_err("cannot start");
    assert_eq!(
        (fault.kind(), fault.side()),
        (FaultKind::Transient, Side::Operator)
    );
    assert!(fault.to_string().contains("/no/such/program"), "{fault}");
}

#[tokio::test]
async fn standard_input_is_empty() {
    assert_eq!(lines_of(shell("cat; echo end", &[])).await, ["end"]);
}

#[test]
fn a_folder_is_no_program() {
    let line = CommandLine::new("/bin", None).expect("words");
    assert!(line.check().is_err());
}
