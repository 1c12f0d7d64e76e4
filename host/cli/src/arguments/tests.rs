use flumen_agent::component::GuestKind;

use super::*;

fn parsed(line: &str) -> Result<Command, UsageError> {
    parse(line.split_whitespace().map(OsString::from))
}

fn agent(line: &str) -> AgentArguments {
    match parsed(line) {
        Ok(Command::Agent(arguments)) => arguments,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> String {
    match parsed(line) {
        Err(error) => error.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn flumes_own_example_line() {
    let arguments = agent(
        "agent --conf conf --conf-file example.conf --name a1 -Dflume.root.logger=INFO,console",
    );
    let properties = [("flume.root.logger".to_owned(), "INFO,console".to_owned())];
    assert_eq!(
        arguments,
        AgentArguments {
            name: Some("a1".to_owned()),
            files: vec!["example.conf".into()],
            conf_folders: vec!["conf".into()],
            properties: properties.into(),
            is_watching: true,
            is_dry_run: false,
            remarks: Vec::new(),
        }
    );
}

#[test]
fn hyphens_and_spellings_do_not_matter() {
    let expected = agent("agent --name a1 --conf-file f --conf-file g --no-reload-conf --dryrun");
    assert!(!expected.is_watching && expected.is_dry_run);
    assert_eq!(expected.files, ["f", "g"].map(PathBuf::from));
    for line in [
        "agent -n a1 -f f -f g -no-reload-conf -d",
        "agent --name=a1 --conf-file=f -f=g --no-reload-conf -d",
        "agent -name a1 -conf-file f --f g --no-reload-conf --d",
        "agent -d --no-reload-conf -f file:f -f file://g -n a1",
    ] {
        assert_eq!(agent(line), expected, "{line}");
    }
}

#[test]
fn every_flag_is_obeyed_remarked_or_refused_under_each_name() {
    for flag in flags_of(Verb::Agent) {
        for name in flag.names {
            let line = match flag.value {
                FlagValue::None => format!("agent {name}"),
                FlagValue::Next(_) => format!("agent {name} value"),
                FlagValue::Attached(_) => format!("agent {name}k=v"),
            };
            match (flag.treatment, parsed(&line)) {
                (Treatment::Obeyed, Ok(Command::Agent(arguments))) => {
                    assert!(arguments.remarks.is_empty(), "{line}");
                }
                (Treatment::Obeyed, Ok(Command::Help(_))) => assert_eq!(flag.id, FlagId::Help),
                (Treatment::NoEffect(why), Ok(Command::Agent(arguments))) => {
                    let remark = format!("flag {} has no effect: {why}", flag.name());
                    assert_eq!(arguments.remarks, [remark], "{line}");
                }
                (Treatment::NotBuilt(remedy), Err(error)) => {
                    let text = format!("flag {} is not built: {remedy}", flag.name());
                    assert_eq!(error.to_string(), text, "{line}");
                }
                (_, other) => panic!("{line}: {other:?}"),
            }
        }
    }
}

#[test]
fn options_of_the_virtual_machine_are_remarked_once() {
    let arguments = agent("agent -Xmx20m -Xms10m -agentlib:jdwp=x -javaagent:a.jar");
    assert_eq!(
        arguments.remarks,
        [
            "flag -X has no effect: there is no Java virtual machine",
            "flag -agentlib has no effect: there is no Java virtual machine",
            "flag -javaagent has no effect: there is no Java virtual machine",
        ]
    );
}

#[test]
fn properties_take_everything_behind_the_first_sign() {
    let properties = agent("agent -Da=b=c -Dempty -Dx=1 -Dx=2").properties;
    let expected = [("a", "b=c"), ("empty", ""), ("x", "2")];
    assert_eq!(
        properties,
        expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    );
}

#[test]
fn refusals_name_the_word_and_the_remedy() {
    for (line, expected) in [
        ("", "a command is missing"),
        ("agnet", "unknown command agnet; did you mean agent?"),
        ("qqq", "unknown command qqq"),
        (
            "avro-client -H h",
            "command avro-client is not built: use the avro-client of Apache Flume",
        ),
        (
            "agent --conf-fiel f",
            "unknown flag --conf-fiel; did you mean --conf-file?",
        ),
        (
            "agent --conf-fiel=f",
            "unknown flag --conf-fiel; did you mean --conf-file?",
        ),
        ("agent --name", "flag --name needs a value: NAME"),
        ("agent -n -f x", "flag --name needs a value: NAME"),
        (
            "agent --no-reload-conf=1",
            "flag --no-reload-conf takes no value",
        ),
        ("agent -D", "flag -D needs its value attached: -Dname=value"),
        ("agent -D=x", "flag -D needs a name: -Dname=value"),
        (
            "agent x.conf",
            "unexpected argument x.conf; a configuration is named with --conf-file",
        ),
        (
            "agent -f classpath:x",
            "classpath: configurations are not built: name a file in classpath:x's place",
        ),
        ("check", "a configuration file is missing"),
        ("check a --dryrun", "unknown flag --dryrun"),
        ("docs", "name one page: compatibility or reference"),
        ("version extra", "unexpected argument extra"),
        ("help a b", "unexpected argument b"),
    ] {
        assert_eq!(refusal(line), expected, "{line}");
    }
}

#[test]
fn a_value_may_begin_with_a_hyphen_unless_it_is_a_flag() {
    assert_eq!(agent("agent -n -a1").name.as_deref(), Some("-a1"));
    assert_eq!(agent("agent -f -").files, [PathBuf::from("-")]);
}

#[test]
fn a_deprecated_command_is_remarked() {
    assert_eq!(
        agent("node -n a1").remarks,
        ["command node is deprecated, use agent"]
    );
}

#[test]
fn the_other_commands() {
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    for (line, expected) in [
        ("version", Command::Version),
        ("--version", Command::Version),
        ("version -c conf -Xmx1m", Command::Version),
        ("help", Command::Help(None)),
        ("--help", Command::Help(None)),
        ("help netcat", Command::Help(Some("netcat".to_owned()))),
        ("agent -h", Command::Help(Some("agent".to_owned()))),
        ("check --help", Command::Help(Some("check".to_owned()))),
        ("docs reference", Command::Docs(DocsPage::Reference)),
        ("docs compatibility", Command::Docs(DocsPage::Compatibility)),
        (
            "check new --against old -n a1 -- -odd-",
            Command::Check(CheckArguments {
                name: Some("a1".to_owned()),
                files: paths(&["new", "-odd-"]),
                against: paths(&["old"]),
                properties: BTreeMap::new(),
            }),
        ),
        (
            "convert a b -o c",
            Command::Convert(ConvertArguments {
                files: paths(&["a", "b"]),
                output: Some("c".into()),
                properties: BTreeMap::new(),
            }),
        ),
    ] {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_name_may_be_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let words = ["agent".into(), "-f".into(), odd.clone()];
    match parse(words) {
        Ok(Command::Agent(arguments)) => assert_eq!(arguments.files, [PathBuf::from(&odd)]),
        other => panic!("{other:?}"),
    }
    let error = parse(["agent".into(), "-n".into(), odd]).unwrap_err();
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
}

fn component(line: &str) -> ComponentCommand {
    match parsed(line) {
        Ok(Command::Component(command)) => command,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_component_is_made_built_and_looked_at() {
    assert_eq!(
        component("component new --kind sink a-b"),
        ComponentCommand::New(NewArguments {
            kind: GuestKind::Sink,
            name: "a-b".to_owned(),
            folder: "a-b".into(),
        })
    );
    let ComponentCommand::New(arguments) = component("component new x --folder y --kind=source")
    else {
        panic!("no new project");
    };
    assert_eq!(arguments.folder, PathBuf::from("y"));
    assert_eq!(
        component("component build"),
        ComponentCommand::Build(".".into())
    );
    assert_eq!(
        component("component build x"),
        ComponentCommand::Build("x".into())
    );
    let inspect = ComponentCommand::Inspect("example:a".to_owned());
    assert_eq!(component("component inspect example:a"), inspect);
}

#[test]
fn a_component_is_run_against_events() {
    let run = |line: &str| match component(line) {
        ComponentCommand::Run(arguments) => arguments,
        other => panic!("{line}: {other:?}"),
    };
    let arguments = run("component run a.wasm");
    assert_eq!((arguments.kind, arguments.input.clone()), (None, None));
    assert_eq!((arguments.batch_events, arguments.rounds), (1000, 1));
    assert_eq!(arguments, run("component run a.wasm --input -"));
    let line = "component run --kind sink --input e --rounds 3 --batch-size 7 --events 9 \
                --config a=b=c --config d= --headers a.wasm";
    let arguments = run(line);
    assert_eq!(arguments.kind, Some(GuestKind::Sink));
    assert_eq!(arguments.input, Some("e".into()));
    assert_eq!((arguments.batch_events, arguments.rounds), (7, 3));
    assert!(arguments.source_events == 9 && arguments.with_headers);
    let settings = [("a", "b=c"), ("d", "")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(arguments.settings, settings);
}

#[test]
fn commands_about_components_say_what_is_wrong() {
    for (line, word) in [
        (
            "component",
            "needs one of the words new, build, inspect, run",
        ),
        ("component bulid", "did you mean build?"),
        (
            "component new --kind sink",
            "the name of the component is missing",
        ),
        ("component new a", "--kind is missing"),
        ("component new a b --kind sink", "unexpected argument b"),
        ("component new a --kind snik", "did you mean sink?"),
        ("component build a b", "unexpected argument b"),
        ("component inspect", "the file of the component is missing"),
        (
            "component run a --rounds 0 --input e",
            "--rounds needs a number from 1",
        ),
        (
            "component run a --rounds 2",
            "--rounds needs a file of events",
        ),
        ("component run a --batch-size 1000000", "at most 100000"),
        ("component run a --config x", "NAME=VALUE"),
        ("component run a --folder x", "unknown flag --folder"),
    ] {
        let said = refusal(line);
        assert!(said.contains(word), "{line}: {said}");
    }
}

#[test]
fn help_about_components_is_asked_for_in_every_way() {
    let help = |topic: &str| Ok(Command::Help(Some(topic.to_owned())));
    assert_eq!(parsed("component --help"), help("component"));
    assert_eq!(parsed("help component"), help("component"));
    assert_eq!(parsed("help component run"), help("component run"));
    assert_eq!(parsed("component run --help"), help("component run"));
    assert!(parsed("help component run more").is_err());
}

fn file_and_channel() -> ConfiguredChannel {
    ConfiguredChannel {
        files: ConfigFiles {
            paths: vec!["f".into()],
            agent: Some("a1".to_owned()),
            system_properties: [("x".to_owned(), "1".to_owned())].into(),
        },
        channel: Some("c1".to_owned()),
    }
}

#[test]
fn a_channel_is_named_by_its_folder_or_by_its_configuration() {
    let command = |line: &str| match parsed(line) {
        Ok(Command::Channel(command)) => command,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(
        command("channel verify d"),
        ChannelCommand::Verify(ChannelChoice::Folder("d".into()))
    );
    assert_eq!(
        command("channel show -f f -n a1 --channel c1 -Dx=1"),
        ChannelCommand::Show(ChannelChoice::Configured(file_and_channel()))
    );
    assert_eq!(
        command("channel salvage d --to e"),
        ChannelCommand::Salvage(
            ChannelChoice::Folder("d".into()),
            SalvageArguments {
                to: "e".into(),
                unreadable_is_lost: false
            }
        )
    );
    assert_eq!(
        command("channel salvage --unreadable-is-lost d --to e"),
        ChannelCommand::Salvage(
            ChannelChoice::Folder("d".into()),
            SalvageArguments {
                to: "e".into(),
                unreadable_is_lost: true
            }
        )
    );
    let arguments = DumpArguments {
        from: Some(0),
        count: Some(2),
        body_bytes_max: 9,
        is_text: true,
    };
    assert_eq!(
        command("channel dump d --from 0 --count 2 --body-bytes 9 --text"),
        ChannelCommand::Dump(ChannelChoice::Folder("d".into()), arguments)
    );
    assert_eq!(
        command("channel ls"),
        ChannelCommand::List(Vec::new(), None)
    );
    for (line, word) in [
        ("channel show d e", "unexpected argument e"),
        ("channel show d -f f", "unexpected argument d"),
        ("channel show --channel c1", "needs a configuration"),
        ("channel dump d --count 0", "a number from 1"),
        ("channel verify d --to e", "unknown flag --to"),
    ] {
        let told = refusal(line);
        assert!(told.contains(word), "{line}: {told}");
    }
}

#[test]
fn a_backlog_goes_into_one_channel() {
    let import = |line: &str| match parsed(line) {
        Ok(Command::ImportFlumeChannel(arguments)) => arguments,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(
        import("import-flume-channel d e --to t --dryrun"),
        ImportArguments {
            from: vec!["d".into(), "e".into()],
            into: ChannelChoice::Folder("t".into()),
            is_dry_run: true,
        }
    );
    assert_eq!(
        import("import-flume-channel --conf-file f --name a1 --channel c1 -Dx=1"),
        ImportArguments {
            from: Vec::new(),
            into: ChannelChoice::Configured(file_and_channel()),
            is_dry_run: false,
        }
    );
    let told = refusal("import-flume-channel d --to t -f f");
    assert!(told.contains("not by both"), "{told}");
}
