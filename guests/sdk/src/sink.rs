//! The contract of a sink: what takes events out.

use crate::batch::Batch;
use crate::bindings::sink as sink_api;
use crate::error::Error;
use crate::settings::Settings;

pub use crate::bindings::types::Segment;

/// An event that a sink refuses for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The event.
    pub row: usize,
    /// Why it can never be delivered, for the operator.
    pub reason: String,
}

/// What became of the events of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All are out.
    Delivered,
    /// Some are not; all others are out.
    Partial {
        /// Rows that are delivered again, strictly increasing.
        retry: Vec<usize>,
        /// Rows that can never be delivered, strictly increasing, none of which stands in `retry`.
        rejected: Vec<Rejected>,
    },
    /// All are in the component's own buffer and count as delivered when [`Sink::flush`] has
    /// succeeded.
    Buffered,
}

/// A sink.
///
/// # Life
/// `init` once, then `deliver` batch after batch, one call at a time, `flush` when events pause and
/// before a stop, and `shutdown` at the end. The host may drop an instance without a word; events
/// that it had only buffered are delivered again, to another one.
///
/// # Delivery
/// At least once: after an error none of the events counts as delivered, and all come again.
/// [`Segment::first_sequence`] stays the same then, so that a sink can know them.
pub trait Sink: Sized + 'static {
    /// Reads the settings and gets ready.
    ///
    /// # Errors
    /// An instance whose `init` fails is never used. [`Error::Configuration`] for settings that
    /// cannot work.
    fn init(settings: &Settings) -> Result<Self, Error>;

    /// Delivers the events in order; there is at least one. `segments` names them: the first
    /// segment's events are the first rows, and so on.
    ///
    /// # Errors
    /// None of the events counts as delivered.
    fn deliver(&mut self, events: &Batch<'_>, segments: &[Segment]) -> Result<Outcome, Error>;

    /// Delivers what earlier calls left in the buffer. A sink that answers [`Outcome::Buffered`]
    /// cannot do without it, so it has no default.
    ///
    /// # Errors
    /// None of the buffered events counts as delivered, and the buffer is empty.
    fn flush(&mut self) -> Result<(), Error>;

    /// Best effort, under a deadline of its own: nothing may depend on it.
    fn shutdown(&mut self) {}
}

/// A row as the host counts. Rows past 32 bits cannot be in a batch: the host refuses the last
/// number, which says so.
fn row_number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

impl From<Outcome> for sink_api::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Delivered => sink_api::Outcome::Delivered,
            Outcome::Buffered => sink_api::Outcome::Buffered,
            Outcome::Partial { retry, rejected } => {
                let rejected = rejected.into_iter().map(|rejected| sink_api::Rejected {
                    row: row_number(rejected.row),
                    reason: rejected.reason,
                });
                sink_api::Outcome::Partial(sink_api::Partial {
                    retry: retry.into_iter().map(row_number).collect(),
                    rejected: rejected.collect(),
                })
            }
        }
    }
}

/// Makes a type that implements [`Sink`] the component's sink. Once per crate. The component carries
/// the name and version of the crate.
#[macro_export]
macro_rules! export_sink {
    ($type:ty) => {
        $crate::__export_instance!($type, $crate::Sink, {
            impl $crate::bindings::sink::Guest for FlumenComponent {
                fn deliver(
                    events: &$crate::bindings::types::Batch,
                    segments: ::std::vec::Vec<$crate::Segment>,
                ) -> ::core::result::Result<
                    $crate::bindings::sink::Outcome,
                    $crate::bindings::types::Error,
                > {
                    INSTANCE.with(|slot| {
                        slot.call(|instance| {
                            <$type as $crate::Sink>::deliver(
                                instance,
                                &$crate::Batch::of_host(events),
                                &segments,
                            )
                        })
                    })
                }

                fn flush() -> ::core::result::Result<(), $crate::bindings::types::Error> {
                    INSTANCE.with(|slot| slot.call(<$type as $crate::Sink>::flush))
                }
            }

            $crate::bindings::sink::export!(
                FlumenComponent with_types_in $crate::bindings::sink
            );
        });
    };
}
