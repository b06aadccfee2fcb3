//! Compresses files of old days. The original goes only after the compressed file is durable and was read back.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lunaroute_core::Timestamp;
use lunaroute_storage::journal::Position;
use lunaroute_storage::{AppendingFile, compress, parent_of, sync_directory};

use super::error::{JsonlError, read_error};
use super::line::{self, Place};
use super::names;
use super::tail::{Tail, has_ending, list};

/// Bytes of text that make one Zstandard frame.
const FRAME_BYTES: u64 = 8 * 1024 * 1024;

/// Pause after everything old is compressed.
const PAUSE: Duration = Duration::from_secs(600);

pub(super) struct Archive {
    after_days: u32,
    next_look: Option<Instant>,
}

impl Archive {
    pub(super) fn new(after_days: u32) -> Self {
        Self { after_days, next_look: None }
    }

    /// Compresses one file that is old enough, when there is one and it is not open.
    pub(super) fn next(
        &mut self,
        directory: &Path,
        now: Timestamp,
        clock: Instant,
        is_open: impl Fn(&Path) -> bool,
    ) -> Result<(), JsonlError> {
        if self.next_look.is_some_and(|next_look| clock < next_look) {
            return Ok(());
        }
        let oldest_kept = names::day_directory(directory, names::day(now) - i64::from(self.after_days));
        for day in list(directory)?.into_iter().filter(|path| path.is_dir()) {
            // Names of days sort like the days.
            if day >= oldest_kept {
                continue;
            }
            if let Some(path) =
                list(&day)?.into_iter().find(|path| has_ending(path, "jsonl") && !is_open(path))
            {
                return pack(&path);
            }
        }
        self.next_look = Some(clock + PAUSE);
        Ok(())
    }
}

fn packed_path(path: &Path) -> PathBuf {
    path.with_extension("jsonl.zst")
}

/// The place of the last line that was packed away under this name; `None` when there is none.
pub(super) fn last_of(path: &Path) -> Result<Option<Place>, JsonlError> {
    let packed = packed_path(path);
    if !packed.exists() {
        return Ok(None);
    }
    let mut lines = BufReader::new(unpack(&packed)?);
    let mut line = Vec::new();
    let (mut last, mut told) = (None, None::<Position>);
    while lines.read_until(b'\n', &mut line).map_err(read_error(&packed))? > 0 {
        if let Some(stamp) = line::stamp(&line) {
            told = stamp.position.or(told.map(line::following));
            last = told.map(|position| Place { position, seq: stamp.seq }).or(last);
        }
        line.clear();
    }
    Ok(last)
}

fn unpack(path: &Path) -> Result<impl Read + use<>, JsonlError> {
    let file = File::open(path).map_err(read_error(path))?;
    zstd::stream::read::Decoder::new(file).map_err(read_error(path))
}

/// Packs one file, behind what was packed under its name before.
fn pack(path: &Path) -> Result<(), JsonlError> {
    let packed = packed_path(path);
    let already = last_of(path)?;
    if already.is_some() && Tail::of(path, Position::default())?.last <= already {
        // Packed before; only its removal was cut short.
        return remove(path);
    }
    let unfinished = path.with_extension("jsonl.zst-unfinished");
    let mut output = AppendingFile::open(&unfinished)?;
    output.truncate_to(0)?;
    let mut expected = blake3::Hasher::new();
    if already.is_some() {
        let mut former = File::open(&packed).map_err(read_error(&packed))?;
        copy_chunks(&mut former, &packed, |chunk| Ok(output.append(chunk).map(drop)?))?;
        io::copy(&mut unpack(&packed)?, &mut expected).map_err(read_error(&packed))?;
    }
    let mut text = File::open(path).map_err(read_error(path))?;
    copy_chunks(&mut text, path, |chunk| {
        expected.update(chunk);
        let frame = compress::compress(chunk).map_err(|failure| JsonlError::Read {
            path: path.to_owned(),
            source: io::Error::other(failure),
        })?;
        Ok(output.append(&frame).map(drop)?)
    })?;
    output.sync()?;
    let mut found = blake3::Hasher::new();
    io::copy(&mut unpack(&unfinished)?, &mut found).map_err(read_error(&unfinished))?;
    if found.finalize() != expected.finalize() {
        return Err(JsonlError::Unequal { path: unfinished });
    }
    fs::rename(&unfinished, &packed).map_err(read_error(&packed))?;
    sync_directory_of(&packed)?;
    remove(path)
}

fn copy_chunks(
    input: &mut File,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), JsonlError>,
) -> Result<(), JsonlError> {
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        input.by_ref().take(FRAME_BYTES).read_to_end(&mut chunk).map_err(read_error(path))?;
        if chunk.is_empty() {
            return Ok(());
        }
        take(&chunk)?;
    }
}

fn remove(path: &Path) -> Result<(), JsonlError> {
    fs::remove_file(path).map_err(read_error(path))?;
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> Result<(), JsonlError> {
    Ok(sync_directory(parent_of(path))?)
}
