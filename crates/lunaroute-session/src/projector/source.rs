//! Where a projector gets its events: from what was published last, or from the journal when it is behind that.

use std::path::PathBuf;
use std::sync::Arc;

use lunaroute_storage::journal::{Frame, JournalError, JournalReader, Position};

use super::published::Reader;
use super::ring::Chunk;
use crate::codec::{self, DecodeError, EventReader, Unreadable};
use crate::writer::JournaledEvent;

pub(super) struct Source {
    directory: PathBuf,
    /// Everything before it has been given.
    position: Position,
    /// The writer has what is before this already.
    from: Position,
    /// Of what was got last, the first that has not been given.
    chunk: Option<(Arc<Chunk>, usize)>,
    /// Opened when the journal has to be read.
    reader: Option<JournalReader>,
    events: EventReader,
    /// A frame that was read and not given, because what it leans on could not be read.
    frame: Option<Frame>,
    unreadable: u64,
}

impl Source {
    /// Gives what stands in the journal from `from` on.
    pub(super) fn open(directory: PathBuf, from: Position) -> Result<Self, JournalError> {
        let reader = JournalReader::open(&directory, from)?;
        let events = EventReader::new(&directory);
        Ok(Self {
            directory,
            position: reader.position(),
            from,
            chunk: None,
            reader: Some(reader),
            events,
            frame: None,
            unreadable: 0,
        })
    }

    /// Everything before it has been given.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Entries, or parts of them, that could not be read.
    pub(super) fn damaged(&self) -> u64 {
        let frames = self.reader.as_ref().map_or(0, |reader| reader.damage().damaged_frames);
        frames + self.unreadable + self.events.lost_bodies()
    }

    /// Hands the next events before `end` to `take`, as many as stand together, until it says that it has enough;
    /// `false` when there are none.
    pub(super) fn next(
        &mut self,
        published: &Reader,
        end: Position,
        mut take: impl FnMut(JournaledEvent) -> bool,
    ) -> Result<bool, JournalError> {
        if self.chunk.is_none() && self.frame.is_none() {
            if self.position >= end {
                published.reached(self.position);
                return Ok(false);
            }
            match published.at(self.position) {
                Ok(chunk) => self.chunk = Some((chunk, 0)),
                Err(next) => return self.read(next.map_or(end, |next| next.min(end)), take),
            }
        }
        let Some((chunk, given)) = &mut self.chunk else { return self.read(end, take) };
        while let Some(item) = chunk.events.get(*given) {
            *given += 1;
            if item.position >= self.from && !take(item.clone()) {
                self.position = item.next;
                return Ok(true);
            }
        }
        self.position = chunk.end;
        self.chunk = None;
        Ok(true)
    }

    /// Reads one frame before `limit`.
    fn read(
        &mut self,
        limit: Position,
        mut take: impl FnMut(JournaledEvent) -> bool,
    ) -> Result<bool, JournalError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            empty => empty.insert(JournalReader::open(&self.directory, self.position)?),
        };
        reader.skip_to(self.position);
        let next = match self.frame.take() {
            Some(frame) => Some(frame),
            None => reader.next(limit)?,
        };
        let reached = reader.position();
        let Some(frame) = next else {
            let moved = reached > self.position;
            self.position = reached;
            return Ok(moved);
        };
        if frame.kind == codec::EVENT {
            match self.events.events(&frame) {
                // The bound on a batch may be passed by what one frame holds.
                Ok(events) => events.into_iter().filter(|item| item.position >= self.from).for_each(|item| {
                    take(item);
                }),
                Err(Unreadable::Journal(failure)) => {
                    self.frame = Some(frame);
                    return Err(failure);
                }
                // Whoever passed it by would let it go with its segment.
                Err(Unreadable::Payload(DecodeError::Format { format })) => {
                    let (directory, position) = (self.directory.clone(), frame.position);
                    self.frame = Some(frame);
                    return Err(JournalError::UnknownVersion { directory, position, version: format });
                }
                Err(Unreadable::Payload(failure)) => {
                    tracing::error!(position = %frame.position, %failure, "an entry of the journal cannot be read");
                    self.unreadable += 1;
                }
            }
        }
        self.position = reached;
        Ok(true)
    }
}
