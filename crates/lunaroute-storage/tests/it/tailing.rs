//! A reader beside a live writer.

use std::sync::mpsc;
use std::thread;

use lunaroute_storage::journal::{JournalReader, Position};
use proptest::prelude::*;

use crate::support::{append_one, config, open, samples};

#[test]
fn a_reader_in_another_thread_follows_the_writer_across_rotations() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(config(directory.path(), 20_000));
    let samples = samples(3_000, 400);
    let (publish, published) = mpsc::sync_channel::<Position>(4);
    let reader = thread::spawn({
        let directory = directory.path().to_owned();
        move || {
            let mut reader = JournalReader::open(directory, Position::default()).unwrap();
            let mut found = Vec::new();
            for end in published {
                while let Some(frame) = reader.next(end).unwrap() {
                    assert!(frame.next <= end, "never beyond what was published");
                    found.push(frame.payload.to_vec());
                }
                assert_eq!(reader.position(), end);
            }
            (found, reader.damage())
        }
    });
    for sample in &samples {
        append_one(&mut journal, sample).unwrap();
        publish.send(journal.end()).unwrap();
    }
    drop(publish);
    let (found, damage) = reader.join().unwrap();
    assert_eq!(found, samples);
    assert_eq!(damage, Default::default());
    assert!(journal.segments().unwrap().len() > 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_reader_that_is_opened_again_at_any_time_sees_every_frame_once(
        steps in prop::collection::vec((0_usize..4, any::<bool>(), any::<bool>()), 1..60),
        segment_bytes in 50_u64..1_500,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Some(open(config(directory.path(), segment_bytes)).0);
        let mut reader = JournalReader::open(directory.path(), Position::default()).unwrap();
        let samples = samples(250, 120);
        let (mut written, mut read) = (0, 0);
        for (count, restart_writer, restart_reader) in steps {
            if restart_writer {
                journal = None;
            }
            let journal = journal.get_or_insert_with(|| open(config(directory.path(), segment_bytes)).0);
            for sample in &samples[written..written + count] {
                append_one(journal, sample).unwrap();
            }
            written += count;
            if restart_reader {
                reader = JournalReader::open(directory.path(), reader.position()).unwrap();
            }
            while let Some(frame) = reader.next(journal.end()).unwrap() {
                prop_assert_eq!(&frame.payload[..], &samples[read][..]);
                read += 1;
            }
            prop_assert_eq!(read, written);
        }
    }
}
