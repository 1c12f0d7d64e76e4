//! The groups of an agent's keys: the word after the agent's name.

use flumen_core::option::ComponentKind;

/// A group of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    ConfigFilters,
    Channels,
    Sources,
    Sinks,
    SinkGroups,
}

impl Group {
    pub(crate) const ALL: [Group; 5] = [
        Group::ConfigFilters,
        Group::Channels,
        Group::Sources,
        Group::Sinks,
        Group::SinkGroups,
    ];

    /// The word in a key; upper and lower case matter, as they do in Flume.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Group::ConfigFilters => "configfilters",
            Group::Channels => "channels",
            Group::Sources => "sources",
            Group::Sinks => "sinks",
            Group::SinkGroups => "sinkgroups",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.word() == word)
    }

    /// One member in words.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Group::SinkGroups => "sink group",
            Group::ConfigFilters => ComponentKind::ConfigFilter.word(),
            Group::Channels => ComponentKind::Channel.word(),
            Group::Sources => ComponentKind::Source.word(),
            Group::Sinks => ComponentKind::Sink.word(),
        }
    }
}

/// The words of all groups, for the nearest one.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    Group::ALL.into_iter().map(Group::word)
}
