//! The source of tweets, kept so that an old file that names it is understood.

use flumen_core::option::DefaultValue::{Is, Required};
use flumen_core::option::ValueKind::Secret;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::FROM_ONE;

pub(super) static TWITTER: ComponentRow = ComponentRow {
    kind: ComponentKind::Source,
    name: "twitter",
    aliases: &["org.apache.flume.source.twitter.TwitterSource"],
    doc: "Reads the sample stream of Twitter and packs tweets into Avro containers. The \
        service that it reads no longer exists.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "consumerKey",
            Secret,
            Required,
            "Consumer key of the application.",
        ),
        OptionRow::new(
            "consumerSecret",
            Secret,
            Required,
            "Consumer secret of the application.",
        ),
        OptionRow::new(
            "accessToken",
            Secret,
            Required,
            "Access token of the account.",
        ),
        OptionRow::new(
            "accessTokenSecret",
            Secret,
            Required,
            "Secret of the access token.",
        ),
        OptionRow::new(
            "maxBatchSize",
            FROM_ONE,
            Is("1000"),
            "Most tweets in one event.",
        ),
        OptionRow::new(
            "maxBatchDurationMillis",
            FROM_ONE,
            Is("1000"),
            "Longest wait before a batch is closed.",
        )
        .unit(Unit::Milliseconds),
    ],
};
