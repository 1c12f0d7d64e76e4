//! Blocks that the disk does not give, for a time or for good.

use std::ops::Range;
use std::path::Path;

use flumen_core::channel::{Channel, TakeError};
use flumen_core::settings::Value;
use flumen_wal::OpenError;
use flumen_wal::simulation::Crash;

use super::super::image::{ChannelImage, ImageError};
use super::super::options::Setup;
use super::super::payload::Keyring;
use super::super::salvage::{SalvageError, salvage};
use super::super::window::Window;
use super::rig::Rig;
use super::{LONG, at_most, drain, folder, open, seen, settings};

/// A window for one or two puts, so that most is read from the disk.
const SMALL: Window = Window {
    bytes_max: 3_000,
    read_ahead_bytes: 1_000,
};

/// Events of each put.
const PUT: u64 = 40;

/// A channel of a dozen puts over some segments, opened anew so that all of it is on the disk.
fn filled(strict: bool) -> Rig {
    let mut rig = Rig::new(strict, SMALL);
    rig.open().unwrap();
    for _ in 0..60 {
        assert!(rig.put(PUT));
    }
    rig.close();
    rig
}

/// Makes the first block of a put unreadable, and gives the events that stand on it: those of the
/// put alone, because each is a group of its own.
fn break_put(rig: &Rig, put: u64) -> Range<u64> {
    let first = put * PUT;
    let body = format!("{first:08}.");
    for name in rig.disk.names() {
        let bytes = rig.disk.bytes(&name);
        let place = bytes.windows(9).position(|own| own == body.as_bytes());
        if let Some(place) = place.filter(|_| name.starts_with("segment-")) {
            let block = place as u64 / 4096 * 4096;
            rig.disk.make_unreadable(&name, block..block + 1);
            return first..first + PUT;
        }
    }
    panic!("put {put} is in no segment");
}

fn figure(rig: &Rig, name: &str) -> u64 {
    let figures = rig.channel().figures();
    figures.iter().find(|own| own.0 == name).unwrap().1
}

/// Takes and acknowledges all that can be had, and gives the numbers.
fn take_all(rig: &mut Rig) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(lease) = rig.take(100) {
        numbers.extend(seen(&lease).iter().map(|own| own.1));
        rig.ack(lease, Vec::new());
    }
    numbers
}

fn without(all: Range<u64>, gone: &[Range<u64>]) -> Vec<u64> {
    let is_gone = |number: &u64| gone.iter().any(|own| own.contains(number));
    all.filter(|number| !is_gone(number)).collect()
}

#[test]
fn what_is_given_again_in_time_is_not_set_aside() {
    let mut rig = filled(false);
    rig.patient();
    break_put(&rig, 5);
    rig.close_unchecked();
    let channel = rig.channel();
    let error = rig.runtime.block_on(async {
        loop {
            match channel.take(at_most(1000), LONG).await {
                Ok(lease) => lease.ack().await.unwrap(),
                Err(error) => break error,
            }
        }
    });
    assert!(
        matches!(&error, TakeError::Failed(fault) if fault.to_string().contains("does not give")),
        "{error:?}"
    );
    assert_eq!(figure(&rig, "Unhealthy"), 1);
    let fill = channel.fill();
    assert_eq!(fill.set_aside_events, 0, "it is waited for");
    drop(channel);
    rig.disk.make_readable();
    let rest = take_all(&mut rig);
    assert_eq!(rest.first(), Some(&(60 * PUT - fill.events)));
    assert_eq!(rest.len() as u64, fill.events);
    assert_eq!(figure(&rig, "Unhealthy"), 0);
    assert_eq!(rig.channel().fill(), Default::default());
}

#[test]
fn what_is_never_given_is_set_aside_and_tried_again_at_the_next_opening() {
    for strict in [false, true] {
        let mut rig = filled(strict);
        let broken = [break_put(&rig, 5), break_put(&rig, 6), break_put(&rig, 20)];
        let aside = 3 * PUT;
        rig.close_unchecked();
        let others = without(0..60 * PUT, &broken);
        assert_eq!(take_all(&mut rig), others, "in order, and nothing waits");
        let fill = rig.channel().fill();
        assert_eq!((fill.events, fill.set_aside_events), (aside, aside));
        assert_eq!(fill.bytes, aside * 98, "what they take");
        assert_eq!(figure(&rig, "UnreadableEventCount"), aside);
        assert_eq!(figure(&rig, "LostEventCount"), 0);
        assert_eq!(figure(&rig, "Unhealthy"), 1);
        assert!(rig.put(PUT), "what is put now goes its way");
        assert_eq!(take_all(&mut rig), without(60 * PUT..61 * PUT, &[]));

        // Still broken: the same again, with what comes then.
        rig.close();
        assert_eq!(rig.channel().fill().events, aside);
        assert!(rig.put(PUT));
        assert_eq!(take_all(&mut rig), without(61 * PUT..62 * PUT, &[]));
        assert_eq!(rig.channel().fill().set_aside_events, aside);

        // Mended: exactly those, once.
        rig.disk.make_readable();
        rig.close();
        assert_eq!(
            take_all(&mut rig),
            broken.iter().cloned().flatten().collect::<Vec<_>>()
        );
        assert_eq!(rig.channel().fill(), Default::default());
        assert_eq!(figure(&rig, "UnreadableEventCount"), 0);
        rig.close();
        assert_eq!(rig.channel().fill(), Default::default());
    }
}

#[test]
fn what_is_set_aside_takes_no_room_and_holds_up_no_end() {
    let mut rig = filled(false);
    break_put(&rig, 5);
    rig.close_unchecked();
    take_all(&mut rig);
    let channel = rig.channel();
    assert_eq!(channel.fill().events, PUT);
    let few = rig.settings().with("capacity", Value::Integer(50));
    let few = few.with("transactionCapacity", Value::Integer(50));
    let few = Setup::read(channel.name(), &few).unwrap().changing.bounds;
    let core = channel.owner.core();
    core.with(|state, outside| state.accounts.set_bounds(few, outside));
    assert!(rig.put(50), "the room is all for what moves");
    assert!(!rig.put(1));
    assert_eq!(take_all(&mut rig).len(), 50);
    channel.close();
    let taken = rig.runtime.block_on(channel.take(at_most(1), LONG));
    assert!(matches!(taken, Err(TakeError::Closed)), "nothing can come");
    assert_eq!(channel.fill().moving_events(), 0);
    rig.runtime.block_on(channel.release()).unwrap();
}

/// A taker that already waits hears of the end, too.
#[test]
fn a_taker_hears_that_the_last_events_of_a_closed_channel_are_set_aside() {
    let mut rig = filled(false);
    break_put(&rig, 59);
    rig.close_unchecked();
    let channel = rig.channel();
    channel.close();
    let end = rig.runtime.block_on(async {
        loop {
            match channel.take(at_most(1000), LONG).await {
                Ok(lease) => lease.ack().await.unwrap(),
                Err(TakeError::Failed(_)) => {}
                Err(end) => break end,
            }
        }
    });
    assert!(matches!(end, TakeError::Closed), "{end:?}");
    assert_eq!(channel.fill().set_aside_events, PUT);
}

/// As an operator would: the file went away under a channel that runs.
#[test]
fn a_segment_whose_file_is_gone_is_set_aside_as_a_whole() {
    let mut rig = filled(false);
    rig.close_unchecked();
    // Of those the keeper has read some puts of the first at most.
    let names = rig.disk.names();
    let mut segments = names.iter().filter(|own| own.starts_with("segment-"));
    let name = segments.nth(1).unwrap();
    rig.disk.io().rename(name, "elsewhere").unwrap();
    let taken = take_all(&mut rig);
    let aside = rig.channel().fill().set_aside_events;
    assert!(aside > 0 && aside.is_multiple_of(PUT), "{aside}");
    let first = (0..).zip(&taken).find(|(own, number)| own != *number);
    let first = first.unwrap().0;
    let gone = first..first + aside;
    assert_eq!(taken, without(0..60 * PUT, std::slice::from_ref(&gone)));
}

fn image(rig: &Rig, unreadable_is_lost: bool) -> Result<ChannelImage, ImageError> {
    let place = Path::new("disk").to_owned();
    ChannelImage::open_on(rig.disk.io(), place, Keyring::default(), unreadable_is_lost)
}

#[test]
fn a_log_whose_end_is_not_given_says_how_to_go_on_and_is_salvaged() {
    let mut rig = Rig::new(false, SMALL);
    rig.open().unwrap();
    for _ in 0..4 {
        assert!(rig.put(PUT));
    }
    rig.power_off();
    rig.channel = None;
    rig.disk.crash(Crash::Kill);
    let broken = break_put(&rig, 1);
    let fault = rig.open().unwrap_err();
    let told = format!("{fault}");
    for words in [
        "flumen channel salvage disk",
        "--unreadable-is-lost",
        "mend",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert!(matches!(
        image(&rig, false),
        Err(ImageError::Log {
            cause: OpenError::Unreadable { .. },
            ..
        })
    ));
    let copy = folder();
    let done = salvage(&image(&rig, true).unwrap(), copy.path()).unwrap();
    assert_eq!(done.events, 3 * PUT);
    assert_eq!((done.lost_frames, done.lost_events), (1, PUT));
    let channel = open(&settings(copy.path()));
    let taken = rig.runtime.block_on(drain(&channel));
    let numbers: Vec<u64> = taken.into_iter().map(|own| own.1).collect();
    assert_eq!(numbers, without(0..4 * PUT, &[broken]));

    rig.disk.make_readable();
    rig.open().unwrap();
    rig.check();
}

#[test]
fn a_salvage_does_not_take_as_lost_what_nobody_gave_up() {
    let mut rig = filled(false);
    let broken = [break_put(&rig, 0), break_put(&rig, 20)];
    rig.power_off();
    rig.channel = None;
    rig.disk.crash(Crash::Kill);
    let copy = folder();
    let refused = salvage(&image(&rig, false).unwrap(), copy.path()).unwrap_err();
    assert!(
        matches!(&refused, SalvageError::Unreadable { .. })
            && refused.to_string().contains("--unreadable-is-lost"),
        "{refused}"
    );
    let copy = folder();
    let done = salvage(&image(&rig, true).unwrap(), copy.path()).unwrap();
    assert_eq!((done.lost_frames, done.lost_events), (2, 2 * PUT));
    let channel = open(&settings(copy.path()));
    let taken = rig.runtime.block_on(drain(&channel));
    let numbers: Vec<u64> = taken.into_iter().map(|own| own.1).collect();
    assert_eq!(numbers, without(0..60 * PUT, &broken));
}
