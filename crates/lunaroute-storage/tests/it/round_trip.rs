//! What is appended is read back: the same bytes, the same order, once.

use lunaroute_storage::journal::{
    Journal, JournalError, JournalReader, MAX_PAYLOAD_BYTES, Position, Record, read_all,
};
use proptest::prelude::*;

use crate::support::{append_one, config, open, payloads, read, samples};

type Batch = Vec<(u8, Vec<Vec<u8>>)>;

fn batches() -> impl Strategy<Value = Vec<(Batch, bool)>> {
    let part = prop::collection::vec(any::<u8>(), 0..300);
    let record = (any::<u8>(), prop::collection::vec(part, 0..4));
    prop::collection::vec((prop::collection::vec(record, 0..6), any::<bool>()), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_batches_across_random_rotations_read_back_equal(
        batches in batches(),
        segment_bytes in 1_u64..4_000,
        unsynced_bytes in 0_usize..4_000,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let config = lunaroute_storage::journal::JournalConfig { unsynced_bytes, ..config(directory.path(), segment_bytes) };
        let (mut journal, _) = open(config);
        let mut expected = Vec::new();
        for (batch, sync) in &batches {
            let parts: Vec<Vec<&[u8]>> = batch.iter().map(|(_, parts)| parts.iter().map(Vec::as_slice).collect()).collect();
            let records: Vec<Record<'_>> =
                batch.iter().zip(&parts).map(|((kind, _), parts)| Record { kind: *kind, parts }).collect();
            let before = journal.end();
            let end = journal.append(&records).unwrap();
            prop_assert_eq!(end, journal.end());
            prop_assert!(end >= before && journal.synced() <= end);
            expected.extend(batch.iter().map(|(kind, parts)| (*kind, parts.concat())));
            if *sync {
                prop_assert_eq!(journal.sync().unwrap(), journal.end());
            }
        }
        let (frames, damage) = read(directory.path());
        let found: Vec<(u8, Vec<u8>)> = frames.iter().map(|frame| (frame.kind, frame.payload.to_vec())).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(damage, Default::default());
        prop_assert!(frames.is_sorted_by(|one, other| one.sequence < other.sequence && one.next <= other.position));
        prop_assert_eq!(frames.last().map_or(journal.end(), |frame| frame.next), journal.end());
    }
}

#[test]
fn a_reader_resumes_at_every_checkpoint_with_the_very_next_frame() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 700));
    let samples = samples(40, 200);
    for sample in &samples {
        append_one(&mut journal, sample).unwrap();
    }
    let (frames, _) = read(directory.path());
    for (index, frame) in frames.iter().enumerate() {
        let mut reader = JournalReader::open(directory.path(), frame.next).unwrap();
        let next = reader.next(journal.end()).unwrap().map(|frame| frame.payload.to_vec());
        assert_eq!(next.as_ref(), samples.get(index + 1), "after frame {index}");
    }
}

#[test]
fn the_longest_payload_fits_and_a_longer_one_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 1 << 20));
    append_one(&mut journal, b"before").unwrap();
    let longest = vec![7; MAX_PAYLOAD_BYTES];
    append_one(&mut journal, &longest).unwrap();
    let end = journal.end();
    let refused = journal
        .append(&[Record { kind: 1, parts: &[b"small"] }, Record { kind: 9, parts: &[&longest, b"x"] }]);
    assert!(
        matches!(refused, Err(JournalError::PayloadTooLarge { kind: 9, bytes }) if bytes == MAX_PAYLOAD_BYTES + 1),
        "{refused:?}"
    );
    assert_eq!(journal.end(), end, "nothing of the refused batch is there");
    append_one(&mut journal, b"after").unwrap();
    let lengths: Vec<usize> = read(directory.path()).0.iter().map(|frame| frame.payload.len()).collect();
    assert_eq!(lengths, [6, MAX_PAYLOAD_BYTES, 5]);
}

#[test]
fn every_opening_starts_a_new_segment_and_keeps_the_old_frames() {
    let directory = tempfile::tempdir().unwrap();
    for run in 0..5_u8 {
        let (mut journal, recovery) = open(config(directory.path(), 1 << 20));
        assert_eq!((recovery.segments, recovery.frames), (u64::from(run), u64::from(run.min(2)) * 2));
        assert_eq!((recovery.torn_bytes, recovery.damaged_frames), (0, 0));
        append_one(&mut journal, &[run, 0]).unwrap();
        append_one(&mut journal, &[run, 1]).unwrap();
    }
    let expected: Vec<Vec<u8>> = (0..5).flat_map(|run| [vec![run, 0], vec![run, 1]]).collect();
    assert_eq!(payloads(&read(directory.path()).0), expected);
}

#[test]
fn an_empty_journal_has_a_beginning_and_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, recovery) = open(config(directory.path(), 1 << 20));
    assert_eq!(recovery, Default::default());
    assert_eq!(journal.append(&[]).unwrap(), Position { segment: 1, offset: 0 });
    assert_eq!(journal.sync().unwrap(), journal.end());
    assert!(
        JournalReader::open(directory.path(), Position::default())
            .unwrap()
            .next(journal.end())
            .unwrap()
            .is_none()
    );
    assert_eq!(read_all(directory.path()).unwrap().end(), journal.end());
    assert!(read_all(directory.path().join("nowhere")).is_err());
}

#[test]
fn a_frame_inside_a_payload_is_never_taken_for_a_frame() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("00000000000000000001.journal");
    let (mut journal, _) = open(config(directory.path(), 1 << 20));
    append_one(&mut journal, b"invented").unwrap();
    let copied = std::fs::read(&path).unwrap();
    // Somebody records a journal: its frames stand inside a payload, and its own header is then destroyed.
    let start = append_one(&mut journal, &copied.repeat(50))
        .map(|end| end.offset as usize - copied.len() * 50)
        .unwrap();
    append_one(&mut journal, b"after").unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[start - 20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (frames, damage) = read(directory.path());
    assert_eq!(payloads(&frames), [b"invented".to_vec(), b"after".to_vec()]);
    assert_eq!((damage.damaged_frames, damage.damaged_bytes), (1, copied.len() as u64 * 50 + 28));
}

#[test]
fn only_one_writer_at_a_time_and_the_second_is_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path(), 1 << 20));
    let Err(refused) = Journal::open(config(directory.path(), 1 << 20)) else { panic!("two writers") };
    assert!(matches!(refused, JournalError::Locked { .. }));
    let text = refused.to_string();
    assert!(
        text.contains(&directory.path().display().to_string()) && text.contains("stop that process"),
        "{text}"
    );
    drop(journal);
    open(config(directory.path(), 1 << 20));
}
