//! Option rows: one row per option and one per component type, read by the parser, `flumen help`,
//! the reference pages and the compatibility table alike.
//!
//! A row stands beside the component that obeys it. Components of Flume that are not built have
//! rows too, so that a file that names one gets an error that says so.

/// What sort of thing a component row describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// Brings events in.
    Source,
    /// Holds events between two transactions.
    Channel,
    /// Takes events out.
    Sink,
    /// Changes or drops events between source and selector.
    Interceptor,
    /// Decides which channels an event goes to.
    ChannelSelector,
    /// Decides which sink of a group takes the next batch.
    SinkProcessor,
    /// Turns events into the bytes of a file.
    EventSerializer,
    /// Turns the bytes of a file into events.
    Deserializer,
    /// Looks up values of the configuration elsewhere.
    ConfigFilter,
    /// Names the files of `file_roll`.
    PathManager,
    /// Turns HTTP requests into events.
    HttpHandler,
}

impl ComponentKind {
    /// The word for messages and pages.
    pub fn word(self) -> &'static str {
        match self {
            ComponentKind::Source => "source",
            ComponentKind::Channel => "channel",
            ComponentKind::Sink => "sink",
            ComponentKind::Interceptor => "interceptor",
            ComponentKind::ChannelSelector => "channel selector",
            ComponentKind::SinkProcessor => "sink processor",
            ComponentKind::EventSerializer => "event serializer",
            ComponentKind::Deserializer => "deserializer",
            ComponentKind::ConfigFilter => "config filter",
            ComponentKind::PathManager => "path manager",
            ComponentKind::HttpHandler => "HTTP handler",
        }
    }
}

/// Whether flumen obeys a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Built, and obeyed.
    Built,
    /// Built and obeyed; a check says the text, which its user has to know. For component types.
    Cautioned(&'static str),
    /// Accepted and read, but of no effect; the text says why that is harmless.
    NoEffect(&'static str),
    /// Not built: naming it is an error that says so.
    NotBuilt,
}

/// One component type.
#[derive(Debug)]
pub struct ComponentRow {
    /// What it is.
    pub kind: ComponentKind,
    /// The name in both dialects: Flume's alias, or for a type that Flume knows by class name only
    /// the short name that flumen gives it.
    pub name: &'static str,
    /// Other accepted names, Flume's class names among them. All names match case-insensitively.
    pub aliases: &'static [&'static str],
    /// One or two sentences for `flumen help` and the reference.
    pub doc: &'static str,
    /// Whether flumen has it.
    pub support: Support,
    /// Its options, in the order of the reference page.
    pub options: &'static [OptionRow],
}

/// The type of an option's value, with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number between the two, both included.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Any text.
    Text,
    /// A text that never shows in logs, errors or the API.
    Secret,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Words separated by white space (an array in TOML).
    List,
    /// The name of a component of this kind; that component's options stand below this option's
    /// name (`sink.serializer = text`, `sink.serializer.appendNewline = false`).
    Component(ComponentKind),
    /// The name of a channel of the same agent, which the component puts into.
    Channel,
}

/// The unit of a number, always shown with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Characters, as Flume counts them.
    Characters,
    /// Events.
    Events,
    /// Parts of a hundred.
    Percent,
    /// A TCP or UDP port number.
    Port,
}

impl Unit {
    /// The word for pages and messages.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
            Unit::Bytes => "bytes",
            Unit::Characters => "characters",
            Unit::Events => "events",
            Unit::Percent => "%",
            Unit::Port => "port",
        }
    }
}

/// What holds when an option is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// It has to be set.
    Required,
    /// It is absent, which has a meaning of its own.
    Absent,
    /// This value, in the spelling that a file would use.
    Is(&'static str),
}

/// One option of a component.
#[derive(Debug)]
pub struct OptionRow {
    /// Flume's spelling, relative to the component. A part in angle brackets stands for any text
    /// (`selector.mapping.<value>`): the row then accepts many keys.
    pub name: &'static str,
    /// Other accepted spellings.
    pub aliases: &'static [&'static str],
    /// The type and bound of the value.
    pub value: ValueKind,
    /// The unit, for numbers.
    pub unit: Option<Unit>,
    /// What holds when it is not set.
    pub default: DefaultValue,
    /// One or two sentences for `flumen help` and the reference.
    pub doc: &'static str,
    /// Whether flumen obeys it.
    pub support: Support,
}

impl OptionRow {
    /// A row with no aliases and no unit that is built; the other fields follow by struct update
    /// or by the short methods below.
    pub const fn new(
        name: &'static str,
        value: ValueKind,
        default: DefaultValue,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            value,
            unit: None,
            default,
            doc,
            support: Support::Built,
        }
    }

    /// The same row with a unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// The same row with other spellings.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same row, accepted without effect, with the reason why that is harmless.
    #[must_use]
    pub const fn no_effect(mut self, why: &'static str) -> Self {
        self.support = Support::NoEffect(why);
        self
    }

    /// The same row, not built.
    #[must_use]
    pub const fn not_built(mut self) -> Self {
        self.support = Support::NotBuilt;
        self
    }

    /// Whether a key names this row: its name or an alias, where a part in angle brackets matches
    /// any non-empty text.
    pub fn matches(&self, key: &str) -> bool {
        std::iter::once(&self.name)
            .chain(self.aliases)
            .any(|pattern| matches_pattern(pattern, key))
    }

    /// Whether the row stands for many keys.
    pub fn is_pattern(&self) -> bool {
        self.name.contains('<')
    }
}

/// Matches `mapping.<value>` against `mapping.CA`. A hole at the end takes everything that is
/// left, dots included; a hole before another part takes up to the next occurrence of that part.
fn matches_pattern(pattern: &str, key: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('<') else {
        return pattern == key;
    };
    let Some((_, after)) = rest.split_once('>') else {
        return pattern == key;
    };
    let Some(key) = key.strip_prefix(before) else {
        return false;
    };
    if after.is_empty() {
        return !key.is_empty();
    }
    let joint = after.split('<').next().unwrap_or(after);
    key.match_indices(joint)
        .filter(|(at, _)| *at > 0)
        .any(|(at, _)| {
            key.get(at..)
                .is_some_and(|tail| matches_pattern(after, tail))
        })
}

/// A row of a component that accepts every name given: its own and its aliases.
impl ComponentRow {
    /// Whether a type name, in any case, names this component.
    pub fn is_called(&self, name: &str) -> bool {
        std::iter::once(&self.name)
            .chain(self.aliases)
            .any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The option that a key names, if any. Exact names win over patterns.
    pub fn option(&self, key: &str) -> Option<&'static OptionRow> {
        self.options
            .iter()
            .find(|row| !row.is_pattern() && row.matches(key))
            .or_else(|| self.options.iter().find(|row| row.matches(key)))
    }
}

/// All component types that an agent knows, built or not.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    rows: Vec<&'static ComponentRow>,
}

impl Catalogue {
    /// A catalogue of these rows.
    pub fn new(rows: impl IntoIterator<Item = &'static ComponentRow>) -> Self {
        Self {
            rows: rows.into_iter().collect(),
        }
    }

    /// The row of a type name, which matches case-insensitively by alias or class name.
    pub fn find(&self, kind: ComponentKind, name: &str) -> Option<&'static ComponentRow> {
        self.of_kind(kind).find(|row| row.is_called(name))
    }

    /// All rows of a kind, in the order in which they were given.
    pub fn of_kind(&self, kind: ComponentKind) -> impl Iterator<Item = &'static ComponentRow> {
        self.rows
            .iter()
            .copied()
            .filter(move |row| row.kind == kind)
    }

    /// All rows.
    pub fn rows(&self) -> &[&'static ComponentRow] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_a_name_matches_any_text() {
        let row = OptionRow::new(
            "selector.mapping.<value>",
            ValueKind::List,
            DefaultValue::Absent,
            "",
        );
        assert!(row.matches("selector.mapping.a.b"));
        assert!(!row.matches("selector.mapping."));
        assert!(!row.matches("selector.mapping"));
        let row = OptionRow::new(
            "serializers.<s>.name",
            ValueKind::Text,
            DefaultValue::Required,
            "",
        );
        assert!(row.matches("serializers.s1.name"));
        assert!(!row.matches("serializers.s1.type"));
        assert!(!row.matches("serializers..name"));
        let row = OptionRow::new("headers.<g>.<k>", ValueKind::Text, DefaultValue::Absent, "");
        assert!(row.matches("headers.f1.k"));
        assert!(!row.matches("headers.f1"));
    }

    #[test]
    fn names_and_class_names_match_in_any_case() {
        static ROW: ComponentRow = ComponentRow {
            kind: ComponentKind::Source,
            name: "seq",
            aliases: &["org.apache.flume.source.SequenceGeneratorSource"],
            doc: "",
            support: Support::Built,
            options: &[],
        };
        let catalogue = Catalogue::new([&ROW]);
        for name in [
            "seq",
            "SEQ",
            "org.apache.flume.source.SequenceGeneratorSource",
            "ORG.apache.flume.source.sequencegeneratorsource",
        ] {
            assert!(catalogue.find(ComponentKind::Source, name).is_some());
        }
        assert!(catalogue.find(ComponentKind::Sink, "seq").is_none());
    }
}
