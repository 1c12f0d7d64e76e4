//! Permits and leases in the words of the contract.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use flumen_core::channel::{Lease, LeaseOwner, Permit, PreparedPut};
use flumen_core::state::StateRecord;
use flumen_core::{BoxFuture, ComponentName, Fault};

use super::shared::{Held, LeasedEvents};
use super::state::Stored;
use super::writer::Answer;

pub(super) fn permit(held: Held) -> Box<dyn Permit> {
    Box::new(SqlPermit(held))
}

struct SqlPermit(Held);

impl Permit for SqlPermit {
    fn commit(
        self: Box<Self>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(Done(self.0.commit(record)))
    }

    fn prepare(
        self: Box<Self>,
        record: StateRecord,
        decider: ComponentName,
    ) -> BoxFuture<'static, Result<Box<dyn PreparedPut>, Fault>> {
        Box::pin(self.0.prepare(record, decider).written())
    }
}

pub(super) fn lease(events: LeasedEvents) -> Lease {
    let segments = events.segments().map(Stored::shown).collect();
    Lease::new(segments, Box::new(SqlLease(events)))
}

struct SqlLease(LeasedEvents);

impl LeaseOwner for SqlLease {
    fn ack(self: Box<Self>, record: Option<StateRecord>) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(Done(self.0.end(Vec::new(), record)))
    }

    fn ack_except(
        self: Box<Self>,
        kept: Vec<u32>,
        record: Option<StateRecord>,
    ) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(Done(self.0.end(kept, record)))
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

/// Ready when what was handed to the writer is on the disk; at once when there was nothing.
pub(super) struct Done(pub(super) Option<Answer>);

impl Future for Done {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(answer) => Pin::new(answer).poll(context).map_ok(|_| ()),
            None => Poll::Ready(Ok(())),
        }
    }
}
