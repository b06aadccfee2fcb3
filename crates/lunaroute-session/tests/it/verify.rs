//! `verify` agrees with a whole record and finds every damage.

use std::fs;
use std::path::PathBuf;

use lunaroute_core::{Ending, FailureKind, Role, Usage};
use lunaroute_session::codec;
use lunaroute_session::event::{EventKind, GapCause};
use lunaroute_session::sqlite::SqliteWriter;
use lunaroute_session::verify::{Report, VerifyInput, verify};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use lunaroute_storage::journal::{Journal, JournalConfig, Record};
use serde_json::{Value, json};

use crate::story::{Place, Story, told, write};

/// A record with something in every table.
fn stories() -> Vec<Story> {
    let history: Vec<(Role, String)> = (0..20)
        .map(|n| (Role::User, format!("{{\"n\":{n},\"text\":\"{}\"}}", "long ".repeat(200))))
        .collect();
    let mut first = Story::new(1, "s").with_messages(&history);
    first.tools = vec![("call-a".to_owned(), "read".to_owned(), "{}".to_owned())];
    let mut second = Story::new(2, "s").with_messages(&history);
    second.results = vec![("call-a".to_owned(), Some(false), second.messages[3].1.clone())];
    second.ending = Ending::UpstreamError;
    second.mishap = Some((FailureKind::Protocol, "cut".to_owned()));
    let mut third = Story::new(3, "t").with_messages(&history);
    third.gap = Some((1, 5, GapCause::QueueFull));
    vec![first, second, third]
}

fn of_database(place: &Place) -> Report {
    verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() })
}

#[track_caller]
fn sound(report: &Report) {
    assert!(report.is_sound(), "{report:#?}");
}

/// A check, and a damage that it must find.
const DAMAGES: &[(&str, &str)] = &[
    ("schema", "UPDATE schema_version SET checksum = 'x' WHERE version = 1"),
    ("schema", "UPDATE schema_version SET name = 'x' WHERE version = 1"),
    ("schema", "DELETE FROM schema_version WHERE version = 1"),
    ("blobs", "UPDATE blobs SET data = zeroblob(length(data)) WHERE codec = 1"),
    ("blobs", "UPDATE blobs SET data = CAST(data || x'00' AS BLOB) WHERE codec = 0"),
    ("blobs", "UPDATE blobs SET data = zeroblob(length(data)) WHERE codec = 2"),
    ("blobs", "UPDATE blobs SET raw_len = raw_len + 1 WHERE id = 1"),
    ("blobs", "UPDATE blobs SET codec = 0 WHERE codec = 1"),
    ("blobs", "UPDATE blobs SET hash = zeroblob(32) WHERE id = 2"),
    ("blobs", "UPDATE blobs SET key = key + 1 WHERE key IS NOT NULL"),
    ("references", "UPDATE blobs SET session = session + 1 WHERE id = 2"),
    ("references", "DELETE FROM blobs WHERE id = 4"),
    ("references", "DELETE FROM blob_holders"),
    ("references", "INSERT INTO blob_holders SELECT id, 99 FROM blobs LIMIT 1"),
    (
        "references",
        "INSERT INTO blobs SELECT 999, session, codec, raw_len, NULL, hash, data FROM blobs LIMIT 1",
    ),
    ("conversations", "UPDATE conversations SET external_id = 'x' WHERE rowid = 1"),
    ("conversations", "UPDATE conversations SET platform = 'x' WHERE rowid = 1"),
    ("conversations", "UPDATE conversations SET created_at = created_at + 1"),
    ("integrity", "DELETE FROM conversations WHERE rowid = 1"),
    ("integrity", "DELETE FROM requests WHERE rowid = 1"),
    ("sessions", "DELETE FROM requests WHERE rowid = 1"),
    ("requests", "UPDATE requests SET status = 'running' WHERE rowid = 1"),
    ("requests", "UPDATE requests SET content = NULL WHERE rowid = 1"),
    ("requests", "UPDATE requests SET attempt_list = NULL WHERE rowid = 1"),
    ("requests", "UPDATE requests SET body = x'00' WHERE rowid = 1"),
    ("requests", "UPDATE requests SET sections = x'010101010101' WHERE rowid = 1"),
    ("requests", "INSERT INTO session_errors SELECT id, 99, session_id, 0, 'x', 'y' FROM requests"),
    ("tool_calls", "UPDATE tool_calls SET result_offset = result_offset + 1"),
    ("projector_state", "UPDATE projector_state SET offset = offset - 100"),
];

/// A check, and a table of which it must find every column that is changed alone.
const COVERED: [(&str, &str); 5] = [
    ("sessions", "sessions"),
    ("requests", "requests"),
    ("requests", "session_errors"),
    ("tool_calls", "tool_calls"),
    ("projector_state", "projector_state"),
];

#[test]
fn every_damaged_row_is_found() {
    let whole = Place::new();
    whole.write(&told(&stories()));
    let report = of_database(&whole);
    sound(&report);
    assert_eq!(report.requests_in_database, Some(3));
    assert!(report.checks.iter().filter(|check| check.checked > 0).count() >= 8, "{report:#?}");

    let mut damages: Vec<(&str, String)> =
        DAMAGES.iter().map(|(check, sql)| (*check, (*sql).to_owned())).collect();
    for (check, table) in COVERED {
        damages.extend(
            columns(&whole, table).into_iter().map(|set| (check, format!("UPDATE {table} SET {set}"))),
        );
    }
    let mut found = 0;
    for (name, damage) in &damages {
        let place = Place::new();
        fs::copy(whole.path(), place.path()).expect("copies");
        let changed = place.connection().execute_batch(&format!("PRAGMA foreign_keys = OFF; {damage}"));
        changed.unwrap_or_else(|error| panic!("{damage}: {error}"));
        let report = of_database(&place);
        let check = report.checks.iter().find(|check| check.name == *name);
        assert!(
            check.is_some_and(|check| check.problem_count > 0),
            "{damage}: not found by {name}\n{report:#?}"
        );
        found += 1;
    }
    println!("damages tried {}, found {found}", damages.len());
    assert!(found > 100, "{found}");
}

/// For each column that may take it, a change to another value that its constraints allow.
fn columns(place: &Place, table: &str) -> Vec<String> {
    let connection = place.connection();
    let mut statement = connection
        .prepare(&format!("SELECT name, type, pk FROM pragma_table_info('{table}')"))
        .expect("prepares");
    let columns: Vec<(String, String, i64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("queries")
        .collect::<Result<_, _>>()
        .expect("reads");
    let constrained = ["status", "source", "success", "is_stream", "has_response", "session_id"];
    columns
        .into_iter()
        .filter(|(name, _, key)| *key == 0 && !constrained.contains(&name.as_str()))
        .map(|(name, kind, _)| match kind.as_str() {
            "INTEGER" => format!("{name} = coalesce({name}, 0) + 1"),
            "TEXT" => format!("{name} = coalesce({name}, '') || 'x'"),
            _ => format!("{name} = (SELECT hash FROM blobs WHERE hash IS NOT {name} AND '{name}' <> 'digest' UNION ALL SELECT zeroblob(16) LIMIT 1)"),
        })
        .collect()
}

#[test]
fn what_was_put_aside_is_told() {
    let place = Place::new();
    let bad = Story { usage: Usage { input: Some(u64::MAX), ..Usage::default() }, ..Story::new(1, "s") };
    place.writer().write(&told(&[bad])).expect("writes");
    let report = of_database(&place);
    let quarantine = report.checks.iter().find(|check| check.name == "quarantine").expect("was checked");
    assert_eq!((report.problem_count(), quarantine.problem_count), (1, 1), "{report:#?}");
    place.connection().execute_batch("UPDATE quarantine SET error = 'x'").expect("damages");
    assert_eq!(of_database(&place).problem_count(), 2);
}

#[test]
fn a_file_that_is_no_database_or_is_missing_is_a_problem() {
    let place = Place::new();
    assert!(!of_database(&place).is_sound(), "nothing is there");
    place.write(&told(&stories()));
    let mut bytes = fs::read(place.path()).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0x5a);
    fs::write(place.path(), bytes).expect("writes");
    assert!(!of_database(&place).is_sound(), "pages are overwritten");
}

/// The three keepers with the same events.
struct Keepers {
    place: Place,
    events: Vec<JournaledEvent>,
}

impl Keepers {
    fn new(stories: &[Story]) -> Self {
        Self::with_repeats(stories, 1)
    }

    /// Every event stands `times` times in the journal, as after appends that failed half-way.
    fn with_repeats(stories: &[Story], times: usize) -> Self {
        let place = Place::new();
        let (mut journal, _) =
            Journal::open(JournalConfig::new(place.directory.path().join("journal"))).expect("opens");
        let mut events = told(stories);
        for item in &mut events {
            let encoded = codec::encode(std::slice::from_ref(item.event.as_ref()));
            let parts = encoded.parts();
            item.position = journal.end();
            for _ in 0..times {
                item.next = journal.append(&[Record { kind: codec::EVENT, parts: &parts }]).expect("appends");
            }
        }
        journal.sync().expect("syncs");
        // A new journal has its first segment only after the first frame.
        if let Some(second) = events.get(1) {
            events[0].position = lunaroute_storage::journal::Position { offset: 0, ..second.position };
        }
        Self { place, events }
    }

    fn input(&self) -> VerifyInput {
        VerifyInput {
            database: Some(self.place.path()),
            journal_directory: Some(self.place.directory.path().join("journal")),
            jsonl_directory: Some(self.place.directory.path().join("jsonl")),
        }
    }

    fn database(&self, events: &[JournaledEvent]) -> SqliteWriter {
        let mut writer = self.place.writer();
        write(&mut writer, events);
        writer
    }

    /// One file for all, as lines that `change` may alter or leave out.
    fn jsonl(&self, change: impl Fn(usize, &mut Value) -> bool) -> PathBuf {
        let directory = self.place.directory.path().join("jsonl/2026-11-21");
        fs::create_dir_all(&directory).expect("makes the directory");
        let mut text = String::new();
        for (number, item) in self.events.iter().enumerate() {
            let event = &item.event;
            let mut line = json!({
                "session": event.session, "request": event.request, "seq": event.seq,
                "at": event.at.to_string(), "journal": item.position.to_string(),
            });
            let kind = serde_json::to_value(&event.kind).expect("JSON");
            let Value::Object(kind) = kind else { panic!("an event is an object") };
            line.as_object_mut().expect("an object").extend(kind);
            if !event.body.is_empty() {
                line["body"] = String::from_utf8(event.body.whole().to_vec()).expect("text").into();
            }
            if change(number, &mut line) {
                text.push_str(&line.to_string());
                text.push('\n');
            }
        }
        let path = directory.join("all.jsonl");
        fs::write(&path, text).expect("writes");
        path
    }
}

#[test]
fn journal_files_and_database_agree() {
    let keepers = Keepers::new(&stories());
    drop(keepers.database(&keepers.events));
    let path = keepers.jsonl(|_, _| true);
    let report = verify(&keepers.input());
    sound(&report);
    let counts = (report.requests_in_database, report.requests_in_journal, report.requests_in_jsonl);
    assert_eq!(counts, (Some(3), Some(3), Some(3)));
    assert_eq!(report.pending(), 0);
    assert_eq!((report.days["2026-11-21"].database, report.days["2026-11-21"].jsonl), (3, 3));
    serde_json::to_string(&report).expect("a report is JSON");

    // The same, compressed.
    let packed = zstd::encode_all(&fs::read(&path).expect("reads")[..], 3).expect("compresses");
    fs::write(path.with_extension("jsonl.zst"), packed).expect("writes");
    sound(&verify(&keepers.input()));
    fs::remove_file(&path).expect("removes");
    let report = verify(&keepers.input());
    sound(&report);
    assert_eq!(report.requests_in_jsonl, Some(3));
}

#[test]
fn an_event_that_the_journal_holds_twice_is_one_event() {
    let keepers = Keepers::with_repeats(&stories(), 2);
    drop(keepers.database(&keepers.events));
    keepers.jsonl(|_, _| true);
    let report = verify(&keepers.input());
    sound(&report);
    assert_eq!(report.requests_in_journal, Some(3));
}

#[test]
fn what_is_still_on_its_way_is_pending_and_no_problem() {
    let keepers = Keepers::new(&stories());
    let half = keepers.events.len() / 2;
    let _live = keepers.database(&keepers.events[..half]);
    let path = keepers.jsonl(|number, _| number < half + 3);
    let mut text = fs::read(&path).expect("reads");
    text.extend_from_slice(b"{\"session\":\"s\",\"requ");
    fs::write(&path, text).expect("writes");
    let report = verify(&keepers.input());
    sound(&report);
    assert!(report.pending() >= 3, "{report:#?}");
}

#[test]
fn what_a_crash_tore_is_pending_only_while_nothing_was_written_after_it() {
    let keepers = Keepers::new(&stories());
    drop(keepers.database(&keepers.events));
    keepers.jsonl(|_, _| true);
    let directory = keepers.input().journal_directory.expect("a journal");
    let mut segments: Vec<_> =
        fs::read_dir(&directory).expect("reads").map(|entry| entry.expect("reads").path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    let last = segments.iter().max().expect("a segment");
    let mut bytes = fs::read(last).expect("reads");
    bytes.extend_from_within(..30);
    fs::write(last, bytes).expect("writes");
    assert_eq!(verify(&keepers.input()).pending(), 1);

    let config = JournalConfig { ballast_bytes: 0, ..JournalConfig::new(&directory) };
    let (mut journal, _) = Journal::open(config).expect("opens");
    journal.append(&[Record { kind: codec::ROLL_CALL, parts: &[b"{}"] }]).expect("appends");
    journal.sync().expect("syncs");
    let report = verify(&keepers.input());
    sound(&report);
    assert_eq!(report.pending(), 0, "{report:#?}");
}

#[test]
fn a_request_that_the_database_lost_is_found() {
    let keepers = Keepers::new(&stories());
    let mut writer = keepers.database(&keepers.events);
    writer.flush().expect("flushes");
    drop(writer);
    keepers.jsonl(|_, _| true);
    keepers
        .place
        .connection()
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM requests WHERE session_id = 't'; DELETE FROM sessions WHERE id = 't'")
        .expect("damages");
    let report = verify(&keepers.input());
    for name in ["journal", "jsonl"] {
        let check = report.checks.iter().find(|check| check.name == name).expect("was checked");
        assert_eq!(check.problem_count, 1, "{check:#?}");
    }
}

#[test]
fn a_request_that_the_files_lost_is_found_and_one_on_its_way_is_not() {
    let mut stories = stories();
    stories.extend([Story::new(4, "u"), Story::new(5, "u")]);
    let keepers = Keepers::new(&stories);
    drop(keepers.database(&keepers.events));
    let without = |lost: &[usize]| {
        let lost: Vec<String> = lost.iter().map(|&number| stories[number].id().to_string()).collect();
        keepers.jsonl(|_, line| !lost.iter().any(|id| line["request"] == **id));
        let report = verify(&keepers.input());
        (report.problem_count(), report.pending())
    };
    let end = keepers.events.last().expect("events").next;
    let reached = |position: lunaroute_storage::journal::Position| {
        let path = keepers.place.directory.path().join("jsonl/checkpoint.json");
        let text = json!({ "segment": position.segment, "offset": position.offset }).to_string();
        fs::create_dir_all(path.parent().expect("a directory")).expect("makes it");
        fs::write(path, text).expect("writes");
    };
    reached(end);
    assert_eq!(without(&[]), (0, 0));
    assert_eq!(without(&[1, 3]), (2, 0));
    // Files that were begun later or ended earlier lack what came before and after.
    assert_eq!(without(&[0, 4]), (0, 0));
    reached(lunaroute_storage::journal::Position::default());
    assert_eq!(without(&[3]), (0, 1));
}

#[test]
fn every_altered_line_is_found() {
    let keepers = Keepers::new(&stories());
    drop(keepers.database(&keepers.events));
    let total = keepers.events.len();
    let problems = |report: &Report| {
        report.checks.iter().find(|check| check.name == "jsonl").expect("was checked").problem_count
    };
    let mut found = 0;
    for lost in 0..total {
        // The last line of a file may not have been written yet; every other one is missed.
        keepers.jsonl(|number, _| number != lost);
        let report = verify(&keepers.input());
        let is_end = matches!(keepers.events[lost].event.kind, EventKind::Completed { .. });
        if is_end {
            assert!(report.pending() > 0, "line {lost}");
        } else {
            assert!(problems(&report) > 0, "line {lost} of {total} was left out");
            found += 1;
        }
    }
    type Alter = fn(&mut Value);
    let altered: [(&str, Alter); 5] = [
        ("completed", |line| line["ending"] = "cancelled".into()),
        ("completed", |line| line["status"] = 418.into()),
        ("response", |line| line["usage"]["input"] = 1_000_000.into()),
        ("stats", |line| line["response_blake3"] = "00".into()),
        ("stream_delta", |line| line["body"] = "other bytes".into()),
    ];
    for (kind, alter) in altered {
        keepers.jsonl(|_, line| {
            if line["kind"] == kind {
                alter(line);
            }
            true
        });
        assert!(problems(&verify(&keepers.input())) > 0, "{kind}");
        found += 1;
    }
    println!("altered or lost lines found: {found}");
}

#[test]
fn a_flipped_byte_in_the_journal_is_found() {
    let keepers = Keepers::new(&stories());
    drop(keepers.database(&keepers.events));
    keepers.jsonl(|_, _| true);
    let directory = keepers.place.directory.path().join("journal");
    let segment = fs::read_dir(&directory)
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.windows(7).any(|window| window == b"goes on")))
        .expect("a segment with the events in it");
    let mut bytes = fs::read(&segment).expect("reads");
    let middle = bytes.windows(7).position(|window| window == b"goes on").expect("is in it");
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).expect("writes");
    let report = verify(&keepers.input());
    let check = report.checks.iter().find(|check| check.name == "journal").expect("was checked");
    assert!(check.problem_count >= 2, "the bytes and the event that is missing: {check:#?}");
}
