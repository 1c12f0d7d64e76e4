//! `flumen import-flume-channel`: from the folders of a Flume into a channel.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use flumen_channel::file::{Beside, FileChannel};
use flumen_channel::flume_import::{self, FlumeChannel, ImportError, Imported, Ledger, Survey};
use flumen_core::channel::Channel;
use flumen_core::clock::SystemClock;
use flumen_core::settings::Value;
use flumen_core::{Fault, Side};

use super::place::{ChannelPlace, PlaceError};

/// Events that the channel holds while it is imported into: the whole backlog, whatever capacity the
/// configuration gives it afterwards.
const CAPACITY_EVENTS: i64 = i32::MAX as i64;

/// Bytes of bodies, for the same reason; beyond any disk.
const CAPACITY_BYTES: i64 = 1 << 50;

/// What to import, and where to.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Folders of Flume's file channel.
    pub from: Vec<PathBuf>,
    /// The channel. No agent may run on it.
    pub into: ChannelPlace,
    /// Whether it is only told what would be imported.
    pub is_dry_run: bool,
}

/// What was found and what was done.
#[derive(Debug)]
pub struct ImportReport {
    /// Log files of the Flume.
    pub log_files: usize,
    /// Their bytes.
    pub log_bytes: u64,
    /// Folders that they are in.
    pub data_folders: usize,
    /// Log files whose numbers are missing among them.
    pub absent_files: u64,
    /// What waited in them.
    pub survey: Survey,
    /// What was moved; nothing for a dry run, or when nothing waits.
    pub imported: Option<Imported>,
}

/// Why an import failed.
#[derive(Debug)]
pub enum ImportFailure {
    /// On the side of the Flume, or of the put.
    Import(ImportError),
    /// The channel could not be opened, or not be settled at the end.
    Channel(Fault),
    /// The settings of the channel.
    Place(PlaceError),
    /// The channel holds puts of which only an agent can say whether they count.
    Undecided(String),
}

impl fmt::Display for ImportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(error) => error.fmt(f),
            Self::Channel(fault) => fault.fmt(f),
            Self::Place(error) => error.fmt(f),
            Self::Undecided(name) => write!(
                f,
                "channel {name} holds events of which another channel decides whether they count; run the agent once, stop it, and import then"
            ),
        }
    }
}

impl std::error::Error for ImportFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Import(error) => Some(error),
            Self::Channel(fault) => Some(fault),
            Self::Place(error) => Some(error),
            Self::Undecided(_) => None,
        }
    }
}

impl From<ImportError> for ImportFailure {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

/// Imports a backlog; `told` hears how many events of how many are over. Every put is durable before
/// the next one, whatever the channel's settings say. Reads and writes files, so it is not for a
/// thread that serves others. Needs a runtime with timers.
///
/// # Errors
/// [`ImportFailure`]; Flume's folders are as they were, and what was imported stays.
pub async fn import(
    request: &ImportRequest,
    told: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<ImportReport, ImportFailure> {
    let flume = FlumeChannel::open(&request.from)?;
    let survey = flume.survey()?;
    let mut report = ImportReport {
        log_files: flume.log_files(),
        log_bytes: flume.log_bytes(),
        data_folders: flume.data_folders(),
        absent_files: flume.absent_files(),
        survey,
        imported: None,
    };
    let total = report.survey.events();
    if request.is_dry_run || total == 0 {
        return Ok(report);
    }
    let mut place = request.into.clone();
    place.set("capacity", Value::Integer(CAPACITY_EVENTS));
    place.set("capacity_bytes", Value::Integer(CAPACITY_BYTES));
    place.set("durability", Value::Text("sync".to_owned()));
    let clock = Arc::new(SystemClock);
    let opened = FileChannel::open(&place.name, place.settings(), clock, Beside::FlumeFiles);
    let channel = opened.map_err(ImportFailure::Channel)?;
    let next_sequence = channel.next_sequence();
    let channel: Arc<dyn Channel> = Arc::new(channel);
    let found = channel.recovered().records;
    if found.iter().any(|own| own.decider.is_some()) {
        return Err(ImportFailure::Undecided(place.name.to_string()));
    }
    let settled = channel.settle(&[]).await;
    settled.map_err(ImportFailure::Channel)?;
    // Nobody else is in the channel while it is open.
    let folder = place.log_folder().map_err(ImportFailure::Place)?;
    let mut ledger = Ledger::read(&folder)?;
    let next_sequence = next_sequence.ok_or_else(|| {
        let what = format!("channel {}: its log was closed", place.name);
        ImportFailure::Channel(Fault::transient(Side::Machine, what))
    })?;
    let done = ledger.begin(&report.survey, flume.told(), next_sequence)?;
    let mut told = |done| told(done, total);
    let imported = flume_import::import(&flume, &report.survey, &channel, done, &mut told).await;
    let imported = imported?;
    ledger.complete(&report.survey)?;
    let released = channel.release().await;
    released.map_err(ImportFailure::Channel)?;
    report.imported = Some(imported);
    Ok(report)
}
