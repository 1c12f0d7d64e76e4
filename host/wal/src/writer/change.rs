//! Options that change between two groups.

use std::io;
use std::sync::Arc;

use crate::error::Failure;
use crate::options::RunningOptions;

use super::Writer;

impl Writer {
    /// Goes on with these options. What was confirmed under another durability is made durable
    /// first: nobody syncs it later, and `sync` promises that all before a group is.
    pub(crate) fn change(&mut self, to: RunningOptions) -> Result<(), Arc<Failure>> {
        let is_other = self.options.durability != to.durability;
        self.options.run_with(to);
        self.pool.change(&self.options);
        self.quarantine.change(&self.options);
        if !is_other {
            return Ok(());
        }
        self.sync();
        match &self.failure {
            Some(failure) => Err(Arc::clone(failure)),
            None if self.all_is_durable() => Ok(()),
            None => Err(Arc::new(Failure::Disk {
                action: "make the log durable",
                cause: io::Error::other("the last sync failed"),
            })),
        }
    }
}
