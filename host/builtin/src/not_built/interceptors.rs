//! Interceptors that are not built.

use flumen_core::option::DefaultValue::{Absent, Is, Required};
use flumen_core::option::ValueKind::{Boolean, List, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support};

pub(super) static ROWS: &[&ComponentRow] = &[
    &REMOVE_HEADER,
    &SEARCH_REPLACE,
    &REGEX_EXTRACTOR,
    &UUID,
    &MORPHLINE,
];

static REMOVE_HEADER: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "remove_header",
    aliases: &["org.apache.flume.interceptor.RemoveHeaderInterceptor$Builder"],
    doc: "Removes headers by name, by list or by pattern; all that is set applies.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("withName", Text, Absent, "Name of a header to remove."),
        OptionRow::new("fromList", Text, Absent, "Names of headers to remove."),
        OptionRow::new(
            "fromListSeparator",
            Text,
            Is("\\s*,\\s*"),
            "Pattern that separates the names in fromList.",
        ),
        OptionRow::new(
            "matching",
            Text,
            Absent,
            "Pattern; headers whose whole name matches it are removed.",
        ),
    ],
};

static SEARCH_REPLACE: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "search_replace",
    aliases: &["org.apache.flume.interceptor.SearchAndReplaceInterceptor$Builder"],
    doc: "Replaces each match of a pattern in the body.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("searchPattern", Text, Required, "Pattern to look for."),
        OptionRow::new(
            "replaceString",
            Text,
            Is(""),
            "Replacement; $1 stands for the first group of the match.",
        ),
        OptionRow::new("charset", Text, Is("UTF-8"), "Character set of the body."),
    ],
};

static REGEX_EXTRACTOR: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "regex_extractor",
    aliases: &["org.apache.flume.interceptor.RegexExtractorInterceptor$Builder"],
    doc: "Puts the groups of the first match of a pattern in the body into headers. An \
        event without a match stays as it is.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("regex", Text, Required, "Pattern with groups."),
        OptionRow::new(
            "serializers",
            List,
            Required,
            "One name for each group, in the order of the groups.",
        ),
        OptionRow::new(
            "serializers.<serializer>.name",
            Text,
            Required,
            "Header that receives the group.",
        ),
        OptionRow::new(
            "serializers.<serializer>.type",
            Text,
            Is("DEFAULT"),
            "How the text of the group becomes the value: DEFAULT as it is, or \
             org.apache.flume.interceptor.RegexExtractorInterceptorMillisSerializer, which reads \
             a date and gives milliseconds since 1970.",
        ),
        OptionRow::new(
            "serializers.<serializer>.pattern",
            Text,
            Absent,
            "Joda pattern of the date; needed for dates.",
        ),
        OptionRow::new(
            "serializers.<serializer>.<property>",
            Text,
            Absent,
            "Setting of a serializer class.",
        ),
    ],
};

static UUID: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "uuid",
    aliases: &["org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder"],
    doc: "Gives each event a random identifier (UUID version 4) in a header.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "headerName",
            Text,
            Is("id"),
            "Header that receives the identifier.",
        ),
        OptionRow::new(
            "preserveExisting",
            Boolean,
            Is("true"),
            "Whether a header that is there already stays.",
        ),
        OptionRow::new("prefix", Text, Is(""), "Text before each identifier."),
    ],
};

static MORPHLINE: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "morphline",
    aliases: &["org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder"],
    doc: "Runs each event through a morphline, a chain of Java commands, which gives back \
        at most one event.",
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
            "morphlineVariable.<name>",
            Text,
            Absent,
            "Value of a variable in the file.",
        ),
        OptionRow::new(
            "isProductionMode",
            Boolean,
            Is("false"),
            "Whether an error that trying again cannot help drops the event instead of \
             stopping the source.",
        ),
        OptionRow::new(
            "isIgnoringRecoverableExceptions",
            Boolean,
            Is("false"),
            "Whether errors that trying again might help are passed over too.",
        ),
        OptionRow::new(
            "recoverableExceptionClasses",
            Text,
            Absent,
            "Java classes of errors that trying again might help, separated by commas.",
        ),
    ],
};
