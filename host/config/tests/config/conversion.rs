//! Files whose native text could easily mean something else: each goes through the oracle, and
//! keeps its plan.

use std::path::Path;

use flumen_config::conformance::exercise;
use flumen_config::{Dialect, check, check_all, decode, to_toml};

use crate::rows::catalogue;
use crate::{Environment, document};

const GOOD: &str = "a.sources = r\na.channels = c d\na.sinks = k\n\
    a.sources.r.type = netcat\na.sources.r.bind = x\na.sources.r.port = 1\na.sources.r.channels = c d\n\
    a.channels.c.type = memory\na.channels.d.type = memory\n\
    a.sinks.k.type = logger\na.sinks.k.channel = c\n";

/// Some lines after a good file: the agent still has a plan, which the native text keeps.
fn keeps_its_plan(lines: &str) -> String {
    keeps_all_plans(Dialect::Properties, &format!("{GOOD}{lines}"))
}

fn keeps_all_plans(dialect: Dialect, text: &str) -> String {
    let file_name = match dialect {
        Dialect::Properties => "t.conf",
        Dialect::Toml => "t.toml",
    };
    let read = document(file_name, text);
    let checked = check_all(&read, &catalogue());
    assert!(!checked.plans.is_empty(), "{:#?}", checked.problems);
    exercise(dialect, text, &Environment, &catalogue());
    to_toml(&read, &catalogue())
}

#[test]
fn a_variable_that_only_a_key_without_effect_names_is_left_out_with_it() {
    let native = keeps_its_plan("a.so = ${v}\nv = ${w}\nw = 1\n");
    assert!(native.contains("# v = \"${w}\"\n# w = \"1\"\n"), "{native}");
    let native = keeps_its_plan("a.so = ${v}\nv = 1\na.sources.r.encoding = ${v}\n");
    assert!(native.starts_with("v = \"1\"\n"), "{native}");
}

#[test]
fn a_variable_that_names_a_list_is_left_out_where_tables_imply_the_list() {
    let native = keeps_its_plan("s = k\na.sinks = ${s}\n");
    assert!(native.ends_with("# s = \"k\"\n"), "{native}");
    keeps_its_plan(
        "i = j\na.sources.r.interceptors = ${i}\na.sources.r.interceptors.j.type = timestamp\n",
    );
}

#[test]
fn what_a_left_out_key_says_stands_where_it_is_referred_to() {
    let native = keeps_its_plan(
        "a.sinks.old.x = ${env:FLUMEN_OUT}\na.sources.r.bind = ${a.sinks.old.x}/y\n",
    );
    assert!(native.contains("bind = \"/var/flumen/y\"\n"), "{native}");
    keeps_its_plan("a.x =\na.sources.r.bind = y${a.x}\n");
    keeps_its_plan("n = a.x\na.x =\na.sources.r.bind = y${${n}}\n");
}

#[test]
fn a_variable_may_be_called_as_nothing_in_toml() {
    for name in [
        "a",
        "a.x",
        "a.x.y.z",
        ".",
        "..x",
        "x..y",
        "\\ x.y",
        "x\\ y.z",
        "é\\u0085.y",
        "\\n.x",
    ] {
        keeps_its_plan(&format!(
            "{name}z = 1\n{name} = 2\na.sources.r.bind = ${{{name}}}\n"
        ));
    }
    keeps_its_plan("x = 1\nx.y = 2\nx.y.z = 3\na.sources.r.bind = ${x}${x.y}${x.y.z}\n");
    let long = "x.".repeat(200);
    keeps_its_plan(&format!("{long} = 1\na.sources.r.bind = ${{{long}}}\n"));
    keeps_its_plan(&format!(
        "a.sources.r.selector.type = multiplexing\na.sources.r.selector.mapping.{long} = c\n"
    ));
}

#[test]
fn agents_may_have_white_space_in_their_names() {
    for name in ["a\\ b", "a\\nb", "a\\u0085", "\\u00a0"] {
        let text = GOOD.replace("a.", &format!("{name}."));
        keeps_all_plans(Dialect::Properties, &text);
    }
    let lines = "e\\nf.sources = r\ne\\nf.sources.r.channels = c\n";
    keeps_its_plan(lines);
}

#[test]
fn errors_of_another_agent_do_not_matter_in_the_native_text() {
    keeps_its_plan("b.sources = x.y\na.sources.r.bind = ${b.sources}\n");
    let text = "[b.sources.'x.y']\n[a.sources.r]\ntype = 'seq'\nchannels = 'c'\n\
        [a.channels.c]\ntype = 'memory'\n";
    let read = document("t.toml", text);
    assert!(check(&read, Some("a"), &catalogue()).plan.is_some());
    let unnamed = check(&read, None, &catalogue());
    assert!(unnamed.plan.is_none(), "it may be b that was meant");
}

#[test]
fn names_are_parted_as_java_parts_them() {
    keeps_all_plans(Dialect::Properties, &GOOD.replace("c d", "c\\u000bd"));
    let text = GOOD
        .replace("sinks = k", "sinks = k\\u00a0k")
        .replace("k.", "k\\u00a0k.");
    keeps_all_plans(Dialect::Properties, &text);
    let text = "'a.sources' = ['r 1']\n'a.sources.r 1.type' = 'seq'\n'a.sources.r 1.channels' = 'c'\n\
        [a.channels.c]\ntype = 'memory'\n";
    let told = check_all(&document("t.toml", text), &catalogue()).problems;
    assert_eq!(
        told.first().map(ToString::to_string).as_deref(),
        Some("t.toml:1: error: a.sources: \"r 1\" is not a name: there is white space in it")
    );
}

#[test]
fn names_of_components_are_never_references() {
    let text = GOOD
        .replace("sinks = k", "sinks = $${k}")
        .replace("sinks.k", "sinks.${k}");
    keeps_all_plans(
        Dialect::Properties,
        &format!("{text}k = 1\na.sources.r.encoding = ${{k}}\n"),
    );
    keeps_its_plan(
        "i = 1\na.sources.r.encoding = ${i}\na.sources.r.interceptors = $${i}\n\
         a.sources.r.interceptors.${i}.type = timestamp\n",
    );
}

#[test]
fn a_reference_keeps_the_text_that_toml_would_say_differently() {
    for (key, value) in [
        ("a.sources.r.port", "0044"),
        ("a.sources.r.ack-every-event", "TRUE"),
        ("a.sources.r.channels", "c   d"),
        ("a.sources.r.channels", "c d # e"),
        ("a.channels", "c   d"),
        ("a.channels", "c d # e"),
        ("a.sinks.k.channel", "c # e"),
    ] {
        keeps_its_plan(&format!("{key} = {value}\na.sources.r.bind = ${{{key}}}\n"));
    }
}

#[test]
fn each_word_of_a_list_is_resolved_on_its_own() {
    let text = "'a.x' = ''\n[a.sources.r]\ntype = 'seq'\nchannels = ['c${a.x}', 'd']\n\
        [a.channels]\nc.type = 'memory'\nd.type = 'memory'\n";
    let native = keeps_all_plans(Dialect::Toml, text);
    assert!(native.contains("channels = [\"c\", \"d\"]\n"), "{native}");
}

#[test]
fn a_list_without_words_is_no_list() {
    for text in [
        GOOD.replace("r.channels = c d", "r.channels = # c"),
        format!("{GOOD}a.sinkgroups = g\na.sinkgroups.g.sinks = # k\n"),
    ] {
        let checked = check_all(&document("t.conf", &text), &catalogue());
        assert!(checked.plans.is_empty());
        let told = checked.problems.iter().map(ToString::to_string);
        assert!(told.into_iter().any(|line| line.contains(" has no ")));
        exercise(Dialect::Properties, &text, &Environment, &catalogue());
    }
    keeps_its_plan("a.sources.r.interceptors = # i\n");
    let text = "[a.sources.r]\ntype = 'seq'\nchannels = 'c'\nselector.optional = ' '\n\
        [a.channels.c]\ntype = 'memory'\n";
    keeps_all_plans(Dialect::Toml, text);
}

#[test]
fn seeds_of_the_fuzz_target_pass_its_oracle() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/config_check");
    let mut plans = 0;
    for seed in std::fs::read_dir(seeds).expect("the seeds of the fuzz target") {
        let bytes = std::fs::read(seed.expect("a seed").path()).expect("a readable seed");
        for dialect in [Dialect::Properties, Dialect::Toml] {
            let Ok(text) = decode(dialect, "seed", &bytes) else {
                continue;
            };
            exercise(dialect, &text, &Environment, &catalogue());
            let document = flumen_config::Document::parse(dialect, "seed", &text);
            plans += check_all(&document.resolve(&Environment), &catalogue())
                .plans
                .len();
        }
    }
    assert!(plans >= 4, "agents of seeds that have a plan: {plans}");
}
