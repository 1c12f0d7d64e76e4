//! Settings that change while the channel is open, and those that cannot.

use std::path::Path;

use flumen_core::channel::Channel;
use flumen_core::settings::{Settings, Value};
use flumen_wal::simulation::{Call, Crash, Disk};

use super::super::options::Setup;
use super::super::window::Window;
use super::super::{Ground, change};
use super::rig::DISK_BYTES;
use super::*;
use crate::change::Change;

fn number(value: i64) -> Value {
    Value::Integer(value)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// How a channel of the settings of the tests gets this one too.
fn change_of(option: &str, value: Value) -> Change {
    let old = settings(Path::new("/one"));
    let new = old.clone().with(option, value);
    change(&ComponentName::new("c1"), &old, &new).unwrap()
}

#[test]
fn what_the_log_can_change_changes_in_place() {
    for (option, value) in [
        ("durability", text("sync")),
        ("durability", text("interval")),
        ("minimumRequiredSpace", number(1 << 30)),
        ("sync_interval_ms", number(7)),
        ("fsyncInterval", number(1)),
        ("fsyncPerTransaction", Value::Boolean(false)),
        ("acknowledge", text("strict")),
        ("capacity", number(5_000_000)),
        ("dataDirs", text("/one,/two")),
        // Both are segments of 64 KiB.
        ("maxFileSize", number(65 * 1024)),
    ] {
        assert_eq!(change_of(option, value), Change::InPlace, "{option}");
    }
    assert_eq!(
        change_of("dataDirs", text("/two,/one")),
        Change::NewChannel,
        "another log"
    );
}

#[test]
fn what_it_cannot_is_named() {
    let restart = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        Change::Restart(names.collect())
    };
    assert_eq!(
        change_of("maxFileSize", number(1 << 20)),
        restart(&["maxFileSize"])
    );
    let name = ComponentName::new("c1");
    let plain = settings(Path::new("/one"));
    let sealed = plain
        .clone()
        .with("encryption.activeKey", text("k1"))
        .with(
            "encryption.keyProvider.keys",
            Value::List(vec!["k1".to_owned()]),
        )
        .with("encryption.keyProvider.keys.k1.file", text("/k1"));
    let all = restart(&[
        "encryption.activeKey",
        "encryption.keyProvider.keys",
        "encryption.keyProvider.keys.k1.file",
    ]);
    assert_eq!(change(&name, &plain, &sealed).unwrap(), all);
    assert_eq!(change(&name, &sealed, &plain).unwrap(), all);
}

fn open_on(disk: &Disk, settings: &Settings) -> Arc<FileChannel> {
    let name = ComponentName::new("c1");
    let ground = Ground {
        io: disk.io(),
        keyring: Default::default(),
        window: Window::default(),
        waits: Default::default(),
    };
    let setup = Setup::read(&name, settings).unwrap();
    let opened = FileChannel::open_on(ground, &name, setup, clock(), Path::new("disk"));
    Arc::new(opened.unwrap())
}

/// What is there after the power went, with nothing that the channel does when it is dropped.
async fn after_power_cut(disk: &Disk, channel: Arc<FileChannel>, settings: &Settings) -> usize {
    disk.stop_at(disk.calls() + 1);
    drop(channel);
    disk.crash(Crash::PowerCutDropsAll);
    drain(&open_on(disk, settings)).await.len()
}

#[tokio::test]
async fn what_was_confirmed_early_survives_a_power_cut_once_the_channel_syncs() {
    let hour = number(3600);
    for (early, interval) in [("os", number(5)), ("interval", hour)] {
        let disk = Disk::new(DISK_BYTES, 1);
        let sync = settings(Path::new("disk")).with("durability", text("sync"));
        let early = sync
            .clone()
            .with("durability", text(early))
            .with("fsyncInterval", interval);
        let channel = open_on(&disk, &early);
        put(&channel, events(0..10, 0)).await;
        assert!(channel.reconfigure(&sync).unwrap());
        assert_eq!(after_power_cut(&disk, channel, &sync).await, 10);
    }
}

#[tokio::test]
async fn puts_are_as_durable_as_the_new_settings_say() {
    let disk = Disk::new(DISK_BYTES, 1);
    let os = settings(Path::new("disk"));
    let sync = os.clone().with("durability", text("sync"));
    let channel = open_on(&disk, &os);
    assert!(channel.reconfigure(&sync).unwrap());
    put(&channel, events(0..10, 0)).await;
    assert!(channel.reconfigure(&os).unwrap());
    put(&channel, events(10..20, 0)).await;
    assert_eq!(after_power_cut(&disk, channel, &os).await, 10);
}

/// A refusal would leave the channel less durable than the operator wants it from now on.
#[tokio::test]
async fn a_disk_that_does_not_take_what_was_confirmed_early_hinders_no_change() {
    let disk = Disk::new(DISK_BYTES, 1);
    let os = settings(Path::new("disk"));
    let sync = os.clone().with("durability", text("sync"));
    let channel = open_on(&disk, &os);
    put(&channel, events(0..10, 0)).await;
    disk.fail(Call::Sync, 0, std::io::ErrorKind::Other);
    assert!(channel.reconfigure(&sync).unwrap());
    assert_eq!(channel.statistics().doubtful_records, 1);
    put(&channel, events(10..20, 0)).await;
    assert!(after_power_cut(&disk, channel, &sync).await >= 10);
}

/// Without a wait: until then nothing but the time of the next look frees the puts.
#[tokio::test]
async fn puts_that_wait_for_free_space_go_on_when_less_is_asked_for() {
    let folder = folder();
    let modest = settings(folder.path());
    let greedy = modest
        .clone()
        .with("minimumRequiredSpace", number(i64::MAX / 4));
    let channel = open(&greedy);
    // What is kept back is made without a look at the space, and one segment is in use.
    let mut numbers = 0..10;
    while put_with(&channel, events(numbers.clone(), 500), None)
        .await
        .is_ok()
    {
        numbers = numbers.end..numbers.end + 10;
    }
    let is_held = || {
        let core = channel.owner.core();
        core.with(|state, _| state.accounts.is_held())
    };
    assert!(is_held());
    assert!(channel.reconfigure(&modest).unwrap());
    assert!(!is_held());
    put(&channel, events(numbers, 500)).await;
}

#[tokio::test]
async fn a_channel_that_grows_in_place_has_a_log_that_grows_with_it() {
    let folder = folder();
    let capacity = |events, bytes| {
        settings(folder.path())
            .with("maxFileSize", number(1 << 20))
            .with("capacity", number(events))
            .with("capacity_bytes", number(bytes))
            .with("transactionCapacity", number(1000))
    };
    let channel = open(&capacity(1000, 1));
    assert!(channel.reconfigure(&capacity(100_000, 1 << 30)).unwrap());
    // Twice what the log was opened for: 16 segments.
    for number in 0..1000 {
        put(&channel, events(number..number + 1, 32_000)).await;
    }
    assert_eq!(channel.fill().events, 1000);
}
