//! Any writes, restarts and kills, against a model of what ought to be kept.

use super::*;

/// What a test does to a folder.
#[derive(Clone, Debug)]
enum Action {
    Apply(u8, Vec<(u8, Option<u8>)>),
    Cursor(u8, u8),
    /// A position and a state of the same commit.
    Both(u8, u8),
    Flush,
    Restart,
    Kill,
}

fn action() -> impl Strategy<Value = Action> {
    let writes = prop::collection::vec((0..4_u8, prop::option::of(any::<u8>())), 1..4);
    prop_oneof![
        4 => (0..2_u8, writes).prop_map(|(component, writes)| Action::Apply(component, writes)),
        3 => (0..2_u8, any::<u8>()).prop_map(|(source, value)| Action::Cursor(source, value)),
        4 => (0..2_u8, any::<u8>()).prop_map(|(source, value)| Action::Both(source, value)),
        1 => Just(Action::Flush),
        1 => Just(Action::Restart),
        2 => Just(Action::Kill),
    ]
}

/// What ought to be kept: keys of components and positions of sources, by their names.
type Model = BTreeMap<(String, String), Vec<u8>>;

fn seen(states: &StateFolder) -> Model {
    let mut model = Model::new();
    for number in 0..2 {
        let (component, source) = (format!("c{number}"), format!("r{number}"));
        for key in 0..5 {
            let key = key.to_string();
            if let Some(value) = states.get(&name(&component), &key).unwrap() {
                model.insert((component.clone(), key), value);
            }
        }
        if let Some(value) = cursor(states, &source) {
            model.insert((source, String::new()), value);
        }
    }
    model
}

async fn behaves(actions: Vec<Action>, interval: Duration) {
    let rig = Rig::new();
    let mut states = rig.open(interval);
    // The model after each commit since the last time that all was on disk.
    let mut past = vec![Model::new()];
    for action in actions {
        let mut model = past.last().unwrap().clone();
        match action {
            Action::Apply(component, writes) => {
                let component = format!("c{component}");
                let mut changes = Vec::new();
                for (key, value) in writes {
                    let key = key.to_string();
                    let place = (component.clone(), key.clone());
                    match value {
                        Some(value) => model.insert(place, vec![value]),
                        None => model.remove(&place),
                    };
                    let value = value.map(|value| vec![value]);
                    changes.push(StateWrite { key, value });
                }
                states.apply(&name(&component), changes).unwrap();
            }
            Action::Cursor(source, value) => {
                let source = format!("r{source}");
                put_cursor(&states, &source, &[value]);
                model.insert((source, String::new()), vec![value]);
            }
            Action::Both(source, value) => {
                let (component, source) = (format!("c{source}"), format!("r{source}"));
                let commit = states.commit_of(&name(&source));
                put_cursor(&states, &source, &[value]);
                // Gives the writer its chance to err.
                tokio::task::yield_now().await;
                apply(&states, &component, "4", Some(&[value]));
                drop(commit);
                model.insert((source, String::new()), vec![value]);
                model.insert((component, "4".to_owned()), vec![value]);
            }
            Action::Flush => {
                assert!(states.flush(DEADLINE).await);
                past.clear();
            }
            Action::Restart => {
                assert!(states.close(DEADLINE).await);
                states = rig.open(interval);
                past.clear();
            }
            Action::Kill => {
                kill(states).await;
                states = rig.open(interval);
                let kept = seen(&states);
                assert!(past.contains(&kept), "{kept:?} never was; {past:?} were");
                model = kept;
                past.clear();
            }
        }
        assert_eq!(seen(&states), model);
        past.push(model);
    }
    assert!(states.close(DEADLINE).await);
}

proptest! {
    // Each opens several files; every case is some tenths of a second.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_life_leaves_what_was_at_some_commit(
        actions in prop::collection::vec(action(), 1..30),
        interval_ms in prop_oneof![Just(0_u64), Just(3), Just(100_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(behaves(actions, Duration::from_millis(interval_ms)));
    }
}
