//! Events with their whole bodies, read from the frames of a journal.

use std::collections::VecDeque;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use lunaroute_core::RequestId;
use lunaroute_storage::journal::{Frame, JournalError, JournalReader, Position, read_at};

use super::{DecodeError, EVENT, Expander, Lean, StoredEvent, decode};
use crate::event::{EventKind, Repeats, SessionEvent};
use crate::writer::JournaledEvent;

/// Bytes of bodies that are remembered because others may lean on them.
const RECENT_BYTES: usize = 4 * 1024 * 1024;

/// Shorter bodies are not worth leaning on.
pub(crate) const LEAST_BYTES: usize = 4 * 1024;

/// So many bodies lean on each other at most.
pub(crate) const LONGEST_CHAIN: u32 = 32;

/// Turns frames of one journal into events, and puts bodies that lean on earlier ones together again.
pub struct EventReader {
    directory: PathBuf,
    /// Bodies of starts by the place of their frame, the latest last.
    recent: VecDeque<(Position, RequestId, Bytes)>,
    recent_bytes: usize,
    lost_bodies: u64,
    expander: Expander,
}

/// Why a frame could not be turned into events.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It holds none.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// What one of its bodies leans on could not be read just now; it may be read later.
    #[error("what a body in the journal leans on cannot be read: {0}")]
    Journal(#[from] JournalError),
}

impl EventReader {
    /// Reads frames of the journal in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            lost_bodies: 0,
            expander: Expander::default(),
        }
    }

    /// The events of a frame, whole. A body whose earlier part is damaged or gone is left empty and counted in
    /// [`lost_bodies`](Self::lost_bodies): it is never a wrong one.
    ///
    /// # Errors
    /// [`Unreadable`] says why there are none.
    pub fn events(&mut self, frame: &Frame) -> Result<Vec<JournaledEvent>, Unreadable> {
        let stored = decode(&frame.payload, &mut self.expander)?;
        let last = stored.len().saturating_sub(1);
        let mut events = Vec::with_capacity(stored.len());
        for (number, StoredEvent { mut event, lean }) in stored.into_iter().enumerate() {
            if let Some(lean) = lean {
                event.body = self.restore(frame.position, &event, lean)?.into();
            }
            if number == 0 {
                self.remember(frame.position, &event);
            }
            let position = event_position(frame.position, number);
            let next = if number == last { frame.next } else { event_position(frame.position, number + 1) };
            events.push(JournaledEvent { position, next, event: event.into() });
        }
        Ok(events)
    }

    /// Bodies that could not be put together.
    #[must_use]
    pub fn lost_bodies(&self) -> u64 {
        self.lost_bodies
    }

    fn restore(&mut self, at: Position, event: &SessionEvent, lean: Lean) -> Result<Bytes, JournalError> {
        let body = self.whole(at, event, lean, LONGEST_CHAIN)?;
        if body.is_none() {
            self.lost_bodies += 1;
            tracing::error!(position = %at, base = %lean.base, "a body in the journal leans on one that is damaged or gone");
        }
        Ok(body.unwrap_or_default())
    }

    /// The whole body of a start that leans; `None` when it cannot be had.
    fn whole(
        &mut self,
        at: Position,
        event: &SessionEvent,
        lean: Lean,
        chain: u32,
    ) -> Result<Option<Bytes>, JournalError> {
        let EventKind::Started(started) = &event.kind else { return Ok(None) };
        let (Some(repeats), Some(chain)) = (started.repeats, chain.checked_sub(1)) else { return Ok(None) };
        let remembered = self.recent.iter().rev();
        let mut remembered = remembered.filter(|recent| recent.0 == lean.base && recent.1 == repeats.of);
        if let Some((_, _, base)) = remembered.next() {
            return Ok(join(base, event, repeats, lean));
        }
        let Some((place, base)) = self.find(lean.base, at, repeats.of)? else { return Ok(None) };
        let base = match base.lean {
            None => Some(base.event.body.whole()),
            Some(its) => self.whole(place, &base.event, its, chain)?,
        };
        Ok(base.and_then(|base| join(&base, event, repeats, lean)))
    }

    /// The start of `of`, which stood at `place` when what leans on it was written to `at`. After a failure of the disk
    /// it may stand once more at the head of the segment of what leans on it, and only there.
    fn find(
        &mut self,
        place: Position,
        at: Position,
        of: RequestId,
    ) -> Result<Option<(Position, StoredEvent)>, JournalError> {
        if let Some(start) = read_at(&self.directory, place)?.and_then(|frame| self.start_in(&frame, of)) {
            return Ok(Some((place, start)));
        }
        let mut reader = JournalReader::open(&self.directory, Position { offset: 0, ..at })?;
        while let Some(frame) = reader.next(at)? {
            if let Some(start) = self.start_in(&frame, of) {
                return Ok(Some((frame.position, start)));
            }
        }
        Ok(None)
    }

    /// The start of `of`, when the frame begins with it.
    fn start_in(&mut self, frame: &Frame, of: RequestId) -> Option<StoredEvent> {
        let stored =
            (frame.kind == EVENT).then(|| decode(&frame.payload, &mut self.expander).ok()).flatten()?;
        let first = stored.into_iter().next()?;
        (first.event.request == of && matches!(first.event.kind, EventKind::Started(_))).then_some(first)
    }

    fn remember(&mut self, place: Position, event: &SessionEvent) {
        if event.body.len() < LEAST_BYTES || !matches!(event.kind, EventKind::Started(_)) {
            return;
        }
        self.recent_bytes += event.body.len();
        self.recent.push_back((place, event.request, event.body.whole()));
        while self.recent_bytes > RECENT_BYTES
            && let Some((_, _, oldest)) = self.recent.pop_front()
        {
            self.recent_bytes -= oldest.len();
        }
    }
}

/// Where an event stands: its frame's place plus its number in the frame.
pub(crate) fn event_position(frame: Position, number: usize) -> Position {
    Position { offset: frame.offset + number as u64, ..frame }
}

/// What `base` and the new bytes of `event` give; `None` when that is not what was written.
fn join(base: &[u8], event: &SessionEvent, repeats: Repeats, lean: Lean) -> Option<Bytes> {
    let prefix = base.get(..usize::try_from(repeats.prefix).ok()?)?;
    let suffix = base.get(base.len().checked_sub(usize::try_from(repeats.suffix).ok()?)?..)?;
    let mut whole = BytesMut::with_capacity(prefix.len() + event.body.len() + suffix.len());
    [prefix, &event.body.whole(), suffix].into_iter().for_each(|part| whole.extend_from_slice(part));
    (crc32fast::hash(&whole) == lean.check).then(|| whole.freeze())
}
