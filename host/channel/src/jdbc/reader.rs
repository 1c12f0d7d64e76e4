//! The thread that reads the backlog. It has a connection of its own, so that it waits for no
//! writer, here or elsewhere.

use std::sync::Arc;

use flumen_clients::sqlite::Database;
use tracing::error;

use super::page;
use super::shared::Inner;
use super::state::ReadRequest;
use super::writer::{Job, fault, released};
use crate::bounded::Room;

/// What the thread does.
pub(super) enum ReadJob {
    /// Reads a page.
    Page(ReadRequest),
    /// Closes its connection, and then the writer does what it has to.
    Release(Job),
}

/// The thread's own.
pub(super) struct Reader {
    pub(super) inner: Arc<Inner>,
    /// `None` after the release.
    pub(super) database: Option<Database>,
    /// Rows that are no events any more, as they were found at the start; later ones are behind.
    pub(super) acknowledged: Vec<(u64, u64)>,
    /// Rows that could not be read since the start. They still count as events in the database.
    pub(super) unreadable: u64,
}

impl Reader {
    /// Reads a page for each request; the state asks for one at a time.
    pub(super) fn work(&mut self, jobs: Vec<ReadJob>) {
        for job in jobs {
            match job {
                ReadJob::Page(request) => self.read(request),
                ReadJob::Release(writer) => {
                    self.database = None;
                    self.inner.writes.submit(writer);
                }
            }
        }
    }

    fn read(&mut self, ReadRequest { from, to, without }: ReadRequest) {
        let Some(database) = &self.database else {
            let fault = released();
            return self
                .inner
                .with(|state, outside| state.read_failed(fault, outside));
        };
        {
            let read = page::read(database, [&self.acknowledged, &without], from, to);
            let page = match read {
                Ok(page) => page,
                Err(error) => {
                    let fault = fault(Arc::new(error));
                    return self
                        .inner
                        .with(|state, outside| state.read_failed(fault, outside));
                }
            };
            if page.unreadable > 0 {
                self.unreadable += page.unreadable;
                error!(
                    channel = %self.inner.name,
                    "{} events cannot be read and stay in {}, sequences {:?} and on; the others \
                     are delivered. Repair their headers, or recover the file with sqlite3, and \
                     start the agent again",
                    page.unreadable,
                    database.file().path().display(),
                    page.unreadable_named,
                );
            }
            let missing = self
                .inner
                .with(|state, outside| state.page_read(page, outside));
            // Somebody has deleted events with another tool. Those that cannot be read are not
            // missing.
            if self.unreadable == 0 && missing != Room::default() {
                self.inner.writes.submit(Job::missing(missing));
            }
        }
    }
}
