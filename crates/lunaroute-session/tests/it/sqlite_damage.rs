//! A database that is damaged, removed or in the way of its own writer.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use lunaroute_session::sqlite::{History, SqliteConfig, SqliteWriter};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::{ItemOutcome, JournaledEvent, SessionWriter, WriteError};
use lunaroute_storage::journal::Position;

use crate::story::{Place, Story, dump, one, told, write};

/// A writer that has `history` to go by, and looks for damage all the time.
fn writer(place: &Place, history: &[JournaledEvent]) -> SqliteWriter {
    let events: Vec<_> = history.iter().map(|item| (*item.event).clone()).collect();
    let history = History::new(move || Box::new(events.clone().into_iter()));
    let config = SqliteConfig {
        history: Some(history),
        check_every: Duration::from_millis(20),
        ..SqliteConfig::new(place.path())
    };
    SqliteWriter::open(config).expect("opens")
}

/// Feeds the writer as its projector does after it lost its place.
fn feed(writer: &mut SqliteWriter, events: &[JournaledEvent], kept_from: usize) {
    let from = writer.checkpoint().expect("is known");
    let rest: Vec<_> = events[kept_from..].iter().filter(|item| item.position >= from).cloned().collect();
    for batch in rest.chunks(7) {
        write(writer, batch);
    }
    writer.flush().expect("flushes");
}

/// What the stories lead to without any mishap.
fn expected(events: &[JournaledEvent]) -> Vec<String> {
    let straight = Place::new();
    straight.write(events);
    dump(&straight.path())
}

fn stories() -> Vec<Story> {
    (1..40)
        .map(|number| {
            let text = blake3::hash(&number.to_string().into_bytes()).to_hex().repeat(40);
            let message = (lunaroute_core::Role::User, format!("{{\"text\":\"{text}\"}}"));
            Story::new(number, &format!("s{}", number % 4)).with_messages(&[message])
        })
        .collect()
}

fn files_beside(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.directory.path()).expect("lists");
    let names = names.map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(".damaged-")).collect()
}

#[track_caller]
fn assert_rewinds(error: &WriteError) {
    assert!(error.rewind && error.transient, "{error}");
    assert!(error.message.contains("a new database is filled"), "{error}");
}

#[test]
fn a_database_that_was_removed_is_made_anew_and_nothing_is_missing() {
    let place = Place::new();
    let events = told(&stories());
    let half = events.len() / 2 + 3;
    // The journal still has the second quarter; everything before is in the history alone.
    let mut writer = writer(&place, &events[..half - 5]);
    write(&mut writer, &events[..half]);
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{ending}", place.path().display())).expect("removes");
    }
    assert_rewinds(&writer.write(&events[half..]).expect_err("is gone"));
    assert_eq!(writer.checkpoint().expect("is known"), Position::default());
    feed(&mut writer, &events, half / 2);
    assert_eq!(writer.upkeep().replaced, 1);
    drop(writer);
    assert_eq!(dump(&place.path()), expected(&events));
}

#[test]
fn overwritten_pages_are_found_without_traffic_and_the_file_is_set_aside() {
    let place = Place::new();
    let events = told(&stories());
    let mut writer = writer(&place, &events[..events.len() - 30]);
    write(&mut writer, &events);
    writer.shutdown(Instant::now() + Duration::from_secs(60));
    let file = fs::OpenOptions::new().write(true).open(place.path()).expect("opens");
    let pages = file.metadata().expect("metadata").len() / 4_096;
    for page in (1..pages).step_by(3) {
        file.write_all_at(&[0x5a; 4_096], page * 4_096).expect("writes");
    }
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "the damage was not found");
        match writer.flush() {
            Ok(_) => std::thread::yield_now(),
            Err(error) => break error,
        }
    };
    println!("{pages} pages, every third overwritten: found after {:?}", begun.elapsed());
    assert_rewinds(&error);
    feed(&mut writer, &events, 0);
    assert_eq!(files_beside(&place).len(), 1, "{:?}", files_beside(&place));
    drop(writer);
    assert_eq!(dump(&place.path()), expected(&events));
    let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
    assert!(report.is_sound(), "{report:#?}");
}

#[test]
fn a_damaged_database_at_the_start_is_set_aside_and_filled() {
    let place = Place::new();
    let events = told(&stories());
    fs::write(place.path(), vec![b'x'; 8_192]).expect("writes");
    let mut writer = writer(&place, &events);
    assert_eq!(writer.upkeep().replaced, 1);
    assert_eq!(files_beside(&place).len(), 1);
    feed(&mut writer, &events, events.len() - 20);
    drop(writer);
    assert_eq!(dump(&place.path()), expected(&events));
}

#[test]
fn a_request_that_the_history_begins_and_nothing_goes_on_with_is_interrupted() {
    let place = Place::new();
    let events = told(&stories());
    let cut = events.len() - 4;
    let mut writer = writer(&place, &events[..cut]);
    assert_eq!(writer.checkpoint().expect("is known"), Position::default());
    writer.reconcile().expect("reconciles");
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE status = 'interrupted'"), 1);
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE status = 'success'"), 38);
    let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
    assert!(report.is_sound(), "{report:#?}");
}

/// A trigger stands for whatever constraint a row may break.
#[test]
fn what_no_constraint_lets_in_is_put_aside_alone() {
    for (what, refusal, rows) in [
        ("a row", "BEFORE INSERT ON requests WHEN NEW.id LIKE '%0007'", 38),
        ("its figures", "BEFORE INSERT ON requests WHEN NEW.id LIKE '%0007' AND NEW.chunks IS NOT NULL", 39),
        ("a blob", "BEFORE INSERT ON blobs WHEN NEW.raw_len = 70000", 38),
    ] {
        let place = Place::new();
        let mut stories = stories();
        stories[6].answer = vec![vec![b'z'; 70_000]];
        let events = told(&stories);
        let mut writer = place.usual_writer();
        let trigger = format!("CREATE TRIGGER refuse {refusal} BEGIN SELECT RAISE(ABORT, 'refused'); END");
        place.connection().execute_batch(&trigger).expect("makes the trigger");
        let outcomes = writer.write(&events).expect("goes on");
        let aside = outcomes.iter().filter(|outcome| **outcome != ItemOutcome::Written).count();
        let found: i64 = one(&place, "SELECT count(*) FROM requests");
        println!("{what} refused: {found} requests in rows, {aside} put aside");
        assert_eq!((found, aside), (rows, 1), "{what}");
        assert_eq!(one::<i64>(&place, "SELECT count(*) FROM quarantine"), 1, "{what}");
        assert_eq!(writer.checkpoint().expect("is known"), events[events.len() - 1].next, "{what}");
    }
}
