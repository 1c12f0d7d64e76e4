//! Source, sink and channel of Apache Kafka.
//!
//! All three hand options below `kafka.consumer.` and `kafka.producer.` to the Kafka client as they
//! are. Those that may hold a password have rows of their own, so that they never show.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Secret, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::sources::{BACKOFF_SLEEP_INCREMENT, MAX_BACKOFF_SLEEP};
use super::{FROM_ONE, FROM_ZERO};

const BOOTSTRAP_SERVERS: OptionRow = OptionRow::new(
    "kafka.bootstrap.servers",
    Text,
    Required,
    "Brokers to connect to first, as host:port, separated by commas.",
);

const CONSUMER_GROUP: OptionRow = OptionRow::new(
    "kafka.consumer.group.id",
    Text,
    Is("flume"),
    "Consumer group; agents with the same group share the partitions.",
)
.aliases(&["groupId"]);

const CONSUMER_SASL: OptionRow = OptionRow::new(
    "kafka.consumer.sasl.jaas.config",
    Secret,
    Absent,
    "Login of the consumer.",
);

const CONSUMER_KEY_PASSWORD: OptionRow = OptionRow::new(
    "kafka.consumer.ssl.key.password",
    Secret,
    Absent,
    "Password of the consumer's private key.",
);

const CONSUMER_KEYSTORE_PASSWORD: OptionRow = OptionRow::new(
    "kafka.consumer.ssl.keystore.password",
    Secret,
    Absent,
    "Password of the consumer's key store.",
);

const CONSUMER_TRUSTSTORE_PASSWORD: OptionRow = OptionRow::new(
    "kafka.consumer.ssl.truststore.password",
    Secret,
    Absent,
    "Password of the consumer's trust store.",
);

const CONSUMER_NO_HOSTNAME_CHECK: OptionRow = OptionRow::new(
    "kafka.consumer.ssl.disableTLSHostnameVerification",
    Boolean,
    Is("false"),
    "Whether the broker's certificate may carry another host name.",
);

const CONSUMER_PROPERTY: OptionRow = OptionRow::new(
    "kafka.consumer.<property>",
    Text,
    Absent,
    "Any other setting of the Kafka consumer.",
);

const PRODUCER_SASL: OptionRow = OptionRow::new(
    "kafka.producer.sasl.jaas.config",
    Secret,
    Absent,
    "Login of the producer.",
);

const PRODUCER_KEY_PASSWORD: OptionRow = OptionRow::new(
    "kafka.producer.ssl.key.password",
    Secret,
    Absent,
    "Password of the producer's private key.",
);

const PRODUCER_KEYSTORE_PASSWORD: OptionRow = OptionRow::new(
    "kafka.producer.ssl.keystore.password",
    Secret,
    Absent,
    "Password of the producer's key store.",
);

const PRODUCER_TRUSTSTORE_PASSWORD: OptionRow = OptionRow::new(
    "kafka.producer.ssl.truststore.password",
    Secret,
    Absent,
    "Password of the producer's trust store.",
);

const PRODUCER_NO_HOSTNAME_CHECK: OptionRow = OptionRow::new(
    "kafka.producer.ssl.disableTLSHostnameVerification",
    Boolean,
    Is("false"),
    "Whether the broker's certificate may carry another host name.",
);

const PRODUCER_PROPERTY: OptionRow = OptionRow::new(
    "kafka.producer.<property>",
    Text,
    Absent,
    "Any other setting of the Kafka producer.",
);

const DEFAULT_PARTITION: OptionRow = OptionRow::new(
    "defaultPartitionId",
    FROM_ZERO,
    Absent,
    "Partition for events whose header names none; without it the producer decides.",
);

const PARTITION_HEADER: OptionRow = OptionRow::new(
    "partitionIdHeader",
    Text,
    Absent,
    "Header that holds the number of the partition.",
);

const ZOOKEEPER_CONNECT: OptionRow = OptionRow::new(
    "zookeeperConnect",
    Text,
    Absent,
    "ZooKeeper of an old Kafka, for offsets that were kept there.",
);

const MIGRATE_OFFSETS: OptionRow = OptionRow::new(
    "migrateZookeeperOffsets",
    Boolean,
    Is("true"),
    "Whether offsets are taken over from ZooKeeper when Kafka has none.",
);

pub(super) static SOURCE: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "kafka",
    aliases: &["org.apache.flume.source.kafka.KafkaSource"],
    doc: "Reads records of Kafka topics. Offsets are committed after the put, so that a \
        record comes at least once.",
    support: Support::NotBuilt,
    options: &[
        BOOTSTRAP_SERVERS,
        OptionRow::new(
            "kafka.topics",
            Text,
            Absent,
            "Topics to read, separated by commas; this or kafka.topics.regex is needed.",
        )
        .aliases(&["topic"]),
        OptionRow::new(
            "kafka.topics.regex",
            Text,
            Absent,
            "Pattern of topics to read; it wins over kafka.topics.",
        ),
        CONSUMER_GROUP,
        OptionRow::new(
            "batchSize",
            FROM_ONE,
            Is("1000"),
            "Most records in one put.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "batchDurationMillis",
            FROM_ONE,
            Is("1000"),
            "Longest wait before a batch is put.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "useFlumeEventFormat",
            Boolean,
            Is("false"),
            "Whether a record's value is a Flume event in Avro with headers of its own, \
             instead of a body.",
        ),
        OptionRow::new(
            "setTopicHeader",
            Boolean,
            Is("true"),
            "Whether a header tells the topic.",
        ),
        OptionRow::new("topicHeader", Text, Is("topic"), "Header for the topic."),
        OptionRow::new(
            "timestampHeader",
            Text,
            Absent,
            "In Flume's guide, but not read by Flume's code.",
        ),
        OptionRow::new(
            "header.<header>",
            Text,
            Absent,
            "Name of the record header whose value the event header receives.",
        ),
        CONSUMER_SASL,
        CONSUMER_KEY_PASSWORD,
        CONSUMER_KEYSTORE_PASSWORD,
        CONSUMER_TRUSTSTORE_PASSWORD,
        CONSUMER_NO_HOSTNAME_CHECK,
        CONSUMER_PROPERTY,
        MIGRATE_OFFSETS,
        ZOOKEEPER_CONNECT,
        BACKOFF_SLEEP_INCREMENT,
        MAX_BACKOFF_SLEEP,
    ],
};

pub(super) static SINK: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "kafka",
    aliases: &["org.apache.flume.sink.kafka.KafkaSink"],
    doc: "Writes events to Kafka topics; the header key becomes the key of the record. A \
        batch counts when the brokers have confirmed all of it.",
    support: Support::NotBuilt,
    options: &[
        BOOTSTRAP_SERVERS.aliases(&["brokerList"]),
        OptionRow::new(
            "kafka.topic",
            Text,
            Is("default-flume-topic"),
            "Topic to write to; %{header} stands for the value of a header.",
        )
        .aliases(&["topic"]),
        OptionRow::new(
            "flumeBatchSize",
            FROM_ONE,
            Is("100"),
            "Most events in one transaction.",
        )
        .unit(Unit::Events)
        .aliases(&["batchSize"]),
        OptionRow::new(
            "kafka.producer.acks",
            Choice(&["0", "1", "all", "-1"]),
            Is("1"),
            "Whose confirmation counts: nobody's (0), the leader's (1) or that of all \
             replicas (all).",
        )
        .aliases(&["requiredAcks"]),
        OptionRow::new(
            "useFlumeEventFormat",
            Boolean,
            Is("false"),
            "Whether a record's value is the whole event in Avro, instead of its body.",
        ),
        DEFAULT_PARTITION,
        PARTITION_HEADER,
        OptionRow::new(
            "allowTopicOverride",
            Boolean,
            Is("true"),
            "Whether a header may name the topic.",
        ),
        OptionRow::new(
            "topicHeader",
            Text,
            Is("topic"),
            "Header that names the topic.",
        ),
        OptionRow::new(
            "timestampHeader",
            Text,
            Absent,
            "Header that holds the time of the record; without it the producer sets the time.",
        ),
        OptionRow::new(
            "header.<header>",
            Text,
            Absent,
            "Name of the record header that receives the value of the event header.",
        ),
        PRODUCER_SASL,
        PRODUCER_KEY_PASSWORD,
        PRODUCER_KEYSTORE_PASSWORD,
        PRODUCER_TRUSTSTORE_PASSWORD,
        PRODUCER_NO_HOSTNAME_CHECK,
        PRODUCER_PROPERTY,
    ],
};

pub(super) static CHANNEL: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "kafka",
    aliases: &["org.apache.flume.channel.kafka.KafkaChannel"],
    doc: "Keeps events in a Kafka topic. It also serves with a source alone, to write the \
        topic, or with a sink alone, to read it.",
    support: Support::NotBuilt,
    options: &[
        BOOTSTRAP_SERVERS.aliases(&["brokerList"]),
        OptionRow::new(
            "kafka.topic",
            Text,
            Is("flume-channel"),
            "Topic that holds the events.",
        )
        .aliases(&["topic"]),
        CONSUMER_GROUP,
        OptionRow::new(
            "parseAsFlumeEvent",
            Boolean,
            Is("true"),
            "Whether a record's value is a Flume event in Avro with headers, instead of a body.",
        ),
        OptionRow::new(
            "kafka.pollTimeout",
            FROM_ZERO,
            Is("500"),
            "Longest wait of a take for records.",
        )
        .unit(Unit::Milliseconds)
        .aliases(&["pollTimeout"]),
        DEFAULT_PARTITION,
        PARTITION_HEADER,
        OptionRow::new(
            "kafka.consumer.auto.offset.reset",
            Choice(&["earliest", "latest", "none"]),
            Is("earliest"),
            "Where to begin when the group has no offset yet.",
        ),
        OptionRow::new(
            "readSmallestOffset",
            Boolean,
            Absent,
            "Old form of kafka.consumer.auto.offset.reset: true is earliest, false is latest.",
        ),
        OptionRow::new(
            "kafka.producer.acks",
            Choice(&["0", "1", "all", "-1"]),
            Is("all"),
            "Whose confirmation counts: nobody's (0), the leader's (1) or that of all \
             replicas (all).",
        ),
        CONSUMER_SASL,
        CONSUMER_KEY_PASSWORD,
        CONSUMER_KEYSTORE_PASSWORD,
        CONSUMER_TRUSTSTORE_PASSWORD,
        CONSUMER_NO_HOSTNAME_CHECK,
        CONSUMER_PROPERTY,
        PRODUCER_SASL,
        PRODUCER_KEY_PASSWORD,
        PRODUCER_KEYSTORE_PASSWORD,
        PRODUCER_TRUSTSTORE_PASSWORD,
        PRODUCER_NO_HOSTNAME_CHECK,
        PRODUCER_PROPERTY,
        MIGRATE_OFFSETS,
        ZOOKEEPER_CONNECT,
    ],
};
