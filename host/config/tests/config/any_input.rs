//! No input makes the configuration panic, and what converts keeps its plan.

use flumen_config::{Dialect, decode};
use proptest::prelude::*;

use crate::rows::catalogue;
use crate::{Environment, document};

/// Everything that can be done with a text; nothing of it may panic.
fn exercise(dialect: Dialect, text: &str) {
    flumen_config::conformance::exercise(dialect, text, &Environment, &catalogue());
}

/// Parts of keys that are near enough to real ones to reach every branch.
const KEY_WORDS: [&str; 42] = [
    "a",
    "b",
    "sources",
    "channels",
    "sinks",
    "sinkgroups",
    "source",
    "r1",
    "c1",
    "c2",
    "k1",
    "k2",
    "g1",
    "i1",
    "type",
    "channel",
    "selector",
    "interceptors",
    "processor",
    "optional",
    "mapping",
    "x.y",
    "bind",
    "port",
    "capacity",
    "sink",
    "serializer",
    "appendNewline",
    "directory",
    "runner",
    "",
    "config",
    "header",
    "priority",
    "encoding",
    "maxBytesToLog",
    "configfilters",
    "${i}",
    "e\\ f",
    "\\u0085",
    "v",
    "w",
];

/// Values of the same kind.
const VALUES: [&str; 42] = [
    "r1",
    "c1",
    "c1 c2",
    "c1 # c2",
    "k1 k2",
    "g1",
    "i1",
    "netcat",
    "seq",
    "memory",
    "logger",
    "file_roll",
    "hdfs",
    "multiplexing",
    "failover",
    "static",
    "timestamp",
    "44444",
    "true",
    "TRUE",
    "x",
    "",
    "${a.sources}",
    "${env:FLUMEN_OUT}",
    "${c:-d}",
    "${",
    "$${x}",
    "a\\\\d\"'",
    "99999999999999999999",
    "TEXT",
    "${v}",
    "${w}",
    "${v}${w}",
    "${${v}}",
    "${a}",
    "${a.x}",
    "${a.sources.r1.port:-7}",
    "${a.sources.r1.channels}",
    "c2   c1",
    "$${i} i1",
    "0044",
    "c1\\u000bc2",
];

/// Keys that the good file may have as well, so that values meet what they refer to.
const KEYS: [&str; 20] = [
    "v",
    "w",
    "a",
    "a.x",
    "a.x.y",
    "v.w",
    "b.sources",
    "a.sources",
    "a.channels",
    "a.sinks",
    "a.sources.r1.bind",
    "a.sources.r1.port",
    "a.sources.r1.encoding",
    "a.sources.r1.channels",
    "a.sources.r1.interceptors",
    "a.sources.r1.interceptors.i1.type",
    "a.sources.r1.interceptors.${i}.type",
    "a.sources.r1.selector.optional",
    "a.sinks.k1.channel",
    "a.sinks.k3.type",
];

fn a_line_that_refers() -> impl Strategy<Value = String> {
    let key = prop::sample::select(&KEYS[..]);
    let value = prop_oneof![
        prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        prop::sample::select(&KEYS[..]).prop_map(|key| format!("${{{key}}}")),
    ];
    (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"))
}

fn nearly_a_line() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&KEY_WORDS[..]);
    let value = prop::sample::select(&VALUES[..]);
    (prop::collection::vec(word, 1..6), value)
        .prop_map(|(words, value)| format!("{} = {value}\n", words.join(".")))
}

const GOOD: &str = "a.sources = r1\na.channels = c1 c2\na.sinks = k1 k2\n\
    a.sources.r1.type = netcat\na.sources.r1.bind = x\na.sources.r1.port = 1\na.sources.r1.channels = c1 c2\n\
    a.channels.c1.type = memory\na.channels.c2.type = memory\n\
    a.sinks.k1.type = logger\na.sinks.k1.channel = c1\n\
    a.sinks.k2.type = file_roll\na.sinks.k2.sink.directory = ${env:FLUMEN_OUT}\na.sinks.k2.channel = c2\n";

proptest! {
    #[test]
    fn any_text_in_both_dialects(text in any::<String>()) {
        exercise(Dialect::Properties, &text);
        exercise(Dialect::Toml, &text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = decode(Dialect::Properties, "any", &bytes) {
            exercise(Dialect::Properties, &text);
        }
        let _ = decode(Dialect::Toml, "any", &bytes);
    }

    #[test]
    fn nearly_properties(lines in prop::collection::vec(nearly_a_line(), 0..40)) {
        exercise(Dialect::Properties, &lines.concat());
    }

    #[test]
    fn a_good_file_with_some_lines_more(lines in prop::collection::vec(nearly_a_line(), 0..6)) {
        exercise(Dialect::Properties, &format!("{GOOD}{}", lines.concat()));
    }

    #[test]
    fn a_good_file_with_lines_that_refer(lines in prop::collection::vec(a_line_that_refers(), 0..9)) {
        exercise(Dialect::Properties, &format!("{GOOD}{}", lines.concat()));
    }

    #[test]
    fn nearly_toml(text in "(\\[{0,2}(a|b)\\.(sources|sinks|x)\\.(r|k\\.selector|r\\.interceptors)\\]{0,2}\n|(type|name|\"a\\.b\"|a\\.b) = (1|\"x\"|\\[1, \"c\"\\]|\\{ y = 1 \\})\n){0,12}") {
        exercise(Dialect::Toml, &text);
    }
}

#[test]
fn deep_toml_is_refused_without_harm() {
    for text in [
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("{}x = 1", "a.".repeat(100_000)),
        format!("[{}x]", "a.".repeat(100_000)),
    ] {
        assert!(
            document("deep.toml", &text)
                .problems()
                .iter()
                .any(|problem| problem.is_error())
        );
    }
}
