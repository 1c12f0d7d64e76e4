//! The files of a log between what was found and the segment that it goes on in.

use std::io;
use std::sync::Arc;

use super::bytes_of;
use super::roll::take_released;
use crate::io::LogIo;
use crate::options::Options;
use crate::pool::Pool;
use crate::recovery::Found;
use crate::segment::FileName;
use crate::statistics::Counters;

/// Removes the files that an attempt to make the log left behind. Their heads may tell of a log that
/// never was, and be taken for another's when one is used and the power goes before it is written.
pub(super) fn forget_attempts(io: &dyn LogIo, found: &mut Found) -> io::Result<()> {
    let spares = found.spares.drain(..).map(FileName::Spare);
    let mut removed = false;
    for name in spares.chain(found.leftovers.drain(..)) {
        io.remove(&name.to_string())?;
        removed = true;
    }
    match removed {
        true => io.sync_folder(),
        false => Ok(()),
    }
}

/// The spare files, and with them what is of no use any more: it may be all that there is. What this
/// opening read stays until the log goes on elsewhere, because the next one may have to read it.
pub(super) fn open_pool(
    io: &Arc<dyn LogIo>,
    options: &Options,
    found: &mut Found,
    counters: Arc<Counters>,
    lock: Box<dyn Send + Sync>,
) -> Pool {
    let in_use = bytes_of(&found.sealed, options.segment_bytes);
    let pool = Pool::open(
        Arc::clone(io),
        options,
        &found.spares,
        in_use,
        counters,
        lock,
    );
    let released = take_released(
        io.as_ref(),
        &mut found.sealed,
        &found.acknowledged,
        found.base,
    );
    let released = released.into_iter().map(|s| FileName::Segment(s.number));
    for name in found.leftovers.drain(..).chain(released) {
        // When it fails it is tried again at the next opening.
        let _ = match name {
            FileName::Making(_) => io.remove(&name.to_string()),
            name => pool.give_back(name),
        };
    }
    pool.set_in_use(bytes_of(&found.sealed, options.segment_bytes));
    pool
}
