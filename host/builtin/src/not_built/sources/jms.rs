//! The source of Java's message queues.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Choice, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::{FROM_ONE, FROM_ZERO};
use super::{BACKOFF_SLEEP_INCREMENT, MAX_BACKOFF_SLEEP};

pub(super) static JMS: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "jms",
    aliases: &["org.apache.flume.source.jms.JMSSource"],
    doc: "Reads messages from a queue or topic through the Java Message Service. It needs \
        Java classes of the queue's maker.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "initialContextFactory",
            Text,
            Required,
            "Java class that finds the queue's objects.",
        ),
        OptionRow::new(
            "connectionFactory",
            Text,
            Is("ConnectionFactory"),
            "Name under which the connection factory is found.",
        ),
        OptionRow::new(
            "providerURL",
            Text,
            Required,
            "Address of the message broker.",
        ),
        OptionRow::new(
            "destinationName",
            Text,
            Required,
            "Name of the queue or topic.",
        ),
        OptionRow::new(
            "destinationType",
            Choice(&["queue", "topic"]),
            Required,
            "Whether it is a queue or a topic.",
        ),
        OptionRow::new(
            "destinationLocator",
            Choice(&["CDI", "JNDI"]),
            Is("CDI"),
            "How the destination is found: created by name or looked up.",
        ),
        OptionRow::new(
            "messageSelector",
            Text,
            Absent,
            "Condition that the broker applies to messages.",
        ),
        OptionRow::new("userName", Text, Absent, "User to log in as."),
        OptionRow::new(
            "passwordFile",
            Text,
            Absent,
            "File with the password of that user.",
        ),
        OptionRow::new(
            "batchSize",
            FROM_ONE,
            Is("100"),
            "Most messages in one transaction.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "errorThreshold",
            FROM_ONE,
            Is("10"),
            "Errors in a row after which the connection is made anew.",
        ),
        OptionRow::new(
            "pollTimeout",
            FROM_ZERO,
            Is("1000"),
            "Longest wait for the first message of a batch.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "converter.type",
            Text,
            Is("DEFAULT"),
            "How a message becomes events: DEFAULT or a Java class.",
        ),
        OptionRow::new(
            "converter.charset",
            Text,
            Is("UTF-8"),
            "Character set of text messages in events.",
        ),
        OptionRow::new(
            "converter.<property>",
            Text,
            Absent,
            "Setting of a converter class.",
        ),
        OptionRow::new(
            "createDurableSubscription",
            Boolean,
            Is("false"),
            "Whether the broker keeps messages of a topic while the agent is away.",
        ),
        OptionRow::new(
            "clientId",
            Text,
            Absent,
            "Name of this client; a durable subscription needs it.",
        ),
        OptionRow::new(
            "durableSubscriptionName",
            Text,
            Absent,
            "Name of the durable subscription.",
        ),
        BACKOFF_SLEEP_INCREMENT,
        MAX_BACKOFF_SLEEP,
    ],
};
