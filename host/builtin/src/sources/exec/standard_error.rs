//! Standard error of the command, line by line into the log.

use bytes::BufMut;
use flumen_core::ComponentName;
use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::{info, warn};

use super::lines::LineSplitter;

/// The longest line of a log; a longer one is cut into several.
const LOG_LINE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of one read. Standard error is for few lines.
const READ_BYTES: usize = 4 * 1024;

/// Logs each line as Flume does, counted from 1, until the end of the stream.
pub(super) async fn log(source: ComponentName, mut errors: impl AsyncRead + Unpin) {
    let mut lines = LineSplitter::new(LOG_LINE_BYTES_MAX);
    let mut count: u64 = 0;
    loop {
        let mut space = lines.space(READ_BYTES).limit(READ_BYTES);
        let read = errors.read_buf(&mut space).await;
        let is_last = !matches!(read, Ok(1..));
        let batch = if is_last {
            lines.take_rest()
        } else {
            lines.take_lines()
        };
        match batch {
            Ok(batch) => {
                for line in batch.bodies() {
                    count += 1;
                    let line = String::from_utf8_lossy(line);
                    info!(source = %source, "StderrLogger[{count}] = '{line}'");
                }
            }
            Err(error) => warn!(source = %source, "standard error is not logged: {error}"),
        }
        if let Err(error) = read {
            warn!(source = %source, "cannot read standard error of the command: {error}");
        }
        if is_last {
            return;
        }
    }
}
