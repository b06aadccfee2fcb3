//! Reads a journal from a place on, beside the writer and without its lock.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::frame::Frame;
use super::position::Position;
use super::scan::{SegmentScan, Step};
use super::seen::Seen;
use super::segment;

/// What a reader had to step over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Places where bytes were no whole frame although whole frames follow in the same segment.
    pub damaged_frames: u64,
    /// The bytes of those places.
    pub damaged_bytes: u64,
    /// Bytes after the last whole frame of a segment: what a crash or a failed write leaves behind.
    pub torn_bytes: u64,
}

/// Reads frames in the order they were appended, each once.
///
/// A reader keeps the place it has reached; it can follow a live journal for ever. It holds one chunk of 256 KiB, or
/// one frame when that is larger.
pub struct JournalReader {
    directory: PathBuf,
    position: Position,
    scan: Option<SegmentScan>,
    /// The final length of the segment being read, once it is known that nothing is appended to it any more.
    final_bytes: Option<u64>,
    seen: Seen,
    damage: Damage,
    /// Where the last bytes began that were no whole frame below the limit.
    cut_at: Option<Position>,
}

impl JournalReader {
    /// Opens the journal in `directory` to be read from `from` on: the default position, a frame's
    /// [`next`](Frame::next), or a place inside a frame, which is then the first that comes. A place in a segment that
    /// has been pruned reads on with the oldest that is left.
    ///
    /// The part of the segment before `from` is read through once, so that frames which the writer repeated after a
    /// failed sync are still passed on only once.
    ///
    /// # Errors
    /// [`JournalError::File`] when the directory or a segment cannot be read.
    pub fn open(directory: impl Into<PathBuf>, from: Position) -> Result<Self, JournalError> {
        let directory = directory.into();
        let start = start_of_repetition(&directory, from)?;
        let mut reader = Self {
            directory,
            position: start,
            scan: None,
            final_bytes: None,
            seen: Seen::default(),
            damage: Damage::default(),
            cut_at: None,
        };
        while reader.next(from)?.is_some() {}
        match reader.frame_around(from)? {
            Some(start) => reader.move_to(start),
            None if reader.position != from => reader.move_to(from),
            None => {}
        }
        reader.damage = Damage::default();
        Ok(reader)
    }

    /// Goes on at `position`. Everything before it was durable when it was got in another way than from this reader.
    pub fn skip_to(&mut self, position: Position) {
        if position > self.position {
            self.move_to(position);
        }
    }

    /// The start of the whole frame that `place` lies inside of, when what was read last up to there was cut off by it.
    fn frame_around(&self, place: Position) -> Result<Option<Position>, JournalError> {
        let Some(start) = self.cut_at.filter(|start| start.segment == place.segment) else { return Ok(None) };
        let frame = read_at(&self.directory, start)?;
        Ok(frame.filter(|frame| frame.position < place && place < frame.next).map(|frame| frame.position))
    }

    /// The next whole frame before `up_to`, or `None` when there is none. `up_to` is what the writer published as its
    /// [`end`](super::Journal::end): bytes beyond it may still change and are not read.
    ///
    /// Damage is stepped over and counted in [`damage`](Self::damage).
    ///
    /// # Errors
    /// [`JournalError::File`] when a segment cannot be read, [`JournalError::UnknownVersion`] when a newer program
    /// wrote it.
    pub fn next(&mut self, up_to: Position) -> Result<Option<Frame>, JournalError> {
        while self.position < up_to {
            let Some(limit) = self.limit(up_to)? else {
                match self.following_segment(up_to)? {
                    Some(number) => self.move_to(Position { segment: number, offset: 0 }),
                    None => return Ok(None),
                }
                continue;
            };
            let Some(scan) = self.scan.as_mut() else { return Ok(None) };
            let step = scan.next(limit)?;
            let start = std::mem::replace(&mut self.position, scan.position());
            match step {
                Step::Frame { header, payload } => {
                    if self.seen.insert(header.sequence) {
                        let (sequence, kind, next) = (header.sequence, header.kind, self.position);
                        return Ok(Some(Frame { position: start, next, sequence, kind, payload }));
                    }
                }
                Step::Damage { bytes, to_end: true } => {
                    self.damage.torn_bytes += bytes;
                    self.cut_at = Some(start);
                }
                Step::Damage { bytes, to_end: false } => {
                    self.damage.damaged_bytes += bytes;
                    self.damage.damaged_frames += 1;
                }
                Step::End if self.position.segment < up_to.segment => match self.following_segment(up_to)? {
                    Some(number) => self.move_to(Position { segment: number, offset: 0 }),
                    None => return Ok(None),
                },
                Step::End => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The place reached: every whole frame before it has been passed on.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What had to be stepped over since the reader was opened.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// How far the current segment may be read; `None` when there is no such segment. Opens it when needed.
    fn limit(&mut self, up_to: Position) -> Result<Option<u64>, JournalError> {
        if self.scan.is_none() {
            self.scan = SegmentScan::open(&self.directory, self.position)?;
        }
        let Some(scan) = &self.scan else { return Ok(None) };
        if self.position.segment == up_to.segment {
            return Ok(Some(up_to.offset));
        }
        if self.final_bytes.is_none() {
            self.final_bytes = Some(scan.file_bytes()?);
        }
        Ok(self.final_bytes)
    }

    /// The next segment there is after the current one, not beyond `up_to`. Numbers may be left out.
    fn following_segment(&self, up_to: Position) -> Result<Option<u64>, JournalError> {
        let segments = segment::list(&self.directory)?;
        Ok(segments
            .iter()
            .map(|segment| segment.number)
            .find(|&number| number > self.position.segment && number <= up_to.segment))
    }

    fn move_to(&mut self, position: Position) {
        self.position = position;
        self.scan = None;
        self.final_bytes = None;
    }
}

/// Where to start so that every frame which may be repeated after `from` has been seen: the start of the segment
/// `from` lies in, and further back as long as a segment itself begins with repeated frames.
pub(crate) fn start_of_repetition(directory: &Path, from: Position) -> Result<Position, JournalError> {
    let mut start = from;
    for info in segment::list(directory)?.iter().rev().filter(|info| info.number <= from.segment) {
        start = Position { segment: info.number, offset: 0 };
        let Some(mut scan) = SegmentScan::open(directory, start)? else { continue };
        let first = loop {
            match scan.next(info.bytes)? {
                Step::Frame { header, .. } => break Some(header),
                Step::Damage { .. } => {}
                Step::End => break None,
            }
        };
        if first.is_some_and(|header| !header.repeated) {
            break;
        }
    }
    Ok(start)
}

/// The frame that starts at `position`; `None` when no whole one does.
///
/// # Errors
/// [`JournalError::File`] when the segment cannot be read, [`JournalError::UnknownVersion`] when a newer program wrote
/// the frame.
pub fn read_at(directory: &Path, position: Position) -> Result<Option<Frame>, JournalError> {
    let Some(mut scan) = SegmentScan::open(directory, position)? else { return Ok(None) };
    match scan.next(scan.file_bytes()?)? {
        Step::Frame { header, payload } => {
            let (sequence, kind, next) = (header.sequence, header.kind, scan.position());
            Ok(Some(Frame { position, next, sequence, kind, payload }))
        }
        Step::Damage { .. } | Step::End => Ok(None),
    }
}

/// Reads everything the journal in `directory` holds at this moment, from its oldest segment to its real end. Works
/// beside a live writer; a frame that is being written just now counts as torn.
///
/// # Errors
/// [`JournalError::File`] when the directory cannot be read.
pub fn read_all(directory: impl Into<PathBuf>) -> Result<WholeJournal, JournalError> {
    let directory = directory.into();
    let end = segment::list(&directory)?
        .last()
        .map_or_else(Position::default, |last| Position { segment: last.number, offset: last.bytes });
    Ok(WholeJournal { reader: JournalReader::open(directory, Position::default())?, end })
}

/// The number of the oldest segment in `directory`; `None` when there is none, or no such directory.
///
/// # Errors
/// [`JournalError::File`] when the directory cannot be read.
pub fn oldest_segment(directory: &Path) -> Result<Option<u64>, JournalError> {
    if !directory.exists() {
        return Ok(None);
    }
    Ok(segment::list(directory)?.first().map(|oldest| oldest.number))
}

/// The frames of a whole journal, see [`read_all`].
pub struct WholeJournal {
    reader: JournalReader,
    end: Position,
}

impl WholeJournal {
    /// Where the journal ended when reading began.
    pub fn end(&self) -> Position {
        self.end
    }

    /// What had to be stepped over so far.
    pub fn damage(&self) -> Damage {
        self.reader.damage()
    }
}

impl Iterator for WholeJournal {
    type Item = Result<Frame, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next(self.end).transpose()
    }
}
