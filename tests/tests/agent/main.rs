//! The real binary from outside: its command line, sockets, files, signals and pages.
//!
//! Each module is about one promise to the operator. The harness, and the rule that nothing here
//! sleeps in order to synchronise, are in the library of this package.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod bad_input;
mod channel_tools;
mod command_line;
mod components;
mod durable;
mod durable_states;
mod examples;
mod failing;
mod first_component;
mod first_example;
mod flow;
mod guests;
mod hostile;
mod metrics;
mod poison;
mod reload;
mod reload_under_load;
mod sources;
mod state;
mod stop;
mod swap;
