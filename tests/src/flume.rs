//! The real Apache Flume, to compare with: fetched once by Maven, started through a script that
//! takes flumen's command line, so that an [`AgentBuilder`] drives it like flumen itself.
//!
//! Needed are Java and Maven. Where they are missing a test fails and says so; it is never passed
//! over, because a comparison that was not made proves nothing.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::agent::AgentBuilder;
use crate::binary;

/// The version that flumen is compatible with.
pub const VERSION: &str = "1.11.0";

/// How long Java may take until a source listens. Seconds when the machine is quiet.
pub const START_LIMIT: Duration = Duration::from_secs(120);

/// The plugin of Maven that copies jars, in a fixed version: each Maven has its own default.
const COPY_GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// Has the real Flume run what the builder describes. Its output, metrics and signals are those of
/// the Java process.
///
/// # Errors
/// When the jars are not there and cannot be fetched.
pub fn instead(builder: AgentBuilder) -> Result<AgentBuilder> {
    let launcher = folder().join("flume-ng");
    Ok(builder.binary(launcher).environment("FLUME_LIB", jars()?))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/flume")
}

/// The folder with all jars, below cargo's target folder; one for each list of what is needed. The
/// first caller fetches them; others, of other processes too, wait for it.
fn jars() -> Result<PathBuf> {
    let target = binary::target_folder()?;
    let needed = fs::read(folder().join("pom.xml")).context("read the list of jars")?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&needed);
    let name = format!("apache-flume-{VERSION}-{:08x}", hasher.finish() as u32);
    let jars = target.join(name);
    let lock_file = jars.with_extension("lock");
    let lock = File::create(&lock_file).with_context(|| lock_file.display().to_string())?;
    lock.lock()
        .context("wait for another test to fetch Flume")?;
    if !jars.is_dir() {
        // Renamed only when complete: a fetch that was cut off is begun anew.
        let partial = jars.with_extension("partial");
        fetch(&partial)?;
        fs::rename(&partial, &jars).context("put the jars in their place")?;
    }
    Ok(jars)
}

fn fetch(into: &Path) -> Result<()> {
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--no-transfer-progress", "--quiet"]);
    maven.arg("--file").arg(folder().join("pom.xml"));
    maven.arg(COPY_GOAL).arg("-DincludeScope=runtime");
    maven.arg(format!("-DoutputDirectory={}", into.display()));
    let output = maven.output().context(
        "start mvn; the comparison with the real Flume needs Java 8 or newer and Apache Maven",
    )?;
    if !output.status.success() {
        bail!(
            "mvn cannot fetch Flume {VERSION}:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
