//! Verbs, flags and exit codes; the answers that configurations get; the pages of the
//! documentation that the binary makes.
//!
//! `UPDATE_GOLDEN=1 cargo test -p flumen-tests --test agent` writes the golden files anew.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use flumen_tests::agent::AgentBuilder;
use flumen_tests::binary;
use flumen_tests::client::Client;
use flumen_tests::ports;
use flumen_tests::wait::PATIENCE;

use crate::flow::Flow;

/// When a command that should end by itself is ended, with exit code 124.
const LIMIT_SECONDS: &str = "30";

/// What a command that ends by itself left behind.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the binary in the root of the repository, in the environment of the golden files.
pub(crate) fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Finished> {
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS).arg(binary::locate()?);
    command.args(arguments).current_dir(root());
    command
        .env("FLUMEN_OUT", "/var/flumen")
        .stdin(Stdio::null());
    let output = command.output()?;
    Ok(Finished {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// Runs a line of arguments that hold no blanks.
fn line(arguments: &str) -> Result<Finished> {
    run(arguments.split_ascii_whitespace())
}

#[test]
fn each_command_line_gets_its_answer() -> Result<()> {
    let example = "agent --dryrun --name a1 --conf-file conf/example.conf";
    let answers = [
        ("", 1, "Usage:"),
        ("help", 0, "Usage:"),
        ("version", 0, "Flumen 0.1.0"),
        ("--version", 0, "Flumen 0.1.0"),
        ("agent --help", 0, "--conf-file"),
        ("help netcat", 0, "max-line-length"),
        ("help memory", 0, "transactionCapacity"),
        ("help netcot", 1, "netcat"),
        ("frobnicate", 1, "unknown command frobnicate"),
        ("agnet", 1, "did you mean agent?"),
        (
            "avro-client --host h --port 1",
            1,
            "avro-client is not built",
        ),
        ("tool fcintegritytool", 1, "tool is not built"),
        (example, 0, "+ source r1 (netcat) to c1"),
        ("agent --dryrun", 0, "+ source r1 (netcat) to c1"),
        (
            "node -d -n a1 -f conf/example.conf",
            0,
            "+ sink k1 (logger) on c1",
        ),
        ("agent --dryrun -n a2 -f conf/example.conf", 1, "a2"),
        (
            "agent --name a1 --conf-file",
            1,
            "--conf-file needs a value",
        ),
        ("agent --conf-fiel x", 1, "did you mean --conf-file?"),
        (
            "agent --name a1 --conf-file nowhere.conf",
            1,
            "nowhere.conf",
        ),
        ("agent --name a2", 1, "--conf-file is missing"),
        ("agent -n a1 -f conf/bad/misspelled.conf", 1, "did you mean"),
        (
            "agent -f conf/example.conf -Dflume.monitoring.type=ganglia",
            1,
            "ganglia",
        ),
        (
            "agent -f conf/example.conf -Dflume.root.logger=LOUD",
            1,
            "ALL TRACE DEBUG",
        ),
        ("docs nothing", 1, "compatibility"),
    ];
    check_answers(&answers)
}

/// Arguments, exit code, and a word of the answer: on standard output after success, on standard error
/// otherwise.
fn check_answers(answers: &[(&str, i32, &str)]) -> Result<()> {
    for (arguments, code, word) in answers.iter().copied() {
        let finished = line(arguments)?;
        let said = format!("{}{}", finished.out, finished.err);
        assert_eq!(finished.code, Some(code), "flumen {arguments}\n{said}");
        assert!(
            said.contains(word),
            "flumen {arguments}: {word:?} in\n{said}"
        );
        if code == 0 {
            assert!(finished.out.contains(word), "flumen {arguments}: {said}");
            assert_eq!(finished.err, "", "flumen {arguments}");
        }
    }
    Ok(())
}

#[test]
fn each_command_line_for_channels_gets_its_answer() -> Result<()> {
    check_answers(&[
        ("channel", 1, "needs one of the words ls, show, dump"),
        ("channel shwo x", 1, "did you mean show?"),
        ("help channel dump", 0, "--body-bytes"),
        ("channel show", 1, "the channel is missing"),
        ("channel show nowhere", 1, "holds no file channel"),
        ("channel salvage x", 1, "--to is missing"),
        ("channel dump --from first x", 1, "not first"),
        ("import-flume-channel x", 1, "name its folder with --to"),
        (
            "import-flume-channel --to x",
            1,
            "folders of Flume are missing",
        ),
        (
            "import-flume-channel nowhere --to x",
            1,
            "cannot read nowhere",
        ),
        (
            "import-flume-channel --conf-file conf/example.conf",
            1,
            "no file channel",
        ),
    ])
}

#[test]
fn every_flag_of_flume_is_accepted_or_refused_by_name() -> Result<()> {
    let accepted = [
        "--conf conf",
        "-c conf",
        "--classpath lib",
        "-C lib",
        "--plugins-path plugins.d",
        "-Xmx20m",
        "-agentlib:jdwp=transport",
        "-agentpath:/lib",
        "-javaagent:/jar",
        "-Dsome.property=value",
        "--no-reload-conf",
        "--poll-interval 30",
        "-i 30",
    ];
    for flag in accepted {
        let arguments = format!("agent -n a1 -f conf/example.conf --dryrun {flag}");
        let finished = line(&arguments)?;
        assert_eq!(finished.code, Some(0), "{flag}: {}", finished.err);
    }
    let refused = [
        ("--zkConnString host:2181", "--zkConnString"),
        ("-z host:2181", "--zkConnString"),
        ("--zkBasePath /flume", "--zkBasePath"),
        ("-p /flume", "--zkBasePath"),
        ("--conf-uri http://host/a", "--conf-uri"),
        ("-u http://host/a", "--conf-uri"),
        ("--conf-provider a.B", "--conf-provider"),
        ("-prov a.B", "--conf-provider"),
        ("--auth-provider a.B", "--auth-provider"),
        ("-a a.B", "--auth-provider"),
        ("-user u", "--conf-user"),
        ("-pwd p", "--conf-password"),
        ("--backup-directory /b", "--backup-directory"),
        ("-b /b", "--backup-directory"),
    ];
    for (flag, name) in refused {
        let finished = line(&format!("agent -n a1 -f conf/example.conf {flag}"))?;
        assert_eq!(finished.code, Some(1), "{flag}");
        let said = format!("flag {name} is not built");
        assert!(finished.err.contains(&said), "{flag}: {}", finished.err);
    }
    Ok(())
}

/// Compares with a golden file, or writes it.
fn golden(path: &Path, found: &str) -> Result<()> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, found)?;
    }
    let expected = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    assert_eq!(expected, found, "{} differs", path.display());
    Ok(())
}

/// The names of the files of a folder of the repository with one of these endings.
fn files(folder: &str, endings: &[&str]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let extension = Path::new(&name).extension();
        if extension.is_some_and(|own| endings.iter().any(|ending| own == *ending)) {
            names.push(format!("{folder}/{name}"));
        }
    }
    names.sort();
    assert!(!names.is_empty(), "{folder} has no {endings:?}");
    Ok(names)
}

#[test]
fn bad_configurations_get_all_their_answers_at_once() -> Result<()> {
    for name in files("conf/bad", &["conf", "toml"])? {
        let finished = run(["check", &name, "-Dstage=test"])?;
        assert_eq!(finished.err, "", "{name}");
        golden(&root().join(format!("{name}.expected")), &finished.out)?;
        let has_error = finished.out.contains(": error: ");
        assert_eq!(finished.code, Some(i32::from(has_error)), "{name}");
    }
    Ok(())
}

#[test]
fn the_examples_have_no_problems() -> Result<()> {
    for name in files("conf", &["conf", "toml"])? {
        let finished = line(&format!("check {name}"))?;
        assert_eq!(
            finished.code,
            Some(0),
            "{name}: {}{}",
            finished.out,
            finished.err
        );
        assert_eq!(finished.out, "0 errors, 0 warnings\n", "{name}");
    }
    Ok(())
}

#[test]
fn check_shows_what_a_reload_would_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| folder.path().join(name);
    let old = Flow::to_logger(44_444);
    let new = Flow {
        source: "max-line-length = 1024".to_owned(),
        sink: "type = null".to_owned(),
        ..old.clone()
    };
    fs::write(place("old.conf"), old.text())?;
    fs::write(place("new.conf"), new.text())?;
    let against = |new: &str| {
        let old = place("old.conf");
        run([
            OsStr::new("check"),
            place(new).as_os_str(),
            OsStr::new("--against"),
            old.as_os_str(),
        ])
    };
    let finished = against("new.conf")?;
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    assert_eq!(
        finished.out,
        "0 errors, 0 warnings\n~ source r1: max-line-length 512 -> 1024\n\
         ~ sink k1: type logger -> null\n"
    );
    fs::write(place("bad.conf"), new.text().replace("= null", "= nil"))?;
    let finished = against("bad.conf")?;
    assert_eq!(finished.code, Some(1));
    assert!(finished.out.contains("error"), "{}", finished.out);
    Ok(())
}

#[test]
fn what_convert_writes_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flow = Flow::to_logger(ports::free_port()?);
    let old = folder.path().join("flume.properties");
    fs::write(&old, flow.text())?;
    let finished = run([OsStr::new("convert"), old.as_os_str()])?;
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    let builder = AgentBuilder::new(finished.out).file_name("agent.toml");
    let mut agent = builder.start()?;
    agent.wait_until_listening(flow.port, PATIENCE)?;
    assert_eq!(Client::connect(flow.port)?.ask("converted")?, "OK");
    agent.output().wait_for("converted }", PATIENCE)?;
    for name in files("conf", &["conf"])? {
        let finished = line(&format!("convert {name}"))?;
        golden(&root().join(name).with_extension("toml"), &finished.out)?;
    }
    Ok(())
}

#[test]
fn a_secret_is_in_no_answer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secret.conf");
    let flow = Flow {
        source: "keystore-password = hunter2\nssl = true".to_owned(),
        ..Flow::to_logger(44_444)
    };
    let texts = [
        flow.text().replace("= netcat", "= avro"),
        flow.text().replace("= netcat", "= syslogtcp"),
        flow.text(),
    ];
    for text in texts {
        fs::write(&file, text)?;
        for verb in ["check", "agent"] {
            let mut arguments = vec![verb.to_owned()];
            if verb == "agent" {
                arguments.extend(["--dryrun", "--conf-file"].map(str::to_owned));
            }
            arguments.push(file.display().to_string());
            let finished = run(&arguments)?;
            let said = finished.out + &finished.err;
            assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
        }
    }
    Ok(())
}

#[test]
fn the_generated_pages_are_those_in_the_tree() -> Result<()> {
    for page in ["compatibility", "reference"] {
        let finished = run(["docs", page])?;
        assert_eq!(finished.code, Some(0), "{}", finished.err);
        golden(&root().join(format!("docs/{page}.md")), &finished.out)?;
    }
    Ok(())
}
