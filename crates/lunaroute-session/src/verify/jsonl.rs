//! The JSONL files: every line an event.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use lunaroute_core::{RequestId, SessionId, Timestamp};
use lunaroute_storage::journal::Position;
use serde::Deserialize;

use super::parity::Parity;
use super::report::Report;
use crate::event::{EventKind, SessionEvent};

/// A line longer than the largest event can be is not read to its end.
const LINE_LIMIT: u64 = 256 << 20;

#[derive(Deserialize)]
struct Line {
    session: SessionId,
    request: RequestId,
    seq: u32,
    at: jiff::Timestamp,
    journal: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
    #[serde(flatten)]
    kind: EventKind,
}

impl Line {
    fn event(self) -> Option<(Position, SessionEvent)> {
        let (segment, offset) = self.journal.split_once(':')?;
        let position = Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? };
        let body = match (self.body, self.body_base64) {
            (Some(text), _) => Bytes::from(text),
            (None, Some(coded)) => Bytes::from(BASE64_STANDARD.decode(coded).ok()?),
            (None, None) => Bytes::new(),
        };
        let at = Timestamp::from_micros(self.at.as_microsecond());
        let (session, request, seq, kind) = (self.session, self.request, self.seq, self.kind);
        Some((position, SessionEvent { session, request, seq, at, kind, body }))
    }
}

/// Reads every line of every file, the days in order.
pub(super) fn read(directory: &Path, parity: &mut Parity<'_>, report: &mut Report) {
    match files(directory) {
        Ok(files) => {
            for file in files {
                if let Err(error) = read_file(&file, parity, report) {
                    parity.damage(file.display().to_string(), "it cannot be read to its end", error);
                }
            }
        }
        Err(error) => parity.damage(directory.display().to_string(), "it cannot be read", error),
    }
}

/// `YYYY-MM-DD/<session>.jsonl` and `.jsonl.zst`, in order.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for day in fs::read_dir(directory)? {
        let day = day?;
        if !day.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(day.path())? {
            let path = file?.path();
            let name = path.to_string_lossy();
            if name.ends_with(".jsonl") || name.ends_with(".jsonl.zst") {
                files.push(path);
            }
        }
    }
    files.sort();
    // A file that was just compressed may stand beside its original for a moment: the original counts.
    let originals: Vec<PathBuf> =
        files.iter().filter(|path| path.extension().is_some_and(|e| e == "jsonl")).cloned().collect();
    files.retain(|path| {
        path.extension().is_none_or(|extension| extension != "zst")
            || originals.binary_search(&path.with_extension("")).is_err()
    });
    Ok(files)
}

fn read_file(path: &Path, parity: &mut Parity<'_>, report: &mut Report) -> io::Result<()> {
    let file = File::open(path)?;
    let packed = path.extension().is_some_and(|extension| extension == "zst");
    let mut lines: Box<dyn BufRead> = if packed {
        Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?))
    } else {
        Box::new(BufReader::with_capacity(256 << 10, file))
    };
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let place = || format!("{}:{number}", path.display());
        (&mut lines).take(LINE_LIMIT).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.last() != Some(&b'\n') {
            if line.len() as u64 == LINE_LIMIT || packed {
                parity.damage(place(), "a line is too long or cut short", line.len());
            } else {
                // A live gateway may be in the middle of this line.
                parity.torn(line.len() as u64);
            }
            break;
        }
        let parsed = serde_json::from_slice::<Line>(&line).map_err(|error| error.to_string());
        match parsed.and_then(|line| line.event().ok_or_else(|| "its place or body is malformed".to_owned()))
        {
            Ok((position, event)) => parity.event(&place(), position, &event, report),
            Err(error) => parity.damage(place(), "a line is no event", error),
        }
    }
    Ok(())
}
