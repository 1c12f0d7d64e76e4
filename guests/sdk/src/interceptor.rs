//! The contract of an interceptor: what changes or drops events between a source and its channels.

use crate::batch::Batch;
use crate::bindings::interceptor as interceptor_api;
use crate::edits::Edits;
use crate::error::Error;
use crate::event_batch::EventBatch;
use crate::settings::Settings;

/// What an interceptor answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing changes.
    Unchanged,
    /// Some events change. See [`Batch::edit`].
    Edits(Edits),
    /// These events take the place of those handed in: for splitting and merging. Their headers are
    /// those that were set on them and no others.
    Replaced(EventBatch),
}

/// An interceptor.
///
/// # Life
/// `init` once, then `intercept` batch after batch, one call at a time, and `shutdown` at the end.
/// The host may run several instances side by side and drop one without a word: what has to outlive
/// an instance belongs into [`state`](crate::state).
///
/// # Delivery
/// A batch may come again: after an error, and when the channels behind refused what was answered.
/// State that was written is taken back then; fields of `self` are not.
pub trait Interceptor: Sized + 'static {
    /// Reads the settings and gets ready.
    ///
    /// # Errors
    /// An instance whose `init` fails is never used. [`Error::Configuration`] for settings that
    /// cannot work.
    fn init(settings: &Settings) -> Result<Self, Error>;

    /// Handles one batch, which is not empty.
    ///
    /// # Errors
    /// Nothing of the batch is put, and it may come again.
    fn intercept(&mut self, events: &Batch<'_>) -> Result<Answer, Error>;

    /// Best effort, under a deadline of its own: nothing may depend on it.
    fn shutdown(&mut self) {}
}

impl From<Answer> for interceptor_api::Answer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Unchanged => interceptor_api::Answer::Unchanged,
            Answer::Edits(edits) => interceptor_api::Answer::Edits(edits.0),
            Answer::Replaced(events) => interceptor_api::Answer::Replaced(events.0),
        }
    }
}

/// Makes a type that implements [`Interceptor`] the component's interceptor. Once per crate. The
/// component carries the name and version of the crate.
#[macro_export]
macro_rules! export_interceptor {
    ($type:ty) => {
        $crate::__export_instance!($type, $crate::Interceptor, {
            impl $crate::bindings::interceptor::Guest for FlumenComponent {
                fn intercept(
                    events: &$crate::bindings::types::Batch,
                ) -> ::core::result::Result<
                    $crate::bindings::interceptor::Answer,
                    $crate::bindings::types::Error,
                > {
                    INSTANCE.with(|slot| {
                        slot.call(|instance| {
                            <$type as $crate::Interceptor>::intercept(
                                instance,
                                &$crate::Batch::of_host(events),
                            )
                        })
                    })
                }
            }

            $crate::bindings::interceptor::export!(
                FlumenComponent with_types_in $crate::bindings::interceptor
            );
        });
    };
}
