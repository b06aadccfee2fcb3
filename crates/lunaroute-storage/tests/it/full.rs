//! A full disk: ordinary records are refused and counted by the caller, essential ones still fit.

use lunaroute_storage::journal::{BallastState, Journal, JournalConfig, JournalError, Record};

use crate::disk::FaultyDisk;
use crate::support::{append_one, config, payloads, read};

const BALLAST_BYTES: u64 = 4_096;

#[track_caller]
fn open_on(disk: &FaultyDisk, directory: &std::path::Path) -> Journal {
    let config = JournalConfig { ballast_bytes: BALLAST_BYTES, ..config(directory, 1 << 20) };
    let opened = Journal::open_on(Box::new(disk.clone()), config).map_err(|failure| failure.to_string());
    opened.expect("the journal opens").0
}

fn append_end(journal: &mut Journal) -> Result<(), JournalError> {
    journal.append_essential(&[Record { kind: 2, parts: &[b"end"] }]).map(|_| ())
}

/// Appends until the disk is full and says how many fitted.
fn fill(journal: &mut Journal) -> usize {
    (0..).take_while(|_| append_one(journal, &[0; 100]).is_ok()).count()
}

#[test]
fn the_ballast_makes_room_for_essential_records_only() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, directory.path());
    assert_eq!(journal.health().ballast, BallastState::Held);
    disk.script().capacity = Some(BALLAST_BYTES + 2_000);

    let fitted = fill(&mut journal);
    assert_eq!(fitted, 2_000 / 128);
    let refused = append_one(&mut journal, &[0; 100]);
    assert!(matches!(refused, Err(JournalError::StorageFull { .. })), "{refused:?}");
    assert!(journal.health().storage_full);
    assert_eq!(journal.health().ballast, BallastState::Held, "an ordinary record does not touch the ballast");
    assert_eq!(journal.health().failures.sealed_segments, 0, "a full disk puts no file in doubt");

    let ends = (0..).take_while(|_| append_end(&mut journal).is_ok()).count();
    assert!(ends as u64 > BALLAST_BYTES / 31, "{ends} ends");
    assert_eq!(journal.health().ballast, BallastState::Released);
    assert!(append_one(&mut journal, b"").is_err(), "what is left is not for ordinary records");
    journal.sync().unwrap();
    let (frames, damage) = read(directory.path());
    assert_eq!((frames.len(), damage), (fitted + ends, Default::default()));
}

#[test]
fn ordinary_records_are_taken_again_when_the_ballast_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, directory.path());
    disk.script().capacity = Some(BALLAST_BYTES + 500);
    fill(&mut journal);
    while journal.health().ballast == BallastState::Held {
        append_end(&mut journal).unwrap();
    }
    let missing = journal.restore_ballast();
    assert!(matches!(missing, Err(JournalError::StorageFull { .. })), "{missing:?}");
    assert!(!directory.path().join("ballast").exists(), "what was taken in vain is given back");
    append_end(&mut journal).unwrap();
    disk.script().capacity = Some(100_000);
    journal.restore_ballast().unwrap();
    assert_eq!(std::fs::metadata(directory.path().join("ballast")).unwrap().len(), BALLAST_BYTES);
    assert!(!journal.health().storage_full);
    append_one(&mut journal, b"again").unwrap();
    assert_eq!(payloads(&read(directory.path()).0).last().unwrap(), b"again");
}

#[test]
fn a_sync_that_fails_on_a_full_disk_repeats_its_frames_into_the_ballast() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, directory.path());
    disk.script().capacity = Some(BALLAST_BYTES + 1_000);
    let fitted = fill(&mut journal);
    disk.script().fail_sync_in = Some(0);
    disk.script().wipe_on_failed_sync = true;
    journal.sync().unwrap();
    assert_eq!(journal.health().ballast, BallastState::Released);
    disk.script().cut_power(0, false);
    assert_eq!(read(directory.path()).0.len(), fitted);
}

#[test]
fn a_full_disk_at_the_start_takes_essential_records_only_and_a_changed_ballast_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.script().capacity = Some(BALLAST_BYTES - 1);
    let mut journal = open_on(&disk, directory.path());
    assert_eq!(journal.health().ballast, BallastState::Released);
    assert!(append_one(&mut journal, b"ordinary").is_err());
    append_end(&mut journal).unwrap();
    drop(journal);

    let ballast = directory.path().join("ballast");
    std::fs::write(&ballast, b"left over from a crash").unwrap();
    disk.script().capacity = None;
    let journal = open_on(&disk, directory.path());
    assert_eq!(std::fs::metadata(&ballast).unwrap().len(), BALLAST_BYTES);
    drop(journal);
    let without =
        Journal::open(config(directory.path(), 1 << 20)).map_err(|failure| failure.to_string()).unwrap().0;
    assert_eq!(without.health().ballast, BallastState::Off);
    assert!(!ballast.exists(), "a ballast that nobody asks for gives its space back");
}
