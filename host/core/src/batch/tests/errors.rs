//! Every way in which a batch is refused, and that what was refused left everything as it was.

use std::sync::Arc;

use bytes::Bytes;

use super::model::name;
use crate::batch::{BatchBuilder, BatchError, Edits, EventBatch, Existing, HeaderEdit, HeaderName};
use crate::limits::{
    BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_HEADERS_MAX, HEADER_NAME_BYTES_MAX,
    HEADER_VALUE_BYTES_MAX,
};

fn three() -> EventBatch {
    EventBatch::from_columns(Bytes::from_static(b"abc"), vec![1, 2, 3]).expect("three bodies")
}

#[test]
fn ends_must_fit_the_data() {
    let columns = |ends: &[u32]| {
        EventBatch::from_columns(Bytes::from_static(b"abcd"), ends.to_vec()).map(|b| b.len())
    };
    assert_eq!(columns(&[1, 1, 4]), Ok(3));
    assert_eq!(columns(&[2, 1, 4]), Err(BatchError::Ends { row: 1 }));
    assert_eq!(columns(&[1, 3]), Err(BatchError::Ends { row: 1 }));
    assert_eq!(columns(&[1, 5]), Err(BatchError::Ends { row: 1 }));
    assert_eq!(columns(&[]), Err(BatchError::Ends { row: 0 }));
    assert_eq!(columns(&[u32::MAX, 4]), Err(BatchError::Ends { row: 1 }));
}

#[test]
fn delimiters_must_stand_behind_the_bodies() {
    let lines = |ends: &[u32]| {
        EventBatch::from_delimited(Bytes::from_static(b"a\nb\nc"), b'\n', ends.to_vec())
            .map(|b| b.len())
    };
    assert_eq!(lines(&[1, 3]), Ok(2));
    assert_eq!(lines(&[3]), Ok(1), "a body may contain the delimiter");
    assert_eq!(lines(&[]), Ok(0));
    assert_eq!(lines(&[1, 2]), Err(BatchError::Delimiter { row: 1 }));
    assert_eq!(lines(&[1, 5]), Err(BatchError::Delimiter { row: 1 }));
    assert_eq!(lines(&[u32::MAX]), Err(BatchError::Delimiter { row: 0 }));
    assert_eq!(lines(&[3, 1]), Err(BatchError::Ends { row: 1 }));
    assert_eq!(lines(&[1, 1]), Err(BatchError::Ends { row: 1 }));
}

#[test]
fn too_many_events() {
    let ends = vec![0; BATCH_EVENTS_MAX + 1];
    let refused = EventBatch::from_columns(Bytes::new(), ends);
    assert_eq!(refused, Err(BatchError::TooManyEvents));
    let full = EventBatch::from_columns(Bytes::new(), vec![0; BATCH_EVENTS_MAX]).expect("at it");
    let mut builder = BatchBuilder::new();
    builder.append(&full).expect("at the limit");
    assert_eq!(builder.push(b""), Err(BatchError::TooManyEvents));
    assert_eq!(builder.append(&three()), Err(BatchError::TooManyEvents));
    assert_eq!(builder.len(), BATCH_EVENTS_MAX);
    let refused = EventBatch::concat(&[full, three()]);
    assert_eq!(refused, Err(BatchError::TooManyEvents));
}

#[test]
fn too_many_bytes_of_bodies() {
    // Zeroed pages that nothing touches cost no memory.
    let data = Bytes::from(vec![0; BATCH_BODY_BYTES_MAX + 1]);
    let len = data.len() as u32;
    let columns = EventBatch::from_columns(data.clone(), vec![len]);
    assert_eq!(columns, Err(BatchError::TooManyBodyBytes));
    let delimited = EventBatch::from_delimited(data.clone(), 0, vec![len - 1]);
    assert_eq!(delimited, Err(BatchError::TooManyBodyBytes));
    let mut builder = BatchBuilder::new();
    assert_eq!(builder.push(&data), Err(BatchError::TooManyBodyBytes));
    assert!(builder.is_empty());
    let bodies = [b"".as_slice(), &data, b""];
    assert_eq!(
        three().with_bodies(bodies),
        Err(BatchError::TooManyBodyBytes)
    );
    let almost = EventBatch::from_columns(data.slice(2..), vec![len - 2]).expect("below it");
    assert_eq!(builder.append(&three()), Ok(()));
    assert_eq!(builder.append(&almost), Err(BatchError::TooManyBodyBytes));
    assert_eq!(builder.len(), 3);
    let refused = EventBatch::concat(&[almost, three()]);
    assert_eq!(refused, Err(BatchError::TooManyBodyBytes));
}

#[test]
fn too_many_headers() {
    let mut batch = three();
    let value: Arc<str> = Arc::from("v");
    for index in 0..BATCH_HEADERS_MAX {
        batch = batch
            .with_constant_header(&name(&format!("h{index}")), &value, Existing::Keep)
            .expect("within the limit");
    }
    let one_more = batch.with_constant_header(&name("more"), &value, Existing::Keep);
    assert_eq!(one_more, Err(BatchError::TooManyHeaders));
    let again = batch.with_constant_header(&name("h0"), &value, Existing::Replace);
    assert_eq!(
        again,
        Ok(batch.clone()),
        "a name that is there is not one more"
    );

    let other = three()
        .with_constant_header(&name("more"), &value, Existing::Keep)
        .expect("one header");
    let mut builder = BatchBuilder::new();
    builder.append(&batch).expect("within the limit");
    let refused = builder.set_header(&name("more"), "v");
    assert_eq!(refused, Err(BatchError::TooManyHeaders));
    assert_eq!(builder.append(&other), Err(BatchError::TooManyHeaders));
    assert_eq!(builder.len(), 3);
    let refused = EventBatch::concat(&[batch, other]);
    assert_eq!(refused, Err(BatchError::TooManyHeaders));

    let names = vec![name("x"); BATCH_HEADERS_MAX + 1];
    let edits = Edits {
        remove_headers: names,
        ..Edits::default()
    };
    assert_eq!(three().edited(&edits), Err(BatchError::TooManyHeaders));
}

#[test]
fn too_many_bytes_of_header_values() {
    let long: Arc<str> = Arc::from("x".repeat(HEADER_VALUE_BYTES_MAX / 2 + 1));
    let h = name("h");
    let per_row = [Some(&*long), None, Some(&*long)];
    let refused = three().with_header(&h, per_row, Existing::Replace);
    assert_eq!(refused, Err(BatchError::TooManyHeaderBytes));

    let mut builder = BatchBuilder::new();
    builder.push(b"1").expect("an event");
    builder.set_header(&h, &long).expect("half of the limit");
    builder.push(b"2").expect("an event");
    let refused = builder.set_header(&h, &long);
    assert_eq!(refused, Err(BatchError::TooManyHeaderBytes));
    let one = three()
        .slice(0..1)
        .with_constant_header(&h, &long, Existing::Keep)
        .expect("half of the limit");
    assert_eq!(builder.append(&one), Err(BatchError::TooManyHeaderBytes));
    let two = builder
        .finish()
        .expect("the refused header is just not there");
    assert_eq!(two.headers_of(0).count(), 1);
    assert_eq!(two.headers_of(1).count(), 0);
    let refused = EventBatch::concat(&[two, one]);
    assert_eq!(refused, Err(BatchError::TooManyHeaderBytes));

    let longer: Arc<str> = Arc::from("x".repeat(HEADER_VALUE_BYTES_MAX + 1));
    let refused = three().with_constant_header(&h, &longer, Existing::Keep);
    assert_eq!(refused, Err(BatchError::TooManyHeaderBytes));
}

#[test]
fn header_names_are_not_empty_and_not_long() {
    assert_eq!(HeaderName::new(""), Err(BatchError::HeaderName));
    let long = "n".repeat(HEADER_NAME_BYTES_MAX + 1);
    assert_eq!(HeaderName::new(long.as_str()), Err(BatchError::HeaderName));
    let at_the_limit = &long[1..];
    let name = HeaderName::new(at_the_limit).expect("at the limit");
    assert_eq!(name.as_str(), at_the_limit);
}

#[test]
fn rows_increase_and_exist() {
    let batch = three();
    assert_eq!(batch.select(&[1, 1]), Err(BatchError::RowOrder));
    assert_eq!(batch.select(&[2, 1]), Err(BatchError::RowOrder));
    assert_eq!(batch.select(&[0, 3]), Err(BatchError::RowRange));
    assert_eq!(batch.slice(1..3).select(&[2]), Err(BatchError::RowRange));
    assert_eq!(batch.select(&[]).map(|none| none.len()), Ok(0));
    let reversed = std::ops::Range { start: 3, end: 1 };
    assert!(batch.slice(reversed).is_empty());
    assert_eq!(batch.slice(0..usize::MAX), batch);
    let mut builder = BatchBuilder::new();
    let refused = builder.set_header(&name("h"), "v");
    assert_eq!(refused, Err(BatchError::RowRange), "no event yet");
}

#[test]
fn one_value_per_event() {
    let batch = three();
    let h = name("h");
    for existing in [Existing::Keep, Existing::Replace] {
        for set in [
            batch.clone(),
            batch
                .with_constant_header(&h, &"v".into(), existing)
                .expect("set"),
        ] {
            for count in [2, 4] {
                let values = vec![Some("v"); count];
                let refused = set.with_header(&h, values, existing);
                assert_eq!(refused, Err(BatchError::RowCount));
            }
        }
    }
    for count in [2, 4] {
        let bodies = vec![b"b".as_slice(); count];
        assert_eq!(batch.with_bodies(bodies), Err(BatchError::RowCount));
    }
}

#[test]
fn one_value_of_a_header_per_event() {
    let mut builder = BatchBuilder::new();
    builder.push(b"1").expect("an event");
    builder.set_header(&name("h"), "first").expect("a header");
    let refused = builder.set_header(&name("h"), "second");
    assert_eq!(refused, Err(BatchError::DuplicateHeader));
    let batch = builder.finish().expect("one event");
    assert!(batch.headers_of(0).eq([("h", "first")]));
}

#[test]
fn edits_are_checked_as_a_whole() {
    let header = |rows: Option<Vec<u32>>, values: usize| HeaderEdit {
        name: name("h"),
        rows,
        values: vec!["v".to_owned(); values],
    };
    let headers = |edit: HeaderEdit| Edits {
        set_headers: vec![edit],
        ..Edits::default()
    };
    let bodies = |rows: Vec<u32>, count: usize| Edits {
        bodies: Some((rows, vec![b"b".to_vec(); count])),
        ..Edits::default()
    };
    let twice = Edits {
        set_all: vec![(name("h"), "v".into())],
        ..headers(header(None, 3))
    };
    let dropped = |rows: Vec<u32>| Edits {
        dropped: rows,
        ..Edits::default()
    };
    let refusals = [
        (headers(header(None, 2)), BatchError::RowCount),
        (headers(header(Some(vec![0, 1]), 3)), BatchError::RowCount),
        (headers(header(Some(vec![1, 0]), 2)), BatchError::RowOrder),
        (headers(header(Some(vec![3]), 1)), BatchError::RowRange),
        (twice, BatchError::DuplicateHeader),
        (bodies(vec![0], 2), BatchError::RowCount),
        (bodies(vec![0, 0], 2), BatchError::RowOrder),
        (bodies(vec![3], 1), BatchError::RowRange),
        (dropped(vec![1, 1]), BatchError::RowOrder),
        (dropped(vec![3]), BatchError::RowRange),
    ];
    for (edits, error) in refusals {
        assert!(!edits.is_empty());
        assert_eq!(three().edited(&edits), Err(error), "{edits:?}");
    }
    assert!(Edits::default().is_empty());
    assert_eq!(three().edited(&Edits::default()), Ok(three()));
}

#[test]
fn every_error_says_what_is_wrong_in_one_clause() {
    let errors = [
        BatchError::TooManyEvents,
        BatchError::TooManyBodyBytes,
        BatchError::TooManyHeaders,
        BatchError::TooManyHeaderBytes,
        BatchError::HeaderName,
        BatchError::HeaderUtf8 { row: 7 },
        BatchError::Presence { row: 7 },
        BatchError::Ends { row: 7 },
        BatchError::Delimiter { row: 7 },
        BatchError::RowOrder,
        BatchError::RowRange,
        BatchError::RowCount,
        BatchError::DuplicateHeader,
    ];
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for (error, text) in errors.iter().zip(&texts) {
        assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
        assert_eq!(
            format!("{error:?}").contains("row: 7"),
            text.contains("row 7")
        );
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), errors.len(), "no two errors read the same");
}
