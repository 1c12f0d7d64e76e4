//! The contract of a source: what brings events in.

use crate::bindings::source as source_api;
use crate::error::Error;
use crate::event_batch::EventBatch;
use crate::settings::Settings;

/// What a source expects after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More is ready: poll again at once.
    Again,
    /// Nothing for now: wait longer each time.
    BackOff,
    /// Nothing before this many milliseconds have passed.
    WaitMs(u32),
    /// The input has ended for good.
    End,
}

/// What a source has to give.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The events; may be none.
    pub events: EventBatch,
    /// The position after these events, handed back to [`Source::open`] after a restart.
    pub cursor: Option<Vec<u8>>,
    /// What to do next.
    pub next: Next,
}

impl Polled {
    /// No events, and the position stays where it is.
    pub fn nothing(next: Next) -> Self {
        Polled {
            events: EventBatch::default(),
            cursor: None,
            next,
        }
    }
}

/// A source.
///
/// # Life
/// `init` once, `open` once, then `poll` again and again, each followed by `ack` after the commit of
/// its events, and `shutdown` at the end. The host may drop an instance without a word; the next one
/// is opened at the cursor of the last commit.
///
/// # Delivery
/// The host keeps the cursor with the events in one commit, so neither can be lost without the
/// other. What must not be done before the commit (delete the file, confirm the message) is done in
/// `ack`.
pub trait Source: Sized + 'static {
    /// Reads the settings and gets ready.
    ///
    /// # Errors
    /// An instance whose `init` fails is never used. [`Error::Configuration`] for settings that
    /// cannot work.
    fn init(settings: &Settings) -> Result<Self, Error>;

    /// Starts at the position of the last commit, or at the beginning. A cursor may stem from an
    /// earlier version of the component.
    ///
    /// # Errors
    /// The host tries again after a back-off.
    fn open(&mut self, cursor: Option<&[u8]>) -> Result<(), Error>;

    /// Gives at most `events_max` events. Answers soon: to wait, it returns and says so in
    /// [`Polled::next`].
    ///
    /// # Errors
    /// Nothing was given.
    fn poll(&mut self, events_max: usize) -> Result<Polled, Error>;

    /// The events up to this cursor are committed. Without a default: a source whose far end waits
    /// for a confirmation would lose it in silence.
    fn ack(&mut self, cursor: Option<&[u8]>);

    /// Best effort, under a deadline of its own: nothing may depend on it.
    fn shutdown(&mut self) {}
}

impl From<Next> for source_api::Next {
    fn from(next: Next) -> Self {
        match next {
            Next::Again => source_api::Next::Again,
            Next::BackOff => source_api::Next::BackOff,
            Next::WaitMs(wait_ms) => source_api::Next::WaitMs(wait_ms),
            Next::End => source_api::Next::End,
        }
    }
}

impl From<Polled> for source_api::Polled {
    fn from(polled: Polled) -> Self {
        source_api::Polled {
            events: polled.events.0,
            cursor: polled.cursor,
            next: polled.next.into(),
        }
    }
}

/// Makes a type that implements [`Source`] the component's source. Once per crate. The component
/// carries the name and version of the crate.
#[macro_export]
macro_rules! export_source {
    ($type:ty) => {
        $crate::__export_instance!($type, $crate::Source, {
            impl $crate::bindings::source::Guest for FlumenComponent {
                fn open(
                    cursor: ::core::option::Option<::std::vec::Vec<u8>>,
                ) -> ::core::result::Result<(), $crate::bindings::types::Error> {
                    INSTANCE.with(|slot| {
                        slot.call(|instance| {
                            <$type as $crate::Source>::open(instance, cursor.as_deref())
                        })
                    })
                }

                fn poll(
                    events_max: u32,
                ) -> ::core::result::Result<
                    $crate::bindings::source::Polled,
                    $crate::bindings::types::Error,
                > {
                    INSTANCE.with(|slot| {
                        slot.call(|instance| {
                            <$type as $crate::Source>::poll(instance, events_max as usize)
                        })
                    })
                }

                fn ack(cursor: ::core::option::Option<::std::vec::Vec<u8>>) {
                    INSTANCE.with(|slot| {
                        slot.tell(|instance| {
                            <$type as $crate::Source>::ack(instance, cursor.as_deref());
                        });
                    });
                }
            }

            $crate::bindings::source::export!(
                FlumenComponent with_types_in $crate::bindings::source
            );
        });
    };
}
