//! Crash tests of the log on a simulated disk, against a model.
//!
//! The model knows every record that was handed in and whether it was confirmed. After any crash
//! the log has to hold all that was confirmed, in order and once, and of the last group some
//! records from its start at most.

mod crash;
mod damage;
mod faults;
mod foreign;
mod model;
mod mutations;
mod space;
mod unreadable;
