//! Encryption at rest: what stands on the disk, keys that change, and keys that are missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use flumen_core::FaultKind;
use flumen_core::channel::Channel;
use flumen_core::settings::{Settings, Value};
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::LOG_FOLDER;
use super::super::payload::{Keyring, MAGIC, Payload, PayloadError, Record};
use super::{
    LONG, at_most, drain, events, folder, open, put, put_with, record, settings, try_open,
};

/// Keys with files, and a channel.
struct Vault {
    folder: TempDir,
}

impl Vault {
    fn new() -> Self {
        let vault = Self { folder: folder() };
        for (name, byte) in [("k1", 1), ("k2", 2), ("k3", 3)] {
            fs::write(vault.file(name), [byte; 32]).unwrap();
        }
        vault
    }

    fn file(&self, key: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{key}.key"))
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self, keys: &[&str], active: Option<&str>) -> Settings {
        let text = |text: &str| Value::Text(text.to_owned());
        let names = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut settings =
            settings(&self.data()).with("encryption.keyProvider.keys", Value::List(names));
        for key in keys {
            let option = format!("encryption.keyProvider.keys.{key}.file");
            settings = settings.with(&option, text(self.file(key).to_str().unwrap()));
        }
        match active {
            Some(active) => settings.with("encryption.activeKey", text(active)),
            None => settings,
        }
    }

    /// All bytes of the log.
    fn log(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.data().join(LOG_FOLDER))
    }

    fn log_holds(&self, words: &[u8]) -> bool {
        let holds = |bytes: &Vec<u8>| bytes.windows(words.len()).any(|own| own == words);
        self.log().values().any(holds)
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn nothing_of_the_events_or_records_stands_readable_on_the_disk() {
    let vault = Vault::new();
    for (generation, settings, is_readable) in [
        (1, vault.settings(&["k1"], Some("k1")), false),
        (2, vault.settings(&["k1"], None), true),
    ] {
        let channel = open(&settings);
        let one = record(generation, b"the position of a source");
        put_with(&channel, events(100..140, 0), Some(one))
            .await
            .unwrap();
        // Into another segment, whose snapshot has the record.
        for start in 0..9 {
            put(&channel, events(start..start + 1, 9_000)).await;
        }
        drop(channel);
        assert_eq!(vault.log_holds(b"0000010000000101"), is_readable);
        assert_eq!(vault.log_holds(b"the position of a source"), is_readable);
        let channel = open(&settings);
        assert_eq!(channel.recovered().1.len(), 1);
        assert_eq!(drain(&channel).await.len(), 49);
        channel.forget(generation);
    }
}

#[tokio::test]
async fn without_the_right_key_nothing_is_opened_and_nothing_is_changed() {
    let vault = Vault::new();
    let right = vault.settings(&["k1"], Some("k1"));
    let channel = open(&right);
    put(&channel, events(0..10, 0)).await;
    drop(channel);
    let before = vault.log();
    let refused = |settings: &Settings| {
        let fault = try_open(settings).err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Configuration, "{fault}");
        assert_eq!(vault.log(), before, "{fault}");
        fault.to_string()
    };
    assert!(refused(&vault.settings(&[], None)).contains("sealed with the key \"k1\""));
    assert!(refused(&vault.settings(&["k2"], Some("k2"))).contains("sealed with the key \"k1\""));
    assert!(refused(&vault.settings(&["k2"], Some("k1"))).contains("not among"));
    fs::write(vault.file("k1"), [9; 32]).unwrap();
    assert!(refused(&right).contains("is not the one in its file"));
    fs::write(vault.file("k1"), [1; 31]).unwrap();
    assert!(refused(&right).contains("head -c 32 /dev/urandom"));
    fs::remove_file(vault.file("k1")).unwrap();
    assert!(refused(&right).contains("cannot be read"));
    // As digits it is the same key.
    fs::write(vault.file("k1"), format!("{}\n", "01".repeat(32))).unwrap();
    assert_eq!(drain(&open(&right)).await.len(), 10);
}

#[tokio::test]
async fn a_key_is_needed_until_what_it_sealed_is_gone() {
    let vault = Vault::new();
    let channel = open(&vault.settings(&["k1"], Some("k1")));
    put(&channel, events(0..10, 0)).await;
    drop(channel);
    let channel = open(&vault.settings(&["k1", "k2"], Some("k2")));
    put(&channel, events(10..20, 0)).await;
    drop(channel);
    // The newest snapshot is sealed with the new key, and says that the old one is needed.
    let fault = try_open(&vault.settings(&["k2"], Some("k2")))
        .err()
        .unwrap();
    assert!(fault.to_string().contains("the key \"k1\""), "{fault}");
    let channel = open(&vault.settings(&["k1", "k2"], Some("k2")));
    let lease = channel.take(at_most(10), LONG).await.unwrap();
    lease.ack().await.unwrap();
    drop(channel);
    let channel = open(&vault.settings(&["k2", "k3"], Some("k3")));
    let numbers: Vec<u64> = drain(&channel).await.into_iter().map(|own| own.1).collect();
    assert_eq!(numbers, (10..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn encryption_can_be_switched_on_and_off_over_a_backlog() {
    let vault = Vault::new();
    for (keys, active) in [
        (&[][..], None),
        (&["k1"], Some("k1")),
        (&["k1"], None),
        (&["k1", "k2"], Some("k2")),
    ] {
        let channel = open(&vault.settings(keys, active));
        let start = channel.fill().events;
        put(&channel, events(start..start + 5, 0)).await;
    }
    let channel = open(&vault.settings(&["k1", "k2"], None));
    let numbers: Vec<u64> = drain(&channel).await.into_iter().map(|own| own.1).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_key_store_of_java_is_refused_with_the_remedy() {
    let vault = Vault::new();
    let settings = vault
        .settings(&["k1"], Some("k1"))
        .with("encryption.keyProvider", Value::Text("JCEKSFILE".into()));
    let fault = try_open(&settings).err().unwrap();
    assert!(fault.to_string().contains("keyProvider = FILE"), "{fault}");
    assert!(!vault.data().exists());
}

fn keyring(byte: u8) -> Keyring {
    let folder = folder();
    let file = folder.path().join("key");
    fs::write(&file, [byte; 32]).unwrap();
    Keyring::read([("k1".to_owned(), file)], Some("k1")).unwrap()
}

fn payload(count: u64, record: Option<Record>) -> Payload {
    Payload {
        events: events(0..count, 3),
        record,
        released_bytes: 70,
        forgotten: 5,
    }
}

#[test]
fn no_two_payloads_are_sealed_alike() {
    let (first, second) = (keyring(7), keyring(7));
    let payload = payload(3, Some(record(9, b"state")));
    let plain = payload.encode().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for keys in [&first, &second, &first, &second] {
        let sealed = keys.seal(plain.clone(), MAGIC).unwrap();
        // What stands behind the head: seal, batch and record.
        assert!(seen.insert(sealed[40..].to_vec()));
        // A later opening reads what an earlier one sealed.
        for reader in [&first, &second] {
            assert_eq!(Payload::decode_with(reader, &sealed, 3).unwrap(), payload);
        }
        assert!(matches!(
            Payload::decode_with(&keyring(8), &sealed, 3),
            Err(PayloadError::Unsealable(key)) if key == "k1"
        ));
        assert!(matches!(
            Payload::decode(&sealed, 3),
            Err(PayloadError::NoKey(key)) if key == "k1"
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_comes_back_and_no_bit_of_it_can_be_changed(
        count in 0_u64..20,
        bytes in prop::option::of(prop::collection::vec(any::<u8>(), 0..50)),
        place: prop::sample::Index,
        bit in 0_u32..8,
    ) {
        let keys = keyring(7);
        let payload = payload(count, bytes.map(|bytes| record(3, &bytes)));
        let sealed = keys.seal(payload.encode().unwrap(), MAGIC).unwrap();
        prop_assert_eq!(&Payload::decode_with(&keys, &sealed, count as u32).unwrap(), &payload);
        let mut changed = sealed.to_vec();
        let place = place.index(changed.len());
        changed[place] ^= 1 << bit;
        prop_assert!(Payload::decode_with(&keys, &changed.into(), count as u32).is_err());
    }

    #[test]
    fn any_bytes_are_a_payload_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        from_sealed: bool,
        cut: prop::sample::Index,
    ) {
        let keys = keyring(7);
        let mut real = payload(4, Some(record(3, b"x"))).encode().unwrap();
        if from_sealed {
            real = keys.seal(real, MAGIC).unwrap();
        }
        let mut mixed = real[..cut.index(real.len())].to_vec();
        mixed.extend(bytes);
        if let Ok(read) = Payload::decode_with(&keys, &mixed.into(), 4) {
            let again = read.encode().unwrap();
            prop_assert_eq!(Payload::decode(&again, 4).unwrap(), read);
        }
    }
}

#[test]
fn a_keyring_shows_no_key() {
    let shown = format!("{:?}", Arc::new(keyring(7)));
    assert_eq!(shown, r#"Keyring { keys: ["k1"], active: Some("k1") }"#);
}
