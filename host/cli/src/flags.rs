//! The command line as data: verbs and flags. Parser, usage and the compatibility page read these
//! rows.
//!
//! All commands and flags of `flume-ng` are here: obeyed, accepted without effect for a reason, or
//! refused with what to do instead.

/// What becomes of a verb or flag of Flume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Obeyed.
    Obeyed,
    /// Accepted without effect; the text says why that is harmless.
    NoEffect(&'static str),
    /// Refused; the text says what to do instead.
    NotBuilt(&'static str),
}

impl Treatment {
    /// The words of the compatibility page.
    pub(crate) fn words(self) -> String {
        match self {
            Treatment::Obeyed => "built".to_owned(),
            Treatment::NoEffect(why) => format!("accepted without effect: {why}"),
            Treatment::NotBuilt(remedy) => format!("not built: {remedy}"),
        }
    }
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Agent,
    Check,
    Convert,
    ComponentNew,
    ComponentBuild,
    ComponentInspect,
    ComponentRun,
    ImportFlumeChannel,
    ChannelLs,
    ChannelShow,
    ChannelDump,
    ChannelVerify,
    ChannelSalvage,
    Docs,
    Help,
    Version,
    /// Of Flume, and not built.
    Foreign,
}

/// One command as it is written.
#[derive(Debug)]
pub(crate) struct VerbRow {
    pub(crate) verb: Verb,
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) treatment: Treatment,
    /// Whether `flume-ng` has it too.
    pub(crate) is_of_flume: bool,
}

const fn verb(
    verb: Verb,
    name: &'static str,
    usage: &'static str,
    doc: &'static str,
    is_of_flume: bool,
) -> VerbRow {
    VerbRow {
        verb,
        name,
        usage,
        doc,
        treatment: Treatment::Obeyed,
        is_of_flume,
    }
}

impl VerbRow {
    const fn not_built(mut self, remedy: &'static str) -> Self {
        self.treatment = Treatment::NotBuilt(remedy);
        self
    }
}

/// All commands, in the order of the usage.
#[rustfmt::skip]
pub(crate) static VERBS: &[VerbRow] = &[
    verb(Verb::Agent, "agent", "[--conf-file FILE]... [--name NAME] [-Dname=value]...", "run an agent; without a file, that of the README", true),
    verb(Verb::Check, "check", "FILE... [--name NAME] [--against OLD]", "print all problems of a configuration; exit 1 on an error", false),
    verb(Verb::Convert, "convert", "FILE... [--output FILE]", "write a configuration as TOML", false),
    verb(Verb::ComponentNew, "component new", "--kind source|interceptor|sink NAME [--folder DIR]", "write the project of a new component", false),
    verb(Verb::ComponentBuild, "component build", "[FOLDER]", "build a component's project with cargo", false),
    verb(Verb::ComponentInspect, "component inspect", "FILE", "tell what a component is and asks for, and if it runs", false),
    verb(Verb::ComponentRun, "component run", "FILE [--input EVENTS] [--config NAME=VALUE]...", "run one component against a file of events", false),
    verb(Verb::ChannelLs, "channel ls", "[FOLDER]... [--conf-file FILE]", "list durable channels and what waits in them", false),
    verb(Verb::ChannelShow, "channel show", "FOLDER | --conf-file FILE [--channel NAME]", "tell what is in a channel: segments, events, states", false),
    verb(Verb::ChannelDump, "channel dump", "FOLDER | --conf-file FILE [--channel NAME]", "print the events that wait in a channel as JSON lines", false),
    verb(Verb::ChannelVerify, "channel verify", "FOLDER | --conf-file FILE [--channel NAME]", "read all of a channel and count damage; exit 1 on any", false),
    verb(Verb::ChannelSalvage, "channel salvage", "FOLDER --to NEW", "copy what is whole of a channel into a new folder", false),
    verb(Verb::ImportFlumeChannel, "import-flume-channel", "[DIR]... --to FOLDER | --conf-file FILE", "bring over what waits in the file channel of Apache Flume", false),
    verb(Verb::Help, "help", "[COMMAND | COMPONENT]", "explain a command, or the options of a component", true),
    verb(Verb::Docs, "docs", "compatibility | reference", "print a generated page of the documentation", false),
    verb(Verb::Version, "version", "", "print the version", true),
    verb(Verb::Agent, "node", "", "deprecated name of agent", true),
    verb(Verb::Foreign, "avro-client", "", "send a file to an Avro source", true).not_built("use the avro-client of Apache Flume"),
    verb(Verb::Foreign, "tool", "", "check the files of a file channel", true).not_built("use `channel verify`, or the tool of Apache Flume for its own files"),
];

/// Which flag it is, for those that are obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagId {
    Name,
    ConfFile,
    Conf,
    Property,
    NoReloadConf,
    DryRun,
    Against,
    Output,
    Kind,
    Folder,
    Input,
    Config,
    BatchSize,
    Rounds,
    Events,
    Headers,
    Channel,
    To,
    From,
    Count,
    BodyBytes,
    Text,
    UnreadableIsLost,
    Help,
    /// One that is not obeyed.
    Other,
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagValue {
    /// Nothing.
    None,
    /// The next argument, or what stands behind `=`.
    Next(&'static str),
    /// The rest of the same argument: `-Dname=value`.
    Attached(&'static str),
}

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) id: FlagId,
    /// As usually written; the first is the one that messages use. One hyphen and two are the
    /// same, as in Flume.
    pub(crate) names: &'static [&'static str],
    pub(crate) value: FlagValue,
    pub(crate) doc: &'static str,
    pub(crate) treatment: Treatment,
    pub(crate) verbs: &'static [Verb],
}

impl Flag {
    /// The name that messages use.
    pub(crate) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Names and value as the usage shows them.
    pub(crate) fn synopsis(&self) -> String {
        let names = self.names.join(", ");
        match self.value {
            FlagValue::None => names,
            FlagValue::Next(value) => format!("{names} {value}"),
            FlagValue::Attached(value) => format!("{names}{value}"),
        }
    }
}

const fn flag(
    id: FlagId,
    names: &'static [&'static str],
    value: FlagValue,
    verbs: &'static [Verb],
    doc: &'static str,
) -> Flag {
    Flag {
        id,
        names,
        value,
        doc,
        treatment: Treatment::Obeyed,
        verbs,
    }
}

const fn idle(
    names: &'static [&'static str],
    value: FlagValue,
    verbs: &'static [Verb],
    doc: &'static str,
    why: &'static str,
) -> Flag {
    let mut flag = flag(FlagId::Other, names, value, verbs, doc);
    flag.treatment = Treatment::NoEffect(why);
    flag
}

const fn refused(
    names: &'static [&'static str],
    value: FlagValue,
    doc: &'static str,
    remedy: &'static str,
) -> Flag {
    let mut flag = flag(FlagId::Other, names, value, AGENT, doc);
    flag.treatment = Treatment::NotBuilt(remedy);
    flag
}

const AGENT: &[Verb] = &[Verb::Agent];
/// The commands that `flume-ng` has; its script takes some flags with any of them.
const SCRIPT: &[Verb] = &[Verb::Agent, Verb::Help, Verb::Version];
const CONFIGURED: &[Verb] = &[
    Verb::Agent,
    Verb::ImportFlumeChannel,
    Verb::ChannelLs,
    Verb::ChannelShow,
    Verb::ChannelDump,
    Verb::ChannelVerify,
    Verb::ChannelSalvage,
];
const CHANNELS: &[Verb] = &[
    Verb::ImportFlumeChannel,
    Verb::ChannelShow,
    Verb::ChannelDump,
    Verb::ChannelVerify,
    Verb::ChannelSalvage,
];
const TARGETS: &[Verb] = &[Verb::ImportFlumeChannel, Verb::ChannelSalvage];
const DUMP: &[Verb] = &[Verb::ChannelDump];
const SALVAGE: &[Verb] = &[Verb::ChannelSalvage];
const DRY_RUNS: &[Verb] = &[
    Verb::Agent,
    Verb::Help,
    Verb::Version,
    Verb::ImportFlumeChannel,
];
const FILES: &[Verb] = &[
    Verb::Agent,
    Verb::Check,
    Verb::ImportFlumeChannel,
    Verb::ChannelLs,
    Verb::ChannelShow,
    Verb::ChannelDump,
    Verb::ChannelVerify,
    Verb::ChannelSalvage,
];
const LOOKUPS: &[Verb] = &[
    Verb::Agent,
    Verb::Check,
    Verb::Convert,
    Verb::ImportFlumeChannel,
    Verb::ChannelLs,
    Verb::ChannelShow,
    Verb::ChannelDump,
    Verb::ChannelVerify,
    Verb::ChannelSalvage,
    Verb::Help,
    Verb::Version,
];
const ALL: &[Verb] = &[
    Verb::Agent,
    Verb::Check,
    Verb::Convert,
    Verb::ComponentNew,
    Verb::ComponentBuild,
    Verb::ComponentInspect,
    Verb::ComponentRun,
    Verb::ImportFlumeChannel,
    Verb::ChannelLs,
    Verb::ChannelShow,
    Verb::ChannelDump,
    Verb::ChannelVerify,
    Verb::ChannelSalvage,
    Verb::Docs,
    Verb::Help,
    Verb::Version,
];
const RUN: &[Verb] = &[Verb::ComponentRun];

const NO_JVM: &str = "there is no Java virtual machine";
const USE_FILE: &str = "fetch the configuration into a file and name it with --conf-file; a file that is replaced is noticed at once";

/// All flags, in the order of the usage.
#[rustfmt::skip]
pub(crate) static FLAGS: &[Flag] = &[
    flag(FlagId::ConfFile, &["--conf-file", "-f"], FlagValue::Next("FILE"), CONFIGURED, "the configuration; again for more files, of which later ones win"),
    flag(FlagId::Name, &["--name", "-n"], FlagValue::Next("NAME"), FILES, "the agent to run; may be left out when the file has only one"),
    flag(FlagId::Property, &["-D"], FlagValue::Attached("name=value"), LOOKUPS, "a system property: for ${sys:name}, and see the properties below"),
    flag(FlagId::NoReloadConf, &["--no-reload-conf"], FlagValue::None, AGENT, "do not reload when a file changes; SIGHUP still does"),
    flag(FlagId::DryRun, &["--dryrun", "-d"], FlagValue::None, DRY_RUNS, "check what is given, print what would run or be imported, and end"),
    flag(FlagId::Against, &["--against"], FlagValue::Next("OLD"), &[Verb::Check], "print what a reload from this configuration would change, and what it would refuse"),
    flag(FlagId::Output, &["--output", "-o"], FlagValue::Next("FILE"), &[Verb::Convert], "write here instead of to standard output"),
    flag(FlagId::Kind, &["--kind"], FlagValue::Next("KIND"), &[Verb::ComponentNew, Verb::ComponentRun], "source, interceptor or sink; `component run` takes by default what the component was built for"),
    flag(FlagId::Folder, &["--folder"], FlagValue::Next("DIR"), &[Verb::ComponentNew], "where the project is written; by default a new folder of the component's name"),
    flag(FlagId::Input, &["--input"], FlagValue::Next("EVENTS"), RUN, "a file with one event a line for an interceptor or sink, or - for standard input, which is the default"),
    flag(FlagId::Config, &["--config"], FlagValue::Next("NAME=VALUE"), RUN, "a setting of the component's own, as config.NAME in a configuration; again for more"),
    flag(FlagId::BatchSize, &["--batch-size"], FlagValue::Next("N"), RUN, "events in one call, 1000 by default"),
    flag(FlagId::Rounds, &["--rounds"], FlagValue::Next("N"), RUN, "how often the file of events is gone through, for steady figures; only the first round is printed"),
    flag(FlagId::Events, &["--events"], FlagValue::Next("N"), RUN, "events after which a source has given enough, 10 by default"),
    flag(FlagId::Headers, &["--headers"], FlagValue::None, RUN, "print the headers of each event before its body"),
    flag(FlagId::Channel, &["--channel"], FlagValue::Next("NAME"), CHANNELS, "the channel of the configuration; may be left out when it has only one file channel"),
    flag(FlagId::To, &["--to"], FlagValue::Next("FOLDER"), TARGETS, "the folder that the channel's dataDirs will name; it is made when it is not there"),
    flag(FlagId::From, &["--from"], FlagValue::Next("SEQUENCE"), DUMP, "the first event, by its sequence; by default the first that is not acknowledged"),
    flag(FlagId::Count, &["--count"], FlagValue::Next("N"), DUMP, "events at most; by default all"),
    flag(FlagId::BodyBytes, &["--body-bytes"], FlagValue::Next("N"), DUMP, "bytes of each body at most, 4096 by default; what is left out is counted"),
    flag(FlagId::Text, &["--text"], FlagValue::None, DUMP, "print bodies as lines of text, without sequences and headers"),
    flag(FlagId::UnreadableIsLost, &["--unreadable-is-lost"], FlagValue::None, SALVAGE, "leave out, and count, what the disk does not give; else that ends the copy, because a mended disk may give it"),
    flag(FlagId::Help, &["--help", "-h"], FlagValue::None, ALL, "explain the command"),
    flag(FlagId::Conf, &["--conf", "-c"], FlagValue::Next("DIR"), SCRIPT, "the folder of Flume's own settings; only looked at to say what is not read there"),
    idle(&["--poll-interval", "-i"], FlagValue::Next("SECONDS"), AGENT, "how often Flume looks for changes", "a change is noticed at once"),
    idle(&["--classpath", "-C"], FlagValue::Next("PATH"), SCRIPT, "where Java finds classes", NO_JVM),
    idle(&["--plugins-path"], FlagValue::Next("DIRS"), SCRIPT, "where Flume finds plugins", "Java plugins cannot be loaded, and a type that only a plugin has is an error of the configuration"),
    idle(&["-X"], FlagValue::Attached("..."), SCRIPT, "an option of the Java virtual machine", NO_JVM),
    idle(&["-agentlib"], FlagValue::Attached(":..."), SCRIPT, "an option of the Java virtual machine", NO_JVM),
    idle(&["-agentpath"], FlagValue::Attached(":..."), SCRIPT, "an option of the Java virtual machine", NO_JVM),
    idle(&["-javaagent"], FlagValue::Attached(":..."), SCRIPT, "an option of the Java virtual machine", NO_JVM),
    refused(&["--zkConnString", "-z"], FlagValue::Next("HOSTS"), "a configuration in ZooKeeper", USE_FILE),
    refused(&["--zkBasePath", "-p"], FlagValue::Next("PATH"), "where in ZooKeeper", USE_FILE),
    refused(&["--conf-uri", "-u"], FlagValue::Next("URI"), "a configuration behind a URI", USE_FILE),
    refused(&["--conf-provider", "-prov"], FlagValue::Next("CLASS"), "a Java class that provides the configuration", USE_FILE),
    refused(&["--auth-provider", "-a"], FlagValue::Next("CLASS"), "authentication for --conf-uri", USE_FILE),
    refused(&["--conf-user", "-user"], FlagValue::Next("USER"), "user for --conf-uri", USE_FILE),
    refused(&["--conf-password", "-pwd"], FlagValue::Next("PASSWORD"), "password for --conf-uri", USE_FILE),
    refused(&["--backup-directory", "-b"], FlagValue::Next("DIR"), "a copy of the last good configuration", "leave it out; a bad or missing file never stops a running agent"),
];

/// The flags of a command.
pub(crate) fn flags_of(verb: Verb) -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(move |flag| flag.verbs.contains(&verb))
}

/// The command of a name.
pub(crate) fn verb_called(name: &str) -> Option<&'static VerbRow> {
    VERBS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_means_one_flag() {
        let mut seen = BTreeSet::new();
        for name in FLAGS.iter().flat_map(|flag| flag.names) {
            assert!(name.starts_with('-'), "{name}");
            assert!(seen.insert(name.trim_start_matches('-')), "{name} twice");
        }
        let mut seen = BTreeSet::new();
        for row in VERBS {
            assert!(seen.insert(row.name), "{} twice", row.name);
        }
    }

    #[test]
    fn only_flags_that_are_not_obeyed_are_anonymous() {
        for flag in FLAGS {
            let is_obeyed = flag.treatment == Treatment::Obeyed;
            assert_eq!(is_obeyed, flag.id != FlagId::Other, "{}", flag.name());
        }
    }
}
