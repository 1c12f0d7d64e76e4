//! A wait for room, for any channel with accounts. No timer is here, so that loom drives it.

use std::task::{Context, Poll};

use super::accounts::Accounts;
use super::line::{Outside, Refusal, Ticket};
use super::room::Room;

/// What has accounts behind a lock.
pub(crate) trait Accounted {
    /// Acts on the accounts under the lock, then wakes whom the act served.
    fn with_accounts<T>(&self, act: impl FnOnce(&mut Accounts, &mut Outside) -> T) -> T;
}

/// A wait for room. Dropping it leaves the line and releases what was granted meanwhile.
pub(crate) struct RoomWait<'a, C: Accounted> {
    channel: &'a C,
    need: Room,
    ticket: Option<Ticket>,
}

impl<'a, C: Accounted> RoomWait<'a, C> {
    pub(crate) fn new(channel: &'a C, need: Room) -> Self {
        Self {
            channel,
            need,
            ticket: None,
        }
    }

    /// Ready with `Ok` when the room is reserved: the caller owns it from then on.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Result<(), Refusal>> {
        let Self {
            channel,
            need,
            ticket,
        } = self;
        channel.with_accounts(|accounts, outside| {
            accounts.poll_reserve(*need, ticket, context.waker(), outside)
        })
    }

    /// Ends the wait.
    pub(crate) fn expire(&mut self) -> Result<(), Refusal> {
        match self.ticket.take() {
            Some(ticket) => self
                .channel
                .with_accounts(|accounts, outside| accounts.expire_reserve(ticket, outside)),
            None => Err(Refusal::Full),
        }
    }
}

impl<C: Accounted> Drop for RoomWait<'_, C> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.channel
                .with_accounts(|accounts, outside| accounts.withdraw_reserve(ticket, outside));
        }
    }
}
