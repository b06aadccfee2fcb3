//! Reads one segment frame by frame, in large chunks, and steps over what is damaged.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use memchr::memmem;

use super::error::JournalError;
use super::frame::{Decoded, HEADER_BYTES, Header, MAGIC, payload_check};
use super::position::Position;
use super::segment;
use crate::failure::{FileError, FileOperation};

const CHUNK_BYTES: usize = 256 * 1024;

/// What a scan meets next.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole frame; the scan stands behind it.
    Frame { header: Header, payload: Bytes },
    /// Bytes that are no whole frame; the scan stands behind them. `to_end` when nothing follows below the limit.
    Damage { bytes: u64, to_end: bool },
    /// Nothing more below the limit.
    End,
}

pub(crate) struct SegmentScan {
    number: u64,
    directory: Box<Path>,
    file: File,
    /// Bytes of the file from `offset` on; those before `start` are used up.
    buffer: Vec<u8>,
    start: usize,
    /// Where `buffer[start]` stands in the file.
    offset: u64,
}

impl SegmentScan {
    /// Opens segment `at.segment` to be read from `at.offset`; `None` when there is no such segment.
    pub(crate) fn open(directory: &Path, at: Position) -> Result<Option<Self>, JournalError> {
        let path = segment::path(directory, at.segment);
        let fail = |operation| move |source| (operation, source);
        let opened = File::open(&path).map_err(fail(FileOperation::Open)).and_then(|mut file| {
            file.seek(SeekFrom::Start(at.offset)).map_err(fail(FileOperation::Read))?;
            Ok(file)
        });
        match opened {
            Ok(file) => Ok(Some(Self {
                number: at.segment,
                directory: directory.into(),
                file,
                buffer: Vec::new(),
                start: 0,
                offset: at.offset,
            })),
            Err((_, source)) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err((operation, source)) => Err(FileError::new(operation, &path, source).into()),
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position { segment: self.number, offset: self.offset }
    }

    /// The length of the file now.
    pub(crate) fn file_bytes(&self) -> Result<u64, JournalError> {
        let metadata = self.file.metadata().map_err(|source| self.failed(FileOperation::Open, source))?;
        Ok(metadata.len())
    }

    /// The next step. Bytes at and beyond `limit` are not even read: a writer may still change them.
    pub(crate) fn next(&mut self, limit: u64) -> Result<Step, JournalError> {
        if !self.fill(1, limit)? {
            return Ok(Step::End);
        }
        let Some(decoded) = self.decode(limit)? else { return self.skip_to_limit(limit, 0) };
        match decoded {
            Decoded::Header(header) => self.frame(header, limit),
            Decoded::UnknownVersion(version) => Err(JournalError::UnknownVersion {
                directory: self.directory.clone().into(),
                position: self.position(),
                version,
            }),
            Decoded::Nothing => self.search(limit),
        }
    }

    /// Reads the frame whose header is beyond doubt. When its payload is not, the frame is stepped over as a whole: no
    /// byte of a payload is ever looked at as if it were a frame.
    fn frame(&mut self, header: Header, limit: u64) -> Result<Step, JournalError> {
        let frame_bytes = header.frame_bytes();
        if !self.fill(frame_bytes, limit)? {
            return self.skip_to_limit(limit, 0);
        }
        let payload = &self.unread()[HEADER_BYTES..frame_bytes];
        let step = if payload_check(&[payload]) == header.payload_check {
            Some(Step::Frame { header, payload: Bytes::copy_from_slice(payload) })
        } else {
            None
        };
        self.consume(frame_bytes);
        match step {
            Some(step) => Ok(step),
            None => Ok(Step::Damage { bytes: frame_bytes as u64, to_end: !self.fill(1, limit)? }),
        }
    }

    /// Steps over bytes until a header that is beyond doubt, or to the limit.
    fn search(&mut self, limit: u64) -> Result<Step, JournalError> {
        let finder = memmem::Finder::new(&MAGIC);
        let mut skipped = 1;
        self.consume(1);
        while self.fill(HEADER_BYTES, limit)? {
            match finder.find(self.unread()) {
                Some(distance) => {
                    self.consume(distance);
                    skipped += distance as u64;
                    if !matches!(self.decode(limit)?, None | Some(Decoded::Nothing)) {
                        return Ok(Step::Damage { bytes: skipped, to_end: false });
                    }
                    if self.unread().len() < HEADER_BYTES {
                        break;
                    }
                    self.consume(1);
                    skipped += 1;
                }
                None => {
                    // The last bytes may be the start of a magic that the next chunk completes.
                    let distance = self.unread().len() - (MAGIC.len() - 1);
                    self.consume(distance);
                    skipped += distance as u64;
                }
            }
        }
        self.skip_to_limit(limit, skipped)
    }

    fn skip_to_limit(&mut self, limit: u64, mut skipped: u64) -> Result<Step, JournalError> {
        while self.fill(1, limit)? {
            let rest = self.unread().len();
            self.consume(rest);
            skipped += rest as u64;
        }
        Ok(Step::Damage { bytes: skipped, to_end: true })
    }

    /// The header at the current place; `None` when fewer bytes than a header are left.
    fn decode(&mut self, limit: u64) -> Result<Option<Decoded>, JournalError> {
        if !self.fill(HEADER_BYTES, limit)? {
            return Ok(None);
        }
        let at = self.position();
        Ok(self.unread().first_chunk().map(|bytes| Header::decode(bytes, at)))
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Has at least `wanted` unread bytes in the buffer, if there are so many below `limit` and the file's end.
    fn fill(&mut self, wanted: usize, limit: u64) -> Result<bool, JournalError> {
        if self.unread().len() >= wanted {
            return Ok(true);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        // A frame of many megabytes must not keep its memory for the rest of the segment.
        if self.buffer.capacity() > 8 * CHUNK_BYTES && wanted <= CHUNK_BYTES {
            self.buffer.shrink_to(CHUNK_BYTES);
        }
        let read_so_far = self.offset + self.buffer.len() as u64;
        let missing = wanted.max(CHUNK_BYTES).saturating_sub(self.buffer.len()) as u64;
        let allowed = missing.min(limit.saturating_sub(read_so_far));
        self.buffer.reserve(usize::try_from(allowed).unwrap_or(CHUNK_BYTES));
        let result = (&self.file).take(allowed).read_to_end(&mut self.buffer);
        result.map_err(|source| self.failed(FileOperation::Read, source))?;
        Ok(self.buffer.len() >= wanted)
    }

    fn failed(&self, operation: FileOperation, source: io::Error) -> FileError {
        FileError::new(operation, &segment::path(&self.directory, self.number), source)
    }
}
