//! Sinks at work: one task per sink group takes leases, offers them to the sinks in the order of
//! the group's processor, and acknowledges what was delivered.

mod acknowledge;
mod failure;
mod group;
mod slot;
#[cfg(test)]
mod tests;

pub(crate) use group::GroupTask;
pub(crate) use slot::{MakeSink, SinkSlot, SlotParts};
