//! Flume's options: defaults, what they are mapped to, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flumen_core::ComponentName;
use flumen_core::FaultKind;
use flumen_core::channel::Channel;
use flumen_core::option::Support;
use flumen_core::settings::{Settings, Value};

use super::super::change;
use super::super::options::Options;
use super::{defaults, number, open, put, text, try_open};
use crate::change::Change;

fn word(word: &str) -> Value {
    Value::Text(word.to_owned())
}

/// The defaults, without a path.
fn unplaced() -> Settings {
    let mut settings = Settings::new();
    for (name, setting) in defaults(Path::new("x")).iter() {
        if name != "path" {
            settings.insert(name, setting.clone());
        }
    }
    settings
}

fn path(name: &str, settings: &Settings) -> Result<PathBuf, String> {
    Options::read(&ComponentName::new(name), settings)
        .map(|options| options.path)
        .map_err(|fault| fault.to_string())
}

#[test]
fn the_database_stands_where_flume_kept_its_own() {
    let home = unplaced().with("sysprop.user.home", word("/users/me"));
    assert_eq!(
        path("c1", &home).unwrap(),
        Path::new("/users/me/.flume/jdbc-channel/c1.sqlite")
    );
    assert_eq!(
        path("a/../b c", &home).unwrap(),
        Path::new("/users/me/.flume/jdbc-channel/a%2F%2E%2E%2Fb%20c.sqlite")
    );
    let url = |url: &str| path("c1", &home.clone().with("driver.url", word(url)));
    assert_eq!(url("jdbc:sqlite:/data/q").unwrap(), Path::new("/data/q"));
    assert_eq!(
        url("jdbc:derby:/data/derby/;create=true").unwrap(),
        Path::new("/data/derby.sqlite")
    );
    let both = home
        .with("driver.url", word("jdbc:sqlite:/data/q"))
        .with("path", word("/own/file"));
    assert_eq!(path("c1", &both).unwrap(), Path::new("/own/file"));
    let tilde = unplaced().with("path", word("~/queue.sqlite"));
    let home = std::env::home_dir().unwrap();
    assert_eq!(path("c1", &tilde).unwrap(), home.join("queue.sqlite"));
}

#[test]
fn the_address_of_another_database_is_refused_with_the_remedy() {
    for (url, shown) in [
        (
            "jdbc:mysql://me:hunter2@db/flume?password=hunter2",
            "jdbc:mysql://...@db/flume",
        ),
        (
            "jdbc:derby://db:1527/flume;user=me;password=hunter2",
            "jdbc:derby://db:1527/flume",
        ),
        ("jdbc:derby:memory:flume", "jdbc:derby:memory:flume"),
        ("jdbc:sqlite::memory:", "jdbc:sqlite::memory:"),
        ("jdbc:sqlite:", "jdbc:sqlite:"),
        ("jdbc:derby:", "jdbc:derby:"),
    ] {
        let refused = path("c1", &unplaced().with("driver.url", word(url))).unwrap_err();
        assert!(
            refused.contains(&format!("driver.url {shown} ")),
            "{refused}"
        );
        assert!(refused.contains("remove driver.url"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_derby_database_of_flume_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let derby = folder.path().join(".flume/jdbc-channel/db");
    fs::create_dir_all(&derby).unwrap();
    fs::write(derby.join("service.properties"), "").unwrap();
    let settings = unplaced().with("sysprop.user.home", text(folder.path()));
    let fault = try_open(&settings).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    let told = fault.to_string();
    assert!(
        told.contains("is a Derby database of Apache Flume"),
        "{told}"
    );
    let left = fs::read_dir(derby.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "nothing was made beside it");
    fs::rename(&derby, folder.path().join("old")).unwrap();
    drop(try_open(&settings).unwrap());
    // Once there is a database, Derby's folder says nothing any more.
    fs::rename(folder.path().join("old"), &derby).unwrap();
    assert!(try_open(&settings).is_ok());
}

#[test]
fn capacities_of_nothing_are_without_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = defaults(&folder.path().join("a"));
    let channel = try_open(&settings).unwrap();
    let limits = channel.limits();
    assert_eq!(limits.capacity_events, i64::MAX as u64);
    assert_eq!(limits.capacity_bytes, i64::MAX as u64);
    assert_eq!(limits.transaction_events, 10_000);
    assert_eq!(limits.keep_alive, Duration::from_secs(3));
    let small = settings.clone().with("maximum.capacity", number(50));
    assert!(channel.reconfigure(&small).unwrap());
    assert_eq!(channel.limits().transaction_events, 50);
    let elsewhere = settings
        .clone()
        .with("path", text(&folder.path().join("b")));
    assert!(!channel.reconfigure(&elsewhere).unwrap());
    let name = ComponentName::new("c1");
    let in_place = |new| change(&name, &small, new).unwrap() == Change::InPlace;
    assert!(in_place(&small) && !in_place(&elsewhere));
    assert_eq!(channel.limits().capacity_events, 50, "nothing changed");
}

#[tokio::test]
async fn without_create_schema_only_a_database_that_is_there_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let settings = defaults(&path).with("create.schema", Value::Boolean(false));
    let fault = try_open(&settings).err().unwrap();
    assert!(fault.to_string().contains("does not exist"), "{fault}");
    put(&open(&path), super::numbered(0..1)).await;
    let channel: Arc<dyn Channel> = Arc::new(try_open(&settings).unwrap());
    assert_eq!(channel.fill().events, 1);
}

#[test]
fn every_option_of_flume_is_accepted_under_its_old_prefix_too() {
    let row = &super::super::ROW;
    for name in [
        "db.type",
        "driver.class",
        "driver.url",
        "db.username",
        "db.password",
        "connection.properties.file",
        "create.schema",
        "create.index",
        "create.foreignkey",
        "transaction.isolation",
        "maximum.connections",
        "maximum.capacity",
        "sysprop.user.home",
        "sysprop.derby.system.home",
    ] {
        let old = format!("org.apache.flume.channel.jdbc.{name}");
        let option = row.option(&old).unwrap();
        assert!(std::ptr::eq(option, row.option(name).unwrap()), "{name}");
        assert_ne!(option.support, Support::NotBuilt);
    }
}
