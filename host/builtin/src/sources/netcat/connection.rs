//! One connection: read, cut, deliver, answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flumen_codec::charset::{Charset, CharsetDecoder};
use flumen_core::EventBatch;
use flumen_core::batch::BatchError;
use flumen_core::name::ComponentName;
use flumen_core::source::{ProcessError, ProcessFailure};
use tokio::net::TcpStream;

use super::cut::{Chunk, Cut, LineCutter};
use super::reply::Replies;
use super::server::Core;
use super::wire::{BURST_LINES_MIN, Wire};

/// First and longest wait before lines without acks are put again. The put itself waits for room;
/// this keeps a channel without `keep-alive`, or one that fails at once, from being asked in a loop.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(5);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(1);

/// One client.
pub(super) struct Connection {
    core: Arc<Core>,
    source: ComponentName,
    wire: Wire,
    cutter: LineCutter,
    /// Absent where bytes are UTF-8 already.
    decoder: Option<CharsetDecoder>,
    replies: Replies,
    /// Lines that were refused since the last that was accepted.
    refused: usize,
}

/// Why a connection ends.
enum End {
    /// The client has ended its side, and all it sent was dealt with.
    Client,
    /// The socket broke.
    Broken(io::Error),
    /// The source drains.
    Drain,
    /// The client was told why.
    Told,
    /// A batch broke its own rules.
    Defect(BatchError),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Broken(error)
    }
}

/// What one read brought.
struct Read {
    chunk: Chunk,
    /// What came behind it: nothing yet, the end, or an error.
    ended: Option<io::Result<()>>,
}

/// What became of the lines of a batch.
struct Answer {
    accepted: usize,
    refused: Option<Refused>,
    ack: bool,
}

struct Refused {
    lines: usize,
    why: String,
    /// Whether the connection ends with it.
    close: bool,
}

impl Connection {
    pub(super) fn new(
        core: Arc<Core>,
        source: ComponentName,
        stream: TcpStream,
        peer: SocketAddr,
        charset: Charset,
    ) -> Self {
        let draining = core.draining.subscribe();
        Self {
            core,
            source,
            wire: Wire::new(stream, peer, draining),
            cutter: LineCutter::default(),
            decoder: (!charset.passes_through()).then(|| charset.decoder()),
            replies: Replies::new(charset),
            refused: 0,
        }
    }

    /// Serves until the client ends, the source drains or something breaks.
    pub(super) async fn serve(mut self) {
        let peer = self.wire.peer;
        // Answers are small and awaited: none may wait for the next.
        if let Err(error) = self.wire.stream.set_nodelay(true) {
            tracing::debug!(source = %self.source, %peer, %error, "answers may be delayed");
        }
        let end = match self.serve_until_end().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        match end {
            End::Drain => {}
            End::Client => self.log_rest(),
            End::Told => self.wire.linger().await,
            End::Broken(error) => {
                self.log_rest();
                tracing::debug!(source = %self.source, %peer, %error, "connection lost");
            }
            End::Defect(error) => {
                tracing::error!(source = %self.source, %peer, %error, "a read could not be made a batch; the connection is closed");
            }
        }
    }

    fn log_rest(&self) {
        let bytes = self.cutter.rest_bytes();
        if bytes > 0 {
            tracing::info!(
                source = %self.source, peer = %self.wire.peer, bytes,
                "dropped an unfinished line at the end of a connection"
            );
        }
    }

    async fn serve_until_end(&mut self) -> Result<std::convert::Infallible, End> {
        let core = Arc::clone(&self.core);
        let mut draining = core.draining.subscribe();
        let drained = async move {
            // An error means that the source is gone, which is as good a reason to end.
            let _ = draining.wait_for(|draining| *draining).await;
        };
        tokio::pin!(drained);
        loop {
            if *core.draining.borrow() {
                return Err(End::Drain);
            }
            tokio::select! {
                biased;
                ready = self.wire.stream.readable() => ready?,
                () = &mut drained => return Err(End::Drain),
            }
            let in_hand = core.reads.acquire().await.map_err(|_| End::Drain)?;
            let Some(Read { chunk, ended }) = self.read().await else {
                continue;
            };
            let (answers, too_long) = self.deliver_chunk(chunk).await?;
            // A client that does not read its answers holds up nobody but itself.
            drop(in_hand);
            let answered: usize = answers.iter().map(|answer| answer.accepted).sum();
            self.answer(answers, too_long).await?;
            match ended {
                None if answered >= BURST_LINES_MIN => self.wire.look_again().await?,
                None => tokio::task::yield_now().await,
                Some(Ok(())) => return Err(End::Client),
                Some(Err(error)) => return Err(End::Broken(error)),
            }
        }
    }

    /// Takes what the socket has, up to a buffer full; `None` when it has nothing after all.
    async fn read(&mut self) -> Option<Read> {
        let mut buffer = self.core.pool.take();
        let rest = match self.decoder {
            Some(_) => &[],
            None => self.cutter.rest_to_copy(),
        };
        let start = rest.len();
        if let Some(front) = buffer.get_mut(..start) {
            front.copy_from_slice(rest);
        }
        let room = buffer.get_mut(start..).unwrap_or_default();
        let (filled, ended) = self.wire.fill(room).await;
        if filled == 0 && ended.is_none() {
            return None;
        }
        let filled = start + filled;
        let Some(decoder) = &mut self.decoder else {
            let chunk = Chunk::Pooled(buffer, filled);
            return Some(Read { chunk, ended });
        };
        let mut text = self.cutter.rest_to_copy().to_vec();
        let bytes = buffer.get(..filled).unwrap_or_default();
        decoder.decode(bytes, ended.is_some(), &mut text);
        let chunk = Chunk::Decoded(text);
        Some(Read { chunk, ended })
    }

    /// Brings the whole lines of a chunk into the channels. Also tells how long a line may be, when
    /// there was one that was longer.
    async fn deliver_chunk(&mut self, chunk: Chunk) -> Result<(Vec<Answer>, Option<usize>), End> {
        let (cut, characters_max) = {
            let live = self.core.live.read().await;
            let Some(live) = live.as_ref() else {
                return Err(End::Drain);
            };
            let cut = self.cutter.cut(chunk, live.line_characters_max);
            (cut.map_err(End::Defect)?, live.line_characters_max)
        };
        let Cut {
            long_line,
            lines,
            too_long,
        } = cut;
        let mut answers = Vec::new();
        for batch in [long_line, lines].into_iter().flatten() {
            let answer = self.deliver(batch).await?;
            let close = answer.refused.as_ref().is_some_and(|refused| refused.close);
            if answer.ack || close {
                answers.push(answer);
            }
            if close {
                return Ok((answers, None));
            }
        }
        Ok((answers, too_long.then_some(characters_max)))
    }

    /// Brings a batch into the channels. Without acks it waits for as long as that may help.
    async fn deliver(&mut self, mut batch: EventBatch) -> Result<Answer, End> {
        let core = Arc::clone(&self.core);
        let mut received = count(batch.len());
        let mut wait = RETRY_WAIT_MIN;
        loop {
            let error = {
                let live = core.live.read().await;
                let Some(live) = live.as_ref() else {
                    return Err(End::Drain);
                };
                let counters = &live.context.counters;
                // Counted once, however often it is tried.
                counters.event_received.add(std::mem::take(&mut received));
                let ack = live.ack_every_event;
                let outcome = live.context.processor.process(batch.clone(), None).await;
                let Err(error) = outcome else {
                    counters.event_accepted.add(count(batch.len()));
                    self.accepted_again();
                    return Ok(Answer {
                        accepted: batch.len(),
                        refused: None,
                        ack,
                    });
                };
                counters.event_accepted.add(count(error.accepted));
                counters.channel_write_fail.add(1);
                let stopping = matches!(error.cause, ProcessFailure::Stopping);
                if ack || stopping || !error.may_succeed_later() {
                    let lines = batch.len().saturating_sub(error.accepted);
                    return Ok(self.refuse(&error, lines, ack));
                }
                error
            };
            self.refused(&error, batch.len().saturating_sub(error.accepted));
            if error.accepted > 0 {
                // The channels move: the next room comes as soon as this one did.
                wait = RETRY_WAIT_MIN;
            }
            batch = batch.slice(error.accepted..batch.len());
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        }
    }

    fn refuse(&mut self, error: &ProcessError, lines: usize, ack: bool) -> Answer {
        self.refused(error, lines);
        if !ack {
            tracing::error!(
                source = %self.source, peer = %self.wire.peer, lines, %error,
                "lines can not be delivered; the client is told and the connection closed"
            );
        }
        let stopping = matches!(error.cause, ProcessFailure::Stopping);
        Answer {
            accepted: error.accepted,
            refused: Some(Refused {
                // Without acks one answer says why the connection is closed.
                lines: if ack { lines } else { 1 },
                why: error.to_string(),
                close: stopping || !ack,
            }),
            ack,
        }
    }

    /// Logs when lines begin to be refused.
    fn refused(&mut self, error: &ProcessError, lines: usize) {
        if self.refused == 0 {
            tracing::warn!(
                source = %self.source, peer = %self.wire.peer, lines, %error,
                "the channels do not take lines of this connection for now"
            );
        }
        self.refused = self.refused.saturating_add(lines);
    }

    /// Logs when lines that were refused are followed by some that are not.
    fn accepted_again(&mut self) {
        if self.refused > 0 {
            tracing::info!(
                source = %self.source, peer = %self.wire.peer, refused = self.refused,
                "the channels take lines of this connection again"
            );
            self.refused = 0;
        }
    }

    /// Writes the answers in the order of the lines.
    async fn answer(&mut self, answers: Vec<Answer>, too_long: Option<usize>) -> Result<(), End> {
        if !answers.is_empty() || too_long.is_some() {
            let prefix = self.replies.take_prefix();
            if !prefix.is_empty() {
                self.wire.write(prefix).await?;
            }
        }
        for Answer {
            accepted,
            refused,
            ack,
        } in answers
        {
            if ack {
                self.answer_ok(accepted).await?;
            }
            if let Some(refused) = refused {
                self.answer_failed(&refused.why, refused.lines).await?;
                if refused.close {
                    return Err(End::Told);
                }
            }
        }
        let Some(characters_max) = too_long else {
            return Ok(());
        };
        self.count_too_long(characters_max).await;
        let why =
            format!("Event exceeds the maximum length ({characters_max} chars, including newline)");
        self.answer_failed(&why, 1).await?;
        Err(End::Told)
    }

    async fn answer_ok(&mut self, mut lines: usize) -> io::Result<()> {
        while lines > 0 {
            let (bytes, written) = self.replies.ok(lines);
            self.wire.write(bytes).await?;
            lines = lines.saturating_sub(written);
        }
        Ok(())
    }

    async fn answer_failed(&mut self, why: &str, mut lines: usize) -> io::Result<()> {
        while lines > 0 {
            let (bytes, written) = self.replies.failed(why, lines);
            self.wire.write(&bytes).await?;
            lines = lines.saturating_sub(written);
        }
        Ok(())
    }

    async fn count_too_long(&mut self, characters_max: usize) {
        tracing::warn!(
            source = %self.source, peer = %self.wire.peer, characters_max,
            "a line is longer than max-line-length; the connection is closed"
        );
        if let Some(live) = self.core.live.read().await.as_ref() {
            live.context.counters.event_read_fail.add(1);
        }
    }
}

fn count(lines: usize) -> u64 {
    u64::try_from(lines).unwrap_or(u64::MAX)
}
