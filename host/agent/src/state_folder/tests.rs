//! A state folder over restarts and kills, against other agents, and with files that are not as
//! they should be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flumen_core::ComponentName;
use flumen_core::channel::SourceState;
use flumen_wasm::limits::STATE_ENTRY_BYTES;
use flumen_wasm::{StateStore, StateWrite};
use proptest::prelude::*;
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use super::memory::{Group, GroupChange, Key, Memory};
use super::{Progress, StateFolder};

mod generations;
mod model;

/// Far more than a disk takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// So long that nothing is written unless somebody asks.
const NEVER: Duration = Duration::from_secs(100_000);

struct Rig {
    parent: TempDir,
}

impl Rig {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        Self { parent }
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("deep").join("state")
    }

    fn file(&self) -> PathBuf {
        self.folder().join("state.redb")
    }

    fn open(&self, interval: Duration) -> Arc<StateFolder> {
        let states = StateFolder::with_interval(Some(self.folder()), interval);
        states.open().unwrap();
        states
    }

    fn refusal(&self) -> String {
        let states = StateFolder::new(Some(self.folder()));
        states.open().unwrap_err().to_string()
    }
}

fn name(text: &str) -> ComponentName {
    ComponentName::from(text)
}

fn write(key: &str, value: Option<&[u8]>) -> StateWrite {
    StateWrite {
        key: key.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}

fn apply(states: &StateFolder, component: &str, key: &str, value: Option<&[u8]>) {
    let writes = vec![write(key, value)];
    states.apply(&name(component), writes).unwrap();
}

fn put_cursor(states: &StateFolder, source: &str, bytes: &[u8]) {
    states.put_cursor(&SourceState {
        source: name(source),
        bytes: Arc::from(bytes),
        writes: Arc::default(),
    });
}

fn cursor(states: &StateFolder, source: &str) -> Option<Vec<u8>> {
    let state = states.cursor(&name(source))?;
    Some(state.bytes.to_vec())
}

/// Ends the writer without writing what it has not written, as a kill does.
async fn kill(states: Arc<StateFolder>) {
    states.shared.lock().is_killed = true;
    states.shared.work.notify_all();
    let is_closed = |progress: &Progress| progress.is_closed;
    states.wait(DEADLINE, is_closed).await;
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let rig = Rig::new();
    let states = rig.open(super::WRITE_INTERVAL);
    apply(&states, "sinks.k1", "key", Some(b"12345"));
    apply(&states, "sinks.k1", "gone", Some(b"x"));
    apply(&states, "sinks.k1", "gone", None);
    apply(&states, "sinks.k2", "key", Some(b""));
    put_cursor(&states, "r1", b"one");
    put_cursor(&states, "r1", b"two");
    assert!(states.close(DEADLINE).await);
    assert_eq!(states.writing().unwritten, 0);

    let states = rig.open(super::WRITE_INTERVAL);
    let k1 = name("sinks.k1");
    assert_eq!(states.get(&k1, "key").unwrap(), Some(b"12345".to_vec()));
    assert_eq!(states.get(&k1, "gone").unwrap(), None);
    assert_eq!(states.bytes(&k1).unwrap(), STATE_ENTRY_BYTES + 8);
    assert_eq!(
        states.get(&name("sinks.k2"), "key").unwrap(),
        Some(Vec::new())
    );
    assert_eq!(cursor(&states, "r1"), Some(b"two".to_vec()));
    assert_eq!(cursor(&states, "r2"), None);
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn without_a_folder_everything_counts_until_the_end() {
    let states = StateFolder::new(None);
    states.open().unwrap();
    states.ready(false).await.unwrap();
    apply(&states, "a", "key", Some(b"value"));
    put_cursor(&states, "r1", b"one");
    assert_eq!(
        states.get(&name("a"), "key").unwrap(),
        Some(b"value".to_vec())
    );
    assert_eq!(cursor(&states, "r1"), Some(b"one".to_vec()));
    assert_eq!(states.writing(), super::StateWriting::default());
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn nothing_is_made_before_somebody_needs_it() {
    let rig = Rig::new();
    let states = StateFolder::new(Some(rig.folder()));
    states.ready(true).await.unwrap();
    assert!(!rig.folder().exists());
    assert!(states.close(DEADLINE).await);
    let states = StateFolder::new(Some(rig.folder()));
    states.ready(false).await.unwrap();
    assert!(rig.file().exists());
    assert!(states.close(DEADLINE).await);
    let states = StateFolder::new(Some(rig.folder()));
    states.ready(true).await.unwrap();
    assert!(rig.refusal().contains("in use"));
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn folder_and_file_are_the_users_own() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    assert!(states.close(DEADLINE).await);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&rig.folder()), 0o700);
    assert_eq!(mode(&rig.file()), 0o600);
    assert_eq!(fs::read_dir(rig.folder()).unwrap().count(), 1);
    fs::set_permissions(rig.file(), fs::Permissions::from_mode(0o620)).unwrap();
    let said = rig.refusal();
    assert!(said.contains("chmod 600"), "{said}");
    let moved = rig.folder().join("moved");
    fs::rename(rig.file(), &moved).unwrap();
    symlink(&moved, rig.file()).unwrap();
    let said = rig.refusal();
    assert!(said.contains("state.redb"), "{said}");
}

#[tokio::test]
async fn a_folder_has_one_agent() {
    let rig = Rig::new();
    let first = rig.open(NEVER);
    let said = rig.refusal();
    let folder = rig.folder().display().to_string();
    assert!(said.contains(&folder), "{said}");
    assert!(said.contains("-Dflumen.stateFolder"), "{said}");
    // A tool that knows only the file is kept out too.
    assert!(Database::create(rig.file()).is_err());
    put_cursor(&first, "r1", b"one");
    assert!(first.close(DEADLINE).await);
    let second = rig.open(NEVER);
    assert_eq!(cursor(&second, "r1"), Some(b"one".to_vec()));
    assert!(second.close(DEADLINE).await);
}

#[tokio::test]
async fn a_damaged_file_is_told_and_left_alone() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    for number in 0..100 {
        let value = [number; 400];
        apply(&states, "a", &format!("key {number}"), Some(&value));
    }
    assert!(states.close(DEADLINE).await);
    let sound = fs::read(rig.file()).unwrap();
    let value = sound.windows(400).position(|bytes| bytes == [42; 400]);
    let mut changed = sound.clone();
    changed[value.unwrap() + 7] ^= 1;
    for damaged in [&changed[..], &sound[..sound.len() / 2], &sound[..100]] {
        fs::write(rig.file(), damaged).unwrap();
        let said = rig.refusal();
        assert!(said.contains("damaged"), "{said}");
        assert!(said.contains("safe to move it away"), "{said}");
        assert!(said.contains("state.redb"), "{said}");
        assert_eq!(fs::read(rig.file()).unwrap(), damaged, "it is as it was");
    }
    fs::write(rig.file(), &sound).unwrap();
    let states = rig.open(NEVER);
    let value = states.get(&name("a"), "key 42").unwrap();
    assert_eq!(value, Some(vec![42; 400]));
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn a_file_of_somebody_else_is_refused() {
    let rig = Rig::new();
    fs::create_dir_all(rig.folder()).unwrap();
    for foreign in [&b""[..], b"notes", &[7; 100_000]] {
        fs::write(rig.file(), foreign).unwrap();
        fs::set_permissions(rig.file(), fs::Permissions::from_mode(0o600)).unwrap();
        let said = rig.refusal();
        assert!(said.contains("not written by flumen"), "{said}");
        assert_eq!(fs::read(rig.file()).unwrap(), foreign);
    }
    fs::remove_file(rig.file()).unwrap();
    let other: TableDefinition<'_, &str, &str> = TableDefinition::new("songs");
    let database = Database::create(rig.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(other).unwrap();
    transaction.commit().unwrap();
    drop(database);
    fs::set_permissions(rig.file(), fs::Permissions::from_mode(0o600)).unwrap();
    let said = rig.refusal();
    assert!(said.contains("not written by flumen"), "{said}");
}

#[tokio::test]
async fn a_file_of_a_newer_flumen_is_refused() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    assert!(states.close(DEADLINE).await);
    let meta: TableDefinition<'_, &str, u64> = TableDefinition::new("flumen_meta");
    let database = Database::open(rig.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(meta).unwrap();
    table.insert("format", 2).unwrap();
    drop(table);
    transaction.commit().unwrap();
    drop(database);
    let said = rig.refusal();
    assert!(said.contains("format 2"), "{said}");
    assert!(said.contains("newer flumen"), "{said}");
}

#[tokio::test]
async fn an_unfinished_new_file_is_made_anew() {
    let rig = Rig::new();
    fs::create_dir_all(rig.folder()).unwrap();
    fs::write(rig.folder().join("state.redb.draft"), b"half").unwrap();
    let states = rig.open(NEVER);
    assert!(states.close(DEADLINE).await);
    assert_eq!(fs::read_dir(rig.folder()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_was_not_written_is_gone_after_a_kill_and_what_was_flushed_is_not() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    put_cursor(&states, "r1", b"one");
    apply(&states, "a", "key", Some(b"one"));
    assert!(states.flush(DEADLINE).await);
    put_cursor(&states, "r1", b"two");
    apply(&states, "a", "key", None);
    assert_eq!(states.writing().unwritten, 2);
    kill(states).await;
    let states = rig.open(NEVER);
    assert_eq!(cursor(&states, "r1"), Some(b"one".to_vec()));
    assert_eq!(
        states.get(&name("a"), "key").unwrap(),
        Some(b"one".to_vec())
    );
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn a_change_is_written_without_anybody_asking() {
    let rig = Rig::new();
    let states = rig.open(super::WRITE_INTERVAL);
    put_cursor(&states, "r1", b"one");
    let is_written = |progress: &Progress| progress.written == 1;
    states.wait(DEADLINE, is_written).await;
    kill(states).await;
    let states = rig.open(NEVER);
    assert_eq!(cursor(&states, "r1"), Some(b"one".to_vec()));
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn a_position_is_not_written_before_the_state_of_its_commit() {
    let rig = Rig::new();
    let states = rig.open(Duration::ZERO);
    let commit = states.commit_of(&name("r1"));
    // The put waits for room: that holds nobody.
    put_cursor(&states, "r2", b"other");
    assert!(states.flush(DEADLINE).await);
    // The interceptors' part, the position, the source's part: one commit.
    let hold = states.hold();
    apply(&states, "sources.r1.interceptors.i1", "seen", Some(b"1"));
    put_cursor(&states, "r1", b"1");
    drop(hold);
    assert!(!states.flush(Duration::from_millis(50)).await);
    assert_eq!(states.writing().unwritten, 2);
    apply(&states, "sources.r1", "total", Some(b"1"));
    drop(commit);
    assert!(states.flush(DEADLINE).await);
    kill(states).await;
    let states = rig.open(NEVER);
    assert_eq!(cursor(&states, "r1"), Some(b"1".to_vec()));
    let total = states.get(&name("sources.r1"), "total").unwrap();
    assert_eq!(total, Some(b"1".to_vec()));
    assert!(states.close(DEADLINE).await);
}

#[tokio::test]
async fn very_many_changed_keys_are_written_as_a_whole() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    apply(&states, "a", "stays", Some(b"1"));
    apply(&states, "a", "goes", Some(b"1"));
    apply(&states, "a", "changes", Some(b"1"));
    put_cursor(&states, "r1", b"one");
    put_cursor(&states, "r3", b"one");
    assert!(states.flush(DEADLINE).await);
    for number in 0..70_000 {
        let key = number.to_string();
        let writes = vec![write(&key, Some(b"x")), write(&key, None)];
        states.apply(&name("a"), writes).unwrap();
    }
    apply(&states, "a", "goes", None);
    apply(&states, "a", "changes", Some(b"2"));
    apply(&states, "b", "new", Some(b"1"));
    put_cursor(&states, "r2", b"two");
    put_cursor(&states, "r3", b"two");
    assert!(states.flush(DEADLINE).await);
    kill(states).await;
    let states = rig.open(NEVER);
    let get = |component: &str, key: &str| states.get(&name(component), key).unwrap();
    assert_eq!(get("a", "stays"), Some(b"1".to_vec()));
    assert_eq!(get("a", "goes"), None);
    assert_eq!(get("a", "changes"), Some(b"2".to_vec()));
    assert_eq!(get("a", "69999"), None);
    assert_eq!(get("b", "new"), Some(b"1".to_vec()));
    assert_eq!(cursor(&states, "r1"), Some(b"one".to_vec()));
    assert_eq!(cursor(&states, "r2"), Some(b"two".to_vec()));
    assert_eq!(cursor(&states, "r3"), Some(b"two".to_vec()));
    assert!(states.close(DEADLINE).await);
}

fn keys(group: Group) -> Vec<(Key, Option<Arc<[u8]>>)> {
    match group.change {
        GroupChange::Keys(keys) => keys,
        GroupChange::Everything(_) => panic!("everything"),
    }
}

#[test]
fn several_changes_of_a_key_are_one_write_and_a_failed_one_makes_everything_suspect() {
    let mut memory = Memory::new(true);
    memory.load(BTreeMap::new());
    let a = name("a");
    for value in [&b"1"[..], b"2", b"3"] {
        memory.apply(&a, vec![write("key", Some(value))]);
    }
    let group = memory.cut().unwrap();
    assert_eq!(group.newest, 3);
    let key = Key::State(a.clone(), "key".to_owned());
    let value: Arc<[u8]> = Arc::from(&b"3"[..]);
    assert_eq!(keys(group), [(key.clone(), Some(Arc::clone(&value)))]);
    memory.suspect_everything();
    memory.apply(&a, vec![write("other", None)]);
    let group = memory.cut().unwrap();
    assert_eq!(group.newest, 4);
    let GroupChange::Everything(kept) = group.change else {
        panic!("everything was suspect");
    };
    assert_eq!(kept, BTreeMap::from([(key, value)]));
}

#[test]
fn a_group_is_cut_in_the_moment_in_which_nothing_holds() {
    let mut memory = Memory::new(true);
    memory.load(BTreeMap::new());
    let a = name("a");
    memory.hold();
    memory.apply(&a, vec![write("first", Some(b"1"))]);
    assert!(memory.cut().is_none());
    memory.hold();
    memory.release();
    assert!(memory.cut().is_none(), "the first hold is not over");
    memory.release();
    // The next commit has begun before the writer looks.
    memory.hold();
    memory.apply(&a, vec![write("second", Some(b"2"))]);
    let group = memory.cut().unwrap();
    assert_eq!(group.newest, 1);
    assert_eq!(keys(group).len(), 1);
    assert!(memory.cut().is_none());
}
