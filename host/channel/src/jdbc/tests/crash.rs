//! A process that is killed at any moment: what was confirmed is there, once and in order.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{at_most, drain, numbered, open, put, shown};

/// Names the database to the process that will be killed.
const PATH: &str = "FLUMEN_TEST_SQL_CHANNEL";

/// Lives. Each ends after other numbers of confirmations, within one transaction or another.
const LIVES: usize = 6;

/// Puts and acknowledges until it is killed, and says what was confirmed. Runs only when the other
/// test asks for it.
#[tokio::test]
async fn a_life_that_ends_in_a_kill() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let channel = open(Path::new(&path));
    let mut next = channel.fill().events;
    // The last number that was put: sequences and numbers are the same.
    if let Ok(lease) = channel.take(at_most(usize::MAX), Duration::ZERO).await {
        next = shown(&lease)
            .last()
            .map_or(next, |(sequence, _)| sequence + 1);
    }
    println!("begins {next}");
    for round in 0.. {
        put(&channel, numbered(next..next + 3)).await;
        next += 3;
        println!("put {next}");
        if round % 3 == 0 {
            let lease = channel.take(at_most(4), Duration::ZERO).await.unwrap();
            let taken = shown(&lease);
            lease.ack().await.unwrap();
            println!("acknowledged {}", taken.last().unwrap().0);
        }
    }
}

#[tokio::test]
async fn what_was_confirmed_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let (mut put_before, mut acknowledged) = (0, None);
    for life in 0..LIVES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "jdbc::tests::crash::a_life_that_ends_in_a_kill",
                "--nocapture",
            ])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut confirmed = 0;
        for line in lines {
            let line = line.unwrap();
            let Some((what, number)) = line.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "begins" => assert!(number >= put_before, "{number} < {put_before}"),
                "put" => put_before = number,
                "acknowledged" => acknowledged = Some(number),
                _ => continue,
            }
            confirmed += 1;
            if confirmed == 5 + 7 * life {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    let sequences: Vec<u64> = drain(&open(&path))
        .await
        .into_iter()
        .map(|(sequence, body)| {
            assert_eq!(body, sequence.to_string());
            sequence
        })
        .collect();
    assert!(
        sequences.is_sorted_by(|one, next| one + 1 == *next),
        "a hole or a double"
    );
    let (first, last) = (sequences[0], sequences[sequences.len() - 1]);
    assert!(
        first > acknowledged.unwrap(),
        "acknowledged events came back"
    );
    // A transaction whose confirmation the kill cut off is there or not, but whole.
    assert!(
        last + 1 >= put_before,
        "{last} was the last, {put_before} were put"
    );
    assert_eq!((last + 1) % 3, 0, "a part of a put");
}
