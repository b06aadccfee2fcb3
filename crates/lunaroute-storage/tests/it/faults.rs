//! A disk that fails: nothing that a sync acknowledged is lost, nothing is read twice, no failed file is used again.

use std::collections::BTreeSet;
use std::path::Path;

use lunaroute_storage::journal::{
    FinishedSync, Journal, JournalConfig, JournalError, JournalReader, PendingSync, Position, Record,
};
use proptest::prelude::*;

use crate::disk::FaultyDisk;
use crate::support::{append_one, config, payloads, read};

#[track_caller]
fn open_on(disk: &FaultyDisk, config: JournalConfig) -> Journal {
    let opened = Journal::open_on(Box::new(disk.clone()), config).map_err(|failure| failure.to_string());
    opened.expect("the journal opens").0
}

fn payload(number: u32) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(4 + number as usize % 90, number as u8);
    payload
}

/// Appends one record per number with a sync after every third and returns which numbers were appended and which made durable.
fn run(journal: &mut Journal, numbers: std::ops::Range<u32>) -> (Vec<u32>, BTreeSet<u32>) {
    let (mut appended, mut durable) = (Vec::new(), BTreeSet::new());
    for number in numbers {
        if append_one(journal, &payload(number)).is_ok() {
            appended.push(number);
        }
        if number % 3 == 0 && journal.sync().is_ok() {
            durable.extend(appended.iter().copied());
        }
    }
    (appended, durable)
}

fn numbers(directory: &Path) -> Vec<u32> {
    payloads(&read(directory).0)
        .iter()
        .map(|bytes| {
            let number = u32::from_le_bytes(bytes[..4].try_into().expect("a payload begins with its number"));
            assert_eq!(*bytes, payload(number), "no frame is invented");
            number
        })
        .collect()
}

#[test]
fn one_failed_write_anywhere_loses_and_repeats_nothing() {
    for nth in 0..80 {
        for longest_write in [None, Some(7)] {
            let directory = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::default();
            let mut journal = open_on(&disk, config(directory.path(), 900));
            disk.script().fail_write_in = Some(nth);
            disk.script().longest_write = longest_write;
            let (appended, _) = run(&mut journal, 0..60);
            assert_eq!(appended, (0..60).collect::<Vec<_>>(), "one failure is mended inside the append");
            assert_eq!(numbers(directory.path()), appended, "failure at write {nth}");
            let failures = journal.health().failures;
            assert_eq!(failures.sealed_segments, failures.writes, "failure at write {nth}");
            assert_eq!(disk.script().touched_after_failure, 0);
        }
    }
}

#[test]
fn one_failed_sync_anywhere_loses_nothing_even_when_the_disk_forgets_the_unsynced_bytes() {
    let mut failed = 0;
    for nth in 0..60 {
        for wipe_on_failed_sync in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::default();
            let mut journal = open_on(&disk, config(directory.path(), 900));
            disk.script().fail_sync_in = Some(nth);
            disk.script().wipe_on_failed_sync = wipe_on_failed_sync;
            let (appended, durable) = run(&mut journal, 0..60);
            assert_eq!(appended.len(), 60);
            failed += journal.health().failures.syncs;
            disk.script().cut_power(0, false);
            let found = numbers(directory.path());
            assert_eq!(found.iter().copied().collect::<BTreeSet<_>>().len(), found.len(), "no number twice");
            assert!(durable.iter().all(|number| found.contains(number)), "failure at sync {nth}: {found:?}");
            assert_eq!(disk.script().touched_after_failure, 0);
        }
    }
    assert!(failed > 40, "the failures were met: {failed}");
}

#[test]
fn a_disk_that_fails_for_long_refuses_and_keeps_what_it_promised() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, config(directory.path(), 1 << 20));
    append_one(&mut journal, &payload(1)).unwrap();
    disk.script().fail_write_in = Some(0);
    disk.script().writes_failing = 8;
    let refused = append_one(&mut journal, &payload(2));
    assert!(matches!(refused, Err(JournalError::File(_))), "{refused:?}");
    assert!(!journal.health().writable);
    assert!(journal.sync().is_err(), "what cannot be written cannot be durable");
    assert_eq!(journal.health().unsynced_bytes, 28 + payload(1).len() as u64, "number 1 is kept in memory");
    // The disk works again after eight failures: four in the append, three in the sync, one in this append.
    append_one(&mut journal, &payload(3)).unwrap();
    journal.sync().unwrap();
    disk.script().cut_power(0, false);
    assert_eq!(numbers(directory.path()), [1, 3]);
    assert_eq!(journal.synced(), journal.end());
}

#[test]
fn three_failed_syncs_in_a_row_are_an_error_and_the_next_sync_makes_good() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, config(directory.path(), 1 << 20));
    append_one(&mut journal, &payload(1)).unwrap();
    let before = journal.synced();
    disk.script().fail_sync_in = Some(0);
    disk.script().syncs_failing = 3;
    disk.script().wipe_on_failed_sync = true;
    assert!(journal.sync().is_err());
    assert_eq!(journal.synced(), before);
    journal.sync().unwrap();
    disk.script().cut_power(0, false);
    assert_eq!(numbers(directory.path()), [1]);
    assert_eq!(journal.health().failures.sealed_segments, 3);
}

#[test]
fn a_segment_that_cannot_be_created_leaves_the_old_one_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, config(directory.path(), 100));
    append_one(&mut journal, &payload(80)).unwrap();
    disk.script().fail_create_in = Some(0);
    assert!(append_one(&mut journal, &payload(81)).is_err());
    assert!(journal.health().writable);
    append_one(&mut journal, &payload(82)).unwrap();
    assert_eq!(numbers(directory.path()), [80, 82]);
}

#[test]
fn a_reader_that_starts_between_a_frame_and_its_repetition_passes_it_on_once() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, config(directory.path(), 1 << 20));
    for number in 0..10 {
        append_one(&mut journal, &payload(number)).unwrap();
    }
    let mut checkpoints = vec![Position::default()];
    let mut reader = JournalReader::open(directory.path(), Position::default()).unwrap();
    while let Some(frame) = reader.next(journal.end()).unwrap() {
        checkpoints.push(frame.next);
    }
    // Two failures in a row: the frames stand in three segments, and the second one begins with repetitions itself.
    disk.script().fail_sync_in = Some(0);
    disk.script().syncs_failing = 2;
    journal.sync().unwrap();
    for number in 10..13 {
        append_one(&mut journal, &payload(number)).unwrap();
    }
    assert_eq!(journal.segments().unwrap().len(), 3);
    checkpoints.extend((1..=3).map(|segment| Position { segment, offset: 0 }));
    for (index, checkpoint) in checkpoints.into_iter().enumerate() {
        let mut reader = JournalReader::open(directory.path(), checkpoint).unwrap();
        let mut found = Vec::new();
        while let Some(frame) = reader.next(journal.end()).unwrap() {
            found.push(u32::from_le_bytes(frame.payload[..4].try_into().unwrap()));
        }
        let first = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 10, 10][index];
        assert_eq!(found, (first..13).collect::<Vec<u32>>(), "from {checkpoint}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Sync,
    BeginSync,
    RunSync,
    FinishSync,
    FailWrite { soon: usize, times: usize },
    FailSync { soon: usize, times: usize, wipe: bool },
    FailCreate,
    Room(Option<u64>),
    Kill,
    CutPower { keep: u64, zero_middle: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1_u8..6).prop_map(Step::Append),
        4 => Just(Step::Sync),
        4 => Just(Step::BeginSync),
        4 => Just(Step::RunSync),
        4 => Just(Step::FinishSync),
        2 => (0_usize..4, 1_usize..6).prop_map(|(soon, times)| Step::FailWrite { soon, times }),
        2 => (0_usize..3, 1_usize..5, any::<bool>()).prop_map(|(soon, times, wipe)| Step::FailSync { soon, times, wipe }),
        1 => Just(Step::FailCreate),
        2 => prop::option::of(0_u64..400).prop_map(Step::Room),
        1 => Just(Step::Kill),
        2 => (0_u64..=100, any::<bool>()).prop_map(|(keep, zero_middle)| Step::CutPower { keep, zero_middle }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_schedule_of_failures_kills_and_power_cuts_keeps_what_was_made_durable(
        steps in prop::collection::vec(step(), 1..60),
        segment_bytes in 100_u64..2_000,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let config = JournalConfig { unsynced_bytes: 600, ..config(directory.path(), segment_bytes) };
        let mut journal = Some(open_on(&disk, config.clone()));
        let (mut number, mut accepted, mut durable) = (0, Vec::new(), BTreeSet::new());
        // A sync on its way elsewhere, how it went there, and how many of the accepted it speaks of.
        let (mut begun, mut ran, mut spoken_of) = (None, None, Vec::new());
        for step in steps {
            let open = journal.as_mut().expect("opened again after every end");
            match step {
                Step::Append(count) => {
                    let batch: Vec<Vec<u8>> = (0..u32::from(count)).map(|index| payload(number + index)).collect();
                    let parts: Vec<[&[u8]; 1]> = batch.iter().map(|payload| [payload.as_slice()]).collect();
                    let records: Vec<Record<'_>> = parts.iter().map(|parts| Record { kind: 1, parts }).collect();
                    if open.append(&records).is_ok() {
                        accepted.extend(number..number + u32::from(count));
                    }
                    number += u32::from(count);
                }
                Step::Sync => {
                    if open.sync().is_ok() {
                        durable.extend(accepted.iter().copied());
                    }
                }
                Step::BeginSync => {
                    if begun.is_none() && ran.is_none() {
                        begun = open.begin_sync();

                        spoken_of = accepted.clone();
                    }
                }
                Step::RunSync => {
                    if let Some(pending) = begun.take() {
                        let finished: FinishedSync = PendingSync::run(pending);
                        if finished.succeeded() {
                            durable.extend(spoken_of.iter().copied());
                        }
                        ran = Some(finished);
                    }
                }
                Step::FinishSync => {
                    if let Some(finished) = ran.take()
                        && open.finish_sync(finished).is_ok()
                    {
                        durable.extend(spoken_of.drain(..));
                    }
                }
                Step::FailWrite { soon, times } => {
                    let mut script = disk.script();
                    (script.fail_write_in, script.writes_failing) = (Some(soon), times);
                }
                Step::FailSync { soon, times, wipe } => {
                    let mut script = disk.script();
                    (script.fail_sync_in, script.syncs_failing, script.wipe_on_failed_sync) = (Some(soon), times, wipe);
                }
                Step::FailCreate => disk.script().fail_create_in = Some(0),
                Step::Room(room) => {
                    let mut script = disk.script();
                    script.capacity = room.map(|room| script.used() + room);
                }
                Step::Kill | Step::CutPower { .. } => {
                    drop(journal.take());
                    (begun, ran) = (None, None);
                    accepted.clear();
                    spoken_of.clear();
                    let mut script = disk.script();
                    (script.fail_write_in, script.fail_sync_in, script.fail_create_in) = (None, None, None);
                    if let Step::CutPower { keep, zero_middle } = step {
                        script.cut_power(keep, zero_middle);
                    }
                    drop(script);
                    journal = Some(open_on(&disk, config.clone()));
                }
            }
        }
        let found = numbers(directory.path());
        let distinct: BTreeSet<u32> = found.iter().copied().collect();
        prop_assert_eq!(distinct.len(), found.len(), "duplicates in {:?}", found);
        prop_assert!(durable.is_subset(&distinct), "lost {:?}", durable.difference(&distinct));
        prop_assert!(found.iter().all(|&found| found < number));
        prop_assert_eq!(disk.script().touched_after_failure, 0);
    }
}

#[test]
fn appends_go_on_while_a_sync_runs_elsewhere_over_the_end_of_a_segment_too() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut journal = open_on(&disk, config(directory.path(), 400));
    append_one(&mut journal, &payload(0)).unwrap();
    let pending = journal.begin_sync().expect("something to sync");
    for number in 1..12 {
        append_one(&mut journal, &payload(number)).unwrap();
    }
    assert!(journal.segments().unwrap().len() >= 2, "a new segment was begun meanwhile");
    let end = pending.end();
    let finished = pending.run();
    assert!(finished.succeeded() && journal.end() > end);
    let synced = journal.finish_sync(finished).unwrap();
    assert!(synced >= end && journal.end() > synced, "what came after is not covered");
    journal.sync().unwrap();
    drop(journal);
    disk.script().cut_power(0, true);
    assert_eq!(numbers(directory.path()), (0..12).collect::<Vec<u32>>());
}

#[test]
fn a_sync_that_fails_elsewhere_is_made_good_in_another_segment_and_never_tried_again() {
    for wipe in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let mut journal = open_on(&disk, config(directory.path(), 1 << 20));
        (0..5).for_each(|number| {
            append_one(&mut journal, &payload(number)).unwrap();
        });
        let pending = journal.begin_sync().expect("something to sync");
        append_one(&mut journal, &payload(5)).unwrap();
        {
            let mut script = disk.script();
            (script.fail_sync_in, script.wipe_on_failed_sync) = (Some(0), wipe);
        }
        let finished = pending.run();
        assert!(!finished.succeeded());
        let synced = journal.finish_sync(finished).unwrap();
        assert_eq!(synced, journal.end(), "all of it is durable in the new segment");
        drop(journal);
        disk.script().cut_power(0, true);
        assert_eq!(numbers(directory.path()), (0..6).collect::<Vec<u32>>());
        assert_eq!(disk.script().touched_after_failure, 0);
    }
}
