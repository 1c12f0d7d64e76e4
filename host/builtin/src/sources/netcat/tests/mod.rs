//! Raw bytes to a real listener; only the channels are fake.

mod conformance;
mod handover;
mod limits;
mod protocol;
mod rig;
