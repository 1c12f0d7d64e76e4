//! The sink of the Hadoop file system.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Component, Integer, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{ANY_INTEGER, FROM_ONE, FROM_ZERO};

pub(super) static HDFS: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "hdfs",
    aliases: &["org.apache.flume.sink.hdfs.HDFSEventSink"],
    doc: "Writes events to files in HDFS, with directories and names made from headers and \
        time. A file gets its final name when it is closed.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "hdfs.path",
            Text,
            Required,
            "Directory of the files; escapes such as %{header} and %Y-%m-%d are replaced.",
        ),
        OptionRow::new(
            "hdfs.filePrefix",
            Text,
            Is("FlumeData"),
            "Beginning of each file's name; escapes are replaced.",
        ),
        OptionRow::new(
            "hdfs.fileSuffix",
            Text,
            Absent,
            "End of each file's name, with its dot; without it the ending of the codec.",
        ),
        OptionRow::new(
            "hdfs.inUsePrefix",
            Text,
            Is(""),
            "Beginning of the name while the file is open.",
        ),
        OptionRow::new(
            "hdfs.inUseSuffix",
            Text,
            Is(".tmp"),
            "End of the name while the file is open.",
        ),
        OptionRow::new(
            "hdfs.emptyInUseSuffix",
            Boolean,
            Is("false"),
            "Whether an open file has no such ending at all.",
        ),
        OptionRow::new(
            "hdfs.rollInterval",
            FROM_ZERO,
            Is("30"),
            "Time after which the next file begins; 0 is never.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "hdfs.rollSize",
            FROM_ZERO,
            Is("1024"),
            "Size of bodies after which the next file begins; 0 is never.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "hdfs.rollCount",
            FROM_ZERO,
            Is("10"),
            "Events after which the next file begins; 0 is never.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "hdfs.idleTimeout",
            FROM_ZERO,
            Is("0"),
            "Time without events after which a file is closed; 0 is never.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "hdfs.batchSize",
            FROM_ONE,
            Is("100"),
            "Most events in one transaction; after each the files are flushed.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "hdfs.codeC",
            Text,
            Absent,
            "Compression: gzip, bzip2, lzo, lzop, snappy, or a Java class.",
        ),
        OptionRow::new(
            "hdfs.fileType",
            Choice(&["SequenceFile", "DataStream", "CompressedStream"]),
            Is("SequenceFile"),
            "Format of the files. DataStream is never compressed; CompressedStream needs a codec.",
        ),
        OptionRow::new(
            "hdfs.writeFormat",
            Text,
            Is("Writable"),
            "Values of a sequence file: Writable for bytes, Text for text, or a Java class.",
        ),
        OptionRow::new(
            "hdfs.maxOpenFiles",
            FROM_ONE,
            Is("5000"),
            "Most files open at a time; then the one that waited longest is closed.",
        ),
        OptionRow::new(
            "hdfs.minBlockReplicas",
            FROM_ONE,
            Absent,
            "Copies that each block must have, else the next file begins; without it as HDFS \
             is set.",
        ),
        OptionRow::new(
            "hdfs.threadsPoolSize",
            FROM_ONE,
            Is("10"),
            "Threads for calls to HDFS.",
        ),
        OptionRow::new(
            "hdfs.rollTimerPoolSize",
            FROM_ONE,
            Is("1"),
            "Threads that close files when their time is over.",
        ),
        OptionRow::new(
            "hdfs.kerberosPrincipal",
            Text,
            Absent,
            "Kerberos principal to log in as.",
        ),
        OptionRow::new(
            "hdfs.kerberosKeytab",
            Text,
            Absent,
            "File with the keys of that principal.",
        ),
        OptionRow::new(
            "hdfs.proxyUser",
            Text,
            Absent,
            "User in whose name files are written.",
        ),
        OptionRow::new(
            "hdfs.round",
            Boolean,
            Is("false"),
            "Whether the time in escapes is rounded down.",
        ),
        OptionRow::new(
            "hdfs.roundValue",
            Integer { min: 1, max: 60 },
            Is("1"),
            "Multiple of roundUnit that time is rounded down to; hours up to 24.",
        ),
        OptionRow::new(
            "hdfs.roundUnit",
            Choice(&["second", "minute", "hour"]),
            Is("second"),
            "Unit of roundValue.",
        ),
        OptionRow::new(
            "hdfs.timeZone",
            Text,
            Absent,
            "Time zone for escapes, such as Europe/Berlin; without it that of the host.",
        ),
        OptionRow::new(
            "hdfs.useLocalTimeStamp",
            Boolean,
            Is("false"),
            "Whether escapes take the time of the agent instead of the header timestamp.",
        ),
        OptionRow::new(
            "hdfs.useRawLocalFileSystem",
            Boolean,
            Is("false"),
            "Whether file: addresses are written without checksum files.",
        ),
        OptionRow::new(
            "hdfs.closeTries",
            FROM_ZERO,
            Is("0"),
            "How often a failed close or rename is tried; 0 is without a limit.",
        ),
        OptionRow::new(
            "hdfs.retryInterval",
            ANY_INTEGER,
            Is("180"),
            "Time between two such tries; 0 or less is a single try.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "hdfs.callTimeout",
            FROM_ZERO,
            Is("30000"),
            "Longest wait for one call to HDFS; 0 is without a limit.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "serializer",
            Component(ComponentKind::EventSerializer),
            Is("TEXT"),
            "How events become bytes, for file types other than SequenceFile.",
        ),
    ],
};
