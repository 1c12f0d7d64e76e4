//! The batch against a naive model, its encoding against the specification, its errors one by one.

mod encoding;
mod errors;
mod example;
mod model;
mod program;
mod sharing;
