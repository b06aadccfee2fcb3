//! A journal that is cut or flipped anywhere gives back every whole frame, invents none, and never panics.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lunaroute_storage::journal::{Frame, JournalError};

use crate::support::{append_one, config, open, payloads, read, samples};

fn written(directory: &Path, bytes: u64, longest: usize) -> (PathBuf, Vec<Frame>) {
    let (mut journal, _) = open(config(directory, u64::MAX));
    for sample in samples(2_000, longest) {
        if append_one(&mut journal, &sample).expect("a healthy disk").offset >= bytes {
            break;
        }
    }
    drop(journal);
    (directory.join("00000000000000000001.journal"), read(directory).0)
}

#[test]
fn a_journal_cut_at_every_byte_keeps_every_frame_before_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (path, frames) = written(directory.path(), 64 * 1024, 6_000);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    assert!(length >= 64 * 1024 && frames.len() > 15, "{length} bytes, {} frames", frames.len());
    let mut whole = frames.len();
    for cut in (0..length).rev() {
        file.set_len(cut).unwrap();
        while whole > 0 && frames[whole - 1].next.offset > cut {
            whole -= 1;
        }
        let (found, damage) = read(directory.path());
        assert_eq!(found, frames[..whole], "cut at {cut}");
        let torn = cut - whole.checked_sub(1).map_or(0, |last| frames[last].next.offset);
        assert_eq!((damage.torn_bytes, damage.damaged_frames), (torn, 0), "cut at {cut}");
    }
    println!("cuts {length}, lost 0, invented 0");
}

#[test]
fn a_journal_with_any_bit_flipped_loses_that_frame_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (path, frames) = written(directory.path(), 8 * 1024, 300);
    let bytes = fs::read(&path).unwrap();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    for (index, &byte) in bytes.iter().enumerate() {
        for bit in 0..8 {
            put(&mut file, index, byte ^ 1 << bit);
            let (found, damage) = read(directory.path());
            let hit = frames.iter().position(|frame| frame.next.offset > index as u64).unwrap();
            assert_eq!(found.len(), frames.len() - 1, "bit {bit} of byte {index}");
            assert_eq!(found[..hit], frames[..hit], "bit {bit} of byte {index}");
            assert_eq!(found[hit..], frames[hit + 1..], "bit {bit} of byte {index}");
            assert_eq!(
                damage.damaged_bytes + damage.torn_bytes,
                frames[hit].next.offset - frames[hit].position.offset,
                "bit {bit} of byte {index}"
            );
        }
        put(&mut file, index, byte);
    }
    println!("flips {}, lost other than the flipped frame 0, invented 0", bytes.len() * 8);
}

fn put(file: &mut fs::File, index: usize, byte: u8) {
    file.seek(SeekFrom::Start(index as u64)).expect("a healthy disk");
    file.write_all(&[byte]).expect("a healthy disk");
}

#[test]
fn a_torn_tail_is_left_alone_and_writing_goes_on_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, frames) = written(directory.path(), 4_000, 300);
    let torn_at = fs::metadata(&path).unwrap().len() - 5;
    OpenOptions::new().write(true).open(&path).unwrap().set_len(torn_at).unwrap();
    let torn = fs::read(&path).unwrap();

    let (mut journal, recovery) = open(config(directory.path(), 1 << 20));
    let kept = frames.len() - 1;
    assert_eq!((recovery.segments, recovery.bytes), (1, torn_at));
    assert_eq!((recovery.frames, recovery.damaged_frames), (kept as u64, 0));
    assert_eq!(recovery.torn_bytes, torn_at - frames[kept - 1].next.offset);
    append_one(&mut journal, b"after").unwrap();

    assert_eq!(fs::read(&path).unwrap(), torn, "the torn segment is evidence and is not changed");
    let mut expected = payloads(&frames[..kept]);
    expected.push(b"after".to_vec());
    assert_eq!(payloads(&read(directory.path()).0), expected);
}

#[test]
fn zeros_and_noise_between_frames_are_stepped_over_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (path, frames) = written(directory.path(), 900_000, 3_000);
    let mut bytes = fs::read(&path).unwrap();
    let (from, to) = (frames[100].position.offset as usize, frames[300].position.offset as usize);
    // Half zeros, half the bytes that every frame begins with: the worst case for the search.
    let magic: Vec<u8> = bytes[..4].iter().copied().cycle().take(to - from).collect();
    bytes[from..to].copy_from_slice(&magic);
    bytes[from..(from + to) / 2].fill(0);
    fs::write(&path, bytes).unwrap();
    let (found, damage) = read(directory.path());
    assert_eq!(found.len(), frames.len() - 200);
    assert_eq!(found[..100], frames[..100]);
    assert_eq!(found[100..], frames[300..]);
    assert_eq!((damage.damaged_bytes, damage.torn_bytes), ((to - from) as u64, 0));
}

#[test]
fn a_journal_of_a_newer_program_is_refused_and_not_taken_for_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = written(directory.path(), 500, 100);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4] = 2;
    // The checksum of a header covers the place of its frame, then the header up to the checksum.
    let mut covered = [1_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat();
    covered.extend_from_slice(&bytes[..24]);
    bytes[24..28].copy_from_slice(&crc32fast::hash(&covered).to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let Err(refused) = lunaroute_storage::journal::Journal::open(config(directory.path(), 1 << 20)) else {
        panic!("a newer journal was opened");
    };
    assert!(matches!(refused, JournalError::UnknownVersion { version: 2, .. }), "{refused}");
}
