//! What is removed, and that what others share stays.

use std::sync::{Arc, Mutex};

use lunaroute_core::{Role, SessionId, Timestamp};
use lunaroute_session::query::{QueryError, SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{Remover, Retention, SessionFiles, SqliteConfig, SqliteWriter};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::SessionWriter;
use proptest::prelude::*;

use crate::story::{Place, Story, journal, one, told, write};

/// Words that are the same for the same number and do not compress to nothing.
fn said(number: u64, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for step in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&blake3::hash(&(number * 1_000 + step).to_le_bytes()).to_hex()[..40]);
    }
    text
}

fn message(number: u64, bytes: usize) -> (Role, String) {
    (Role::User, format!("{{\"role\":\"user\",\"content\":\"{}\"}}", said(number, bytes)))
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::parse(name).expect("a session id")
}

fn remover(place: &Place) -> Remover {
    Remover::open(&SqliteConfig::new(place.path()), None).expect("opens")
}

#[track_caller]
fn assert_sound(place: &Place) {
    let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
    assert!(report.is_sound(), "{report:#?}");
}

/// Turns of sessions that share messages with each other and with themselves.
fn shared(turns: &[(u64, Vec<u64>, bool)]) -> Vec<Story> {
    let mut stories = Vec::<Story>::new();
    for (number, (of, messages, names)) in (1..).zip(turns) {
        let name = format!("s{of}");
        let messages: Vec<(Role, String)> =
            messages.iter().map(|number| message(*number, 300 + *number as usize * 400)).collect();
        let mut story = Story::new(number, &name).with_messages(&messages);
        story.tools = vec![(format!("call-{number}"), "tool".to_owned(), said(number, 600))];
        if let Some(earlier) = stories.iter().rev().find(|story| *names && story.session == name) {
            story = story.repeating(earlier);
        }
        stories.push(story);
    }
    stories
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever sessions share and in whatever order they are removed while others go on: the bodies of the sessions that
    /// remain are theirs byte for byte, and nothing is left of the others.
    #[test]
    fn removing_sessions_leaves_exactly_the_others(
        turns in proptest::collection::vec(
            (0_u64..5, proptest::collection::vec(0_u64..12, 0..14), any::<bool>()), 4..24),
        removals in proptest::collection::vec((0_u64..5, 0_usize..24, any::<bool>()), 1..7),
    ) {
        let place = Place::new();
        let mut writer = place.usual_writer();
        let stories = shared(&turns);
        let events = told(&stories);
        let mut kept: Vec<&Story> = Vec::new();
        for (number, story) in stories.iter().enumerate() {
            let batch: Vec<_> =
                events.iter().filter(|item| item.event.request == story.id()).cloned().collect();
            write(&mut writer, &batch);
            kept.push(story);
            for (of, _, reopen) in removals.iter().filter(|(_, after, _)| *after == number) {
                let name = format!("s{of}");
                let was_there = kept.iter().any(|story| story.session == name);
                prop_assert_eq!(remover(&place).remove(&session(&name)).expect("removes"), was_there);
                kept.retain(|story| story.session != name);
                if *reopen {
                    drop(writer);
                    writer = place.usual_writer();
                }
            }
        }
        drop(writer);
        let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
        for story in &kept {
            prop_assert_eq!(&query.request_body(story.id()).expect("is kept"), &story.body);
            prop_assert_eq!(&query.response_body(story.id()).expect("is kept"), &story.answer_bytes());
        }
        let requests = one::<i64>(&place, "SELECT count(*) FROM requests");
        prop_assert_eq!(requests, i64::try_from(kept.len()).expect("few"));
        let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
        prop_assert!(report.is_sound(), "{:#?}", report);
        let remover = remover(&place);
        for story in &kept {
            remover.remove(&session(&story.session)).expect("removes");
        }
        for table in ["blobs", "blob_holders", "released_blobs", "sessions", "conversations", "tool_calls"] {
            prop_assert_eq!(one::<i64>(&place, &format!("SELECT count(*) FROM {table}")), 0, "{}", table);
        }
    }
}

#[test]
fn half_of_the_sessions_give_back_what_only_they_used() {
    let place = Place::new();
    let mut writer = place.usual_writer();
    // 40 KB that all share, and 40 KB of its own in each of 20.
    let mut stories = Vec::new();
    for number in 0..20 {
        let mut messages: Vec<_> = (0..10).map(|number| message(number, 4_000)).collect();
        messages.extend((0..10).map(|own| message(1_000 + number * 10 + own, 4_000)));
        stories.push(Story::new(number, &format!("s{number}")).with_messages(&messages));
    }
    write(&mut writer, &told(&stories));
    let pages = || one::<i64>(&place, "PRAGMA page_count") * 4_096;
    let before = pages();
    let remover = remover(&place);
    for number in 0..10 {
        assert!(remover.remove(&session(&format!("s{number}"))).expect("removes"));
    }
    remover.give_space_back().expect("gives back");
    let after = pages();
    println!("20 sessions: {before} bytes; 10 of them: {after}, all shared content included");
    // Half as hex is a quarter of a megabyte of content of its own; the shared part stays once.
    assert!(after * 100 < before * 60, "{before} to {after}");
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    for story in &stories[10..] {
        assert_eq!(query.request_body(story.id()).expect("is kept"), story.body);
    }
    assert_sound(&place);
    // The one that made the shared content is gone; a new session finds it all the same.
    let blobs = || one::<i64>(&place, "SELECT count(*) FROM blobs WHERE key IS NOT NULL");
    let (known, again) = (blobs(), Story { number: 30, session: "new".to_owned(), ..stories[12].clone() });
    place.write(&journal(again.events()));
    assert_eq!(blobs(), known);
    assert_sound(&place);
}

#[test]
fn a_session_with_a_request_under_way_stays() {
    let place = Place::new();
    let events = told(&[Story::new(1, "s")]);
    let mut writer = place.writer();
    write(&mut writer, &events[..3]);
    let error = remover(&place).remove(&session("s")).expect_err("runs").to_string();
    assert!(error.contains("under way"), "{error}");
    write(&mut writer, &events[3..]);
    assert!(remover(&place).remove(&session("s")).expect("removes"));
    assert!(!remover(&place).remove(&session("s")).expect("is not there any more"));
}

/// A writer that removes what is old, and the sessions that it says were removed.
fn keeping(place: &Place, bodies_days: u32, rows_days: u32) -> (SqliteWriter, Arc<Mutex<Vec<String>>>) {
    let removed = Arc::<Mutex<Vec<String>>>::default();
    let told = removed.clone();
    let files = SessionFiles::new(move |removed| {
        told.lock().expect("nobody panics").push(removed.session.to_string());
        Ok(())
    });
    let retention = Retention { bodies_days, rows_days, files: Some(files) };
    let config = SqliteConfig { retention: Some(retention), ..SqliteConfig::new(place.path()) };
    (SqliteWriter::open(config).expect("opens"), removed)
}

/// A story that began so many days ago.
fn aged(story: &Story, days: i64) -> Vec<lunaroute_session::event::SessionEvent> {
    let mut events = story.events();
    let by = Timestamp::now().as_micros() - days * 86_400_000_000 - events[0].at.as_micros();
    for event in &mut events {
        event.at = Timestamp::from_micros(event.at.as_micros() + by);
    }
    events
}

#[test]
fn old_bodies_go_first_and_old_sessions_later() {
    let place = Place::new();
    let ages = [("new", 1), ("month", 40), ("quarter", 100), ("newer", 0)];
    let stories: Vec<Story> = (1..)
        .zip(ages)
        .map(|(number, (name, _))| {
            let mut story =
                Story::new(number, name).with_messages(&[message(1, 6_000), message(number, 800)]);
            story.tools = vec![("call".to_owned(), "tool".to_owned(), said(number, 700))];
            story
        })
        .collect();
    let events = stories.iter().zip(ages).flat_map(|(story, (_, days))| aged(story, days));
    let (mut writer, removed) = keeping(&place, 30, 90);
    write(&mut writer, &journal(events));
    for _ in 0..4 {
        writer.flush().expect("flushes");
    }
    assert_eq!(*removed.lock().expect("nobody panics"), ["quarter"]);
    assert_eq!(writer.upkeep().removed_sessions, 1);
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    assert_eq!(query.request_body(stories[0].id()).expect("is kept"), stories[0].body);
    assert!(matches!(query.request_body(stories[1].id()), Err(QueryError::NotKept { .. })));
    assert!(matches!(query.response_body(stories[1].id()), Err(QueryError::NotKept { .. })));
    assert_eq!(query.session_detail("month").expect("its rows stay").request_list.len(), 1);
    assert!(matches!(query.request(stories[2].id()), Err(QueryError::NotFound { .. })));
    assert_sound(&place);
}

/// Sessions so many days old, the number of those that a pass removes, and how many it leaves.
fn one_pass(sessions: usize, old: usize) -> (usize, i64) {
    let place = Place::new();
    let stories: Vec<Story> =
        (0..sessions).map(|number| Story::new(number as u64, &format!("s{number}"))).collect();
    let (mut writer, removed) = keeping(&place, 30, 90);
    let age = |number| if number < old { 3_650 } else { 1 };
    let events = stories.iter().enumerate().flat_map(|(number, story)| aged(story, age(number)));
    write(&mut writer, &journal(events));
    for _ in 0..4 {
        writer.flush().expect("flushes");
    }
    let removed = removed.lock().expect("nobody panics").len();
    (removed, one(&place, "SELECT count(*) FROM requests WHERE content IS NOT NULL"))
}

#[test]
fn a_clock_that_jumps_removes_nothing_however_few_sessions_there_are() {
    for sessions in [1, 2, 15, 20, 30] {
        assert_eq!(one_pass(sessions, sessions), (0, sessions as i64), "{sessions} sessions, all old");
    }
    assert_eq!(one_pass(15, 8), (0, 15), "more than half are old");
    assert_eq!(one_pass(15, 7), (1, 13), "a session, and the bodies of the next one");
    assert_eq!(one_pass(30, 15), (1, 28));
    assert_eq!(one_pass(60, 20), (3, 54), "a twentieth");
}

#[test]
fn a_clock_that_jumps_removes_nothing() {
    let place = Place::new();
    let stories: Vec<Story> = (0..50).map(|number| Story::new(number, &format!("s{number}"))).collect();
    let (mut writer, removed) = keeping(&place, 30, 90);
    write(&mut writer, &journal(stories.iter().flat_map(|story| aged(story, 3_650))));
    for _ in 0..4 {
        writer.flush().expect("flushes");
    }
    assert_eq!(removed.lock().expect("nobody panics").len(), 0);
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE content IS NOT NULL"), 50);
    // Somebody's word is enough.
    let remover = remover(&place);
    let old = remover.sessions_before(Timestamp::now()).expect("answers");
    assert_eq!(old.len(), 50);
    old.iter().for_each(|session| assert!(remover.remove(session).expect("removes")));
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM sessions"), 0);
}

#[test]
fn a_session_that_comes_to_life_again_before_its_turn_is_left_with_its_files() {
    let place = Place::new();
    let stories: Vec<Story> = (0..60).map(|number| Story::new(number, &format!("s{number}"))).collect();
    let removed = Arc::<Mutex<Vec<String>>>::default();
    let (told, path) = (removed.clone(), place.path());
    // When the first of the three that are due goes, a request of the second begins, and the third has had one.
    let files = SessionFiles::new(move |removed| {
        told.lock().expect("nobody panics").push(removed.session.to_string());
        let connection = rusqlite::Connection::open(&path).expect("opens");
        let now = Timestamp::now().as_millis();
        let changed = connection
            .execute("UPDATE requests SET status = 'running' WHERE session_id = 's1'", [])
            .and_then(|_| {
                connection.execute("UPDATE sessions SET last_activity_at = ?1 WHERE id = 's2'", [now])
            });
        changed.map(drop).map_err(std::io::Error::other)
    });
    let retention = Retention { bodies_days: 90, rows_days: 90, files: Some(files) };
    let config = SqliteConfig { retention: Some(retention), ..SqliteConfig::new(place.path()) };
    let mut writer = SqliteWriter::open(config).expect("opens");
    let events = stories
        .iter()
        .enumerate()
        .flat_map(|(number, story)| aged(story, if number < 3 { 200 - number as i64 } else { 1 }));
    write(&mut writer, &journal(events));
    for _ in 0..8 {
        writer.flush().expect("flushes");
    }
    assert_eq!(*removed.lock().expect("nobody panics"), ["s0"]);
    assert_eq!(writer.upkeep().removed_sessions, 1);
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE session_id IN ('s1', 's2')"), 2);
}

#[test]
fn what_cannot_be_removed_stops_no_writing() {
    let place = Place::new();
    let (mut writer, removed) = keeping(&place, 30, 90);
    let old = Story::new(1, "old");
    let events = journal(aged(&old, 100).into_iter().chain(aged(&Story::new(2, "new"), 1)));
    place
        .connection()
        .execute_batch("CREATE TRIGGER keep BEFORE DELETE ON requests BEGIN SELECT RAISE(ABORT, 'no'); END")
        .expect("a trigger");
    write(&mut writer, &events);
    let end = events.last().expect("events").next;
    for _ in 0..4 {
        assert_eq!(writer.flush().expect("is flushed all the same").position, end);
    }
    assert!(removed.lock().expect("nobody panics").is_empty());
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests"), 2);
}
