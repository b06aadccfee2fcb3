//! The body of an answer while it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lunaroute_core::Timestamp;
use tokio::time::Sleep;

use super::book::{Pen, Played};
use super::socket::Line;
use crate::Outcome;
use crate::compose::Composition;
use crate::script::{Delivery, Fault, Point, Script};

/// Bytes of an endless text that the ledger keeps.
const TEXT_LIMIT: usize = 1 << 20;

/// Time for the HTTP/2 connection to send what is queued.
const SETTLING: Duration = Duration::from_millis(20);

/// The answer was cut as its script said.
#[derive(Debug, thiserror::Error)]
#[error("the script cuts the answer here")]
pub(crate) struct CutHere;

/// Hands the frames of a composition to the connection, at the script's pace, up to the script's cut.
pub(crate) struct Playback {
    composition: Arc<Composition>,
    pen: Pen,
    line: Arc<Line>,
    /// HTTP/2 shares its connection: only the stream is cut.
    shared_connection: bool,
    between: Duration,
    separate_writes: bool,
    cut: Option<Cut>,
    pause: Option<Pin<Box<Sleep>>>,
    /// The wait before an HTTP/2 stream is reset.
    settling: Option<Pin<Box<Sleep>>>,
    flush_due: bool,
    /// Pieces handed over: frames, or the joined body as one, then repeats.
    pieces: usize,
    repeats: u64,
    bytes: u64,
    first_byte_at: Option<Timestamp>,
    last_byte_at: Option<Timestamp>,
    finished: bool,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    bytes: u64,
    events: u64,
    reset: bool,
}

impl Playback {
    pub(crate) fn new(
        composition: Arc<Composition>,
        script: &Script,
        pen: Pen,
        line: Arc<Line>,
        shared_connection: bool,
    ) -> Self {
        let cut = match script.fault {
            Some(Fault::Cut { after, reset }) => Some(Cut::new(after, reset, &composition)),
            _ => None,
        };
        let mut playback = Self {
            composition,
            pen,
            line,
            shared_connection,
            between: Duration::from_millis(script.event_delay_ms),
            separate_writes: script.delivery == Delivery::SeparateWrites,
            cut,
            pause: None,
            settling: None,
            flush_due: false,
            pieces: 0,
            repeats: 0,
            bytes: 0,
            first_byte_at: None,
            last_byte_at: None,
            finished: false,
        };
        playback.finish_if_whole();
        playback
    }

    fn piece(&self) -> Option<Bytes> {
        let composition = &self.composition;
        match &composition.joined {
            Some(joined) if self.pieces == 0 => Some(joined.clone()),
            Some(_) => None,
            None => match composition.frames.get(self.pieces) {
                Some(frame) => Some(frame.bytes.clone()),
                None => composition.repeat.as_ref().map(|repeat| repeat.bytes(self.repeats)),
            },
        }
    }

    fn hand_over(&mut self, mut piece: Bytes) -> Bytes {
        if let Some(cut) = self.cut {
            let room = usize::try_from(cut.bytes - self.bytes).unwrap_or(usize::MAX);
            piece.truncate(room);
        }
        let now = Timestamp::now();
        self.first_byte_at.get_or_insert(now);
        self.last_byte_at = Some(now);
        self.bytes += piece.len() as u64;
        if self.composition.joined.is_none() && self.pieces >= self.composition.frames.len() {
            self.repeats += 1;
        } else {
            self.pieces += 1;
        }
        let cut_now = self.cut_reached();
        let more = self.piece().is_some();
        if more && !cut_now && !self.between.is_zero() {
            self.pause = Some(Box::pin(tokio::time::sleep(self.between)));
        } else if more && self.separate_writes {
            self.flush_due = true;
        }
        self.finish_if_whole();
        piece
    }

    fn cut_reached(&self) -> bool {
        self.cut.is_some_and(|cut| self.bytes >= cut.bytes || self.pieces as u64 + self.repeats >= cut.events)
    }

    fn finish_if_whole(&mut self) {
        if !self.cut_reached() && self.piece().is_none() {
            self.finished = true;
            let played = self.played();
            self.pen.close(self.composition.outcome, played);
        }
    }

    /// Ends the answer as the script says.
    fn cut(&mut self, reset: bool, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutHere>>> {
        let played = self.played();
        self.pen.close(Outcome::Cut, played);
        if self.shared_connection {
            // A stream's reset discards what is still queued for it: let that be sent first.
            let settling = self.settling.get_or_insert_with(|| Box::pin(tokio::time::sleep(SETTLING)));
            ready!(settling.as_mut().poll(cx));
            return Poll::Ready(Some(Err(CutHere)));
        }
        // HTTP/1 now flushes what it holds, and the socket ends the connection after that: no wake-up is needed.
        self.line.cut_after_flush(reset);
        Poll::Pending
    }

    /// What was said in the bytes that were handed over.
    fn played(&self) -> Played {
        let composition = &self.composition;
        let whole = composition.frames.partition_point(|frame| frame.end <= self.bytes);
        let mut played = Played {
            bytes: self.bytes,
            events: whole as u64 + self.repeats,
            first_byte_at: self.first_byte_at,
            last_byte_at: self.last_byte_at,
            ..Played::default()
        };
        for frame in &composition.frames[..whole] {
            if let Some(usage) = &frame.usage {
                played.usage.overlay(usage);
            }
            played.stop = frame.stop.or(played.stop);
        }
        if let Some(last) = composition.frames[..whole].last() {
            played.tool_calls = last.tool_calls;
            played.text = composition.text[..last.text_end].to_owned();
            played.reasoning = composition.reasoning[..last.reasoning_end].to_owned();
        }
        if let Some(repeat) = &composition.repeat {
            let text = repeat.text();
            let room = TEXT_LIMIT.saturating_sub(played.text.len()) / text.len().max(1);
            let times = usize::try_from(self.repeats).unwrap_or(usize::MAX).min(room);
            played.text.push_str(&text.repeat(times));
        }
        played
    }
}

impl Cut {
    fn new(after: Point, reset: bool, composition: &Composition) -> Self {
        match after {
            Point::Head => Self { bytes: 0, events: 0, reset },
            Point::Bytes(bytes) => Self { bytes, events: u64::MAX, reset },
            Point::Events(events) => {
                // Events that are delivered in one piece can only be told apart by where they end.
                let end = match events.checked_sub(1).map(|place| composition.frames.get(place as usize)) {
                    None => 0,
                    Some(Some(frame)) => frame.end,
                    Some(None) => u64::MAX,
                };
                if composition.joined.is_some() {
                    Self { bytes: end, events: u64::MAX, reset }
                } else {
                    Self { bytes: u64::MAX, events: events.into(), reset }
                }
            }
        }
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = CutHere;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        if std::mem::take(&mut self.flush_due) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(cut) = self.cut
            && self.cut_reached()
        {
            return self.cut(cut.reset, cx);
        }
        match self.piece() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(self.hand_over(piece))))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.finished
    }

    fn size_hint(&self) -> SizeHint {
        // The head tells the length where it is to be told.
        SizeHint::default()
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        let played = self.played();
        self.pen.close(Outcome::ClientGone, played);
    }
}
