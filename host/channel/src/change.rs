//! How a channel that runs gets other settings.

/// The way from some settings of a channel to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// In place, by [`flumen_core::channel::Channel::reconfigure`].
    InPlace,
    /// By a new channel; the old one is emptied beside it.
    NewChannel,
    /// None while the channel is open: these options say how its files are kept, and a new channel
    /// would need the same files.
    Restart(Vec<String>),
}

/// What there is to say about an option of [`Change::Restart`], behind its name.
pub const TAKES_A_RESTART: &str =
    "cannot change while the channel is open; restart the agent to change it";
