//! Guests at work: the fixtures of `guests/fixtures`, loaded and driven as the agent does.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod any_bytes;
mod hostile;
mod interceptor;
mod loading;
mod rig;
mod sink;
mod source;
