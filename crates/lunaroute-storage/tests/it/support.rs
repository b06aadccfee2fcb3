//! Small ways to fill and read a journal.

use std::path::Path;

use lunaroute_storage::journal::{
    Damage, Frame, Journal, JournalConfig, JournalError, Position, Record, Recovery, read_all,
};

/// A journal without ballast, so that a test does not write 16 MiB first.
pub(crate) fn config(directory: &Path, segment_bytes: u64) -> JournalConfig {
    JournalConfig { segment_bytes, ballast_bytes: 0, ..JournalConfig::new(directory) }
}

#[track_caller]
pub(crate) fn open(config: JournalConfig) -> (Journal, Recovery) {
    Journal::open(config).map_err(|failure| failure.to_string()).expect("the journal opens")
}

pub(crate) fn append_one(journal: &mut Journal, payload: &[u8]) -> Result<Position, JournalError> {
    journal.append(&[Record { kind: 1, parts: &[payload] }])
}

/// Everything in the journal and what had to be stepped over.
#[track_caller]
pub(crate) fn read(directory: &Path) -> (Vec<Frame>, Damage) {
    let mut whole =
        read_all(directory).map_err(|failure| failure.to_string()).expect("the journal is readable");
    let frames = whole.by_ref().map(|frame| frame.expect("damage is no error")).collect();
    (frames, whole.damage())
}

pub(crate) fn payloads(frames: &[Frame]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.payload.to_vec()).collect()
}

/// Payloads of 0 to `longest` bytes in a fixed but irregular order; each begins with its number when it has room.
pub(crate) fn samples(count: usize, longest: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|index| {
            let length = index * 2_654_435_761 % (longest + 1);
            let mut payload = format!("{index}:").into_bytes();
            payload.extend((0..longest).map(|at| ((at * 31) ^ (index * 7)) as u8));
            payload.truncate(length.max(8));
            payload
        })
        .collect()
}
