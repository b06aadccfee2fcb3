//! The ends of files: torn lines are cut off, the last whole line says how far a file came.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lunaroute_storage::AppendingFile;
use lunaroute_storage::journal::Position;

use super::error::{JsonlError, read_error};
use super::line::{self, Place};

const CHUNK_BYTES: u64 = 64 * 1024;

/// Days whose files are looked at when the writer is opened: a run of yesterday may still go on.
const RECENT_DAYS: usize = 2;

/// Where the whole lines of a file end, and the place of the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tail {
    pub(super) whole_bytes: u64,
    pub(super) last: Option<Place>,
}

impl Tail {
    /// Everything before `durable` is known to have reached the disk. What follows may have holes after a loss of power,
    /// so each line of it has to be whole; the file ends before the first that is not.
    pub(super) fn of(path: &Path, durable: Position) -> Result<Self, JsonlError> {
        let mut lines = LinesFromEnd::open(path)?;
        let mut tail = Self::default();
        // The last line, as long as no line before it has told its place, and how many lines it is behind.
        let mut unplaced: Option<(u64, u32, u64)> = None;
        while let Some((end, line)) = lines.next().map_err(read_error(path))? {
            let Some(stamp) = line::stamp(&line) else {
                (tail, unplaced) = (Self::default(), None);
                continue;
            };
            match &mut unplaced {
                Some((.., behind)) => *behind += 1,
                None if tail.last.is_none() => unplaced = Some((end, stamp.seq, 0)),
                None => {}
            }
            let Some(position) = stamp.position else { continue };
            if let Some((whole_bytes, seq, behind)) = unplaced.take() {
                let offset = position.offset.saturating_add(behind);
                tail = Self {
                    whole_bytes,
                    last: Some(Place { position: Position { offset, ..position }, seq }),
                };
            }
            if position < durable {
                break;
            }
        }
        Ok(tail)
    }
}

/// The lines of a file, the last first. Bytes after the last end of a line are none.
struct LinesFromEnd {
    file: File,
    /// What is read and not passed on: the bytes from `start` on.
    held: Vec<u8>,
    start: u64,
    /// Bytes to read next; grows while no line begins, so that a long line is not copied again and again.
    chunk: u64,
    torn_is_cut: bool,
}

impl LinesFromEnd {
    fn open(path: &Path) -> Result<Self, JsonlError> {
        let file = File::open(path).map_err(read_error(path))?;
        let start = file.metadata().map_err(read_error(path))?.len();
        Ok(Self { file, held: Vec::new(), start, chunk: CHUNK_BYTES, torn_is_cut: false })
    }

    /// The next line, without its end, and where it ends in the file.
    fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        loop {
            // The last byte held ends the line that is looked for, once what is torn is cut off.
            let searched = if self.torn_is_cut { self.held.len().saturating_sub(1) } else { self.held.len() };
            if let Some(newline) = self.held[..searched].iter().rposition(|&byte| byte == b'\n') {
                self.chunk = CHUNK_BYTES;
                let line = self.held.split_off(newline + 1);
                if std::mem::replace(&mut self.torn_is_cut, true) {
                    return Ok(Some(self.ended(newline as u64 + 1, line)));
                }
            } else if self.start == 0 {
                let line = std::mem::take(&mut self.held);
                return Ok((self.torn_is_cut && !line.is_empty()).then(|| self.ended(0, line)));
            } else {
                self.read_more()?;
            }
        }
    }

    fn ended(&self, offset: u64, mut line: Vec<u8>) -> (u64, Vec<u8>) {
        let end = self.start + offset + line.len() as u64;
        line.pop();
        (end, line)
    }

    fn read_more(&mut self) -> io::Result<()> {
        let start = self.start.saturating_sub(self.chunk);
        let mut read = vec![0; usize::try_from(self.start - start).unwrap_or(0)];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut read)?;
        read.append(&mut self.held);
        (self.held, self.start) = (read, start);
        self.chunk = self.chunk.saturating_mul(2);
        Ok(())
    }
}

/// Cuts torn lines off the files of the last days, so that nobody who reads them meets one.
pub(super) fn repair_recent(directory: &Path, durable: Position) -> Result<(), JsonlError> {
    if !directory.exists() {
        return Ok(());
    }
    let mut days: Vec<PathBuf> = list(directory)?.into_iter().filter(|path| path.is_dir()).collect();
    days.sort_unstable();
    for day in days.into_iter().rev().take(RECENT_DAYS) {
        for path in list(&day)?.into_iter().filter(|path| has_ending(path, "jsonl")) {
            if is_torn(&path)? {
                let tail = Tail::of(&path, durable)?;
                AppendingFile::open(&path)?.truncate_to(tail.whole_bytes)?;
            }
        }
    }
    Ok(())
}

fn is_torn(path: &Path) -> Result<bool, JsonlError> {
    let fail = || read_error(path);
    let mut file = File::open(path).map_err(fail())?;
    if file.metadata().map_err(fail())?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1)).map_err(fail())?;
    file.read_exact(&mut last).map_err(fail())?;
    Ok(last != *b"\n")
}

pub(super) fn list(directory: &Path) -> Result<Vec<PathBuf>, JsonlError> {
    let entries = fs::read_dir(directory).map_err(read_error(directory))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(read_error(directory))).collect()
}

pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}
