//! Rules that golden files do not show: which agent, several files, what a plan holds.

use flumen_config::{Dialect, Document, Plan, check, check_all, decode};
use flumen_core::settings::Value;

use crate::rows::catalogue;
use crate::{Environment, document};

const ONE: &str = "a.sources = r\na.channels = c\na.sinks = k\n\
    a.sources.r.type = SEQ\na.sources.r.channels = c\n\
    a.channels.c.type = org.apache.flume.channel.MEMORYchannel\n\
    a.sinks.k.type = file_roll\na.sinks.k.sink.directory = ${env:FLUMEN_OUT}/${sys:stage}\na.sinks.k.channel = c\n";

fn told(name: Option<&str>, text: &str) -> Vec<String> {
    let checked = check(&document("t.conf", text), name, &catalogue());
    checked.problems.iter().map(ToString::to_string).collect()
}

fn plan(text: &str) -> Plan {
    let checked = check(&document("t.conf", text), None, &catalogue());
    checked
        .plan
        .unwrap_or_else(|| panic!("{:#?}", checked.problems))
}

#[test]
fn the_only_agent_needs_no_name() {
    assert_eq!(told(None, ONE), Vec::<String>::new());
    assert_eq!(plan(ONE).agent.as_str(), "a");
    let two = format!("{ONE}{}", ONE.replace("a.", "agent2."));
    assert_eq!(
        told(None, &two),
        ["t.conf:1: error: there are several agents, so one has to be named: a, agent2"]
    );
    assert_eq!(
        told(Some("agnet2"), &two),
        [
            "t.conf:1: error: agent \"agnet2\" is not here; the agents are: a, agent2; did you mean \"agent2\"?"
        ]
    );
    assert!(told(Some("agent2"), &two).is_empty());
    assert_eq!(
        check_all(&document("t.conf", &two), &catalogue())
            .plans
            .len(),
        2
    );
    assert_eq!(told(None, "").len(), 1);
}

#[test]
fn errors_of_another_agent_do_not_matter() {
    let other = format!("{ONE}b.sources = x\nb.sources.x.type = ${{java:version}}\n");
    assert!(told(Some("a"), &other).is_empty());
    assert!(!told(Some("b"), &other).is_empty());
    let all = check_all(&document("t.conf", &other), &catalogue());
    assert_eq!(all.plans.len(), 1);
}

#[test]
fn a_plan_holds_typed_values_and_all_defaults() {
    let plan = plan(ONE);
    let sink = &plan.sinks.get("k").expect("the sink").component;
    let values: Vec<(&str, &Value)> = sink
        .settings
        .iter()
        .map(|(name, setting)| (name, &setting.value))
        .collect();
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        values,
        [
            ("sink.batchSize", &Value::Integer(100)),
            ("sink.directory", &text("/var/flumen/test")),
            ("sink.pathManager", &text("DEFAULT")),
            ("sink.rollInterval", &Value::Integer(30)),
            ("sink.serializer", &text("TEXT")),
            ("sink.serializer.appendNewline", &Value::Boolean(true)),
        ]
    );
    assert_eq!(
        plan.sources.get("r").expect("the source").selector.row.name,
        "replicating"
    );
    assert_eq!(
        plan.channels.get("c").expect("the channel").row.name,
        "memory"
    );
}

#[test]
fn nested_options_follow_any_spelling() {
    let text =
        format!("{ONE}a.sinks.k.serializer = text\na.sinks.k.serializer.appendNewline = False\n");
    let plan = plan(&text);
    let sink = &plan.sinks.get("k").expect("the sink").component;
    assert_eq!(
        sink.settings.boolean("sink.serializer.appendNewline").ok(),
        Some(false)
    );
    let native = "[a.sources.r]\ntype = 'seq'\nchannels = 'c'\n[a.channels.c]\ntype = 'memory'\n\
        [a.sinks.k]\ntype = 'file_roll'\nchannel = 'c'\nsink.directory = '/var/flumen/test'\n\
        [a.sinks.k.sink.serializer]\ntype = 'TEXT'\nappendNewline = false\n";
    let checked = check(&document("t.toml", native), None, &catalogue());
    assert_eq!(checked.problems, []);
    assert_eq!(checked.plan, Some(plan));
}

#[test]
fn later_files_override_earlier_ones() {
    let mut merged = Document::parse(
        Dialect::Properties,
        "one.conf",
        &ONE.replace("SEQ", "${kind}"),
    );
    merged.merge(Document::parse(
        Dialect::Properties,
        "two.conf",
        "kind = netcat\na.sources.r.bind = x\na.sources.r.port = 70000\na.sinks.k.sink.rollInterval = 1\n",
    ));
    merged.merge(Document::parse(
        Dialect::Toml,
        "three.toml",
        "[a.sinks.j]\ntype = 'null'\nchannel = 'c'\n",
    ));
    let merged = merged.resolve(&Environment);
    let checked = check(&merged, None, &catalogue());
    let told: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "two.conf:3: error: a.sources.r.port: \"70000\" is out of bounds; it has to be 0 to 65535"
        ]
    );
    merged_sinks_are_joined(&merged);
}

fn merged_sinks_are_joined(merged: &Document) {
    let sinks = merged.get("a.sinks").map(|sinks| sinks.value.words());
    assert_eq!(sinks, Some(vec!["k".to_owned(), "j".to_owned()]));
}

#[test]
fn text_is_utf8_or_latin1_for_properties_only() {
    assert_eq!(
        decode(Dialect::Properties, "t", b"\xef\xbb\xbfx = \xc3\xa9").as_deref(),
        Ok("x = é")
    );
    assert_eq!(
        decode(Dialect::Properties, "t", b"x = \xe9").as_deref(),
        Ok("x = é")
    );
    let problem = decode(Dialect::Toml, "t.toml", b"x = 1\ny = '\xe9'").expect_err("not UTF-8");
    assert_eq!(problem.place.line, 2);
}

#[test]
fn endings_that_flume_does_not_load_are_refused() {
    for name in ["x.json", "x.YAML", "x.yml", "x.xml"] {
        let error = Dialect::of_file_name(name).expect_err("not supported");
        assert!(error.to_string().contains("not supported"));
    }
    assert_eq!(Dialect::of_file_name("x.TOML"), Ok(Dialect::Toml));
    assert_eq!(
        Dialect::of_file_name("flume.properties"),
        Ok(Dialect::Properties)
    );
    assert_eq!(Dialect::of_file_name("flume"), Ok(Dialect::Properties));
}

#[test]
fn a_list_ends_at_what_looks_like_a_comment() {
    let text = ONE.replace("r.channels = c", "r.channels = c # the only one");
    assert_eq!(
        told(None, &text),
        [
            "t.conf:5: warning: a.sources.r.channels: what follows # is ignored here; a comment has a line of its own"
        ]
    );
    assert_eq!(plan(&text), plan(ONE));
}

#[test]
fn what_an_environment_gives_never_shows_in_messages() {
    let text = format!("{ONE}a.sources.r.batchSize = ${{env:FLUMEN_OUT}}\n");
    let told = told(None, &text);
    assert_eq!(
        told,
        [
            "t.conf:10: error: a.sources.r.batchSize: the value of \"${env:FLUMEN_OUT}\" is not a whole number; it has to be at least 1, in events"
        ]
    );
}

#[test]
fn what_the_user_of_a_type_has_to_know_is_a_warning() {
    let text = ONE.replace("org.apache.flume.channel.MEMORYchannel", "spillableMemory");
    assert_eq!(
        told(None, &text),
        [
            "t.conf:6: warning: a.channels.c.type: channel type \"SPILLABLEMEMORY\": what lies in memory is lost"
        ]
    );
    assert_eq!(plan(&text).channels.len(), 1);
}
