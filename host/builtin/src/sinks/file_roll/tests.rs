use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flumen_core::conformance::settings::settings;
use flumen_core::conformance::sink::{Faults, Harness, conforms, context, segments};
use flumen_core::{EventBatch, FaultKind, Side};
use tempfile::TempDir;

use super::store::RollFile;
use super::*;

mod bad_disk;

const START_MS: &str = "1700000000000";

fn sink_in(directory: &Path, set: &[(&str, &str)]) -> FileRoll {
    sink_on(Arc::new(Disk), directory, set)
}

fn sink_on(store: Arc<dyn FileStore>, directory: &Path, set: &[(&str, &str)]) -> FileRoll {
    let mut all = vec![("sink.directory", directory.to_str().expect("UTF-8"))];
    all.extend_from_slice(set);
    let settings = checked(&all);
    build(&settings).expect("builds");
    let mut sink = from_settings(&settings).expect("builds");
    sink.store = store;
    sink
}

/// The settings with those of the serializer and the path manager below them.
fn checked(set: &[(&str, &str)]) -> Settings {
    let is_own = |name: &str| ROW.options.iter().any(|option| option.name == name);
    let own: Vec<(&str, &str)> = set
        .iter()
        .filter(|(name, _)| is_own(name))
        .copied()
        .collect();
    let mut checked = settings(&ROW, &own);
    for option in ["sink.serializer", "sink.pathManager"] {
        let name = checked.text(option).expect("a component").to_owned();
        let row = serializers::rows()
            .chain(path_manager_rows())
            .find(|row| row.is_called(&name));
        let below = |name: &&str| name.starts_with(option) && !is_own(name);
        let inner: Vec<(&str, &str)> = set
            .iter()
            .filter(|(name, _)| below(name))
            .map(|(name, text)| (&name[option.len() + 1..], *text))
            .collect();
        for (name, setting) in settings(row.expect("known"), &inner).iter() {
            checked.insert(format!("{option}.{name}"), setting.clone());
        }
    }
    checked
}

/// The files in the order in which they were begun: names and contents.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(u64, String, Vec<u8>)> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            let number = name
                .rsplit('-')
                .next()
                .and_then(|end| end.split('.').next());
            let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
            let contents = fs::read(entry.path()).expect("readable");
            (number, name, contents)
        })
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|(_, name, contents)| (name, contents))
        .collect()
}

fn contents(directory: &Path) -> Vec<u8> {
    files(directory)
        .into_iter()
        .flat_map(|(_, contents)| contents)
        .collect()
}

fn names(directory: &Path) -> Vec<String> {
    files(directory).into_iter().map(|(name, _)| name).collect()
}

fn lines(text: &str) -> EventBatch {
    let ends = text
        .match_indices('\n')
        .map(|(end, _)| end as u32)
        .collect();
    EventBatch::from_delimited(text.to_owned().into(), b'\n', ends).expect("lines")
}

async fn deliver(sink: &mut FileRoll, text: &str) -> Result<(), Fault> {
    let outcome = sink.deliver(&segments([lines(text)])).await?;
    assert_eq!(outcome, Outcome::Delivered);
    Ok(())
}

/// A disk that can be told to be full, to refuse to cut, or to fail a sync.
#[derive(Default)]
struct BadDisk {
    room_bytes: Arc<AtomicU64>,
    cut_fails: Arc<AtomicBool>,
    sync_fails: Arc<AtomicBool>,
    syncs: Arc<AtomicU64>,
    appends: Arc<AtomicU64>,
}

impl BadDisk {
    fn with_room(room_bytes: u64) -> Arc<Self> {
        let disk = Self::default();
        disk.room_bytes.store(room_bytes, Ordering::SeqCst);
        Arc::new(disk)
    }
}

struct BadFile {
    file: Box<dyn RollFile>,
    disk: BadDisk,
}

impl FileStore for BadDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn RollFile>> {
        Ok(Box::new(BadFile {
            file: Disk.create(path)?,
            disk: BadDisk {
                room_bytes: Arc::clone(&self.room_bytes),
                cut_fails: Arc::clone(&self.cut_fails),
                sync_fails: Arc::clone(&self.sync_fails),
                syncs: Arc::clone(&self.syncs),
                appends: Arc::clone(&self.appends),
            },
        }))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        Disk.sync_directory(directory)
    }
}

impl RollFile for BadFile {
    fn is_deleted(&self) -> bool {
        self.file.is_deleted()
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.appends.fetch_add(1, Ordering::SeqCst);
        let room = self.disk.room_bytes.load(Ordering::SeqCst);
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let written = self.file.append(&bytes[..fits])?;
        self.disk
            .room_bytes
            .fetch_sub(written as u64, Ordering::SeqCst);
        Ok(written)
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        if self.disk.cut_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no cutting today"));
        }
        self.file.cut(bytes)?;
        self.disk.room_bytes.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.syncs.fetch_add(1, Ordering::SeqCst);
        if self.disk.sync_fails.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync()
    }
}

#[tokio::test]
async fn file_roll_keeps_the_contract() {
    conforms(|| {
        let directory = Arc::new(TempDir::new().expect("a directory"));
        let disk = BadDisk::with_room(u64::MAX / 2);
        let sink = sink_on(Arc::clone(&disk) as _, directory.path(), &[]);
        let room = Arc::clone(&disk.room_bytes);
        let (fail, mend) = (Arc::clone(&room), room);
        let output = move || {
            let contents = contents(directory.path());
            let lines = contents.split_inclusive(|byte| *byte == b'\n');
            lines
                .map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec())
                .collect()
        };
        Harness::seeing(Box::new(sink), Box::new(output)).with_faults(Faults {
            fail: Box::new(move || fail.store(3, Ordering::SeqCst)),
            mend: Box::new(move || mend.store(u64::MAX / 2, Ordering::SeqCst)),
        })
    })
    .await;
}

#[tokio::test]
async fn events_are_in_the_file_when_they_count_as_delivered() {
    let directory = TempDir::new().expect("a directory");
    let mut sink = sink_in(directory.path(), &[]);
    let context = context();
    let counters = Arc::clone(&context.counters);
    sink.start(context).await.expect("starts");
    assert_eq!(
        names(directory.path()),
        [format!("{START_MS}-1")],
        "also when it is empty"
    );
    deliver(&mut sink, "a\nb\n").await.expect("delivers");
    deliver(&mut sink, "c\n").await.expect("delivers");
    assert_eq!(contents(directory.path()), b"a\nb\nc\n");
    sink.stop().await.expect("stops");
    assert_eq!(contents(directory.path()), b"a\nb\nc\n");
    assert_eq!(counters.connection_created.get(), 1);
    assert_eq!(counters.connection_closed.get(), 1);
    assert_eq!(counters.connection_failed.get(), 0);
}

#[tokio::test]
async fn the_serializer_and_the_path_manager_have_options_of_their_own() {
    let directory = TempDir::new().expect("a directory");
    let set = [
        ("sink.serializer", "text"),
        ("sink.serializer.appendNewline", "false"),
        ("sink.pathManager", "rolltime"),
        ("sink.pathManager.prefix", "web-"),
        ("sink.pathManager.extension", "log"),
        ("sink.batchSize", "7"),
    ];
    let mut sink = sink_in(directory.path(), &set);
    assert_eq!(sink.demand().events, 7);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\nb\n").await.expect("delivers");
    assert_eq!(contents(directory.path()), b"ab");
    let names = names(directory.path());
    // A time zone moves the hour, not the length.
    assert!(
        names[0].starts_with("web-2023111") && names[0].ends_with("-1.log"),
        "{names:?}"
    );
    assert_eq!(names[0].len(), "web-20231114221320-1.log".len());
}

#[tokio::test(start_paused = true)]
async fn a_new_file_begins_with_every_interval_with_events_and_without() {
    let directory = TempDir::new().expect("a directory");
    let mut sink = sink_in(directory.path(), &[("sink.rollInterval", "2")]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    sink.tick().await.expect("ticks");
    assert_eq!(files(directory.path()).len(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    sink.tick().await.expect("ticks");
    sink.tick().await.expect("ticks");
    assert_eq!(files(directory.path()).len(), 2, "a tick rolls once");
    tokio::time::advance(Duration::from_secs(2)).await;
    deliver(&mut sink, "b\n").await.expect("delivers");
    tokio::time::advance(Duration::from_secs(60)).await;
    deliver(&mut sink, "c\n").await.expect("delivers");
    sink.stop().await.expect("stops");
    let contents: Vec<Vec<u8>> = files(directory.path())
        .into_iter()
        .map(|(_, contents)| contents)
        .collect();
    assert_eq!(
        contents,
        [&b"a\n"[..], b"", b"b\n", b"c\n"],
        "missed intervals are one roll"
    );
}

#[tokio::test(start_paused = true)]
async fn interval_zero_never_rolls() {
    let directory = TempDir::new().expect("a directory");
    let mut sink = sink_in(directory.path(), &[("sink.rollInterval", "0")]);
    sink.start(context()).await.expect("starts");
    tokio::time::advance(Duration::from_secs(100_000)).await;
    deliver(&mut sink, "a\n").await.expect("delivers");
    sink.tick().await.expect("ticks");
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_name_that_is_taken_is_passed_over() {
    let directory = TempDir::new().expect("a directory");
    let taken = directory.path().join(format!("{START_MS}-1"));
    fs::write(&taken, "precious").expect("writes");
    let mut sink = sink_in(directory.path(), &[]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    assert_eq!(
        files(directory.path()),
        [
            (format!("{START_MS}-1"), b"precious".to_vec()),
            (format!("{START_MS}-2"), b"a\n".to_vec())
        ]
    );
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named_with_the_remedy() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writes");
    let missing = directory.path().join("missing");
    let below_file = file.join("below");
    for (path, expected) in [
        (&missing, "; create the directory or correct sink.directory"),
        (
            &below_file,
            "; create the directory or correct sink.directory",
        ),
        (&file, "is not a directory; sink.directory needs one"),
    ] {
        let mut sink = sink_in(path, &[]);
        let fault = sink.start(context()).await.expect_err("refused");
        assert_eq!(
            (fault.kind(), fault.side()),
            (FaultKind::Transient, Side::Operator)
        );
        let text = fault.to_string();
        assert!(
            text.contains(&path.display().to_string()) && text.contains(expected),
            "{text}"
        );
    }
    // The same instance starts when the directory is there.
    let mut sink = sink_in(&missing, &[]);
    sink.start(context()).await.expect_err("refused");
    fs::create_dir(&missing).expect("makes");
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    assert_eq!(contents(&missing), b"a\n");
}

#[tokio::test(start_paused = true)]
async fn a_roll_into_a_directory_that_went_away_loses_nothing() {
    let parent = TempDir::new().expect("a directory");
    let directory = parent.path().join("out");
    fs::create_dir(&directory).expect("makes");
    let mut sink = sink_in(&directory, &[("sink.rollInterval", "1")]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    let elsewhere = parent.path().join("elsewhere");
    fs::rename(&directory, &elsewhere).expect("moves");
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..2 {
        let fault = deliver(&mut sink, "b\n").await.expect_err("no directory");
        assert_eq!(
            (fault.kind(), fault.side()),
            (FaultKind::Transient, Side::Operator)
        );
        assert!(fault.to_string().contains("cannot create file"), "{fault}");
    }
    fs::create_dir(&directory).expect("makes");
    deliver(&mut sink, "b\n").await.expect("delivers");
    assert_eq!(contents(&elsewhere), b"a\n");
    assert_eq!(contents(&directory), b"b\n");
}

#[tokio::test]
async fn permission_denied_is_said_with_the_file() {
    struct Denied;
    impl FileStore for Denied {
        fn create(&self, _: &Path) -> io::Result<Box<dyn RollFile>> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        fn sync_directory(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }
    }
    let directory = TempDir::new().expect("a directory");
    let mut sink = sink_on(Arc::new(Denied), directory.path(), &[]);
    let context = context();
    let counters = Arc::clone(&context.counters);
    let fault = sink.start(context).await.expect_err("refused");
    assert_eq!(
        (fault.kind(), fault.side()),
        (FaultKind::Transient, Side::Operator)
    );
    assert_eq!(
        fault.to_string(),
        format!(
            "cannot create file {}/{START_MS}-1; let the user that runs the agent write there: permission denied",
            directory.path().display()
        )
    );
    assert_eq!(counters.connection_failed.get(), 1);
}

#[tokio::test]
async fn a_dropped_sink_closes_its_file() {
    let directory = TempDir::new().expect("a directory");
    let disk = BadDisk::with_room(u64::MAX / 2);
    let mut sink = sink_on(Arc::clone(&disk) as _, directory.path(), &[]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    let running = sink.running.take().expect("started");
    let ended = running.writer.drop_and_wait();
    ended.await.expect("the thread ends");
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 1);
    assert_eq!(contents(directory.path()), b"a\n");
}

#[tokio::test]
async fn lines_in_one_buffer_are_one_write() {
    let directory = TempDir::new().expect("a directory");
    let disk = BadDisk::with_room(u64::MAX / 2);
    let mut sink = sink_on(Arc::clone(&disk) as _, directory.path(), &[]);
    sink.start(context()).await.expect("starts");
    let large = format!("{}\n", "x".repeat(199)).repeat(10_000);
    deliver(&mut sink, &large).await.expect("delivers");
    assert_eq!(disk.appends.load(Ordering::SeqCst), 1);
    let packed = EventBatch::concat(&[lines("a\n"), lines("b\nc\n")]).expect("joins");
    let small = segments([packed, lines("d\n"), lines("e\n")]);
    sink.deliver(&small).await.expect("delivers");
    assert_eq!(disk.appends.load(Ordering::SeqCst), 2);
    assert!(contents(directory.path()).ends_with(b"x\na\nb\nc\nd\ne\n"));
}

#[tokio::test]
async fn nothing_is_written_to_a_file_that_was_deleted() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut sink = sink_in(directory.path(), &[("sink.rollInterval", "0")]);
    sink.start(context()).await.expect("starts");
    deliver(&mut sink, "a\n").await.expect("delivers");
    let first = names(directory.path());
    fs::remove_file(directory.path().join(&first[0])).expect("deleted");
    deliver(&mut sink, "b\n").await.expect("delivers");
    assert_eq!(contents(directory.path()), b"b\n");
    assert_ne!(names(directory.path()), first);

    // With the directory gone too, events stay where they are until it is back.
    fs::remove_dir_all(directory.path()).expect("deleted");
    let fault = deliver(&mut sink, "c\n").await.expect_err("no directory");
    assert_eq!(fault.kind(), FaultKind::Transient);
    assert!(fault.to_string().contains("sink.directory"), "{fault}");
    fs::create_dir(directory.path()).expect("created");
    deliver(&mut sink, "c\n").await.expect("delivers");
    sink.stop().await.expect("closes");
    assert_eq!(contents(directory.path()), b"c\n");
}
