//! Sources that read files.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Component, List, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{FROM_ONE, FROM_ZERO};
use super::{BACKOFF_SLEEP_INCREMENT, MAX_BACKOFF_SLEEP};

pub(super) static SPOOLDIR: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "spooldir",
    aliases: &["org.apache.flume.source.SpoolDirectorySource"],
    doc: "Reads files that are put complete into a directory, then renames, deletes or \
        marks them. A file must not change after it appears.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "spoolDir",
            Text,
            Required,
            "Directory to watch; it must exist.",
        ),
        OptionRow::new(
            "fileSuffix",
            Text,
            Is(".COMPLETED"),
            "Added to the name of a file that has been read.",
        ),
        OptionRow::new(
            "deletePolicy",
            Choice(&["never", "immediate"]),
            Is("never"),
            "Whether a file is deleted once it has been read.",
        ),
        OptionRow::new(
            "trackingPolicy",
            Choice(&["rename", "tracker_dir"]),
            Is("rename"),
            "How a file that has been read is marked: by its new name or by an empty file in \
             trackerDir.",
        ),
        OptionRow::new(
            "trackerDir",
            Text,
            Is(".flumespool"),
            "Directory for the position in the current file and for marks; relative to spoolDir.",
        ),
        OptionRow::new(
            "fileHeader",
            Boolean,
            Is("false"),
            "Whether each event carries the absolute path of its file.",
        ),
        OptionRow::new("fileHeaderKey", Text, Is("file"), "Header for the path."),
        OptionRow::new(
            "basenameHeader",
            Boolean,
            Is("false"),
            "Whether each event carries the name of its file.",
        ),
        OptionRow::new(
            "basenameHeaderKey",
            Text,
            Is("basename"),
            "Header for the name.",
        ),
        OptionRow::new(
            "includePattern",
            Text,
            Is("^.*$"),
            "Pattern that the whole name of a file must match.",
        ),
        OptionRow::new(
            "ignorePattern",
            Text,
            Is("^$"),
            "Pattern of names to leave alone; it wins over includePattern.",
        ),
        OptionRow::new(
            "consumeOrder",
            Choice(&["oldest", "youngest", "random"]),
            Is("oldest"),
            "Which file comes next.",
        ),
        OptionRow::new(
            "recursiveDirectorySearch",
            Boolean,
            Is("false"),
            "Whether directories below are watched too.",
        ),
        OptionRow::new(
            "pollDelay",
            FROM_ONE,
            Is("500"),
            "Time between two looks into the directory.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "maxBackoff",
            FROM_ONE,
            Is("4000"),
            "Longest wait before a batch that a full channel refused is tried again.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new("batchSize", FROM_ONE, Is("100"), "Most events in one put.")
            .unit(Unit::Events),
        OptionRow::new(
            "inputCharset",
            Text,
            Is("UTF-8"),
            "Character set of the files.",
        ),
        OptionRow::new(
            "decodeErrorPolicy",
            Choice(&["FAIL", "REPLACE", "IGNORE"]),
            Is("FAIL"),
            "What to do with bytes that the character set does not know: stop, put a \
             replacement character, or leave them out.",
        ),
        OptionRow::new(
            "deserializer",
            Component(ComponentKind::Deserializer),
            Is("LINE"),
            "How a file is cut into events.",
        ),
        OptionRow::new(
            "bufferMaxLines",
            FROM_ONE,
            Is("100"),
            "Obsolete; Flume ignores it.",
        ),
        OptionRow::new(
            "bufferMaxLineLength",
            FROM_ONE,
            Is("5000"),
            "Old name for the longest line of the LINE deserializer.",
        )
        .unit(Unit::Characters),
    ],
};

pub(super) static TAILDIR: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "TAILDIR",
    aliases: &["org.apache.flume.source.taildir.TaildirSource"],
    doc: "Follows files as lines are added to them and remembers its positions in a file, \
        so that a restart goes on where it left off.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("filegroups", List, Required, "Names of groups of files."),
        OptionRow::new(
            "filegroups.<group>",
            Text,
            Required,
            "Files of the group: an absolute path whose last part is a pattern.",
        ),
        OptionRow::new(
            "positionFile",
            Text,
            Is("~/.flume/taildir_position.json"),
            "File for the positions.",
        ),
        OptionRow::new(
            "headers.<group>.<header>",
            Text,
            Absent,
            "Header with a constant value for the events of the group.",
        ),
        OptionRow::new(
            "byteOffsetHeader",
            Boolean,
            Is("false"),
            "Whether the header byteoffset tells where in the file a line begins.",
        ),
        OptionRow::new(
            "skipToEnd",
            Boolean,
            Is("false"),
            "Whether a file that the position file does not know is followed from its end.",
        ),
        OptionRow::new(
            "idleTimeout",
            FROM_ZERO,
            Is("120000"),
            "Time after which a file that does not grow is closed.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "writePosInterval",
            FROM_ONE,
            Is("3000"),
            "Time between two writes of the position file.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new("batchSize", FROM_ONE, Is("100"), "Most events in one put.")
            .unit(Unit::Events),
        OptionRow::new(
            "maxBatchCount",
            FROM_ONE,
            Is("9223372036854775807"),
            "Most batches in a row from one file before the next file has its turn.",
        ),
        OptionRow::new(
            "cachePatternMatching",
            Boolean,
            Is("true"),
            "Whether a directory is listed again only when its modification time has changed.",
        ),
        OptionRow::new(
            "fileHeader",
            Boolean,
            Is("false"),
            "Whether each event carries the absolute path of its file.",
        ),
        OptionRow::new("fileHeaderKey", Text, Is("file"), "Header for the path."),
        BACKOFF_SLEEP_INCREMENT,
        MAX_BACKOFF_SLEEP,
    ],
};
