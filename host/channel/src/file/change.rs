//! Other settings for a channel that is open.

use flumen_core::settings::Settings;
use flumen_core::{ComponentName, Fault};
use flumen_wal::ChangeError;
use tracing::error;

use super::FileChannel;
use super::options::{Fixed, Setup};
use crate::change::Change;

/// Options that name keys and their files begin with it.
const KEY_OPTIONS: &str = "encryption.";

/// How a channel of the first settings gets the second. Touches no file.
///
/// # Errors
/// A configuration fault when settings contradict each other.
pub fn change(name: &ComponentName, old: &Settings, new: &Settings) -> Result<Change, Fault> {
    let (before, after) = (Setup::read(name, old)?.fixed, Setup::read(name, new)?.fixed);
    if before.log_home() != after.log_home() {
        return Ok(Change::NewChannel);
    }
    let mut options = Vec::new();
    if before.segment_bytes != after.segment_bytes {
        options.push("maxFileSize".to_owned());
    }
    if before.keys != after.keys {
        options.extend(differing(old, new).filter(|option| option.starts_with(KEY_OPTIONS)));
    }
    Ok(match options.is_empty() {
        true => Change::InPlace,
        false => Change::Restart(options),
    })
}

/// The options whose values differ, each once.
fn differing<'s>(old: &'s Settings, new: &'s Settings) -> impl Iterator<Item = String> + 's {
    let value = |settings: &'s Settings, name: &str| {
        let mut all = settings.iter();
        all.find(|(own, _)| *own == name).map(|(_, own)| &own.value)
    };
    let gone = old.iter().filter(|(name, _)| !new.has(name));
    let all = new.iter().chain(gone).map(|(name, _)| name);
    all.filter(move |name| value(old, name) != value(new, name))
        .map(str::to_owned)
}

impl FileChannel {
    /// Applies settings in place and says whether that was possible. Waits for the disk when the
    /// durability changes: afterwards all that was confirmed under the old one is durable.
    pub(super) fn change_to(&self, setup: &Setup) -> Result<bool, Fault> {
        if !self.fixed.stays_with(&setup.fixed) {
            return Ok(false);
        }
        let core = self.owner.core();
        if let Some(log) = self.owner.log() {
            match log.change(setup.log().running()) {
                Ok(()) => {}
                Err(error @ ChangeError::Options(_)) => {
                    let message = format!("channel {}: its log cannot be changed", core.name);
                    return Err(Fault::configuration(message).with_cause(error));
                }
                Err(ChangeError::Doubtful(failure)) => error!(
                    channel = %core.name,
                    "file channel has its new settings, but what was confirmed before may not \
                     survive a power cut: {failure}"
                ),
            }
        }
        let changing = setup.changing;
        self.owner.set_strict(changing.strict);
        core.with(|state, outside| {
            state.accounts.set_bounds(changing.bounds, outside);
            // There may be room by the new settings; the log says so if there is none.
            if state.accounts.is_held() {
                state.set_full(None, outside);
            }
        });
        Ok(true)
    }
}

impl Fixed {
    /// Whether a log that was opened with these can go on with those. What stands behind the first
    /// of `dataDirs` matters only to a log that is made.
    fn stays_with(&self, other: &Fixed) -> bool {
        self.log_home() == other.log_home()
            && self.segment_bytes == other.segment_bytes
            && self.keys == other.keys
    }
}
