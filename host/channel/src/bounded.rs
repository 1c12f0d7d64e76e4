//! What bounded channels have in common: accounts of room, lines of waiters, and events in order.
//! Plain values without a lock, a timer or a task, which each channel keeps under its own lock.
//!
//! ```text
//! room      what events take of a channel's two capacities
//! line      who waits for room and who for events
//! accounts  what is queued, reserved and leased, and who is served next
//! stored    events with their identity
//! queue     events in the order of their identities
//! refusal   why there is no room, in the words of the contract
//! wait      a wait for room, for any channel with accounts
//! time      a wait's time limit; the only part that knows tokio
//! sync      the lock: the standard library's, or loom's
//! ```

mod accounts;
mod line;
mod queue;
mod refusal;
mod room;
mod stored;
mod sync;
mod time;
mod wait;

pub(crate) use accounts::{Accounts, Nothing};
pub(crate) use line::{Outside, Refusal, Ticket};
pub(crate) use queue::{Queue, Taken};
pub(crate) use room::{Bounds, Measure, Room};
pub(crate) use stored::Stored;
pub(crate) use sync::{Mutex, SharedPointer};
pub(crate) use time::TimeLimit;
pub(crate) use wait::{Accounted, RoomWait};
