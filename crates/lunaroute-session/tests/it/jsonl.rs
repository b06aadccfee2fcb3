//! Files of JSON lines: what a line holds, and that each event has exactly one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lunaroute_core::{Delta, RequestId, SessionId, Timestamp};
use lunaroute_session::event::{EventKind, SessionEvent};
use lunaroute_session::jsonl::{self, JsonlConfig, JsonlWriter};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use lunaroute_storage::compress::decompress;
use lunaroute_storage::journal::Position;

/// 2026-11-20T23:59:59Z.
const LATE: i64 = 1_795_219_199_000_000;

fn event(number: u64, session: &str, at: i64, body: &[u8]) -> JournaledEvent {
    let place = |number| Position { segment: 1 + number / 100, offset: number % 100 * 1_000 };
    let text = format!("text {number} with \u{1b}[31m and \0");
    JournaledEvent {
        position: place(number),
        next: place(number + 1),
        event: Arc::new(SessionEvent {
            session: SessionId::parse(session).expect("valid"),
            request: RequestId::from_bytes([7; 16]),
            seq: u32::try_from(number).expect("small"),
            at: Timestamp::from_micros(at),
            kind: EventKind::StreamDelta {
                frames: 1,
                first_us: 1,
                last_us: 2,
                parts: vec![Delta::Text { index: 0, text }],
            },
            body: Bytes::copy_from_slice(body).into(),
        }),
    }
}

fn open(directory: &Path) -> JsonlWriter {
    JsonlWriter::open(JsonlConfig::new(directory)).expect("opens")
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("text");
    assert!(text.is_empty() || text.ends_with('\n'), "torn");
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for day in fs::read_dir(directory).expect("days").map(|entry| entry.expect("an entry").path()) {
        if day.is_dir() {
            files.extend(fs::read_dir(day).expect("files").map(|entry| entry.expect("an entry").path()));
        }
    }
    files.sort();
    files
}

fn read_back(directory: &Path) -> Vec<SessionEvent> {
    jsonl::read(directory).collect::<Result<_, _>>().expect("every line can be read")
}

#[test]
fn a_line_holds_the_event_and_the_day_is_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = open(directory.path());
    let long = "s".repeat(255);
    let batch = [
        event(0, "run-1", LATE, b"T:\"quoted\"\n"),
        event(1, "run-1", LATE, b"\xff\xfe"),
        event(2, "run-1", LATE + 1_000_000, b""),
        event(3, &long, LATE, b""),
        event(4, &format!("{}x", &long[1..]), LATE, b""),
    ];
    writer.write(&batch).expect("written");
    assert_eq!(writer.flush().expect("flushed").position, batch[4].next);
    let found = files(directory.path());
    assert_eq!(found.len(), 4, "two days of one session, and two long ids that begin alike: {found:?}");
    let first = lines(&directory.path().join("2026-11-20/run-1.jsonl"));
    assert_eq!(first.len(), 2);
    assert_eq!(first[0]["session"], "run-1");
    assert_eq!(first[0]["at"], "2026-11-20T23:59:59.000000Z");
    assert_eq!((&first[0]["kind"], &first[0]["journal"]), (&"stream_delta".into(), &"1:0".into()));
    assert_eq!(first[0]["parts"][0]["text"], "text 0 with \u{1b}[31m and \0");
    assert_eq!(first[0]["body"], "T:\"quoted\"\n");
    assert_eq!((&first[1]["body_base64"], &first[1]["body"]), (&"//4=".into(), &serde_json::Value::Null));
    assert_eq!(lines(&directory.path().join("2026-11-21/run-1.jsonl")).len(), 1);
}

#[test]
fn a_file_torn_at_any_byte_is_whole_again_after_the_events_come_again() {
    let source = tempfile::tempdir().expect("a directory");
    let events: Vec<JournaledEvent> =
        (0..60).map(|number| event(number, "run-1", LATE, &[b'b'; 40])).collect();
    let mut writer = open(source.path());
    writer.write(&events[..20]).expect("written");
    writer.flush().expect("flushed");
    let checkpoint = fs::read(source.path().join("checkpoint.json")).expect("a checkpoint");
    writer.write(&events[20..]).expect("written");
    writer.flush().expect("flushed");
    let whole = fs::read(source.path().join("2026-11-20/run-1.jsonl")).expect("readable");
    let durable = whole.len() - 4 * 1024;
    let written: Vec<SessionEvent> = events.iter().map(|item| (*item.event).clone()).collect();

    let work = tempfile::tempdir().expect("a directory");
    let path = work.path().join("2026-11-20/run-1.jsonl");
    fs::create_dir_all(path.parent().expect("a day")).expect("a directory");
    let mut cuts = 0;
    // Every byte of the last lines, and places all over those before.
    let last_lines = whole.len() - 1_024;
    for length in (durable..last_lines).step_by(7).chain(last_lines..=whole.len()) {
        fs::write(&path, &whole[..length]).expect("cut");
        fs::write(work.path().join("checkpoint.json"), &checkpoint).expect("restored");
        let mut writer = open(work.path());
        assert!(lines(&path).len() <= 60, "nobody meets a torn line once the writer is open");
        let from = writer.checkpoint().expect("known");
        let again: Vec<JournaledEvent> =
            events.iter().filter(|item| item.position >= from).cloned().collect();
        for batch in again.chunks(7) {
            writer.write(batch).expect("written");
        }
        assert!(read_back(work.path()) == written, "cut at byte {length}");
        cuts += 1;
    }
    // A hole in what was not durable, as a loss of power can leave it.
    let mut holed = whole.clone();
    holed[durable..durable + 512].fill(0);
    fs::write(&path, &holed).expect("holed");
    fs::write(work.path().join("checkpoint.json"), &checkpoint).expect("restored");
    open(work.path()).write(&events[20..]).expect("written");
    assert!(read_back(work.path()) == written, "a hole is cut out and written again");
    println!("torn at {cuts} places and holed once: lost 0, doubled 0, torn lines 0");
}

#[test]
fn few_open_files_serve_many_sessions() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = JsonlConfig { open_files: 2, ..JsonlConfig::new(directory.path()) };
    let mut writer = JsonlWriter::open(config).expect("opens");
    let events: Vec<JournaledEvent> =
        (0..200).map(|number| event(number, &format!("run-{}", number % 10), LATE, b"x")).collect();
    for batch in events.chunks(16) {
        writer.write(batch).expect("written");
        writer.write(batch).expect("a batch that comes again");
    }
    let report = writer.shutdown(Instant::now());
    assert_eq!(report.lost, 0);
    let found = files(directory.path());
    assert_eq!(found.len(), 10);
    for path in found {
        let seqs: Vec<u64> =
            lines(&path).iter().map(|line| line["seq"].as_u64().expect("a number")).collect();
        assert!(seqs.len() == 20 && seqs.windows(2).all(|pair| pair[0] + 10 == pair[1]), "{seqs:?}");
    }
}

#[test]
fn old_files_are_packed_and_their_events_never_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = JsonlConfig { archive_after_days: Some(1), ..JsonlConfig::new(directory.path()) };
    let old = LATE - 30 * 86_400_000_000;
    let events: Vec<JournaledEvent> = (0..30).map(|number| event(number, "run-1", old, b"\xff")).collect();
    let mut writer = JsonlWriter::open(config.clone()).expect("opens");
    writer.write(&events[..20]).expect("written");
    writer.shutdown(Instant::now());
    let path = directory.path().join("2026-10-21/run-1.jsonl");
    let packed = path.with_extension("jsonl.zst");
    let first = fs::read(&path).expect("readable");

    let mut writer = JsonlWriter::open(config.clone()).expect("opens");
    writer.flush().expect("flushed, and packed");
    assert!(!path.exists(), "the original is gone");
    assert_eq!(decompress(&fs::read(&packed).expect("readable"), 1 << 20).expect("unpacks"), first);

    fs::remove_file(directory.path().join("checkpoint.json")).expect("lost");
    let mut writer = JsonlWriter::open(config.clone()).expect("opens");
    writer.write(&events).expect("all of them again");
    writer.shutdown(Instant::now());
    assert_eq!(lines(&path).len(), 10, "only those that were not packed");
    let mut writer = JsonlWriter::open(config).expect("opens");
    writer.flush().expect("flushed, and packed");
    let unpacked = decompress(&fs::read(&packed).expect("readable"), 1 << 20).expect("unpacks");
    let text = String::from_utf8(unpacked).expect("text");
    let seqs: Vec<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("a line")["seq"]
                .as_u64()
                .expect("a number")
        })
        .collect();
    assert_eq!(seqs, (0..30).collect::<Vec<u64>>());
    assert!(!path.exists());
}
