//! Rows (i) to (n): flows with components.

pub(crate) mod idle;
pub(crate) mod rates;
pub(crate) mod runaway;
pub(crate) mod swap;
mod swap_check;
mod swap_figures;
