//! Configuration files read from disk, and a plan checked from them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flumen_config::{Checked, Dialect, Document, Lookups, Problem, UnsupportedDialect};
use flumen_core::option::Catalogue;

/// Bytes of one configuration file. The largest files in the field have thousands of lines; a
/// hundred times that is still far below this, and a log file named by mistake is not read whole.
pub const CONFIG_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a configuration could not even be read.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is larger than [`CONFIG_FILE_BYTES_MAX`].
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is of a format that is not supported.
    Dialect(UnsupportedDialect),
    /// The file is not text.
    Text(Problem),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read { path, error } => {
                write!(f, "cannot read configuration {}: {error}", path.display())
            }
            LoadError::TooLarge { path } => write!(
                f,
                "configuration {} is larger than {CONFIG_FILE_BYTES_MAX} bytes; is it the right file?",
                path.display()
            ),
            LoadError::Dialect(error) => error.fmt(f),
            LoadError::Text(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Read { error, .. } => Some(error),
            LoadError::Dialect(error) => Some(error),
            LoadError::TooLarge { .. } | LoadError::Text(_) => None,
        }
    }
}

/// The files of one configuration (later ones win), the agent to run, and what `${sys:X}` means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The files, in order.
    pub paths: Vec<PathBuf>,
    /// The agent; `None` takes the only one.
    pub agent: Option<String>,
    /// Values of `-Dname=value`.
    pub system_properties: BTreeMap<String, String>,
}

impl Lookups for ConfigFiles {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn system_property(&self, name: &str) -> Option<String> {
        self.system_properties.get(name).cloned()
    }
}

impl ConfigFiles {
    /// Reads all files into one document with its references resolved.
    ///
    /// # Errors
    /// [`LoadError`] for the first file that cannot be read.
    pub fn read(&self) -> Result<Document, LoadError> {
        let mut merged: Option<Document> = None;
        for path in &self.paths {
            let document = read_file(path)?;
            match &mut merged {
                Some(merged) => merged.merge(document),
                None => merged = Some(document),
            }
        }
        let document = merged.unwrap_or_else(|| Document::parse(Dialect::Properties, "", ""));
        Ok(document.resolve(self))
    }

    /// Reads all files and checks the agent.
    ///
    /// # Errors
    /// [`LoadError`] when a file cannot be read; everything else is among the problems.
    pub fn load(&self, catalogue: &Catalogue) -> Result<Checked, LoadError> {
        let document = self.read()?;
        Ok(flumen_config::check(
            &document,
            self.agent.as_deref(),
            catalogue,
        ))
    }
}

fn read_file(path: &Path) -> Result<Document, LoadError> {
    let name = path.display().to_string();
    let dialect = Dialect::of_file_name(&name).map_err(LoadError::Dialect)?;
    let read = |error| LoadError::Read {
        path: path.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(read)?;
    file.take(CONFIG_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(read)?;
    if bytes.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = flumen_config::decode(dialect, &name, &bytes).map_err(LoadError::Text)?;
    Ok(Document::parse(dialect, &name, &text))
}
