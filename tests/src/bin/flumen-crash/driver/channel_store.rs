//! The file channel as a store.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use flumen_core::channel::{Lease, put_all};
use tokio::runtime::Runtime;

use super::Orders;
use super::driven::{self, Driven, TAKE_WAIT};
use super::store::{Batch, PutOutcome, Seen, Store};
use crate::event::{Item, Opened};
use crate::mutation;

/// The channel, and what drives its futures.
pub(crate) struct ChannelStore {
    // Before the runtime, which its last tasks need.
    driven: Driven,
    runtime: Runtime,
    /// Whether acknowledgements are kept back until the end, as by a channel that is too lazy.
    is_too_lazy: bool,
    kept_back: Mutex<Vec<Lease>>,
}

impl ChannelStore {
    pub(crate) fn open(orders: &Orders) -> Result<ChannelStore> {
        let runtime = driven::runtime()?;
        Ok(ChannelStore {
            driven: Driven::open(orders, &orders.folder, "c1")?,
            runtime,
            is_too_lazy: orders.mutation.as_deref() == Some(mutation::LAZY_WINDOW),
            kept_back: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.kept_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for ChannelStore {
    type Held = Lease;

    fn opened(&self) -> Opened {
        self.driven.opened
    }

    fn cursors(&self) -> Option<BTreeMap<u32, u64>> {
        None
    }

    fn list(&self, seen: &mut dyn FnMut(Seen) -> Result<()>) -> Result<()> {
        self.driven.list(&self.runtime, seen)
    }

    fn put(&self, batch: &Batch) -> PutOutcome {
        let parts = batch.parts.iter();
        let parts = parts.map(|part| self.driven.part(&part.bodies));
        match parts.collect::<Result<Vec<_>>>() {
            Ok(parts) => driven::outcome(self.runtime.block_on(put_all(&parts, None))),
            Err(error) => PutOutcome::Failed(error.to_string()),
        }
    }

    fn take(&self, most: usize) -> Result<Option<(Vec<Item>, Lease)>> {
        self.driven.take(&self.runtime, most, TAKE_WAIT)
    }

    fn lost(&self) -> Option<(u64, u64)> {
        self.driven.lost()
    }

    fn acknowledge(&self, held: Lease, kept: &[u32]) -> Result<()> {
        // What is to go back goes at once.
        if self.is_too_lazy && kept.is_empty() {
            self.lock().push(held);
            return Ok(());
        }
        driven::acknowledge(&self.runtime, held, kept)
    }

    fn give_back(&self, held: Lease) {
        held.give_back();
    }

    fn close(self) -> Result<()> {
        for held in std::mem::take(&mut *self.lock()) {
            driven::acknowledge(&self.runtime, held, &[])?;
        }
        self.driven.close(&self.runtime)
    }
}
