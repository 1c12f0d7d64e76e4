//! The options for poison events: which channel gets them, and what may not be.

use flumen_config::check;

use crate::document;
use crate::rows::catalogue;

/// A flow over `c1` whose sink may break on an event, and a flow from `dead` to a file of its own.
const FLOW: &str = "a.sources = r\na.channels = c1 dead\na.sinks = k k2\n\
    a.sources.r.type = SEQ\na.sources.r.channels = c1\n\
    a.channels.c1.type = memory\na.channels.dead.type = memory\n\
    a.sinks.k.type = fragile\na.sinks.k.channel = c1\n\
    a.sinks.k2.type = fragile\na.sinks.k2.channel = dead\n";

fn told(lines: &str) -> Vec<String> {
    told_of("t.conf", &format!("{FLOW}{lines}"))
}

fn told_of(file: &str, text: &str) -> Vec<String> {
    let checked = check(&document(file, text), None, &catalogue());
    checked.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_channel_that_only_gets_dead_letters_is_written_to() {
    assert_eq!(
        told(""),
        ["t.conf:7: warning: a.channels.dead: no source puts into the channel"]
    );
    assert!(told("a.sinks.k.dead_letter_channel = dead\n").is_empty());
    let interceptor = "a.sources.r.interceptors = i\na.sources.r.interceptors.i.type = fragile\n\
        a.sources.r.interceptors.i.dead_letter_channel = dead\n";
    assert!(told(interceptor).is_empty());
}

#[test]
fn an_unknown_channel_is_an_error_with_its_place_and_the_nearest_name() {
    let unknown = told("a.sinks.k.dead_letter_channel = daed\n");
    assert_eq!(
        unknown,
        [
            "t.conf:12: error: a.sinks.k.dead_letter_channel: channel \"daed\" is not listed in a.channels; did you mean \"dead\"?"
        ]
    );
    let native = "[a.sources.r]\ntype = 'seq'\nchannels = 'c'\n[a.channels.c]\ntype = 'memory'\n\
        [a.sinks.k]\ntype = 'fragile'\nchannel = 'c'\ndead_letter_channel = 'd'\n";
    assert_eq!(
        told_of("t.toml", native),
        [
            "t.toml:9: error: a.sinks.k.dead_letter_channel: channel \"d\" is not listed in a.channels"
        ]
    );
}

#[test]
fn dead_letters_need_a_channel() {
    assert_eq!(
        told("a.sinks.k.on_poison = Dead-Letter\n"),
        ["t.conf:12: error: a.sinks.k.on_poison: needs the option dead_letter_channel beside it"]
    );
    let with_channel = "a.sinks.k.on_poison = dead-letter\na.sinks.k.dead_letter_channel = dead\n";
    assert!(told(with_channel).is_empty());
}

#[test]
fn dead_letters_that_come_back_are_an_error() {
    let own = told("a.sinks.k.dead_letter_channel = c1\n");
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(
        own[0].contains("come back into its own channel c1"),
        "{own:?}"
    );
    let round = told("a.sinks.k.dead_letter_channel = dead\na.sinks.k2.dead_letter_channel = c1\n");
    assert_eq!(round.len(), 2, "{round:?}");
}
