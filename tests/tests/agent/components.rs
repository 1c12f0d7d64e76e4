//! `flumen component`: projects of every kind from the template, components told about, and components
//! run against a file of events.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use flumen_tests::agent::AgentBuilder;
use flumen_tests::client::Client;
use flumen_tests::wait::PATIENCE;
use flumen_tests::{binary, guests, ports};

/// The binary with the verb, in a folder.
fn component(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary::locate()?);
    command.arg("component").args(arguments).current_dir(folder);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    command.env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
    Ok(command)
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn said(output: Output) -> Result<Said> {
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

fn run(folder: &Path, arguments: &[&str]) -> Result<Said> {
    said(component(folder, arguments)?.output()?)
}

/// The same with these bytes on standard input.
fn run_with(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Said> {
    let mut command = component(folder, arguments)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("standard input")?;
    stdin.write_all(input)?;
    drop(stdin);
    said(child.wait_with_output()?)
}

/// Where projects compile what they share.
pub(crate) fn shared_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects")
}

/// An empty folder that is the same in every run, so that cargo writes what it compiles for the
/// projects in it over what it compiled before.
pub(crate) fn empty_folder(name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[test]
fn a_project_of_each_kind_is_tested_built_and_run() -> Result<()> {
    let folder = empty_folder("projects-of-each-kind")?;
    let folder = folder.as_path();
    for kind in ["source", "interceptor", "sink"] {
        let name = format!("my-{kind}");
        let made = run(folder, &["new", "--kind", kind, &name])?;
        assert_eq!(made.code, Some(0), "{}", made.err);
        let project = folder.join(&name);
        let tested = Command::new(env!("CARGO"))
            .current_dir(&project)
            .args(["test", "--quiet"])
            .env("CARGO_TARGET_DIR", shared_target())
            .env("RUSTFLAGS", "-D warnings")
            .status()?;
        assert!(tested.success(), "the test of a new {kind}");
        let mut build = component(&project, &["build"])?;
        // A flag for the linker of the host would stop that of components.
        build.env("RUSTFLAGS", "-C link-arg=--for-the-host");
        let built = said(build.env("CARGO_TARGET_DIR", shared_target()).output()?)?;
        assert_eq!(built.code, Some(0), "{}", built.err);
        let file = built.out.lines().next().context("a path")?;
        assert!(built.out.contains(&format!("{kind} of flumen:plugin")));
        let told = run(&project, &["inspect", file])?;
        assert!(told.out.contains("runs     yes"), "{}", told.out);
        let ran = match kind {
            "source" => run(&project, &["run", file, "--events", "1"])?,
            _ => run_with(&project, &["run", file, "--headers"], b"a\n\nb\n")?,
        };
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let (out, err) = match kind {
            "source" => ("hello 1\n", "source: 1 events out"),
            "interceptor" => ("{mark=seen} a\n{mark=seen} b\n", "3 events in, 2 out"),
            _ => ("", "counter lines 3"),
        };
        assert_eq!(ran.out, out);
        assert!(ran.err.contains(err), "{}", ran.err);
    }
    let again = run(folder, &["new", "--kind", "sink", "my-sink"])?;
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("is not empty"), "{}", again.err);
    Ok(())
}

#[test]
fn the_examples_inside_the_binary_are_told_about_and_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let told = run(folder, &["inspect", "example:drop-debug"])?;
    assert_eq!(told.code, Some(0), "{}", told.err);
    for word in [
        "interceptor of flumen:plugin@0.1",
        "sha256:",
        "granted",
        "runs     yes",
    ] {
        assert!(told.out.contains(word), "{word} in {}", told.out);
    }
    let input = b"a\nDEBUG\nb DEBUG\nc";
    let ran = run_with(folder, &["run", "example:drop-debug"], input)?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "a\nc\n"));
    fs::write(folder.join("events"), input)?;
    let arguments = [
        "run",
        "example:drop-debug",
        "--input",
        "events",
        "--config",
        "word=a",
        "--rounds",
        "5",
        "--batch-size",
        "3",
    ];
    let ran = run(folder, &arguments)?;
    assert_eq!(
        ran.out, "DEBUG\nb DEBUG\nc\n",
        "only the first round is printed"
    );
    assert!(ran.err.contains("20 events in, 15 out"), "{}", ran.err);
    assert!(ran.err.contains("ns an event: 10 calls"), "{}", ran.err);
    let ran = run_with(folder, &["run", "example:console"], input)?;
    assert!(ran.err.contains("received: b DEBUG"), "{}", ran.err);
    assert!(
        ran.err.contains("sink: 4 events in, 4 delivered"),
        "{}",
        ran.err
    );
    Ok(())
}

#[test]
fn a_trap_is_shown_with_its_code_and_the_run_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = guests::fixture("hostile")?;
    let file = file.to_str().context("a path in UTF-8")?;
    let arguments = ["run", file, "--batch-size", "1"];
    let ran = run_with(folder.path(), &arguments, b"before\npanic\nbehind\n")?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "before\nbehind\n"));
    for word in [
        "event 2 failed",
        "unreachable: it panicked",
        "it wrote: ",
        "  in ",
        "3 events in, 2 out, 1 in failed calls",
        "instances made 2, ended by a failure 1",
    ] {
        assert!(ran.err.contains(word), "{word} in {}", ran.err);
    }
    let ran = run_with(
        folder.path(),
        &["run", file, "--config", "init=loop"],
        b"a\n",
    )?;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("cpu-limit: it computed longer"),
        "{}",
        ran.err
    );
    Ok(())
}

#[test]
fn what_is_wrong_is_said_with_the_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    fs::write(folder.join("module.wasm"), b"\0asm\x01\0\0\0")?;
    fs::write(folder.join("empty.wasm"), b"\0asm\x0d\0\x01\0")?;
    fs::write(folder.join("text.wasm"), b"hello")?;
    for (arguments, word) in [
        ("inspect nowhere.wasm", "cannot read component nowhere.wasm"),
        ("inspect example:nothing", "drop-debug, console"),
        ("inspect text.wasm", "not a readable wasm file"),
        ("inspect module.wasm", "wasm32-wasip2"),
        ("run empty.wasm", "no world of flumen:plugin"),
        (
            "run example:console --kind source",
            "the world source is needed",
        ),
        ("run example:console --input nowhere", "nowhere"),
        ("run example:console --config lines=many", "config.lines"),
        (
            "run example:drop-debug --config word=",
            "config.word is empty",
        ),
        ("build", "no Cargo.toml"),
        ("new --kind sink Upper", "small letters"),
        ("new --kind sink fn", "my-fn"),
    ] {
        let arguments: Vec<&str> = arguments.split_ascii_whitespace().collect();
        let answer = run(folder, &arguments)?;
        assert_eq!(answer.code, Some(1), "{arguments:?}: {}", answer.out);
        assert!(answer.err.contains(word), "{arguments:?}: {}", answer.err);
    }
    let told = run(folder, &["inspect", "empty.wasm"])?;
    assert_eq!(told.code, Some(1));
    assert!(
        told.out.contains("runs     no: it was built for none"),
        "{}",
        told.out
    );
    Ok(())
}

#[test]
fn missing_tools_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let made = run(folder.path(), &["new", "--kind", "sink", "x"])?;
    assert_eq!(made.code, Some(0), "{}", made.err);
    let project = folder.path().join("x");
    let mut build = component(&project, &["build"])?;
    build
        .env("PATH", "")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    let none = said(build.output()?)?;
    assert!(
        none.err.contains("rustc is not found; Rust is fetched"),
        "{}",
        none.err
    );
    // A compiler without the target: it names a folder that is not there.
    let tool = folder.path().join("rustc");
    fs::write(&tool, "#!/bin/sh\necho /nowhere\n")?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&tool, mode)?;
    let mut build = component(&project, &["build"])?;
    build.env("PATH", folder.path()).env_remove("RUSTC");
    let none = said(build.output()?)?;
    assert!(
        none.err.contains("rustup target add wasm32-wasip2"),
        "{}",
        none.err
    );
    Ok(())
}

/// The story of the README, on a free port.
#[test]
fn lines_pass_a_component_a_channel_and_a_component() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = ports::free_port()?;
    let own = folder.path().join("port.conf");
    fs::write(&own, format!("a1.sources.r1.port = {port}\n"))?;
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/default.conf");
    let builder = AgentBuilder::new(fs::read_to_string(conf)?).with_metrics();
    let mut agent = builder.argument("--conf-file").argument(own).start()?;
    agent.wait_until_listening(port, PATIENCE)?;
    let mut client = Client::connect(port)?;
    for line in ["Hello", "a DEBUG line", "Good bye"] {
        assert_eq!(client.ask(line)?, "OK");
    }
    agent.output().wait_for("received: Good bye", PATIENCE)?;
    assert_eq!(agent.output().count("received: Hello"), 1);
    assert_eq!(agent.output().count("DEBUG line"), 0);
    agent.terminate()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    Ok(())
}
