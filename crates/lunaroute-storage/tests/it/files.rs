//! Whole files, growing files, compression and names.

use std::fs;
use std::path::Path;
use std::thread;

use lunaroute_storage::compress::{CompressError, compress, decompress};
use lunaroute_storage::{
    AppendingError, AppendingFile, FileName, FileNameError, FileSystem, atomic, sync_directory,
};
use proptest::prelude::*;

#[test]
fn a_replaced_file_is_old_or_new_for_every_reader() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/current");
    atomic::write(&path, &[b'a'; 100_000]).unwrap();
    let writers: Vec<_> = [b'b', b'c']
        .into_iter()
        .map(|letter| {
            let path = path.clone();
            thread::spawn(move || (0..30).for_each(|_| atomic::write(&path, &[letter; 100_000]).unwrap()))
        })
        .collect();
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        let content = fs::read(&path).unwrap();
        assert_eq!(content, [content[0]; 100_000], "a mixture of two contents");
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no unfinished file is left");
}

#[test]
fn a_replacement_that_fails_leaves_the_old_content_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    // A directory that is not empty cannot be replaced by a file: the last step fails.
    let path = directory.path().join("taken");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("old"), b"old").unwrap();
    let refused = atomic::write(&path, b"new").unwrap_err();
    assert!(refused.to_string().contains("could not replace"), "{refused}");
    assert_eq!(fs::read(path.join("old")).unwrap(), b"old");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the unfinished file is gone");
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (whole, growing) = (directory.path().join("a/whole"), directory.path().join("b/growing"));
    atomic::write(&whole, b"x").unwrap();
    AppendingFile::open(&growing).unwrap();
    for path in [&whole, &growing] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_growing_file_is_cut_back_to_its_checkpoint_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions/2026/lines.jsonl");
    let mut file = AppendingFile::open(&path).unwrap();
    assert_eq!(file.append(b"{\"a\":1}\n").unwrap(), 8);
    file.sync().unwrap();
    let checkpoint = file.length();
    file.append(b"{\"b\":").unwrap();
    drop(file);

    let mut file = AppendingFile::open(&path).unwrap();
    assert_eq!(file.length(), 13);
    file.truncate_to(checkpoint).unwrap();
    assert_eq!(file.append(b"{\"b\":2}\n").unwrap(), 16);
    assert_eq!(fs::read(file.path()).unwrap(), b"{\"a\":1}\n{\"b\":2}\n");
    let shorter = file.truncate_to(17).unwrap_err();
    assert!(matches!(shorter, AppendingError::Shorter { length: 16, wanted: 17, .. }), "{shorter}");
    assert_eq!(file.length(), 16);
}

#[cfg(target_os = "linux")]
#[test]
fn a_growing_file_whose_end_is_in_doubt_refuses_until_it_is_cut() {
    // This device takes no byte and no truncation, so the failed append cannot be undone.
    let mut file = AppendingFile::open(Path::new("/dev/full")).unwrap();
    let refused = file.append(b"line").unwrap_err();
    assert!(matches!(&refused, AppendingError::File(failure) if failure.is_storage_full()), "{refused}");
    assert!(matches!(file.append(b"line"), Err(AppendingError::InDoubt { .. })));
    assert!(matches!(file.sync(), Err(AppendingError::InDoubt { .. })));
    assert_eq!(file.length(), 0);
}

#[test]
fn a_compression_bomb_is_stopped_at_the_limit() {
    let bomb = compress(&vec![0; 64 << 20]).unwrap();
    assert!(bomb.len() < 10_000);
    assert!(matches!(decompress(&bomb, 1 << 20), Err(CompressError::TooLarge { limit: 1_048_576 })));
    assert_eq!(decompress(&bomb, 64 << 20).unwrap().len(), 64 << 20, "exactly the limit is allowed");
    assert!(matches!(decompress(&bomb[..bomb.len() - 1], 64 << 20), Err(CompressError::Decompress { .. })));
}

#[test]
fn a_frame_that_claims_a_huge_window_is_refused_before_memory_is_taken() {
    // Magic, a descriptor without content size, a window of 2^(10+17) bytes, then one empty last block.
    let claim = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    assert!(matches!(decompress(&claim, 10), Err(CompressError::Decompress { .. })));
    let modest = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 10 << 3, 0x01, 0x00, 0x00];
    assert_eq!(decompress(&modest, 10).unwrap(), b"", "the same frame with a window of 1 MiB is fine");
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..5_000), repeat in 1_usize..20) {
        let bytes = bytes.repeat(repeat);
        prop_assert_eq!(decompress(&compress(&bytes).unwrap(), bytes.len()).unwrap(), bytes);
    }

    #[test]
    fn noise_never_panics_the_decompressor(mut noise in prop::collection::vec(any::<u8>(), 0..200), framed in any::<bool>()) {
        if framed {
            noise.splice(0..0, [0x28, 0xB5, 0x2F, 0xFD]);
        }
        if let Ok(output) = decompress(&noise, 1_000) {
            prop_assert!(output.len() <= 1_000);
        }
    }

    #[test]
    fn no_text_becomes_a_name_that_leaves_its_directory(text in "\\PC{0,40}|[./\\\\a-z%~]{0,12}") {
        if let Ok(name) = FileName::new(text.clone()) {
            let path = name.inside(Path::new("/data"));
            prop_assert_eq!(path.parent(), Some(Path::new("/data")));
            prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(text.as_str()));
        }
    }
}

#[test]
fn names_are_checked_and_the_reason_is_told() {
    let longest = "a".repeat(255);
    for good in ["a", "0199-abc_DEF.jsonl", "-", "a..b", longest.as_str()] {
        assert_eq!(FileName::new(good).unwrap().as_str(), good);
    }
    let too_long = "a".repeat(256);
    for (bad, reason) in [
        ("", FileNameError::Empty),
        (too_long.as_str(), FileNameError::TooLong { bytes: 256 }),
        (".", FileNameError::LeadingDot),
        ("..", FileNameError::LeadingDot),
        (".hidden", FileNameError::LeadingDot),
        ("../etc/passwd", FileNameError::LeadingDot),
        ("/etc", FileNameError::Refused { index: 0 }),
        ("a/b", FileNameError::Refused { index: 1 }),
        ("a\\b", FileNameError::Refused { index: 1 }),
        ("a\0", FileNameError::Refused { index: 1 }),
        ("a\n", FileNameError::Refused { index: 1 }),
        ("caf\u{e9}", FileNameError::Refused { index: 3 }),
        ("a:b", FileNameError::Refused { index: 1 }),
    ] {
        assert_eq!(bad.parse::<FileName>(), Err(reason), "{bad:?}");
    }
}

#[test]
fn many_files_are_made_durable_at_once_and_one_without_a_name_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let file_system = FileSystem::of(directory.path()).unwrap();
    let mut files: Vec<AppendingFile> = (0..20)
        .map(|number| AppendingFile::open_unsynced(&directory.path().join(format!("day/{number}"))).unwrap())
        .collect();
    for file in &mut files {
        file.append(b"line\n").unwrap();
    }
    assert_eq!(file_system.sync().is_ok(), FileSystem::SYNCS_AT_ONCE);
    sync_directory(&directory.path().join("day")).unwrap();
    assert!(files.iter().all(|file| file.has_name().unwrap()));
    fs::remove_file(files[3].path()).unwrap();
    let nameless: Vec<usize> = (0..20).filter(|&number| !files[number].has_name().unwrap()).collect();
    assert_eq!(nameless, [3]);
    assert!(FileSystem::of(&directory.path().join("nowhere")).is_err());
    assert!(sync_directory(&directory.path().join("nowhere")).is_err());
}
