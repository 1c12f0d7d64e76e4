//! Folders that the real Flume has made, folders that a model of Flume makes, and what damage does.

mod damage;
mod model;
mod recorder;
mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flumen_codec::flume_log::FlumePointer;
use flumen_core::EventBatch;
use flumen_core::channel::Channel;

use super::{
    CheckpointUse, FlumeChannel, ImportError, Imported, LEDGER_NAME, Ledger, Survey, import,
};
use recorder::Recorder;
use writer::Does;

/// Folders made by the real Flume; `tests/servers/flume/FillFileChannel.java` tells how.
const MADE_BY_FLUME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flume-file-channel");

const ALL: [&str; 5] = ["killed", "stopped", "checkpointed", "two-folders", "gone"];

/// Events in the form of the `expected` files.
fn lines_of(batch: &EventBatch) -> Vec<String> {
    let rows = 0..batch.len();
    rows.map(|row| {
        let headers: BTreeMap<&str, &str> = batch.headers_of(row).collect();
        let headers: Vec<String> = headers.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let body = String::from_utf8_lossy(batch.body(row).unwrap()).into_owned();
        format!("{{{}}} {body}", headers.join(", "))
    })
    .collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(future)
}

fn import_into(
    recorder: &Arc<Recorder>,
    flume: &FlumeChannel,
    survey: &Survey,
) -> Result<Imported, ImportError> {
    let channel: Arc<dyn Channel> = Arc::clone(recorder) as Arc<dyn Channel>;
    let done = recorder.lines().len() as u64;
    block_on(import(flume, survey, &channel, done, &mut |_| {}))
}

/// Everything that waits in these folders.
fn imported(folders: &[PathBuf]) -> (Survey, Vec<String>) {
    let flume = FlumeChannel::open(folders).unwrap();
    let survey = flume.survey().unwrap();
    let recorder = Recorder::new(1000);
    let result = import_into(&recorder, &flume, &survey).unwrap();
    assert_eq!(result.events, survey.events());
    (survey, recorder.lines())
}

fn expected(folder: &Path, file: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The folders of a channel, with its checkpoint or without.
fn folders(channel: &Path, with_checkpoint: bool) -> Vec<PathBuf> {
    let names = ["data1", "data2", "checkpoint"];
    let names = names
        .iter()
        .filter(|name| with_checkpoint || **name != "checkpoint");
    let folders = names.map(|name| channel.join(name));
    folders.filter(|folder| folder.is_dir()).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A copy of a folder that the real Flume has made.
fn copy_of(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&Path::new(MADE_BY_FLUME).join(name), folder.path());
    folder
}

#[test]
fn what_waits_is_what_the_real_flume_gives_in_its_order() {
    for name in ALL {
        let channel = Path::new(MADE_BY_FLUME).join(name);
        let truth = expected(&channel, "expected-without-checkpoint");
        assert!(!truth.is_empty());
        for with_checkpoint in [true, false] {
            let (survey, lines) = imported(&folders(&channel, with_checkpoint));
            assert_eq!(lines, truth, "{name}, checkpoint {with_checkpoint}");
            assert_eq!(
                (survey.damaged_places, survey.doubtful_events),
                (0, 0),
                "{name}"
            );
            let used = CheckpointUse::Used(channel.join("checkpoint"));
            assert_eq!(survey.checkpoint == used, with_checkpoint, "{name}");
        }
    }
}

/// Where the tests above differ from what Flume gives with its checkpoint, Flume gives an event twice.
#[test]
fn flume_itself_gives_an_event_twice_that_was_in_flight_at_the_checkpoint() {
    let channel = Path::new(MADE_BY_FLUME).join("checkpointed");
    let mut with = expected(&channel, "expected");
    let mut without = expected(&channel, "expected-without-checkpoint");
    let twice = with.remove(0);
    assert!(twice.ends_with("event 3"));
    with.sort();
    without.sort();
    assert_eq!(with, without);
}

#[test]
fn the_parent_of_the_folders_will_do_and_uncommitted_events_are_counted() {
    let channel = Path::new(MADE_BY_FLUME).join("killed");
    let (survey, lines) = imported(std::slice::from_ref(&channel));
    assert_eq!(lines, expected(&channel, "expected"));
    assert_eq!(survey.uncommitted_events, 2);
    assert_eq!(
        survey.checkpoint,
        CheckpointUse::Used(channel.join("checkpoint"))
    );
}

#[test]
fn a_checkpoint_knows_of_takes_in_log_files_that_are_gone() {
    let folder = copy_of("stopped");
    let log = folder.path().join("data1/log-1");
    let truth = expected(folder.path(), "expected");
    let mut bytes = fs::read(&log).unwrap();
    for (from, _) in damage::records_of(&bytes) {
        if bytes[from + 7] == 2 {
            // As if the take stood in a file that is gone.
            bytes[from] = 0;
        }
    }
    fs::write(&log, bytes).unwrap();
    let (_, with) = imported(&folders(folder.path(), true));
    let (_, without) = imported(&folders(folder.path(), false));
    assert_eq!(with, truth);
    assert_eq!(without.len(), truth.len() + 2);
}

/// A take that was open at the checkpoint, in a log file that Flume has deleted since, and its commit
/// behind the checkpoint.
#[test]
fn a_take_that_only_the_checkpoint_remembers_counts_with_its_commit() {
    let event = |body: &str| Does::Put {
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let first = writer::record(1, 10, &event("one"));
    let second = FlumePointer {
        file: 4,
        offset: first.len() as u32,
    };
    let mut log = [first, writer::record(1, 11, &event("two"))].concat();
    log.extend(writer::record(1, 12, &Does::CommitPuts));
    let taken = FlumePointer { file: 4, offset: 0 };
    let files = writer::checkpoint(20, &[second], &[(9, vec![taken])], 8, 3);
    for is_committed in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let end = match is_committed {
            true => writer::record(9, 30, &Does::CommitTakes),
            false => writer::record(9, 30, &Does::Rollback),
        };
        fs::write(root.path().join("log-4"), [log.clone(), end].concat()).unwrap();
        fs::write(root.path().join("log-4.meta"), writer::meta(4, None)).unwrap();
        let names = ["checkpoint", "checkpoint.meta", "inflighttakes"];
        for (name, bytes) in names.iter().zip(&files) {
            fs::write(root.path().join(name), bytes).unwrap();
        }
        let (survey, lines) = imported(&[root.path().to_owned()]);
        assert!(matches!(survey.checkpoint, CheckpointUse::Used(_)));
        let waiting: &[&str] = if is_committed {
            &["{} two"]
        } else {
            &["{} one", "{} two"]
        };
        assert_eq!(lines, waiting);
    }
}

#[test]
fn an_import_that_was_cut_off_goes_on_without_doubles() {
    let channel = Path::new(MADE_BY_FLUME).join("killed");
    let flume = FlumeChannel::open(std::slice::from_ref(&channel)).unwrap();
    let survey = flume.survey().unwrap();
    for puts in 0..5 {
        let recorder = Recorder::new(2);
        recorder.fail_after(puts);
        let error = import_into(&recorder, &flume, &survey).unwrap_err();
        let done = puts * 2;
        assert!(
            matches!(&error, ImportError::Put { done: told, .. } if *told == done),
            "{error}"
        );
        assert!(
            error.to_string().contains("continue with the same"),
            "{error}"
        );
        assert_eq!(recorder.lines().len() as u64, done);
        recorder.fail_after(u64::MAX);
        let result = import_into(&recorder, &flume, &survey).unwrap();
        assert_eq!((result.resumed_after, result.events), (done, 9 - done));
        assert_eq!(recorder.lines(), expected(&channel, "expected"));
    }
}

#[test]
fn the_ledger_knows_what_was_imported_and_how_far() {
    let survey_of = |name| {
        let flume = FlumeChannel::open(&[Path::new(MADE_BY_FLUME).join(name)]).unwrap();
        flume.survey().unwrap()
    };
    let (first, second) = (survey_of("killed"), survey_of("two-folders"));
    let folder = tempfile::tempdir().unwrap();
    let read = || Ledger::read(folder.path()).unwrap();
    assert_eq!(read().unfinished(), None);
    assert_eq!(read().begin(&first, "/a b", 100).unwrap(), 0);
    assert_eq!(read().unfinished(), Some(("/a b", 9)));
    // As many events as the log has got since.
    assert_eq!(read().begin(&first, "/a b", 104).unwrap(), 4);
    let error = read().begin(&second, "/c", 104).unwrap_err();
    assert!(
        matches!(&error, ImportError::OtherImport { folders, done: 4, total: 9 } if folders == "/a b"),
        "{error}"
    );
    let error = read().begin(&first, "/a b", 110).unwrap_err();
    assert!(matches!(error, ImportError::OtherImport { .. }), "{error}");
    read().complete(&first).unwrap();
    assert_eq!(read().unfinished(), None);
    let error = read().begin(&first, "/a b", 109).unwrap_err();
    assert!(
        matches!(error, ImportError::AlreadyImported { events: 9 }),
        "{error}"
    );
    assert_eq!(read().begin(&second, "/c", 109).unwrap(), 0);
    read().complete(&second).unwrap();

    for text in [
        "",
        "flume imports, version 2\n",
        "flume imports, version 1\nx\n",
    ] {
        fs::write(folder.path().join(LEDGER_NAME), text).unwrap();
        let error = Ledger::read(folder.path()).unwrap_err();
        assert!(matches!(error, ImportError::Ledger { .. }), "{error}");
    }
}

#[test]
fn puts_stay_within_the_transaction_capacity() {
    let channel = Path::new(MADE_BY_FLUME).join("killed");
    let flume = FlumeChannel::open(&[channel]).unwrap();
    let survey = flume.survey().unwrap();
    let recorder = Recorder::new(4);
    import_into(&recorder, &flume, &survey).unwrap();
    assert_eq!(recorder.puts(), 3);
}

#[test]
fn what_cannot_be_imported_is_refused_by_name() {
    let empty = tempfile::tempdir().unwrap();
    let refused = |folders: &[PathBuf]| FlumeChannel::open(folders).unwrap_err();
    let error = refused(&[empty.path().to_owned()]);
    assert!(matches!(error, ImportError::NotFlume(_)), "{error}");
    let error = refused(&[empty.path().join("none")]);
    assert!(matches!(error, ImportError::Read { .. }), "{error}");

    let copy = copy_of("killed");
    let data = copy.path().join("data1");
    let error = refused(&[copy.path().join("checkpoint")]);
    assert!(matches!(error, ImportError::NoLogs), "{error}");
    let error = refused(&[data.clone(), Path::new(MADE_BY_FLUME).join("killed/data1")]);
    assert!(matches!(error, ImportError::SameNumber { .. }), "{error}");

    // An encryption of two bytes: key alias "k".
    let meta = writer::meta(1, Some("k"));
    fs::write(data.join("log-1.meta"), meta).unwrap();
    let error = refused(std::slice::from_ref(&data));
    assert!(
        matches!(&error, ImportError::Encrypted { key, .. } if key == "k"),
        "{error}"
    );

    fs::remove_file(data.join("log-1.meta")).unwrap();
    fs::write(data.join("log-1"), [0, 0, 0, 2, 0, 0, 0, 1]).unwrap();
    let error = refused(&[data]);
    assert!(
        matches!(error, ImportError::Version { version: 2, .. }),
        "{error}"
    );
}

/// A process that has Flume's lock file open, as a Flume has as long as it runs.
struct Holder(std::process::Child);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_folder_whose_lock_file_another_process_has_open_is_in_use() {
    let copy = copy_of("killed");
    let lock = copy.path().join("data1/in_use.lock");
    fs::write(&lock, []).unwrap();
    let mut command = std::process::Command::new("cat");
    let command = command.stdin(std::process::Stdio::piped());
    let command = command.stdout(fs::OpenOptions::new().write(true).open(&lock).unwrap());
    let holder = Holder(command.spawn().unwrap());
    let error = FlumeChannel::open(&[copy.path().to_owned()]).unwrap_err();
    assert!(matches!(error, ImportError::InUse(_)), "{error}");
    drop(holder);
    // What a kill leaves behind.
    assert!(FlumeChannel::open(&[copy.path().to_owned()]).is_ok());
}

#[test]
fn a_log_file_that_the_checkpoint_needs_is_missed() {
    let copy = copy_of("gone");
    let error = FlumeChannel::open(&[copy.path().join("data1"), copy.path().join("checkpoint")])
        .unwrap()
        .survey()
        .unwrap_err();
    assert!(matches!(error, ImportError::MissingLog { .. }), "{error}");
    assert!(error.to_string().contains("name all folders"), "{error}");
}

#[test]
fn folders_that_change_under_the_import_are_noticed() {
    let copy = copy_of("killed");
    let flume = FlumeChannel::open(&[copy.path().to_owned()]).unwrap();
    let survey = flume.survey().unwrap();
    fs::write(copy.path().join("data1/log-2"), [0x80; 4]).unwrap();
    let error = import_into(&Recorder::new(10), &flume, &survey).unwrap_err();
    assert!(matches!(error, ImportError::Changed(_)), "{error}");
}

#[test]
fn nothing_is_written_into_flumes_folders() {
    let copy = copy_of("checkpointed");
    let listing = || {
        let mut all = BTreeMap::new();
        for name in ["data1", "checkpoint"] {
            for entry in fs::read_dir(copy.path().join(name)).unwrap() {
                let path = entry.unwrap().path();
                all.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
        all
    };
    let before = listing();
    imported(&[copy.path().to_owned()]);
    assert!(before == listing());
}
