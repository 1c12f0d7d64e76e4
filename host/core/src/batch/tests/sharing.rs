//! What is shared and not copied, and what a scan of lines takes.

use std::sync::Arc;

use bytes::Bytes;

use super::model::{Model, event, name};
use crate::batch::bodies::{BodyColumn, kept_delimiter};
use crate::batch::rows::Rows;
use crate::batch::{EventBatch, Existing, LineScan, LineScanner, TextRun};
use crate::limits::BATCH_BODY_BYTES_MAX;

fn lines(text: &str) -> EventBatch {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let mut ends = Vec::new();
    LineScanner::new(b'\n').scan(&data, &mut ends, usize::MAX);
    EventBatch::from_delimited(data, b'\n', ends).expect("lines")
}

#[test]
fn slices_selections_and_headers_share_the_bodies() {
    let batch = lines("a\nbb\nccc\ndddd\n");
    let third = batch.body(2).expect("four lines").as_ptr();
    let host = name("host");
    let with_header = batch
        .with_constant_header(&host, &Arc::from("h1"), Existing::Replace)
        .expect("a header");
    let views = [
        batch.clone(),
        batch.slice(2..3),
        batch.select(&[2]).expect("a row"),
        batch.filter(|index, _| index >= 2),
        with_header.slice(2..4),
        with_header.without_headers(|_| true).slice(2..4),
    ];
    for view in views {
        assert!(view.bodies().any(|body| body.as_ptr() == third));
    }
    let value: Arc<str> = Arc::from("shared");
    let constant = batch
        .with_constant_header(&host, &value, Existing::Replace)
        .expect("a header");
    let view = constant.header("host").and_then(|view| view.constant());
    assert_eq!(view.map(str::as_ptr), Some(value.as_ptr()));
}

#[test]
fn decoded_bodies_share_the_encoded_bytes() {
    let mut bytes = Vec::new();
    lines("a\nbb\n").encode(&mut bytes).expect("an encoding");
    let bytes = Bytes::from(bytes);
    let batch = EventBatch::decode(&bytes).expect("a batch");
    let body = batch.body(0).expect("two lines").as_ptr();
    assert!(bytes.as_ptr_range().contains(&body));
}

#[test]
fn a_compacted_slice_lets_the_buffer_go_and_keeps_its_delimiters() {
    let data = Bytes::from(b"a\nbb\nccc\n".to_vec());
    let batch = EventBatch::from_delimited(data.clone(), b'\n', vec![1, 4, 8]).expect("lines");
    assert!(!data.is_unique());
    let compacted = batch.slice(1..3).compacted().expect("a copy");
    drop(batch);
    assert!(data.is_unique());
    let runs: Vec<TextRun> = compacted.text_runs(b'\n').collect();
    assert_eq!(runs, [TextRun::Delimited(b"bb\nccc\n")]);
}

#[test]
fn lines_come_back_as_one_run_and_selected_ones_as_few() {
    let batch = lines("0\n1\n2\n3\n4\n5\n");
    let runs = |batch: &EventBatch| -> Vec<Vec<u8>> {
        let runs = batch.text_runs(b'\n').map(|run| match run {
            TextRun::Delimited(run) => run.to_vec(),
            TextRun::Bare(body) => panic!("a line without its line feed: {body:?}"),
        });
        runs.collect()
    };
    assert_eq!(runs(&batch), [b"0\n1\n2\n3\n4\n5\n"]);
    assert_eq!(runs(&batch.slice(1..3)), [b"1\n2\n"]);
    let selected = batch.select(&[0, 1, 3, 5]).expect("rows");
    assert_eq!(runs(&selected), [b"0\n1\n".as_slice(), b"3\n", b"5\n"]);
    assert_eq!(runs(&selected.slice(1..3)), [b"1\n", b"3\n"]);
    assert!(runs(&batch.slice(2..2)).is_empty());
    let bare: Vec<TextRun> = batch.text_runs(b'\0').take(1).collect();
    assert_eq!(
        bare,
        [TextRun::Bare(b"0")],
        "another delimiter is not there"
    );
}

#[test]
fn lines_of_several_buffers_join_into_one_run() {
    let joined = EventBatch::concat(&[lines("a\n"), EventBatch::empty(), lines("b\nc\n")]);
    let joined = joined.expect("few lines");
    let runs: Vec<TextRun> = joined.text_runs(b'\n').collect();
    assert_eq!(runs, [TextRun::Delimited(b"a\nb\nc\n")]);
}

#[test]
fn delimiters_go_when_there_is_no_room_for_them() {
    let lines = BodyColumn::delimited(Bytes::from_static(b"a\n"), b'\n', vec![1]).expect("a line");
    let rows = Rows::all(1);
    let kept = |bytes, events| kept_delimiter(&[(&lines, &rows), (&lines, &rows)], bytes, events);
    assert_eq!(kept(BATCH_BODY_BYTES_MAX - 2, 2), Some(b'\n'));
    assert_eq!(kept(BATCH_BODY_BYTES_MAX - 1, 2), None);
}

#[test]
fn a_range_is_contiguous_even_without_rows_and_a_list_is_not() {
    let batch = lines("a\nbb\nccc\n");
    for at in 0..=3 {
        let none = batch.slice(at..at);
        let (stretch, places) = none.contiguous().expect("a range");
        assert_eq!((stretch.len(), places.count()), (0, 0));
    }
    let (stretch, places) = batch.contiguous().expect("a range");
    assert_eq!(stretch, b"a\nbb\nccc", "up to the end of the last body");
    assert_eq!(places.collect::<Vec<_>>(), [0..1, 2..4, 5..8]);
    let list = batch.select(&[0, 2]).expect("rows");
    assert!(list.contiguous().is_none());
    assert!(
        list.slice(1..2).contiguous().is_some(),
        "one row of a list is a range"
    );
}

#[test]
fn a_constant_of_many_rows_is_compacted_and_encoded_as_a_constant() {
    // Written out per row this value would be far more bytes than one header may have.
    let rows = crate::limits::BATCH_EVENTS_MAX;
    let value: Arc<str> = Arc::from("x".repeat(1024));
    let batch = EventBatch::from_columns(Bytes::new(), vec![0; rows])
        .and_then(|batch| batch.with_constant_header(&name("x"), &value, Existing::Replace))
        .expect("a batch at the limit");
    let odd = batch.filter(|index, _| index % 2 == 1);
    let compacted = odd.compacted().expect("a copy");
    assert_eq!(
        compacted.header("x").and_then(|x| x.constant()),
        Some(&*value)
    );
    let mut bytes = Vec::new();
    odd.encode(&mut bytes).expect("an encoding");
    let decoded = EventBatch::decode(&Bytes::from(bytes)).expect("a batch");
    assert_eq!(decoded.len(), rows / 2);
    assert_eq!(
        decoded.header("x").and_then(|x| x.constant()),
        Some(&*value)
    );
}

#[test]
fn a_scan_takes_whole_lines_up_to_its_bound() {
    let scanner = LineScanner::new(b'\n');
    let mut ends = vec![7];
    let scan = scanner.scan(b"one\n\nthree\nfo", &mut ends, 3);
    assert_eq!((scan.rest, scan.longest), (5, 3));
    assert_eq!(ends, [7, 3, 4], "appended, up to three in all");
    let scan = scanner.scan(b"more\n", &mut ends, 3);
    assert_eq!(
        scan,
        LineScan {
            rest: 0,
            longest: 0
        },
        "no room, nothing taken"
    );
    assert_eq!(ends.len(), 3);
}

#[test]
fn a_header_that_all_events_share_becomes_a_constant() {
    let model = Model {
        events: vec![
            event("a", &[("h", "same"), ("x", "1")]),
            event("b", &[("h", "same"), ("x", "2")]),
        ],
    };
    let batch = model.batch();
    let constant = |name| batch.header(name).and_then(|view| view.constant());
    assert_eq!(constant("h"), Some("same"));
    assert_eq!(constant("x"), None);
}

#[test]
fn layout_is_no_difference_and_contents_are() {
    let (a, b) = (event("a", &[("h", "1")]), event("b", &[]));
    let batch = Model {
        events: vec![a.clone(), b.clone()],
    }
    .batch();
    let set = batch
        .with_header(&name("blank"), [None, None], Existing::Replace)
        .expect("two rows");
    assert_eq!(batch, set, "a column without values is no header");
    for other in [
        vec![a.clone()],
        vec![b.clone(), a.clone()],
        vec![a.clone(), a],
    ] {
        assert_ne!(batch, Model { events: other }.batch());
    }
    let debug = format!("{batch:?}");
    assert!(
        debug.contains("events: 2") && debug.contains("[\"h\"]"),
        "{debug}"
    );
}
