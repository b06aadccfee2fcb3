//! Reads the events back from their files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use lunaroute_core::Timestamp;
use lunaroute_storage::journal::Position;

use super::error::{JsonlError, read_error};
use super::heard::Heard;
use super::line::{self, Line, LineError, Place};
use super::tail::{has_ending, list};
use crate::event::SessionEvent;

/// A line longer than the largest event can be is not read to its end.
const LINE_LIMIT: u64 = 256 << 20;

/// Enough of a file to find the time of its first line.
const HEAD_BYTES: u64 = 1_024;

/// Every event in the files of `directory`, as it was: the days in order, the files of a day by the time of their first
/// line, the lines of a file in order, compressed files too. What cannot be read is an error in its place, and the
/// events after it follow. A line that is not finished yet is left out.
///
/// A writer may be at work meanwhile; events that it adds may be missing.
pub fn read(directory: &Path) -> impl Iterator<Item = Result<SessionEvent, JsonlError>> + Send + use<> {
    entries(directory).filter_map(|entry| match entry {
        Ok(entry) => Some(Ok(entry.event)),
        Err(JsonlError::Torn { .. }) => None,
        Err(failure) => Some(Err(failure)),
    })
}

/// An event and where it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: Arc<Path>,
    /// Number of the line, from 1.
    pub(crate) line: u64,
    /// The event's place in the journal.
    pub(crate) position: Position,
    pub(crate) event: SessionEvent,
}

/// As [`read`], with the place of each event, and a torn line as the error that it is.
pub(crate) fn entries(directory: &Path) -> Entries {
    let (days, failure) = match days(directory) {
        Ok(days) => (days, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    Entries { failure, days: days.into_iter(), files: Vec::new().into_iter(), current: None }
}

/// The entries of a directory.
pub(crate) struct Entries {
    failure: Option<JsonlError>,
    days: vec::IntoIter<PathBuf>,
    files: vec::IntoIter<SessionOfDay>,
    current: Option<Lines>,
}

impl Iterator for Entries {
    type Item = Result<Entry, JsonlError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(failure) = self.failure.take() {
                return Some(Err(failure));
            }
            if let Some(item) = self.current.as_mut().and_then(Lines::next) {
                return Some(item);
            }
            self.current = self.files.next().map(Lines::new);
            if self.current.is_none() {
                match files(&self.days.next()?) {
                    Ok(files) => self.files = files.into_iter(),
                    Err(failure) => self.failure = Some(failure),
                }
            }
        }
    }
}

fn days(directory: &Path) -> Result<Vec<PathBuf>, JsonlError> {
    let mut days: Vec<PathBuf> = list(directory)?.into_iter().filter(|path| path.is_dir()).collect();
    // Names of days sort like the days.
    days.sort_unstable();
    Ok(days)
}

/// What was written of a session on one day: what is packed away, then what came after.
struct SessionOfDay {
    began: Option<Timestamp>,
    parts: VecDeque<PathBuf>,
}

fn files(day: &Path) -> Result<Vec<SessionOfDay>, JsonlError> {
    let mut paths = list(day)?;
    paths.retain(|path| {
        has_ending(path, "jsonl")
            || path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".jsonl.zst"))
    });
    paths.sort_unstable();
    let mut files: Vec<SessionOfDay> = Vec::new();
    for path in paths {
        if let Some(last) = files.last_mut()
            && last.parts.front().is_some_and(|plain| path == plain.with_extension("jsonl.zst"))
        {
            last.began = began(&path);
            last.parts.push_front(path);
            continue;
        }
        files.push(SessionOfDay { began: began(&path), parts: VecDeque::from([path]) });
    }
    files.sort_by_key(|file| file.began);
    Ok(files)
}

/// The time of the first line.
fn began(path: &Path) -> Option<Timestamp> {
    let mut head = Vec::new();
    open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    line::started_at(&head)
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let file = File::open(path)?;
    if has_ending(path, "zst") {
        return Ok(Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?)));
    }
    Ok(Box::new(BufReader::with_capacity(64 * 1024, file)))
}

/// The lines of one session and day.
struct Lines {
    parts: VecDeque<PathBuf>,
    path: Arc<Path>,
    input: Option<Box<dyn BufRead + Send>>,
    number: u64,
    buffer: Vec<u8>,
    heard: Heard,
    last: Option<Place>,
    /// The last event that was packed away: up to it the original may still be there too.
    packed: Option<Place>,
}

impl Lines {
    fn new(file: SessionOfDay) -> Self {
        Self {
            parts: file.parts,
            path: Arc::from(Path::new("")),
            input: None,
            number: 0,
            buffer: Vec::new(),
            heard: Heard::default(),
            last: None,
            packed: None,
        }
    }

    fn next(&mut self) -> Option<Result<Entry, JsonlError>> {
        loop {
            let Some(input) = &mut self.input else {
                if let Err(failure) = self.next_part()? {
                    return Some(Err(failure));
                }
                continue;
            };
            self.buffer.clear();
            self.number += 1;
            if let Err(source) = input.take(LINE_LIMIT).read_until(b'\n', &mut self.buffer) {
                self.input = None;
                return Some(Err(read_error(&self.path)(source)));
            }
            match self.buffer.last() {
                None => self.input = None,
                Some(b'\n') => match self.entry() {
                    Ok(Some(entry)) => return Some(Ok(entry)),
                    Ok(None) => {}
                    Err(problem) => return Some(Err(self.failed(problem))),
                },
                Some(_) => {
                    self.input = None;
                    return Some(Err(self.unfinished()));
                }
            }
        }
    }

    fn next_part(&mut self) -> Option<Result<(), JsonlError>> {
        let path = self.parts.pop_front()?;
        self.packed = self.last;
        self.number = 0;
        let opened = open(&path).map_err(read_error(&path));
        self.path = Arc::from(path);
        Some(opened.map(|input| self.input = Some(input)))
    }

    /// The event of the line in the buffer; `None` when it was packed away before.
    fn entry(&mut self) -> Result<Option<Entry>, LineError> {
        let heard = &mut self.heard;
        let line = Line::parse(&self.buffer).inspect_err(|_| heard.miss())?;
        let (position, event) = heard.event(line)?;
        let place = Place { position, seq: event.seq };
        self.last = Some(place);
        if self.packed.is_some_and(|packed| place <= packed) {
            return Ok(None);
        }
        Ok(Some(Entry { path: Arc::clone(&self.path), line: self.number, position, event }))
    }

    /// Bytes at the end that are no line.
    fn unfinished(&self) -> JsonlError {
        let bytes = self.buffer.len() as u64;
        if bytes == LINE_LIMIT || has_ending(&self.path, "zst") {
            return self.failed(LineError::Length);
        }
        JsonlError::Torn { path: self.path.to_path_buf(), bytes }
    }

    fn failed(&self, problem: LineError) -> JsonlError {
        JsonlError::Line { path: self.path.to_path_buf(), line: self.number, problem }
    }
}
