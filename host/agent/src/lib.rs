//! From a plan to running flows: build, run, supervise, reload by difference, drain. One
//! [`Handle`] to the outside.
//!
//! * `build`: components of a plan to instances.
//! * `channel_change`: channels that get other settings while they run.
//! * `component_files`: the files of guests, told apart by their digests.
//! * `background`: a reload's work, at low priority beside the flow.
//! * `processor`: the way from a source into its channels, swapped between two batches.
//! * `source`, `sink`: the tasks that run sources and sink groups, with back-off and states.
//! * `poison`: events that a component can never handle, found and disposed of.
//! * `probation`: new versions of components, taken back when they fail on their first batches.
//! * `state_folder`: what guests and sources keep over a restart.
//! * `running`: what runs now; a reload is prepare, then apply; a stop is a drain.
//! * [`channel_folders`]: the folders of durable channels, while no agent runs on them.
//! * [`component`]: one component by itself, looked at and run.
//! * [`load`] and [`watch`]: configuration files read, and watched for changes.
//! * [`mod@reference`]: the pages made from option rows.

mod back_off;
mod background;
mod build;
mod channel_change;
pub mod channel_folders;
pub mod component;
mod component_files;
mod handle;
pub mod load;
mod metrics;
mod poison;
mod probation;
mod processor;
pub mod reference;
mod running;
mod sink;
mod source;
mod state;
mod state_folder;
mod stop;
#[cfg(test)]
mod test_rig;
pub mod watch;

pub use build::catalogue;
pub use channel_change::refused_changes;
pub use component_files::{EXAMPLE_SCHEME, Examples};
pub use handle::{AgentOptions, DEFAULT_DRAIN_DEADLINE, Handle, RequestError};
pub use metrics::{ComponentMetrics, GuestMetrics, MetricKind, MetricValue};
pub use poison::PoisonCounts;
pub use running::{ReloadRefused, StopReport};
pub use state::ComponentState;
pub use state_folder::StateWriting;
