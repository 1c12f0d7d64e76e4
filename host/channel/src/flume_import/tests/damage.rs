//! What is damaged is told, and nothing else is lost.

use std::fs;
use std::path::Path;

use super::writer::{self, Does};
use super::{MADE_BY_FLUME, copy_of, expected, folders, imported};
use crate::flume_import::CheckpointUse;

fn put(transaction: u64, order: u64, body: &str) -> Vec<u8> {
    let put = Does::Put {
        headers: vec![("h".to_owned(), "v".to_owned())],
        body: body.as_bytes().to_vec(),
    };
    writer::record(transaction, order, &put)
}

/// A log of transactions with one event each.
fn log_of(bodies: &[&str]) -> Vec<u8> {
    let mut log = Vec::new();
    for (number, body) in (1..).zip(bodies) {
        log.extend(put(number, number * 2, body));
        log.extend(writer::record(number, number * 2 + 1, &Does::CommitPuts));
    }
    log
}

fn imported_log(log: &[u8]) -> (super::Survey, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log-1"), log).unwrap();
    fs::write(folder.path().join("log-1.meta"), writer::meta(1, None)).unwrap();
    imported(&[folder.path().to_owned()])
}

#[test]
fn a_wrong_checksum_is_told_with_its_place_and_the_rest_is_imported() {
    let mut log = log_of(&["one", "two", "three"]);
    let place = log.windows(3).position(|bytes| bytes == b"two").unwrap();
    log[place] ^= 1;
    let (survey, lines) = imported_log(&log);
    assert_eq!(lines, ["{h=v} one", "{h=v} three"]);
    assert_eq!(survey.damaged_places, 1);
    let damage = &survey.damage[0];
    assert!(damage.path.ends_with("log-1"));
    assert_eq!(damage.why, "the checksum of the body is wrong");
    assert!((damage.offset..damage.offset + damage.bytes).contains(&(place as u64)));
}

#[test]
fn a_wrong_length_hides_no_record_behind_it() {
    let log = log_of(&["one", "two", "three"]);
    let second = put(1, 2, "one").len() + writer::record(1, 3, &Does::CommitPuts).len();
    for (byte, value) in [
        (1, 0x7f),
        (1, 0x01),
        (4, 0x00),
        (4, 0xff),
        (0, 0x80),
        (0, 0x11),
    ] {
        let mut log = log.clone();
        log[second + byte] = value;
        let (survey, lines) = imported_log(&log);
        assert_eq!(lines, ["{h=v} one", "{h=v} three"], "{byte} {value}");
        assert_eq!(survey.damage[0].offset, second as u64);
    }
}

#[test]
fn events_whose_commit_is_damaged_are_imported_and_counted() {
    let mut log = log_of(&["one"]);
    let commit = writer::record(1, 3, &Does::CommitPuts).len();
    let place = log.len() - commit + 6;
    log[place] ^= 0xff;
    log.extend(put(9, 20, "never committed"));
    let (survey, lines) = imported_log(&log);
    assert_eq!(lines, ["{h=v} one"]);
    assert_eq!((survey.doubtful_events, survey.uncommitted_events), (1, 1));
}

#[test]
fn the_number_of_a_transaction_that_is_damaged_in_its_commit_loses_nothing() {
    let mut log = log_of(&["one", "two"]);
    let commit = writer::record(1, 3, &Does::CommitPuts).len();
    let place = log.len() - commit + 12;
    log[place] ^= 0x10;
    let (survey, lines) = imported_log(&log);
    assert_eq!(lines, ["{h=v} one", "{h=v} two"]);
    assert_eq!((survey.doubtful_events, survey.damaged_places), (1, 0));
}

#[test]
fn what_a_crash_left_half_written_is_not_told_as_damage() {
    let whole = log_of(&["one", "two"]);
    let more = put(7, 30, "three");
    for end in 0..more.len() {
        for filling in [&[0x80; 64][..], &[0; 64], &[]] {
            let log = [&whole, &more[..end], filling].concat();
            let (survey, lines) = imported_log(&log);
            assert_eq!(lines[..2], ["{h=v} one", "{h=v} two"]);
            assert_eq!(survey.damaged_places, 0, "{end} {survey:?}");
            // The put ends with zeros itself, so that zeros may complete it; then its commit may be
            // among what is missing.
            assert_eq!(lines.len() as u64 - 2, survey.doubtful_events, "{end}");
            assert!(survey.doubtful_events == 0 || filling == [0; 64], "{end}");
        }
    }
}

#[test]
fn a_record_that_the_integrity_tool_removed_stays_removed() {
    let mut log = log_of(&["one", "two", "three"]);
    let second = put(1, 2, "one").len() + writer::record(1, 3, &Does::CommitPuts).len();
    log[second] = 0;
    let (survey, lines) = imported_log(&log);
    assert_eq!(lines, ["{h=v} one", "{h=v} three"]);
    assert_eq!((survey.removed_records, survey.damaged_places), (1, 0));
}

#[test]
fn a_header_without_a_value_is_empty_and_the_last_of_two_wins() {
    let headers = vec![
        ("a".to_owned(), "1".to_owned()),
        ("a".to_owned(), "2".to_owned()),
        (String::new(), "no name".to_owned()),
    ];
    let body = b"x".to_vec();
    let mut log = writer::record(1, 2, &Does::Put { headers, body });
    log.extend(writer::record(1, 3, &Does::CommitPuts));
    let (_, lines) = imported_log(&log);
    assert_eq!(lines, ["{a=2} x"]);
}

/// The numbers of transactions and places in the order have no checksum; nothing can tell a wrong one
/// from a right one. All other bytes of the log are flipped, one by one.
#[test]
fn any_flipped_byte_loses_at_most_the_event_that_it_hits() {
    let folder = copy_of("killed");
    let log = folder.path().join("data1/log-1");
    let whole = fs::read(&log).unwrap();
    let truth = expected(folder.path(), "expected");
    let records = records_of(&whole);
    for (from, to) in records {
        for place in (from..to).filter(|place| !(from + 11..from + 29).contains(place)) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x41;
            fs::write(&log, &bytes).unwrap();
            let (_, lines) = imported(&folders(folder.path(), false));
            let lost = truth.iter().filter(|line| !lines.contains(line)).count();
            assert!(lost <= 1, "byte {place}: {lines:?}");
        }
    }
}

/// Where the records of a whole log begin and end.
pub(super) fn records_of(log: &[u8]) -> Vec<(usize, usize)> {
    let mut records = Vec::new();
    let mut place = 0;
    while log[place] == 0x7f {
        let length = u32::from_be_bytes(log[place + 1..place + 5].try_into().unwrap());
        records.push((place, place + 5 + length as usize));
        place += 5 + length as usize;
    }
    records
}

#[test]
fn a_checkpoint_that_does_not_fit_is_left_out_and_told() {
    let truth = expected(&Path::new(MADE_BY_FLUME).join("stopped"), "expected");
    let slot = 1029 * 8;
    // Version, write order, marker, and the pointers of the ring.
    for place in [7, 15, 39].into_iter().chain(slot..slot + 40 * 8) {
        let folder = copy_of("stopped");
        let path = folder.path().join("checkpoint/checkpoint");
        let mut bytes = fs::read(&path).unwrap();
        bytes[place] ^= 0x01;
        let is_unused = place >= slot && (place - slot) / 8 >= 40;
        fs::write(&path, &bytes).unwrap();
        let flume = crate::flume_import::FlumeChannel::open(&[folder.path().to_owned()]).unwrap();
        match flume.survey() {
            // A pointer into another file.
            Err(error) => assert!(
                error.to_string().contains("leave the checkpoint"),
                "{error}"
            ),
            Ok(survey) => {
                let is_used = matches!(survey.checkpoint, CheckpointUse::Used(_));
                assert!(
                    is_unused || !is_used || survey.events() == truth.len() as u64,
                    "{place}"
                );
                assert_eq!(survey.events(), truth.len() as u64, "{place}");
            }
        }
    }
}
