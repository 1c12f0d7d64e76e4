//! Random programs over batches, each step done to the batch and to the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::model::{Event, Model, name};
use crate::batch::{Edits, EventBatch, Existing, HeaderEdit, LineScanner};
use crate::conformance::batch::check_decode;

/// Rows of one built batch: enough for three words of presence bits.
const ROWS_MAX: usize = 140;

const NAMES: [&str; 4] = ["host", "timestamp", "größe", "x"];

#[derive(Clone, Debug)]
enum Build {
    Builder(Vec<Event>),
    Columns(Vec<Vec<u8>>),
    /// Bodies without the delimiter in them, and the beginning of one more.
    Delimited(Vec<Vec<u8>>, u8, Vec<u8>),
}

/// One step. Masks and values are repeated to the length of the batch.
#[derive(Clone, Debug)]
enum Step {
    Slice(usize, usize),
    Select(Vec<bool>),
    Filter(Vec<bool>),
    Constant(usize, String, Existing),
    PerRow(usize, Vec<Option<String>>, Existing),
    RemoveHeader(usize),
    Bodies(Vec<Vec<u8>>),
    Edit(EditPlan),
    Concat(Vec<Build>, usize),
    Compact,
    Recode,
}

#[derive(Clone, Debug)]
struct EditPlan {
    set_all: Option<String>,
    set_every: Option<Vec<String>>,
    set_some: Option<(Vec<bool>, String)>,
    remove: Option<usize>,
    bodies: Option<(Vec<bool>, Vec<u8>)>,
    dropped: Vec<bool>,
}

fn body() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        Just(Vec::new()),
        vec(any::<u8>(), 0..12),
        vec(prop_oneof![Just(b'\n'), Just(b';'), Just(b'a')], 0..4),
    ]
}

fn value() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        Just(String::new()),
        Just("same".to_owned()),
        "[a-z]{1,8}",
        "\\PC{0,4}"
    ]
}

fn headers() -> impl Strategy<Value = BTreeMap<String, String>> + Clone {
    vec(proptest::option::of(value()), NAMES.len()).prop_map(|values| {
        let pairs = NAMES.iter().zip(values);
        pairs
            .filter_map(|(name, value)| Some((name.to_string(), value?)))
            .collect()
    })
}

/// Mostly a few rows, so that many programs fit the time; some with several words of presence.
fn rows<T: Strategy + Clone>(row: T) -> impl Strategy<Value = Vec<T::Value>> {
    prop_oneof![3 => vec(row.clone(), 0..9), 1 => vec(row, 0..ROWS_MAX)]
}

fn build() -> impl Strategy<Value = Build> {
    let bodies = || rows(body());
    let delimiter = prop_oneof![Just(b'\n'), Just(b';'), Just(0)];
    prop_oneof![
        rows((headers(), body())).prop_map(Build::Builder),
        bodies().prop_map(Build::Columns),
        (bodies(), delimiter, body()).prop_map(|(mut bodies, delimiter, mut rest)| {
            bodies.push(Vec::new());
            for body in bodies.iter_mut().chain([&mut rest]) {
                body.retain(|byte| *byte != delimiter);
            }
            Build::Delimited(bodies, delimiter, rest)
        }),
    ]
}

fn existing() -> impl Strategy<Value = Existing> {
    prop_oneof![Just(Existing::Keep), Just(Existing::Replace)]
}

fn step() -> impl Strategy<Value = Step> {
    let mask = || vec(any::<bool>(), 1..9);
    let name = || 0..NAMES.len();
    prop_oneof![
        (border(), border()).prop_map(|(from, to)| Step::Slice(from, to)),
        mask().prop_map(Step::Select),
        mask().prop_map(Step::Filter),
        (name(), value(), existing()).prop_map(|(n, v, e)| Step::Constant(n, v, e)),
        (name(), vec(proptest::option::of(value()), 1..9), existing())
            .prop_map(|(n, v, e)| Step::PerRow(n, v, e)),
        name().prop_map(Step::RemoveHeader),
        vec(body(), 1..9).prop_map(Step::Bodies),
        edit().prop_map(Step::Edit),
        (vec(build(), 1..3), 0..3usize).prop_map(|(b, at)| Step::Concat(b, at)),
        Just(Step::Compact),
        Just(Step::Recode),
    ]
}

fn border() -> impl Strategy<Value = usize> {
    prop_oneof![0..9usize, 0..ROWS_MAX]
}

fn edit() -> impl Strategy<Value = EditPlan> {
    use proptest::option::of;
    let mask = || vec(any::<bool>(), 1..9);
    (
        of(value()),
        of(vec(value(), 1..9)),
        of((mask(), value())),
        of(0..NAMES.len()),
        of((mask(), body())),
        mask(),
    )
        .prop_map(
            |(set_all, set_every, set_some, remove, bodies, dropped)| EditPlan {
                set_all,
                set_every,
                set_some,
                remove,
                bodies,
                dropped,
            },
        )
}

impl Build {
    fn model(&self) -> Model {
        let plain = |bodies: &[Vec<u8>]| {
            let events = bodies.iter().map(|body| (BTreeMap::new(), body.clone()));
            Model {
                events: events.collect(),
            }
        };
        match self {
            Build::Builder(events) => Model {
                events: events.clone(),
            },
            Build::Columns(bodies) | Build::Delimited(bodies, ..) => plain(bodies),
        }
    }

    fn batch(&self) -> EventBatch {
        match self {
            Build::Builder(_) => self.model().batch(),
            Build::Columns(bodies) => {
                let mut data = Vec::new();
                let ends = bodies.iter().map(|body| {
                    data.extend_from_slice(body);
                    data.len() as u32
                });
                let ends = ends.collect();
                EventBatch::from_columns(data.into(), ends).expect("valid columns")
            }
            Build::Delimited(bodies, delimiter, rest) => {
                let mut data = bodies.join(delimiter);
                data.push(*delimiter);
                let lines = data.len();
                data.extend_from_slice(rest);
                let mut ends = Vec::new();
                let scan = LineScanner::new(*delimiter).scan(&data, &mut ends, usize::MAX);
                assert_eq!(scan.rest, lines, "the rest is what follows the last line");
                assert_eq!(Some(scan.longest), bodies.iter().map(Vec::len).max());
                EventBatch::from_delimited(data.into(), *delimiter, ends).expect("valid lines")
            }
        }
    }
}

/// The items of a pattern, repeated to `len`.
fn cycled<T: Clone>(pattern: &[T], len: usize) -> Vec<T> {
    pattern.iter().cloned().cycle().take(len).collect()
}

/// The indices below `len` at which a repeated mask is set.
fn indices(mask: &[bool], len: usize) -> Vec<u32> {
    let set = cycled(mask, len).into_iter().zip(0..);
    set.filter_map(|(set, index)| set.then_some(index))
        .collect()
}

fn run(step: &Step, batch: &EventBatch, model: &mut Model) -> EventBatch {
    let len = batch.len();
    match step {
        Step::Slice(from, to) => {
            let events = model.events.iter().take(*to).skip(*from).cloned();
            model.events = events.collect();
            batch.slice(*from..*to)
        }
        Step::Select(mask) => {
            let rows = indices(mask, len);
            let events = rows.iter().map(|row| model.events[*row as usize].clone());
            model.events = events.collect();
            batch.select(&rows).expect("increasing rows")
        }
        Step::Filter(mask) => {
            let mut keep = mask.iter().cycle();
            model.events.retain(|_| *keep.next().expect("endless"));
            let keep = cycled(mask, len);
            batch.filter(|index, body| {
                assert_eq!(Some(body), batch.body(index));
                keep[index]
            })
        }
        Step::Bodies(bodies) => {
            let bodies = cycled(bodies, len);
            for (event, body) in model.events.iter_mut().zip(&bodies) {
                event.1.clone_from(body);
            }
            batch
                .with_bodies(bodies.iter().map(Vec::as_slice))
                .expect("one body per event")
        }
        Step::Edit(plan) => run_edit(plan, batch, model),
        Step::Concat(builds, at) => run_concat(builds, *at, batch, model),
        Step::Compact => batch.compacted().expect("within the limits"),
        Step::Recode => {
            let mut bytes = b"before".to_vec();
            batch.encode(&mut bytes).expect("within the limits");
            EventBatch::decode(&Bytes::from(bytes).slice(6..)).expect("a valid encoding")
        }
        Step::Constant(..) | Step::PerRow(..) | Step::RemoveHeader(_) => {
            run_header(step, batch, model)
        }
    }
}

fn run_header(step: &Step, batch: &EventBatch, model: &mut Model) -> EventBatch {
    match step {
        Step::Constant(key, value, existing) => {
            let key = NAMES[*key];
            for (headers, _) in &mut model.events {
                if *existing == Existing::Replace || !headers.contains_key(key) {
                    headers.insert(key.to_owned(), value.clone());
                }
            }
            batch
                .with_constant_header(&name(key), &Arc::from(value.as_str()), *existing)
                .expect("within the limits")
        }
        Step::PerRow(key, values, existing) => {
            let key = NAMES[*key];
            let values = cycled(values, batch.len());
            for ((headers, _), value) in model.events.iter_mut().zip(&values) {
                if *existing == Existing::Keep && headers.contains_key(key) {
                    continue;
                }
                match value {
                    Some(value) => headers.insert(key.to_owned(), value.clone()),
                    None => headers.remove(key),
                };
            }
            let values = values.iter().map(Option::as_deref);
            batch
                .with_header(&name(key), values, *existing)
                .expect("one value per event")
        }
        Step::RemoveHeader(key) => {
            let key = NAMES[*key];
            for (headers, _) in &mut model.events {
                headers.remove(key);
            }
            batch.without_headers(|own| own == key)
        }
        other => unreachable!("not about headers: {other:?}"),
    }
}

fn run_edit(plan: &EditPlan, batch: &EventBatch, model: &mut Model) -> EventBatch {
    let len = batch.len();
    let mut edits = Edits::default();
    let mut set = |key: &str, rows: Vec<u32>, values: &[String]| {
        for (row, value) in rows.iter().zip(values) {
            let headers = &mut model.events[*row as usize].0;
            headers.insert(key.to_owned(), value.clone());
        }
    };
    let all = || (0..len as u32).collect::<Vec<_>>();
    if let Some(value) = &plan.set_all {
        set(NAMES[0], all(), &cycled(std::slice::from_ref(value), len));
        edits.set_all.push((name(NAMES[0]), value.as_str().into()));
    }
    if let Some(values) = &plan.set_every {
        let values = cycled(values, len);
        set(NAMES[1], all(), &values);
        edits.set_headers.push(HeaderEdit {
            name: name(NAMES[1]),
            rows: None,
            values,
        });
    }
    if let Some((mask, value)) = &plan.set_some {
        let rows = indices(mask, len);
        let values = cycled(std::slice::from_ref(value), rows.len());
        set(NAMES[2], rows.clone(), &values);
        edits.set_headers.push(HeaderEdit {
            name: name(NAMES[2]),
            rows: Some(rows),
            values,
        });
    }
    if let Some(key) = plan.remove {
        edits.remove_headers.push(name(NAMES[key]));
        for (headers, _) in &mut model.events {
            headers.remove(NAMES[key]);
        }
    }
    if let Some((mask, body)) = &plan.bodies {
        let rows = indices(mask, len);
        for row in &rows {
            model.events[*row as usize].1.clone_from(body);
        }
        edits.bodies = Some((rows.clone(), cycled(std::slice::from_ref(body), rows.len())));
    }
    edits.dropped = indices(&plan.dropped, len);
    let mut drop = plan.dropped.iter().cycle();
    model.events.retain(|_| !*drop.next().expect("endless"));
    batch.edited(&edits).expect("edits that fit")
}

fn run_concat(builds: &[Build], at: usize, batch: &EventBatch, model: &mut Model) -> EventBatch {
    let mut batches: Vec<EventBatch> = builds.iter().map(Build::batch).collect();
    let mut models: Vec<Model> = builds.iter().map(Build::model).collect();
    let at = at.min(builds.len());
    batches.insert(at, batch.clone());
    models.insert(at, std::mem::take(model));
    model.events = models.into_iter().flat_map(|model| model.events).collect();
    EventBatch::concat(&batches).expect("within the limits")
}

proptest! {
    #![proptest_config(Config { cases: 256, ..Config::default() })]

    #[test]
    fn batch_and_model_agree_after_every_step(first in build(), steps in vec(step(), 0..10)) {
        let mut batch = first.batch();
        let mut model = first.model();
        model.assert_shown_by(&batch);
        let mut history = Vec::new();
        for step in &steps {
            history.push((batch.clone(), model.clone()));
            batch = run(step, &batch, &mut model);
            model.assert_shown_by(&batch);
        }
        // A batch never changes: what the later ones were made from is as it was.
        for (batch, model) in &history {
            assert_eq!(&Model::of(batch), model);
        }
        let mut bytes = Vec::new();
        batch.encode(&mut bytes).expect("within the limits");
        assert_eq!(check_decode(&bytes).as_ref(), Some(&batch));
    }

    #[test]
    fn builder_appends_what_concat_joins(builds in vec(build(), 0..4)) {
        let batches: Vec<EventBatch> = builds.iter().map(Build::batch).collect();
        let mut builder = crate::batch::BatchBuilder::new();
        for batch in &batches {
            builder.append(batch).expect("within the limits");
        }
        let joined = EventBatch::concat(&batches).expect("within the limits");
        assert_eq!(builder.len(), joined.len());
        assert_eq!(builder.body_bytes() as u64, joined.body_bytes());
        assert_eq!(builder.finish().as_ref(), Ok(&joined));
    }
}
