//! Files of JSON lines read back: every event as it was, whatever it holds and however it came to be written.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lunaroute_core::{RequestId, SessionId, Timestamp};
use lunaroute_session::event::{EventKind, Repeats, SessionEvent};
use lunaroute_session::jsonl::{self, JsonlConfig, JsonlError, JsonlWriter, LineError};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use proptest::prelude::*;

use crate::arbitrary::{kind, text};
use crate::exchange;

fn open(directory: &Path) -> JsonlWriter {
    JsonlWriter::open(JsonlConfig { open_files: 2, ..JsonlConfig::new(directory) }).expect("opens")
}

fn write_all(directory: &Path, events: &[JournaledEvent], batch: usize) {
    let mut writer = open(directory);
    for batch in events.chunks(batch) {
        writer.write(batch).expect("written");
    }
    assert_eq!(writer.shutdown(Instant::now()).lost, 0);
}

fn bytes_of(directory: &Path) -> u64 {
    paths(directory).iter().map(|path| fs::metadata(path).expect("a file").len()).sum()
}

fn paths(directory: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| {
        let entries = fs::read_dir(path).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let days = entries(directory).into_iter().filter(|path| path.is_dir());
    let mut paths: Vec<PathBuf> = days.flat_map(|day| entries(&day)).collect();
    paths.sort();
    paths
}

/// A body, and what of an earlier one it is made of: which of the latest, and how much of its start and end.
#[derive(Debug, Clone)]
struct Body {
    new: Vec<u8>,
    of: Option<(usize, u8, u8)>,
    told: bool,
}

fn body() -> impl Strategy<Value = Body> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        text().prop_map(String::into_bytes),
        (200_usize..900).prop_map(|length| "\u{e4}\"walk\\ \n".bytes().cycle().take(length).collect()),
    ];
    (bytes, prop::option::of((0_usize..11, any::<u8>(), any::<u8>())), any::<bool>())
        .prop_map(|(new, of, told)| Body { new, of, told })
}

/// One event to be made: session, day, the microsecond in it, whether it shares its journal entry with the one before.
type Plan = (usize, i64, i64, bool, EventKind, Body);

fn plan() -> impl Strategy<Value = Plan> {
    let days = prop_oneof![8 => Just(0_i64), 2 => Just(1), 1 => Just(-25_000), 1 => Just(4_000_000)];
    (0_usize..4, days, 0_i64..1_000_000, any::<bool>(), kind(), body())
}

fn make(plans: Vec<Plan>) -> Vec<JournaledEvent> {
    let mut bodies: HashMap<usize, Vec<(RequestId, Bytes)>> = HashMap::new();
    let mut offset = 0;
    let mut journaled: Vec<JournaledEvent> = Vec::new();
    for (number, (session, day, micros, shares, mut kind, body)) in plans.into_iter().enumerate() {
        let request = exchange::request(number as u64);
        let earlier = bodies.entry(session).or_default();
        let mut whole = body.new;
        if let Some((back, prefix, suffix)) = body.of
            && let Some((of, base)) = earlier.len().checked_sub(back + 1).map(|index| &earlier[index])
        {
            let prefix = base.len() * usize::from(prefix) / 255;
            let suffix = (base.len() - prefix) * usize::from(suffix) / 255;
            whole = [&base[..prefix], &whole, &base[base.len() - suffix..]].concat();
            if let EventKind::Started(started) = &mut kind
                && body.told
            {
                let (prefix, suffix) = (prefix as u64, suffix as u64);
                Arc::make_mut(started).repeats = Some(Repeats { of: *of, prefix, suffix });
            }
        }
        let whole = Bytes::from(whole);
        if matches!(kind, EventKind::Started(_)) {
            earlier.push((request, whole.clone()));
        }
        let seq = u32::try_from(number).expect("small");
        offset += if shares { 1 } else { 10 };
        let place = |offset| lunaroute_storage::journal::Position { segment: 3, offset };
        let at = Timestamp::from_micros(exchange::NOON + day * 86_400_000_000 + micros);
        let session = SessionId::parse(&format!("session-{session}")).expect("valid");
        let event = SessionEvent { session, request, seq, at, kind, body: whole.into() };
        journaled.push(JournaledEvent {
            position: place(offset),
            next: place(offset + 1),
            event: event.into(),
        });
    }
    journaled
}

/// The events of each file in order.
fn by_file(events: impl Iterator<Item = SessionEvent>) -> HashMap<(SessionId, i64), Vec<SessionEvent>> {
    let mut files: HashMap<_, Vec<SessionEvent>> = HashMap::new();
    for event in events {
        let day = event.at.as_micros().div_euclid(86_400_000_000);
        files.entry((event.session.clone(), day)).or_default().push(event);
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_comes_back_as_it_was(
        plans in prop::collection::vec(plan(), 1..60),
        batch in 1_usize..20,
        restart in 0_usize..60,
        packed in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let events = make(plans);
        let (before, after) = events.split_at(restart.min(events.len()));
        write_all(directory.path(), before, batch);
        if packed {
            let config = JsonlConfig { archive_after_days: Some(0), ..JsonlConfig::new(directory.path()) };
            let mut writer = JsonlWriter::open(config).expect("opens");
            for _ in 0..4 {
                writer.flush().expect("flushed");
            }
        }
        write_all(directory.path(), after, batch);
        // All of them once more: none is written twice.
        write_all(directory.path(), &events, batch);
        let found: Vec<SessionEvent> =
            jsonl::read(directory.path()).collect::<Result<_, _>>().expect("every line can be read");
        prop_assert_eq!(found.len(), events.len());
        let found = by_file(found.into_iter());
        for (file, events) in by_file(events.into_iter().map(|item| (*item.event).clone())) {
            for (found, event) in found[&file].iter().zip(&events) {
                prop_assert_eq!(found, event);
            }
        }
    }
}

/// So many turns of one session whose body grows by a message each.
fn conversation(turns: u64, told: bool) -> Vec<JournaledEvent> {
    const HEAD: &str = "{\"messages\":[";
    const TAIL: &str = "],\"temperature\":0.2}";
    let history =
        |turn: u64| "{\"role\":\"user\",\"content\":\"and on, \u{e4}\\n\"},".repeat(100 + 10 * turn as usize);
    let mut events = Vec::new();
    for turn in 0..turns {
        let repeats = (told && turn > 0).then(|| Repeats {
            of: exchange::request(turn - 1),
            prefix: (HEAD.len() + history(turn - 1).len()) as u64,
            suffix: TAIL.len() as u64,
        });
        let body = format!("{HEAD}{}{turn}{TAIL}", history(turn));
        events.extend(exchange::events("agent", turn, Bytes::from(body), repeats));
    }
    exchange::journaled(0, events)
}

#[test]
fn a_conversation_takes_what_is_new_in_it_and_comes_back_whole() {
    let (plain, told) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    write_all(plain.path(), &conversation(100, false), 90);
    write_all(told.path(), &conversation(100, true), 90);
    let (plain, small) = (bytes_of(plain.path()), bytes_of(told.path()));
    let bodies: u64 = conversation(100, true).iter().map(|item| item.event.body.len() as u64).sum();
    println!(
        "100 turns, {bodies} bytes of bodies: {plain} bytes of lines without repetitions known, {small} with"
    );
    assert!(small * 5 < plain);
    let found: Vec<SessionEvent> = jsonl::read(told.path()).collect::<Result<_, _>>().expect("readable");
    let written: Vec<SessionEvent> =
        conversation(100, true).into_iter().map(|item| (*item.event).clone()).collect();
    assert!(found == written, "the chain of 100 bodies is followed");
}

#[test]
fn a_body_that_is_not_what_it_is_said_to_repeat_is_an_error_and_never_a_wrong_body() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut events = conversation(3, true);
    for item in &mut events {
        if let EventKind::Started(started) = &mut Arc::make_mut(&mut item.event).kind
            && let Some(repeats) = &mut Arc::make_mut(started).repeats
            && repeats.of == exchange::request(1)
        {
            repeats.of = exchange::request(0);
            repeats.prefix = 3_000;
            repeats.suffix = 700;
        }
    }
    write_all(directory.path(), &events, 100);
    let (found, failed): (Vec<_>, Vec<_>) = jsonl::read(directory.path()).partition(Result::is_ok);
    let failures: Vec<String> =
        failed.iter().filter_map(|item| item.as_ref().err()).map(ToString::to_string).collect();
    assert!(
        matches!(&failed[..], [Err(JsonlError::Line { line: 19, problem: LineError::Base { .. }, .. })]),
        "{failures:?}"
    );
    assert_eq!(found.len(), events.len() - 1, "all others are there");
    println!("{}", failures[0]);
}

#[test]
fn a_damaged_line_costs_itself_and_what_only_it_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let events = exchange::journaled(
        0,
        (0..5)
            .flat_map(|number| exchange::events("run", number, exchange::body(1_024, number), None))
            .collect(),
    );
    write_all(directory.path(), &events, 100);
    let path = &paths(directory.path())[0];
    let whole = fs::read_to_string(path).expect("text");
    let (mut lost, mut checked) = (0, 0);
    for line in 0..events.len() {
        let damaged: Vec<String> = whole
            .lines()
            .enumerate()
            .map(
                |(number, text)| if number == line { text.replacen("\":", "\"", 1) } else { text.to_owned() },
            )
            .collect();
        fs::write(path, damaged.join("\n") + "\n").expect("damaged");
        let items: Vec<_> = jsonl::read(directory.path()).collect();
        assert_eq!(items.len(), events.len(), "each line is an event or an error");
        for (item, event) in items.iter().zip(&events) {
            match item {
                Ok(found) => assert!(*found == *event.event, "an event is as it was or not there"),
                Err(_) => lost += 1,
            }
        }
        checked += 1;
    }
    println!("{checked} lines damaged in turn: {lost} errors in all, no event changed");
}

#[test]
fn files_of_a_day_come_in_the_order_of_their_time_and_a_torn_end_is_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let names = ["zebra", "Ant", "mouse"];
    let events: Vec<SessionEvent> = (0_u64..)
        .zip(names)
        .flat_map(|(number, name)| exchange::events(name, number, exchange::body(300, number), None))
        .collect();
    write_all(directory.path(), &exchange::journaled(0, events.clone()), 5);
    let torn =
        paths(directory.path()).into_iter().find(|path| path.ends_with("mouse.jsonl")).expect("a file");
    let mut text = fs::read(&torn).expect("readable");
    text.extend_from_slice(b"{\"request\":\"01");
    fs::write(&torn, text).expect("torn");
    let found: Vec<SessionEvent> = jsonl::read(directory.path()).collect::<Result<_, _>>().expect("readable");
    assert!(found == events, "as they were written");
    assert!(jsonl::read(&directory.path().join("nowhere")).next().is_some_and(|item| item.is_err()));
}

#[test]
fn a_deleted_session_is_gone_and_what_follows_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let of = |name: &str, number| exchange::events(name, number, exchange::body(2_000, number), None);
    let first = exchange::journaled(0, [of("gone", 0), of("kept", 1), of("gone", 2)].concat());
    let mut writer = open(directory.path());
    writer.write(&first).expect("written");
    writer.flush().expect("flushed");
    let gone = SessionId::parse("gone").expect("valid");
    let before = bytes_of(directory.path());
    let freed = jsonl::delete(directory.path(), &gone).expect("deleted");
    assert_eq!(bytes_of(directory.path()) + freed, before);
    assert_eq!(jsonl::delete(directory.path(), &gone).expect("nothing to do"), 0);
    // The writer still has the file open: what it writes now must not go where nobody finds it.
    let second = exchange::journaled(100_000, [of("gone", 3), of("kept", 4)].concat());
    writer.write(&second).expect("written");
    writer.shutdown(Instant::now());
    let found: Vec<SessionEvent> = jsonl::read(directory.path()).collect::<Result<_, _>>().expect("readable");
    let expected: Vec<SessionEvent> = [of("kept", 1), of("kept", 4), of("gone", 3)].concat();
    assert!(by_file(found.into_iter()) == by_file(expected.into_iter()));
    for name in ["gone", "kept"] {
        jsonl::delete(directory.path(), &SessionId::parse(name).expect("valid")).expect("deleted");
    }
    assert!(!directory.path().join("2026-11-20").exists(), "a day without files is removed");
}
