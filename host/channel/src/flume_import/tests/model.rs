//! Any history of a channel: transactions that interleave over several folders and files, checkpoints,
//! files that are deleted by Flume's rule. What is imported is what the model's queue holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flumen_codec::flume_log::FlumePointer;
use proptest::collection::vec;
use proptest::prelude::*;

use super::writer::{self, Does};
use super::{CheckpointUse, imported};

/// Slots of the checkpoint's ring; more than any history here needs.
const CAPACITY: usize = 64;

#[derive(Clone, Debug)]
enum Act {
    /// Begin a transaction of puts or of takes.
    Begin {
        puts: bool,
    },
    /// The open transaction of this number (modulo) does its work once.
    Work(usize),
    Commit(usize),
    Rollback(usize),
    Checkpoint,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<bool>().prop_map(|puts| Act::Begin { puts }),
        10 => (0..8_usize).prop_map(Act::Work),
        4 => (0..8_usize).prop_map(Act::Commit),
        1 => (0..8_usize).prop_map(Act::Rollback),
        1 => Just(Act::Checkpoint),
        1 => Just(Act::Restart),
    ]
}

struct Transaction {
    id: u64,
    puts: bool,
    work: Vec<(FlumePointer, String)>,
}

/// The newest file of a folder and its length.
struct Flume<'t> {
    root: &'t Path,
    folders: usize,
    file_bytes: usize,
    files: BTreeMap<u32, (usize, Vec<u8>)>,
    /// The file that each folder writes to.
    current: Vec<u32>,
    open: Vec<Transaction>,
    queue: Vec<(FlumePointer, String)>,
    /// All events that were committed, in the order of their commits.
    committed: Vec<String>,
    next_id: u64,
    next_order: u64,
    events: usize,
    pending_deletes: Vec<u32>,
}

impl<'t> Flume<'t> {
    fn new(root: &'t Path, folders: usize, file_bytes: usize) -> Self {
        let mut flume = Self {
            root,
            folders,
            file_bytes,
            files: BTreeMap::new(),
            current: vec![0; folders],
            open: Vec::new(),
            queue: Vec::new(),
            committed: Vec::new(),
            next_id: 1_700_000_000_000,
            next_order: 1_700_000_000_500,
            events: 0,
            pending_deletes: Vec::new(),
        };
        (0..folders).for_each(|folder| flume.roll(folder));
        flume
    }

    fn roll(&mut self, folder: usize) {
        let number = self.files.keys().next_back().copied().unwrap_or(0);
        let number = number.max(self.current.iter().copied().max().unwrap_or(0)) + 1;
        self.files.insert(number, (folder, Vec::new()));
        self.current[folder] = number;
    }

    fn write(&mut self, transaction: u64, does: &Does) -> FlumePointer {
        self.next_order += 1;
        let folder = (transaction % self.folders as u64) as usize;
        let record = writer::record(transaction, self.next_order, does);
        let file = &self.files[&self.current[folder]];
        if file.1.len() + record.len() > self.file_bytes && !file.1.is_empty() {
            self.roll(folder);
        }
        let number = self.current[folder];
        let bytes = &mut self.files.get_mut(&number).unwrap().1;
        let offset = bytes.len() as u32;
        bytes.extend(record);
        FlumePointer {
            file: number,
            offset,
        }
    }

    fn act(&mut self, act: &Act) {
        let place = |number: &usize| number % self.open.len().max(1);
        match act {
            Act::Begin { puts } => {
                self.next_id += 1;
                let (id, puts) = (self.next_id, *puts);
                self.open.push(Transaction {
                    id,
                    puts,
                    work: Vec::new(),
                });
            }
            Act::Work(number) if !self.open.is_empty() => self.work(place(number)),
            Act::Commit(number) if !self.open.is_empty() => {
                let done = self.open.remove(place(number));
                if done.work.is_empty() {
                    return;
                }
                if done.puts {
                    self.write(done.id, &Does::CommitPuts);
                    self.committed
                        .extend(done.work.iter().map(|(_, body)| body.clone()));
                    self.queue.extend(done.work);
                } else {
                    self.write(done.id, &Does::CommitTakes);
                }
            }
            Act::Rollback(number) if !self.open.is_empty() => {
                let done = self.open.remove(place(number));
                self.write(done.id, &Does::Rollback);
                self.give_back(done);
            }
            Act::Checkpoint => self.checkpoint(),
            Act::Restart => {
                while let Some(open) = self.open.pop() {
                    self.give_back(open);
                }
                (0..self.folders).for_each(|folder| self.roll(folder));
                self.checkpoint();
            }
            _ => {}
        }
    }

    fn work(&mut self, place: usize) {
        let (id, puts) = (self.open[place].id, self.open[place].puts);
        if puts {
            self.events += 1;
            let body = format!("event {}", self.events);
            let put = Does::Put {
                headers: vec![("n".to_owned(), self.events.to_string())],
                body: body.clone().into_bytes(),
            };
            let pointer = self.write(id, &put);
            self.open[place].work.push((pointer, body));
        } else if !self.queue.is_empty() {
            let taken = self.queue.remove(0);
            self.write(id, &Does::Take(taken.0));
            self.open[place].work.push(taken);
        }
    }

    fn give_back(&mut self, transaction: Transaction) {
        if !transaction.puts {
            self.queue.splice(0..0, transaction.work);
        }
    }

    fn checkpoint(&mut self) {
        self.next_order += 1;
        let queue: Vec<FlumePointer> = self.queue.iter().map(|(pointer, _)| *pointer).collect();
        let takes = self
            .open
            .iter()
            .filter(|open| !open.puts && !open.work.is_empty());
        let inflight: Vec<(u64, Vec<FlumePointer>)> = takes
            .map(|open| {
                (
                    open.id,
                    open.work.iter().map(|(pointer, _)| *pointer).collect(),
                )
            })
            .collect();
        let folder = self.root.join("checkpoint");
        fs::create_dir_all(&folder).unwrap();
        let head = self.events % CAPACITY;
        let files = writer::checkpoint(self.next_order, &queue, &inflight, CAPACITY, head);
        let names = ["checkpoint", "checkpoint.meta", "inflighttakes"];
        for (name, bytes) in names.iter().zip(files) {
            fs::write(folder.join(name), bytes).unwrap();
        }
        for number in std::mem::take(&mut self.pending_deletes) {
            self.files.remove(&number);
        }
        let inflight = self.open.iter().flat_map(|open| &open.work);
        let used = self
            .queue
            .iter()
            .chain(inflight)
            .map(|(pointer, _)| pointer.file);
        let lowest = used.chain(self.current.iter().copied()).min().unwrap();
        for folder in 0..self.folders {
            let own = self.files.iter().filter(|(_, (own, _))| *own == folder);
            let own: Vec<u32> = own.map(|(number, _)| *number).collect();
            let old = own.iter().take(own.len().saturating_sub(2));
            self.pending_deletes
                .extend(old.filter(|number| **number < lowest));
        }
    }

    /// Writes the logs as a kill leaves them, and tells the folders.
    fn kill(mut self, with_checkpoint: bool) -> (Vec<PathBuf>, Vec<String>, u64) {
        let mut folders = Vec::new();
        for (number, (folder, bytes)) in &self.files {
            let path = self.root.join(format!("data{folder}"));
            fs::create_dir_all(&path).unwrap();
            let bytes = [bytes.as_slice(), &[0x80; 40]].concat();
            fs::write(path.join(format!("log-{number}")), bytes).unwrap();
            fs::write(
                path.join(format!("log-{number}.meta")),
                writer::meta(*number, None),
            )
            .unwrap();
            if !folders.contains(&path) {
                folders.push(path);
            }
        }
        let checkpoint = self.root.join("checkpoint");
        if with_checkpoint && checkpoint.is_dir() {
            folders.push(checkpoint);
        }
        let mut uncommitted = 0;
        while let Some(open) = self.open.pop() {
            uncommitted += if open.puts { open.work.len() as u64 } else { 0 };
            self.give_back(open);
        }
        // Takers that roll back in any order leave Flume's own queue out of the order of its commits.
        let waiting: BTreeSet<String> = self.queue.into_iter().map(|(_, body)| body).collect();
        self.committed.retain(|body| waiting.contains(body));
        (folders, self.committed, uncommitted)
    }
}

fn bodies(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.split_once("} ").unwrap().1.to_owned())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_imported_is_what_the_queue_held(
        acts in vec(act(), 0..150),
        folders in 1..4_usize,
        file_bytes in 100..1500_usize,
    ) {
        let root = tempfile::tempdir().unwrap();
        let mut flume = Flume::new(root.path(), folders, file_bytes);
        acts.iter().for_each(|act| flume.act(act));
        let was_deleted = flume.files.len() < *flume.files.keys().next_back().unwrap() as usize;
        let has_checkpoint = root.path().join("checkpoint").is_dir();
        // Without a checkpoint nothing tells of takes in files that are gone.
        let with_checkpoint = has_checkpoint && (was_deleted || acts.len() % 2 == 0);
        let (folders, waiting, uncommitted) = flume.kill(with_checkpoint);
        let (survey, lines) = imported(&folders);
        prop_assert_eq!(bodies(&lines), waiting);
        prop_assert!(survey.uncommitted_events >= uncommitted);
        prop_assert_eq!(survey.damaged_places, 0);
        prop_assert_eq!(survey.doubtful_events, 0);
        let is_used = matches!(survey.checkpoint, CheckpointUse::Used(_));
        prop_assert_eq!(is_used, with_checkpoint, "{:?}", survey.checkpoint);
    }
}
