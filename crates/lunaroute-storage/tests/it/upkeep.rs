//! Pruning, numbering, opening in time, and who may read the files.

use std::fs;
use std::time::{Duration, Instant};

use lunaroute_storage::journal::{
    FRAME_HEADER_BYTES, Journal, JournalConfig, JournalError, JournalReader, Position, read_at,
};

use crate::support::{append_one, config, open, payloads, read, samples};

#[test]
fn pruning_deletes_only_segments_entirely_before_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 300));
    for sample in samples(40, 100) {
        append_one(&mut journal, &sample).unwrap();
    }
    let segments = journal.segments().unwrap();
    assert!(segments.len() > 5);
    let before = Position { segment: segments[3].number, offset: 10 };
    let pruned = journal.prune(before).unwrap();
    assert_eq!((pruned.segments, pruned.bytes), (3, segments[..3].iter().map(|segment| segment.bytes).sum()));
    assert_eq!(journal.segments().unwrap(), segments[3..]);
    assert_eq!(journal.prune(before).unwrap(), Default::default());

    // A checkpoint from before the oldest segment reads on with what is left.
    let mut reader = JournalReader::open(directory.path(), Position { segment: 1, offset: 28 }).unwrap();
    let first = reader.next(journal.end()).unwrap().unwrap();
    assert_eq!(first.position, Position { segment: segments[3].number, offset: 0 });

    // Not even a place beyond the end takes the segment that is being written.
    journal.prune(Position { segment: u64::MAX, offset: 0 }).unwrap();
    append_one(&mut journal, b"still here").unwrap();
    assert_eq!(payloads(&read(directory.path()).0).last().unwrap(), b"still here");
}

#[test]
fn a_reader_inside_a_pruned_segment_finishes_it_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 300));
    for sample in samples(20, 100) {
        append_one(&mut journal, &sample).unwrap();
    }
    let mut reader = JournalReader::open(directory.path(), Position::default()).unwrap();
    reader.next(journal.end()).unwrap().unwrap();
    let end = journal.end();
    journal.prune(end).unwrap();
    let mut last = None;
    while let Some(frame) = reader.next(end).unwrap() {
        last = Some(frame.next);
    }
    assert_eq!(last, Some(end));
}

#[test]
fn segment_numbers_are_never_used_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 1 << 20));
    append_one(&mut journal, b"one").unwrap();
    let checkpoint = journal.end();
    drop(journal);
    fs::remove_file(directory.path().join("00000000000000000001.journal")).unwrap();

    let lost = JournalConfig {
        next_segment_at_least: Some(checkpoint.segment + 1),
        ..config(directory.path(), 1 << 20)
    };
    let (mut journal, _) = open(lost);
    append_one(&mut journal, b"two").unwrap();
    assert!(journal.end() > checkpoint);
    let mut reader = JournalReader::open(directory.path(), checkpoint).unwrap();
    assert_eq!(reader.next(journal.end()).unwrap().unwrap().payload, "two");
    drop(journal);

    let damaged =
        JournalConfig { next_segment_at_least: Some(u64::MAX), ..config(directory.path(), 1 << 20) };
    let Err(refused) = Journal::open(damaged) else { panic!("a number out of range was taken") };
    assert!(matches!(refused, JournalError::SegmentNumberOutOfRange { number: u64::MAX }), "{refused}");
}

#[test]
fn sequence_numbers_grow_from_run_to_run_without_reading_the_old_segments() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let (mut journal, _) = open(config(directory.path(), 100));
        for sample in samples(10, 60) {
            append_one(&mut journal, &sample).unwrap();
        }
    }
    let (frames, _) = read(directory.path());
    assert_eq!(frames.len(), 30);
    assert!(frames.is_sorted_by(|one, other| one.sequence < other.sequence));
}

#[test]
fn a_journal_of_one_gibibyte_opens_within_two_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 32 << 20));
    for _ in 0..31 {
        append_one(&mut journal, &[5; 1 << 20]).unwrap();
    }
    journal.sync().unwrap();
    let end = journal.end();
    drop(journal);
    // The newest segment is real; the older ones are long but hold nothing: only their names may matter.
    let number = 40;
    let name = |number| directory.path().join(format!("{number:020}.journal"));
    fs::rename(name(1), name(number)).unwrap();
    for older in 1..32 {
        fs::File::create(name(older)).unwrap().set_len(32 << 20).unwrap();
    }
    let started = Instant::now();
    let (journal, recovery) = open(config(directory.path(), 32 << 20));
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(2), "opened in {taken:?}");
    assert_eq!((recovery.segments, recovery.bytes), (32, 31 * (32 << 20) + end.offset));
    assert_eq!(journal.end(), Position { segment: number + 1, offset: 0 });
    println!("1 GiB opened in {taken:?}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_what_is_recorded() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state/journal");
    let (mut journal, _) = open(JournalConfig { ballast_bytes: 1_000, ..config(&directory, 100) });
    for sample in samples(10, 60) {
        append_one(&mut journal, &sample).unwrap();
    }
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(directory.parent().unwrap())), (0o700, 0o700));
    let modes: Vec<u32> =
        fs::read_dir(&directory).unwrap().map(|entry| mode(&entry.unwrap().path())).collect();
    assert!(modes.len() > 4 && modes.iter().all(|&mode| mode == 0o600), "{modes:?}");
}

#[test]
fn a_place_inside_a_frame_is_opened_at_that_frame() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 1 << 20));
    for sample in samples(12, 100) {
        append_one(&mut journal, &sample).unwrap();
    }
    journal.sync().unwrap();
    let frames = read(directory.path()).0;
    for frame in &frames {
        let whole = read_at(directory.path(), frame.position).unwrap().expect("a frame starts there");
        assert_eq!(&whole, frame);
        for within in [1, 5, 27, frame.next.offset - frame.position.offset - 1] {
            let place = Position { offset: frame.position.offset + within, ..frame.position };
            let mut reader = JournalReader::open(directory.path(), place).unwrap();
            assert_eq!(reader.next(journal.end()).unwrap().as_ref(), Some(frame), "from {place}");
        }
    }
    let mut reader = JournalReader::open(directory.path(), Position::default()).unwrap();
    reader.next(journal.end()).unwrap();
    reader.skip_to(frames[7].position);
    assert_eq!(reader.next(journal.end()).unwrap().as_ref(), Some(&frames[7]));
    reader.skip_to(frames[2].position);
    assert_eq!(reader.next(journal.end()).unwrap().as_ref(), Some(&frames[8]), "never back");
}

#[test]
fn room_is_made_before_an_append_and_tells_where_it_will_stand() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 500));
    let mut segments = std::collections::BTreeSet::new();
    for sample in samples(40, 100) {
        let place = journal.make_room(sample.len() + FRAME_HEADER_BYTES).unwrap();
        let end = append_one(&mut journal, &sample).unwrap();
        let expected =
            Position { offset: place.offset + (sample.len() + FRAME_HEADER_BYTES) as u64, ..place };
        assert_eq!(end, expected);
        segments.insert(end.segment);
    }
    assert!(segments.len() > 4, "{segments:?}");
}
