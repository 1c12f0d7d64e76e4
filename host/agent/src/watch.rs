//! Watching configuration files, and reloading when they change.
//!
//! The file system tells of changes where it can (the folders are watched, not the files, because
//! editors and configuration managers replace files by renaming). A slow look beside that finds
//! what it does not tell: network file systems, symbolic links that change their target elsewhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flumen_config::{PlanDiff, Problem};
use flumen_core::option::Catalogue;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::handle::{Handle, RequestError};
use crate::load::{ConfigFiles, LoadError};

/// How long files must be quiet before they are read: an editor that truncates and then writes is
/// not caught in between.
const SETTLE: Duration = Duration::from_millis(50);

/// How often the files are looked at without having been told of a change.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What tells one version of a file from another without reading it.
type Signature = Vec<Option<(SystemTime, u64)>>;

/// Tells when configuration files change.
pub struct ConfigWatcher {
    paths: Vec<PathBuf>,
    seen: Signature,
    told: mpsc::Receiver<()>,
    // Dropping it ends the watch; `None` where the file system cannot tell.
    _watcher: Option<RecommendedWatcher>,
}

impl ConfigWatcher {
    /// Watches these files from now on. Where the file system cannot tell of changes, they are
    /// looked at every second.
    pub fn new(paths: &[PathBuf]) -> Self {
        // One word is enough: it says that something changed, not what.
        let (tell, told) = mpsc::channel(1);
        let handler = move |_: notify::Result<notify::Event>| {
            // Full means that the word is already there.
            let _ = tell.try_send(());
        };
        let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
            for path in paths {
                watcher.watch(folder_of(path), RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            warn!(
                "configuration is looked at every second, because the file system cannot tell of changes: {error}"
            );
        }
        Self {
            paths: paths.to_vec(),
            seen: signature(paths),
            told,
            _watcher: watcher.ok(),
        }
    }

    /// Ready when a file has changed since the last call (or the start) and has settled.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.told.recv() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let mut now = signature(&self.paths);
            if now == self.seen {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                let later = signature(&self.paths);
                if later == now {
                    break;
                }
                now = later;
            }
            self.seen = now;
            return;
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn signature(paths: &[PathBuf]) -> Signature {
    let one = |path: &PathBuf| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, identity(&data)))
    };
    paths.iter().map(one).collect()
}

/// Length and file number in one: a file that was replaced by one of equal length and time still
/// differs.
#[cfg(unix)]
fn identity(data: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    data.ino().rotate_left(32) ^ data.len()
}

#[cfg(not(unix))]
fn identity(data: &std::fs::Metadata) -> u64 {
    data.len()
}

/// What became of a reload.
#[derive(Debug)]
pub enum Reloaded {
    /// The new plan runs; these are the differences, one line each. Empty when nothing changed.
    Applied(Vec<String>),
    /// The files could not be read; everything runs on.
    Unreadable(LoadError),
    /// The configuration has errors; everything runs on.
    Wrong(Vec<Problem>),
    /// The agent refused the plan; everything runs on.
    Refused(RequestError),
}

/// Reads the files again and applies what changed. Says in the log what came of it.
pub async fn reload(handle: &Handle, files: &ConfigFiles, catalogue: &Catalogue) -> Reloaded {
    let reloaded = reload_quietly(handle, files, catalogue).await;
    match &reloaded {
        Reloaded::Applied(changes) if changes.is_empty() => {
            info!("configuration read again, nothing has changed");
        }
        Reloaded::Applied(changes) => {
            info!(changes = changes.len(), "configuration reloaded");
            for change in changes {
                info!("{change}");
            }
        }
        Reloaded::Unreadable(error) => {
            error!("configuration not reloaded, everything runs on as before: {error}");
        }
        Reloaded::Wrong(problems) => {
            error!("configuration not reloaded, everything runs on as before");
            for problem in problems {
                match problem.is_error() {
                    true => error!("{problem}"),
                    false => warn!("{problem}"),
                }
            }
        }
        Reloaded::Refused(error) => {
            error!("configuration not reloaded, everything runs on as before: {error}");
        }
    }
    reloaded
}

async fn reload_quietly(handle: &Handle, files: &ConfigFiles, catalogue: &Catalogue) -> Reloaded {
    let mut files = files.clone();
    // A file with several agents and no name given goes on meaning the one that runs.
    files
        .agent
        .get_or_insert_with(|| handle.plan().agent.to_string());
    let catalogue = catalogue.clone();
    let loaded = tokio::task::spawn_blocking(move || files.load(&catalogue)).await;
    let checked = match loaded {
        Ok(Ok(checked)) => checked,
        Ok(Err(error)) => return Reloaded::Unreadable(error),
        Err(_) => return Reloaded::Refused(RequestError::Stopped),
    };
    let Some(plan) = checked.plan else {
        return Reloaded::Wrong(checked.problems);
    };
    let difference = PlanDiff::between(&handle.plan(), &plan);
    if difference.is_empty() {
        return Reloaded::Applied(Vec::new());
    }
    match handle.reload(plan).await {
        Ok(()) => Reloaded::Applied(difference.lines().to_vec()),
        Err(error) => Reloaded::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_that_nobody_tells_of_is_found_by_looking() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flume.properties");
        std::fs::write(&path, "a").expect("written");
        // What is left where the file system cannot tell: no watcher, and nobody to send a word.
        let mut watcher = ConfigWatcher {
            seen: signature(std::slice::from_ref(&path)),
            paths: vec![path.clone()],
            told: mpsc::channel(1).1,
            _watcher: None,
        };
        let unchanged = tokio::time::timeout(LOOK_INTERVAL * 3, watcher.changed()).await;
        assert!(unchanged.is_err(), "a file that is as it was is no change");
        std::fs::write(&path, "longer").expect("written");
        let changed = tokio::time::timeout(LOOK_INTERVAL * 3, watcher.changed()).await;
        assert!(changed.is_ok(), "a changed file is found at the next look");
    }
}
