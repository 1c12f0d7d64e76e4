//! Commits with numbers: what a channel kept and the folder did not.

use super::*;
use crate::state_folder::record::Change;

fn change(component: &str, key: &str, value: Option<&[u8]>) -> Change {
    Change::Write {
        component: name(component),
        write: write(key, value),
    }
}

fn stands_at(source: &str, bytes: &[u8]) -> Change {
    Change::Cursor {
        source: name(source),
        bytes: Arc::from(bytes),
    }
}

fn value(states: &StateFolder, component: &str, key: &str) -> Option<Vec<u8>> {
    states.get(&name(component), key).unwrap()
}

/// One commit, as the way of a source does it.
fn commit(states: &StateFolder, component: &str, key: &str, bytes: &[u8]) -> u64 {
    let generation = states.begin().expect("there is a folder");
    let _whole = states.hold();
    generation.applied(&name(component));
    apply(states, component, key, Some(bytes));
    generation.number()
}

#[tokio::test]
async fn numbers_go_on_over_a_restart_and_the_floor_is_told_when_it_is_on_disk() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    let first = commit(&states, "c", "k", b"1");
    let open = states.begin().unwrap();
    let third = commit(&states, "c", "k", b"3");
    assert_eq!((first, open.number(), third), (1, 2, 3));
    assert_eq!(states.floor(), first, "the second is open");
    assert!(states.flush(DEADLINE).await);
    assert_eq!(states.written_beyond(0).await, Some(first));
    drop(open);
    assert!(states.close(DEADLINE).await);
    assert_eq!(states.written_beyond(first).await, Some(third));
    assert_eq!(
        states.written_beyond(third).await,
        None,
        "nothing more comes"
    );
    let states = rig.open(NEVER);
    assert_eq!(states.floor(), third);
    assert_eq!(commit(&states, "c", "k", b"4"), third + 1);
}

#[tokio::test]
async fn a_commit_under_way_at_a_kill_is_above_the_floor_until_the_channels_have_decided() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    let first = commit(&states, "c", "k", b"1");
    let open = states.begin().unwrap();
    let third = commit(&states, "d", "k", b"3");
    assert!(states.flush(DEADLINE).await);
    drop(open);
    kill(states).await;

    let states = rig.open(NEVER);
    assert_eq!(states.floor(), first, "the third has ended, the second not");
    states.recover(BTreeMap::new());
    assert_eq!(states.floor(), third);
    assert!(states.close(DEADLINE).await);
    let states = rig.open(NEVER);
    assert_eq!(states.floor(), third, "what was decided stays decided");
}

#[tokio::test]
async fn a_commit_that_is_left_open_is_for_the_next_life_to_decide() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    let first = commit(&states, "c", "k", b"1");
    states.begin().unwrap().leave_open();
    let third = commit(&states, "c", "k", b"3");
    assert!(states.close(DEADLINE).await);
    let states = rig.open(NEVER);
    assert_eq!(states.floor(), first);
    states.recover(BTreeMap::new());
    assert_eq!(states.floor(), third);
}

#[tokio::test]
async fn what_a_channel_kept_is_taken_in_once_and_never_over_newer_state() {
    let rig = Rig::new();
    let states = rig.open(NEVER);
    let known = commit(&states, "c", "k", b"known");
    assert!(states.close(DEADLINE).await);

    let states = rig.open(NEVER);
    let kept = BTreeMap::from([
        // The folder has these.
        (known, vec![change("c", "k", Some(b"old"))]),
        // And not these.
        (
            known + 1,
            vec![stands_at("r1", b"7"), change("d", "k", Some(b"1"))],
        ),
        (
            known + 2,
            vec![stands_at("r1", b"8"), change("d", "k", None)],
        ),
        (known + 3, Vec::new()),
    ]);
    states.recover(kept.clone());
    let seen = || {
        let cursor = cursor(&states, "r1");
        (value(&states, "c", "k"), value(&states, "d", "k"), cursor)
    };
    assert_eq!(seen(), (Some(b"known".to_vec()), None, Some(b"8".to_vec())));
    assert_eq!(states.floor(), known + 3);
    let newer = commit(&states, "d", "k", b"newer");
    assert_eq!(newer, known + 4, "no number comes twice");
    states.recover(kept);
    assert_eq!(value(&states, "d", "k"), Some(b"newer".to_vec()));
    assert!(states.close(DEADLINE).await);
    let states = rig.open(NEVER);
    assert_eq!(value(&states, "d", "k"), Some(b"newer".to_vec()));
    assert_eq!(cursor(&states, "r1"), Some(b"8".to_vec()));
}

#[tokio::test]
async fn without_a_folder_nothing_is_numbered() {
    let states = StateFolder::new(None);
    states.open().unwrap();
    assert!(states.begin().is_none());
}
