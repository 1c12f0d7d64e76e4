//! A channel that is looked at, and what is whole of it copied.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flumen_core::channel::Channel;
use flumen_core::settings::Value;
use tempfile::TempDir;

use super::{LONG, at_most, drain, events, folder, open, put, put_with, record, settings};
use crate::file::LOG_FOLDER;
use crate::file::image::{ChannelImage, ImageError, Stored};
use crate::file::payload::Keyring;
use crate::file::salvage::{SalvageError, salvage};

/// Forty events in four puts: the first ten acknowledged, and every other one of the next ten.
async fn filled() -> TempDir {
    let folder = folder();
    let channel = open(&settings(folder.path()));
    for start in [0, 10, 20, 30] {
        put(&channel, events(start..start + 10, 5)).await;
    }
    let kept = record(7, b"cursor");
    put_with(&channel, events(40..41, 5), Some(kept))
        .await
        .unwrap();
    let first = channel.take(at_most(10), LONG).await.unwrap();
    first.ack().await.unwrap();
    let second = channel.take(at_most(10), LONG).await.unwrap();
    let kept = (0..10).filter(|index| index % 2 == 1).collect();
    second.ack_except(kept).await.unwrap();
    channel.release().await.unwrap();
    folder
}

/// The sequences that wait.
fn expected() -> Vec<u64> {
    (10..41).filter(|own| *own >= 20 || own % 2 == 1).collect()
}

/// What waits by the image: sequence and number of each event, and the lost sequences.
fn read(image: &ChannelImage) -> (Vec<(u64, u64)>, Vec<std::ops::Range<u64>>) {
    let (mut all, mut lost) = (Vec::new(), Vec::new());
    let mut stored = image.stored(image.first_stored());
    while let Some(found) = stored.next_stored().unwrap() {
        match found {
            Stored::Events {
                first_sequence,
                events,
            } => {
                for row in image.waiting(first_sequence, &events) {
                    let body = events.body(row as usize).unwrap();
                    let number = std::str::from_utf8(&body[..8]).unwrap().parse().unwrap();
                    all.push((first_sequence + u64::from(row), number));
                }
            }
            Stored::Lost { sequences, .. } => lost.push(sequences),
            Stored::Unreadable { why, .. } => panic!("{why}"),
        }
    }
    (all, lost)
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder.join(LOG_FOLDER)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[tokio::test]
async fn an_image_tells_what_waits_and_changes_nothing() {
    let folder = filled().await;
    let before = contents(folder.path());
    for place in [folder.path().to_owned(), folder.path().join(LOG_FOLDER)] {
        let image = ChannelImage::open(&place, Keyring::default()).unwrap();
        assert_eq!(image.first_waiting(), 11);
        assert_eq!(image.next_sequence(), 41);
        assert_eq!(image.recovery().pending_items, 26);
        assert_eq!(image.waiting_bytes(), 26 * 13);
        assert_eq!(image.record_count(), 1);
        let (all, lost) = read(&image);
        let wanted: Vec<_> = expected().into_iter().map(|own| (own, own)).collect();
        assert_eq!((all, lost), (wanted, Vec::new()));
    }
    assert!(before == contents(folder.path()), "nothing was changed");
}

#[tokio::test]
async fn an_image_and_an_agent_keep_each_other_away() {
    let folder = filled().await;
    let settings = settings(folder.path());
    let channel = open(&settings);
    let error = ChannelImage::open(folder.path(), Keyring::default())
        .err()
        .unwrap();
    assert!(matches!(error, ImageError::InUse(_)), "{error}");
    drop(channel);
    let image = ChannelImage::open(folder.path(), Keyring::default()).unwrap();
    let second = ChannelImage::open(folder.path(), Keyring::default());
    assert!(second.is_ok(), "two may look at once");
    let refused = super::try_open(&settings).err().unwrap();
    assert!(refused.to_string().contains("in use"), "{refused}");
    drop((image, second));
    assert!(super::try_open(&settings).is_ok());
}

#[test]
fn a_folder_without_a_channel_is_refused_by_name() {
    let folder = folder();
    for place in [folder.path().to_owned(), folder.path().join("none")] {
        let error = ChannelImage::open(&place, Keyring::default())
            .err()
            .unwrap();
        assert!(matches!(error, ImageError::None(_)), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Damages the frame that holds the body of this number.
fn damage(folder: &Path, number: u64) {
    let wanted = format!("{number:08}.....");
    for (path, mut bytes) in contents(folder) {
        let found = bytes
            .windows(wanted.len())
            .position(|own| own == wanted.as_bytes());
        if let Some(place) = found {
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("{number} is in no file");
}

#[tokio::test]
async fn what_is_whole_is_copied_with_the_records_and_the_channel_stays_as_it_was() {
    let folder = filled().await;
    damage(folder.path(), 25);
    let before = contents(folder.path());
    let image = ChannelImage::open(folder.path(), Keyring::default()).unwrap();
    let (_, lost) = read(&image);
    assert_eq!(lost, vec![20..30]);
    let copy = super::folder();
    let done = salvage(&image, copy.path()).unwrap();
    assert_eq!((done.events, done.records), (16, 1));
    assert_eq!((done.lost_frames, done.lost_events), (1, 10));
    assert!(before == contents(folder.path()));
    let again = salvage(&image, copy.path()).unwrap_err();
    assert!(matches!(again, SalvageError::Exists(_)), "{again}");

    let channel = open(&settings(copy.path()));
    assert_eq!(channel.fill().bytes, 16 * 13);
    assert_eq!(channel.recovered(), (0, vec![record(7, b"cursor")]));
    let numbers: Vec<u64> = drain(&channel).await.into_iter().map(|own| own.1).collect();
    let wanted: Vec<u64> = expected()
        .into_iter()
        .filter(|own| !(20..30).contains(own))
        .collect();
    assert_eq!(numbers, wanted);
}

#[tokio::test]
async fn a_sealed_channel_is_looked_at_and_copied_with_its_keys_only() {
    let folder = folder();
    let key = folder.path().join("k1.key");
    fs::write(&key, [7; 32]).unwrap();
    let keyring = || Keyring::read([("k1".to_owned(), key.clone())], Some("k1")).unwrap();
    let sealed = |data: &Path| {
        let text = |text: &str| Value::Text(text.to_owned());
        settings(data)
            .with(
                "encryption.keyProvider.keys",
                Value::List(vec!["k1".to_owned()]),
            )
            .with(
                "encryption.keyProvider.keys.k1.file",
                text(key.to_str().unwrap()),
            )
            .with("encryption.activeKey", text("k1"))
    };
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let channel = open(&sealed(&data));
    put(&channel, events(0..5, 3)).await;
    put_with(&channel, events(5..7, 3), Some(record(3, b"cursor")))
        .await
        .unwrap();
    channel.release().await.unwrap();
    drop(channel);

    let blind = ChannelImage::open(&data, Keyring::default());
    let told = match blind {
        Err(error) => error.to_string(),
        Ok(image) => image.problem().unwrap().to_string(),
    };
    assert!(told.contains("encrypted") || told.contains("k1"), "{told}");

    let image = ChannelImage::open(&data, keyring()).unwrap();
    let wanted: Vec<_> = (0..7).map(|own| (own, own)).collect();
    assert_eq!(read(&image), (wanted.clone(), Vec::new()));
    let done = salvage(&image, &copy).unwrap();
    assert_eq!((done.events, done.records), (7, 1));
    drop(image);
    for bytes in contents(&copy).values() {
        assert!(
            !bytes.windows(8).any(|own| own == b"00000003"),
            "the copy is sealed"
        );
    }
    let channel = open(&sealed(&copy));
    assert_eq!(drain(&channel).await, wanted);
}
