//! Watching configuration files and the components that they name, and reloading when they change.
//!
//! The file system tells of changes where it can (the folders are watched, not the files, because
//! editors and configuration managers replace files by renaming). A slow look beside that finds
//! what it does not tell: network file systems, symbolic links that change their target elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use flumen_config::Problem;
use flumen_core::option::Catalogue;
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::background;
use crate::handle::{Handle, RequestError};
use crate::load::{ConfigFiles, LoadError};
use crate::running::ReloadRefused;

/// How long files must be quiet before they are read, when nothing says that they are finished: an
/// editor that truncates and then writes is not caught in between.
const SETTLE: Duration = Duration::from_millis(50);

/// How long files must be quiet after a writer has closed one, or put a finished one in its place.
/// Whoever writes several files, or one in several goes, does so faster than this.
const SETTLE_FINISHED: Duration = Duration::from_millis(5);

/// How long files that never become quiet are waited for. They are read then as they are; what is
/// half written is refused, and read again with the next change.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// How often the files are looked at without having been told of a change.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What tells one version of a file from another without reading it; `None` when it is not there.
type Signature = Option<(SystemTime, u64)>;

/// Tells when files change: those of the configuration, and those of the components that it names.
pub struct ConfigWatcher {
    configuration: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Signature>,
    told: mpsc::Receiver<()>,
    /// Whether the last words were of a file that is finished.
    is_finished: Arc<AtomicBool>,
    /// Where the file system cannot tell of changes there is none.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl ConfigWatcher {
    /// Watches these files of the configuration from now on. Where the file system cannot tell of
    /// changes, they are looked at every second.
    pub fn new(paths: &[PathBuf]) -> Self {
        // One word is enough: it says that something changed, not what.
        let (tell, told) = mpsc::channel(1);
        let is_finished = Arc::new(AtomicBool::new(false));
        let finished = Arc::clone(&is_finished);
        let handler = move |event: notify::Result<notify::Event>| {
            if let Some(is_finished) = event.ok().as_ref().and_then(finishes) {
                finished.store(is_finished, Ordering::Relaxed);
            }
            // Full means that the word is already there.
            let _ = tell.try_send(());
        };
        let mut watcher = Self {
            configuration: paths.iter().cloned().collect(),
            seen: BTreeMap::new(),
            told,
            is_finished,
            watcher: None,
            folders: BTreeSet::new(),
        };
        match notify::recommended_watcher(handler) {
            Ok(made) => watcher.watcher = Some(made),
            Err(error) => cannot_tell(&error),
        }
        for path in paths {
            watcher.watch(path);
            watcher.seen.insert(path.clone(), signature(path));
        }
        watcher
    }

    /// Watches the components of what runs, and no others. One that has changed since it was loaded
    /// counts as a change that is still to be told.
    pub fn follow(&mut self, handle: &Handle) {
        let files = handle.component_files();
        for path in &files {
            if self.seen.contains_key(path) {
                continue;
            }
            self.watch(path);
            // Looked at before it is compared, so that no change falls between the two.
            let seen = signature(path);
            let seen = seen.filter(|_| handle.is_current(path));
            self.seen.insert(path.clone(), seen);
        }
        let configuration = &self.configuration;
        self.seen
            .retain(|path, _| configuration.contains(path) || files.contains(path));
        let used: BTreeSet<_> = self.seen.keys().map(|path| folder_of(path)).collect();
        let left: Vec<_> = self.folders.difference(&used).cloned().collect();
        for folder in left {
            if let Some(watcher) = &mut self.watcher {
                // A folder that is gone is not watched any more either.
                let _ = watcher.unwatch(&folder);
            }
            self.folders.remove(&folder);
        }
    }

    fn watch(&mut self, path: &Path) {
        let folder = folder_of(path);
        if self.folders.contains(&folder) {
            return;
        }
        if let Some(watcher) = &mut self.watcher {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.folders.insert(folder),
                Err(error) => cannot_tell(&error),
            }
        }
    }

    /// Ready when a file has changed since the last call (or the start) and has settled.
    pub async fn changed(&mut self) {
        loop {
            let mut now = self.look();
            if now != self.seen {
                let begun = Instant::now();
                while !self.is_quiet(&now).await && begun.elapsed() < SETTLE_MAX {
                    now = self.look();
                }
                self.seen = now;
                return;
            }
            tokio::select! {
                Some(()) = self.told.recv() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Whether nothing more happens for as long as it takes to be sure.
    async fn is_quiet(&mut self, before: &BTreeMap<PathBuf, Signature>) -> bool {
        let settle = match self.is_finished.load(Ordering::Relaxed) {
            true => SETTLE_FINISHED,
            false => SETTLE,
        };
        tokio::select! {
            Some(()) = self.told.recv() => false,
            () = tokio::time::sleep(settle) => self.look() == *before,
        }
    }

    fn look(&self) -> BTreeMap<PathBuf, Signature> {
        let paths = self.seen.keys();
        paths.map(|path| (path.clone(), signature(path))).collect()
    }
}

fn cannot_tell(error: &notify::Error) {
    warn!(
        "files are looked at every second, because the file system cannot tell of changes: {error}"
    );
}

/// Whether a file is as it is meant to be after this event: closed by its writer, or put in its
/// place under a new name or as a link. `None` when the event says nothing about that.
fn finishes(event: &notify::Event) -> Option<bool> {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => Some(true),
        EventKind::Create(CreateKind::File | CreateKind::Any | CreateKind::Other) => {
            Some(event.paths.iter().any(|path| is_link(path)))
        }
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => Some(false),
        _ => None,
    }
}

/// A symbolic link, or one of several names of a file.
#[cfg(unix)]
fn is_link(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata()
        .is_ok_and(|data| data.is_symlink() || data.nlink() > 1)
}

#[cfg(not(unix))]
fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_symlink())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn signature(path: &Path) -> Signature {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, identity(&data)))
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
    let loaded = background::run(move || files.load(&catalogue)).await;
    let checked = match loaded {
        Ok(Ok(checked)) => checked,
        Ok(Err(error)) => return Reloaded::Unreadable(error),
        Err(fault) => {
            let problems = vec![("the new configuration".to_owned(), fault)];
            return Reloaded::Refused(RequestError::Refused(ReloadRefused { problems }));
        }
    };
    let Some(plan) = checked.plan else {
        return Reloaded::Wrong(checked.problems);
    };
    match handle.reload(plan).await {
        Ok(difference) => Reloaded::Applied(difference.lines().to_vec()),
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
        let mut watcher = ConfigWatcher::new(std::slice::from_ref(&path));
        // What is left where the file system cannot tell: nobody sends a word.
        watcher.watcher = None;
        watcher.told = mpsc::channel(1).1;
        let unchanged = tokio::time::timeout(LOOK_INTERVAL * 3, watcher.changed()).await;
        assert!(unchanged.is_err(), "a file that is as it was is no change");
        std::fs::write(&path, "longer").expect("written");
        let changed = tokio::time::timeout(LOOK_INTERVAL * 3, watcher.changed()).await;
        assert!(changed.is_ok(), "a changed file is found at the next look");
    }
}
