//! Interceptor `dedup`: drops an event whose body is among the last different ones.
//!
//! | setting | default | |
//! |---|---|---|
//! | `window` | `10000` | how many different bodies are remembered, at most 100000 |
//!
//! Remembered are hashes of 64 bits, so a body is taken for another once in billions of times; an
//! attacker who may choose bodies can bring that about, so do not use it where that matters.
//!
//! The window is kept in the state, in pages, so that a batch writes only the pages it touches. What
//! stands in memory is a copy: a batch that the channels refuse is taken back in the state and not
//! here, and the number of hashes tells the one from the other.

use std::collections::{HashSet, VecDeque};
use std::hash::Hasher;

use flumen_sdk::{Answer, Batch, Error, Interceptor, Settings, export_interceptor, state};
use siphasher::sip::SipHasher13;

/// Hashes in one page of the state: 8 KiB, little to write and few keys.
const PAGE_HASHES: u64 = 1024;

/// Keeps the whole window well below the state's bound of 1 MiB.
const WINDOW_MAX: u64 = 100_000;

struct Dedup {
    window: u64,
    recent: VecDeque<u64>,
    known: HashSet<u64>,
    /// How many hashes were ever remembered; the last `window` of them are known.
    count: u64,
}

impl Interceptor for Dedup {
    fn init(settings: &Settings) -> Result<Self, Error> {
        let window = settings.get_or("window", 10_000)?;
        if !(1..=WINDOW_MAX).contains(&window) {
            return Err(Error::configuration(format!(
                "config.window = {window}: between 1 and {WINDOW_MAX} are possible"
            )));
        }
        let mut dedup = Dedup {
            window,
            recent: VecDeque::new(),
            known: HashSet::new(),
            count: 0,
        };
        dedup.load()?;
        Ok(dedup)
    }

    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error> {
        if state::get_u64("count")?.unwrap_or(0) != self.count {
            self.load()?;
        }
        let before = self.count;
        let mut edits = events.edit();
        for (row, body) in events.bodies().enumerate() {
            if self.remember(hash(body)) {
                self.count += 1;
            } else {
                edits.drop_event(row);
            }
        }
        self.store(before)?;
        edits.finish()
    }
}

impl Dedup {
    /// Whether the hash is new.
    fn remember(&mut self, hash: u64) -> bool {
        if !self.known.insert(hash) {
            return false;
        }
        self.recent.push_back(hash);
        if self.recent.len() as u64 > self.window
            && let Some(oldest) = self.recent.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// The first page that holds a hash of the window after `count` hashes.
    fn first_page(&self, count: u64) -> u64 {
        count.saturating_sub(self.window) / PAGE_HASHES
    }

    fn load(&mut self) -> Result<(), Error> {
        self.recent.clear();
        self.known.clear();
        self.count = state::get_u64("count")?.unwrap_or(0);
        for page in self.first_page(self.count)..=self.count / PAGE_HASHES {
            let bytes = state::get(&key(page))?.unwrap_or_default();
            for hash in bytes.as_chunks().0 {
                self.remember(u64::from_le_bytes(*hash));
            }
        }
        Ok(())
    }

    /// Writes the pages that changed since there were `before` hashes, and removes those that left
    /// the window.
    fn store(&mut self, before: u64) -> Result<(), Error> {
        if self.count == before {
            return Ok(());
        }
        let first = self.first_page(self.count);
        let oldest = self.count - self.recent.len() as u64;
        for page in first.max(before / PAGE_HASHES)..=self.count / PAGE_HASHES {
            let start = (page * PAGE_HASHES).saturating_sub(oldest) as usize;
            let hashes = self.recent.iter().skip(start).take(PAGE_HASHES as usize);
            let bytes: Vec<u8> = hashes.flat_map(|hash| hash.to_le_bytes()).collect();
            state::set(&key(page), &bytes)?;
        }
        for page in self.first_page(before)..first {
            state::delete(&key(page))?;
        }
        state::set_u64("count", self.count)
    }
}

fn key(page: u64) -> String {
    format!("page-{page}")
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    hasher.finish()
}

export_interceptor!(Dedup);

#[cfg(test)]
mod tests;
