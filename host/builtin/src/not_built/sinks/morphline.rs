//! The sink that runs morphlines.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit};

use super::super::FROM_ONE;

pub(super) static MORPHLINE_SOLR: ComponentRow = ComponentRow {
    kind: ComponentKind::Sink,
    name: "morphline_solr",
    aliases: &[
        "org.apache.flume.sink.solr.morphline.MorphlineSolrSink",
        "org.apache.flume.sink.solr.morphline.MorphlineSink",
    ],
    doc: "Runs events through a morphline, a chain of Java commands that usually ends in \
        Apache Solr.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("morphlineFile", Text, Required, "File with the morphline."),
        OptionRow::new(
            "morphlineId",
            Text,
            Absent,
            "Which morphline of the file; without it the first.",
        ),
        OptionRow::new(
            "batchSize",
            FROM_ONE,
            Is("1000"),
            "Most events in one transaction.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "batchDurationMillis",
            FROM_ONE,
            Is("1000"),
            "Longest time for one transaction.",
        )
        .unit(Unit::Milliseconds),
        OptionRow::new(
            "handlerClass",
            Text,
            Is("org.apache.flume.sink.solr.morphline.MorphlineHandlerImpl"),
            "Java class that runs the morphline.",
        ),
        OptionRow::new(
            "isProductionMode",
            Boolean,
            Is("false"),
            "Whether an event whose error trying again cannot help is left out instead of \
             tried for ever.",
        ),
        OptionRow::new(
            "recoverableExceptionClasses",
            Text,
            Is("org.apache.solr.client.solrj.SolrServerException"),
            "Java classes of errors that trying again might help, separated by commas.",
        ),
        OptionRow::new(
            "isIgnoringRecoverableExceptions",
            Boolean,
            Is("false"),
            "Whether errors that trying again might help are passed over too.",
        ),
        OptionRow::new(
            "morphlineVariable.<name>",
            Text,
            Absent,
            "Value of a variable in the file.",
        ),
    ],
};
