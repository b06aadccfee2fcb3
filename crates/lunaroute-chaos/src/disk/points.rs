//! One failure at each of many points of a journal's life: what it said is durable stays, whatever failed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use lunaroute_storage::journal::{Journal, JournalConfig, JournalError, Position, Record, read_all};

use super::faulty::{Fault, FaultyDisk, Operation};
use crate::report::{Promise, Report};

/// Records of one life, and how many of them share a sync.
const RECORDS: u32 = 240;
const RECORDS_PER_SYNC: u32 = 4;

/// How often a refused record is offered again.
const OFFERS: usize = 8;

/// What a run over all points found.
#[derive(Debug, Default)]
struct Found {
    points: usize,
    /// Points at which the journal's life had an operation that could fail.
    met: usize,
    lost: usize,
    repeated: usize,
    invented: usize,
    /// Records that the journal never took, though the disk failed once only.
    refused: usize,
    unopened: usize,
}

/// Lives so many lives, each with one failure at another point.
pub(super) fn run(points: usize) -> Result<Report> {
    let mut found = Found::default();
    let mut step = 0;
    while found.points < points {
        let operation = Operation::ALL[step % Operation::ALL.len()];
        let after = step / (2 * Operation::ALL.len());
        let full = (step / Operation::ALL.len()) % 2 == 1;
        step += 1;
        // The rarer operations have fewer points than a life has writes.
        if live(Fault { operation, after, full }, &mut found)? {
            found.points += 1;
        }
        if step > points * 20 {
            break;
        }
    }
    let mut report = Report::new("EIO or ENOSPC at the Nth operation");
    let none = Promise::Exactly(0.0);
    report.count("points that failed", found.met, Promise::Exactly(points_as_figure(points)));
    report.count("acknowledged and lost", found.lost, none);
    report.count("read twice", found.repeated, none);
    report.count("invented", found.invented, none);
    report.count("refused for good", found.refused, none);
    report.count("journals that did not open again", found.unopened, none);
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "points are hundreds")]
const fn points_as_figure(points: usize) -> f64 {
    points as f64
}

/// One life; says whether the failure happened in it.
fn live(fault: Fault, found: &mut Found) -> Result<bool> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let config = JournalConfig {
        segment_bytes: 4 << 10,
        ballast_bytes: 16 << 10,
        ..JournalConfig::new(folder.path())
    };
    let disk = FaultyDisk::new(fault);
    let opened = (0..OFFERS).find_map(|_| Journal::open_on(Box::new(disk.clone()), config.clone()).ok());
    let Some((mut journal, _)) = opened else {
        found.unopened += 1;
        return Ok(disk.met());
    };
    let mut acknowledged = BTreeMap::new();
    let mut pending = Vec::new();
    for number in 0..RECORDS {
        match insist(&mut journal, |journal| append(journal, number)) {
            Some(end) => pending.push((number, end)),
            None => found.refused += 1,
        }
        if number % RECORDS_PER_SYNC == RECORDS_PER_SYNC - 1 && insist(&mut journal, Journal::sync).is_some()
        {
            acknowledged.extend(pending.drain(..));
        }
        if number % (RECORDS / 3) == RECORDS / 3 - 1 {
            let before = Position { segment: journal.synced().segment.saturating_sub(1), offset: 0 };
            insist(&mut journal, |journal| journal.prune(before));
            acknowledged.retain(|_, end| *end >= before);
        }
    }
    found.refused += pending.len();
    drop(journal);
    if disk.met() {
        found.met += 1;
        disk.lose_power().context("the disk's files cannot be cut")?;
        compare(folder.path(), &acknowledged, found)?;
    }
    Ok(disk.met())
}

/// Offers again what was refused, as the recorder does.
fn insist<T>(journal: &mut Journal, action: impl Fn(&mut Journal) -> Result<T, JournalError>) -> Option<T> {
    (0..OFFERS).find_map(|_| match action(journal) {
        Ok(value) => Some(value),
        Err(_) => {
            // Refused until it is back; that it cannot be had now is told by the next refusal.
            let _still_full = journal.restore_ballast();
            None
        }
    })
}

fn append(journal: &mut Journal, number: u32) -> Result<Position, JournalError> {
    let payload = payload(number);
    journal.append(&[Record { kind: 1, parts: &[&payload] }])
}

fn payload(number: u32) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(4 + number as usize * 37 % 400, number as u8);
    payload
}

fn compare(directory: &Path, acknowledged: &BTreeMap<u32, Position>, found: &mut Found) -> Result<()> {
    let mut read = BTreeMap::<u32, usize>::new();
    for frame in read_all(directory).context("the journal cannot be read")? {
        let frame = frame.context("the journal cannot be read")?;
        let number = frame.payload.get(..4).and_then(|number| number.try_into().ok()).map(u32::from_le_bytes);
        match number.filter(|number| frame.payload == payload(*number)) {
            Some(number) => *read.entry(number).or_default() += 1,
            None => found.invented += 1,
        }
    }
    found.lost += acknowledged.keys().filter(|number| !read.contains_key(number)).count();
    found.repeated += read.values().map(|times| times - 1).sum::<usize>();
    Ok(())
}
