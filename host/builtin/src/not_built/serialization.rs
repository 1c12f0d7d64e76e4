//! Event serializers, deserializers, HTTP handlers and config filters that are not built.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::FROM_ONE;

pub(super) static ROWS: &[&ComponentRow] = &[
    &HEADER_AND_TEXT,
    &AVRO_EVENT,
    &AVRO_DATUM,
    &LINE,
    &AVRO,
    &BLOB,
    &JSON_HANDLER,
    &BLOB_HANDLER,
    &EXTERNAL_FILTER,
    &HADOOP_FILTER,
];

const SYNC_INTERVAL: OptionRow = OptionRow::new(
    "syncIntervalBytes",
    FROM_ONE,
    Is("2048000"),
    "Bytes between two marks from which a reader of the container can start.",
)
.unit(Unit::Bytes);

const COMPRESSION_CODEC: OptionRow = OptionRow::new(
    "compressionCodec",
    Text,
    Is("null"),
    "Compression of the container's blocks: null for none, deflate, snappy or another \
     codec of Avro.",
);

static HEADER_AND_TEXT: ComponentRow = ComponentRow {
    kind: ComponentKind::EventSerializer,
    name: "HEADER_AND_TEXT",
    aliases: &["org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder"],
    doc: "Writes the headers as {k=v, k2=v2}, a space and the body.",
    support: Support::NotBuilt,
    options: &[OptionRow::new(
        "appendNewline",
        Boolean,
        Is("true"),
        "Whether a line feed follows each event.",
    )],
};

static AVRO_EVENT: ComponentRow = ComponentRow {
    kind: ComponentKind::EventSerializer,
    name: "AVRO_EVENT",
    aliases: &["org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder"],
    doc: "Writes an Avro container whose records hold the headers and the body of an event.",
    support: Support::NotBuilt,
    options: &[SYNC_INTERVAL, COMPRESSION_CODEC],
};

static AVRO_DATUM: ComponentRow = ComponentRow {
    kind: ComponentKind::EventSerializer,
    name: "AVRO_DATUM",
    aliases: &["org.apache.flume.sink.hdfs.AvroEventSerializer$Builder"],
    doc: "Writes an Avro container of bodies that are Avro values already. The schema \
        comes from the header flume.avro.schema.url or flume.avro.schema.literal, or from \
        schemaURL.",
    support: Support::NotBuilt,
    options: &[
        SYNC_INTERVAL,
        COMPRESSION_CODEC,
        OptionRow::new(
            "schemaURL",
            Text,
            Absent,
            "Address of the schema for events whose headers name none.",
        ),
    ],
};

static LINE: ComponentRow = ComponentRow {
    kind: ComponentKind::Deserializer,
    name: "LINE",
    aliases: &["org.apache.flume.serialization.LineDeserializer$Builder"],
    doc: "Makes an event of each line of a file.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "maxLineLength",
            FROM_ONE,
            Is("2048"),
            "Longest line; the rest of a longer one is the next event.",
        )
        .unit(Unit::Characters),
        OptionRow::new(
            "outputCharset",
            Text,
            Is("UTF-8"),
            "Character set of the body.",
        ),
    ],
};

static AVRO: ComponentRow = ComponentRow {
    kind: ComponentKind::Deserializer,
    name: "AVRO",
    aliases: &["org.apache.flume.serialization.AvroEventDeserializer$Builder"],
    doc: "Makes an event of each record of an Avro container; the body is the record \
        without its container.",
    support: Support::NotBuilt,
    options: &[OptionRow::new(
        "schemaType",
        Choice(&["HASH", "LITERAL"]),
        Is("HASH"),
        "How a header tells the schema: its fingerprint, or the whole schema.",
    )],
};

static BLOB: ComponentRow = ComponentRow {
    kind: ComponentKind::Deserializer,
    name: "blob",
    aliases: &["org.apache.flume.sink.solr.morphline.BlobDeserializer$Builder"],
    doc: "Makes one event of a whole file, or several of a file that is too long.",
    support: Support::NotBuilt,
    options: &[OptionRow::new(
        "maxBlobLength",
        FROM_ONE,
        Is("100000000"),
        "Most bytes in one event.",
    )
    .unit(Unit::Bytes)],
};

static JSON_HANDLER: ComponentRow = ComponentRow {
    kind: ComponentKind::HttpHandler,
    name: "json",
    aliases: &["org.apache.flume.source.http.JSONHandler"],
    doc: "Reads a JSON array of events, each with headers and a body of text, in UTF-8, \
        UTF-16 or UTF-32.",
    support: Support::NotBuilt,
    options: &[],
};

static BLOB_HANDLER: ComponentRow = ComponentRow {
    kind: ComponentKind::HttpHandler,
    name: "blob",
    // Two classes of Flume do the same and differ in one option each.
    aliases: &[
        "org.apache.flume.sink.solr.morphline.BlobHandler",
        "org.apache.flume.source.http.BLOBHandler",
    ],
    doc: "Makes one event of a request: its parameters are the headers, its payload is the \
        body.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "maxBlobLength",
            FROM_ONE,
            Is("100000000"),
            "Most bytes of the body that are kept.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "mandatoryParameters",
            Text,
            Is(""),
            "Parameters that a request must have, separated by commas.",
        ),
    ],
};

static EXTERNAL_FILTER: ComponentRow = ComponentRow {
    kind: ComponentKind::ConfigFilter,
    name: "external",
    aliases: &["org.apache.flume.configfilter.ExternalProcessConfigFilter"],
    doc: "Runs a command and puts the first line of its output in the place of ${filter[key]}.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "command",
            Text,
            Required,
            "Command with its arguments; the key becomes the last argument.",
        ),
        OptionRow::new("charset", Text, Is("UTF-8"), "Character set of the output."),
    ],
};

static HADOOP_FILTER: ComponentRow = ComponentRow {
    kind: ComponentKind::ConfigFilter,
    name: "hadoop",
    aliases: &["org.apache.flume.configfilter.HadoopCredentialStoreConfigFilter"],
    doc: "Puts a secret of a Hadoop credential store in the place of ${filter[key]}.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "credential.provider.path",
            Text,
            Required,
            "Address of the credential store.",
        ),
        OptionRow::new(
            "credstore.java-keystore-provider.password-file",
            Text,
            Absent,
            "File with the password of the store.",
        ),
    ],
};
