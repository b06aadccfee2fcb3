//! What was removed does not come back: not from files that are behind the database, and not from the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lunaroute_core::{Ending, SessionId};
use lunaroute_session::Recorder;
use lunaroute_session::codec::EventReader;
use lunaroute_session::jsonl::{self, JsonlConfig, JsonlWriter};
use lunaroute_session::query::{Page, SessionFilter, SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{Remover, SessionFiles, SqliteConfig, SqliteWriter};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::SessionWriter;
use lunaroute_storage::journal::read_all;

use crate::rig::{PATIENCE, builder, config as rig_config, head, start};
use crate::sqlite_removal::session;
use crate::story::{Place, Story, told, write};

/// The sessions of a directory of JSON Lines files, with how many requests each has there.
fn in_files(directory: &Path) -> BTreeMap<String, usize> {
    let mut requests = BTreeSet::new();
    for event in jsonl::read(directory) {
        let event = event.expect("readable");
        requests.insert((event.session.to_string(), event.request));
    }
    let mut sessions = BTreeMap::new();
    requests.into_iter().for_each(|(session, _)| *sessions.entry(session).or_default() += 1);
    sessions
}

/// A removal finds the writer of the files behind the database: before its first event, in the middle, and stopped.
#[test]
fn a_writer_of_files_that_is_behind_does_not_bring_a_removed_session_back() {
    for (wrote, restarts) in [(0, false), (3, false), (3, true), (0, true)] {
        let place = Place::new();
        let directory = tempfile::tempdir().expect("a directory");
        let lines = || JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
        let told = told(&[Story::new(1, "gone"), Story::new(2, "kept"), Story::new(3, "gone")]);
        let (before, after) = told.split_at(told.len() - Story::new(3, "gone").events().len());
        let mut database = place.usual_writer();
        write(&mut database, before);
        let mut files = lines();
        files.write(&before[..wrote]).expect("written");
        files.flush().expect("flushed");

        let config = SqliteConfig::new(place.path());
        let also = SessionFiles::json_lines(directory.path().to_owned());
        let remover = Remover::open(&config, Some(also)).expect("opens");
        assert!(remover.remove(&session("gone")).expect("removes"));
        if restarts {
            drop(files);
            files = lines();
        }
        files.write(&before[wrote..]).expect("written");
        let place = format!("{wrote} events before, restarts {restarts}");
        assert_eq!(in_files(directory.path()), [("kept".to_owned(), 1)].into(), "{place}");
        assert!(directory.path().join("removed").exists(), "{place}: not durable yet, so it may come again");
        files.flush().expect("flushed");
        assert!(!directory.path().join("removed").exists(), "{place}: nothing is left to be kept out");
        // The session goes on with another request, which is nobody's to leave out.
        files.write(after).expect("written");
        files.flush().expect("flushed");
        let both = [("gone".to_owned(), 1), ("kept".to_owned(), 1)];
        assert_eq!(in_files(directory.path()), both.into(), "{place}");
        // A writer that has everything needs no note.
        write(&mut database, after);
        assert!(remover.remove(&session("gone")).expect("removes"));
        assert!(!directory.path().join("removed").exists(), "{place}");
        assert_eq!(in_files(directory.path()), [("kept".to_owned(), 1)].into(), "{place}");
    }
}

/// A recorder with its database; ten requests, of which every second is of the session `gone`.
async fn recorded(directory: &Path) -> (Recorder, SqliteConfig) {
    let config = SqliteConfig::new(directory.join("lunaroute.sqlite"));
    let writer = SqliteWriter::open(config.clone()).expect("opens");
    let recorder = builder(rig_config(directory)).writer(Box::new(writer)).start().expect("starts");
    for number in 0..10 {
        let mut start = start(b"body");
        start.hint.external_id = Some(if number % 2 == 0 { "gone" } else { "kept" }.to_owned());
        let mut recording = recorder.begin(start);
        recording.written().await.expect("written");
        recording.response_started(&head(200));
        recording.frame(bytes::Bytes::from_static(b"T:word\nEND\n"));
        recording.close(Ending::Completed, None);
    }
    recorder.flush(PATIENCE).await.expect("flushed");
    (recorder, config)
}

fn all_sound(directory: &Path) {
    let report = verify(&VerifyInput {
        database: Some(directory.join("lunaroute.sqlite")),
        journal_directory: Some(directory.join("journal")),
        ..VerifyInput::default()
    });
    assert!(report.is_sound(), "{report:#?}");
    assert_eq!(report.requests_in_journal, Some(10), "the journal was shortened too early for this test");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_missed_by_nobody_and_comes_back_from_no_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let (recorder, config) = recorded(directory.path()).await;
    let query = || SqliteQuery::open_read_only(&config.path).expect("opens");
    let sessions = || query().sessions(&SessionFilter::default(), Page::default()).expect("answers").items;
    let gone: Vec<SessionId> = sessions().iter().take(1).map(|session| session.id.clone()).collect();
    assert_eq!(sessions().len(), 2);
    assert!(Remover::open(&config, None).expect("opens").remove(&gone[0]).expect("removes"));
    all_sound(directory.path());
    recorder.shutdown(PATIENCE).await;
    all_sound(directory.path());

    // A database that is damaged is filled from the journal, without what was removed.
    let mut events = Vec::new();
    let mut reader = EventReader::new(directory.path().join("journal"));
    for frame in read_all(directory.path().join("journal")).expect("readable") {
        let frame = frame.expect("whole");
        if frame.kind == lunaroute_session::codec::EVENT {
            events.extend(reader.events(&frame).expect("events"));
        }
    }
    rusqlite::Connection::open(&config.path)
        .expect("opens")
        .execute_batch("DROP TABLE requests")
        .expect("damages it");
    let mut writer = SqliteWriter::open(config.clone()).expect("opens");
    let error = writer.write(&events).expect_err("a table is gone");
    assert!(error.rewind, "{error}");
    write(&mut writer, &events);
    writer.flush().expect("flushes");
    assert_eq!(sessions().len(), 1, "{:?}", sessions());
    all_sound(directory.path());

    // When the journal begins later, nothing of it needs to be remembered.
    let remembered = || {
        let connection = rusqlite::Connection::open(&config.path).expect("opens");
        connection
            .query_row("SELECT count(*) FROM removed_requests", [], |row| row.get::<_, i64>(0))
            .expect("answers")
    };
    drop(writer);
    assert_eq!(remembered(), 5);
    for segment in std::fs::read_dir(directory.path().join("journal")).expect("lists") {
        std::fs::remove_file(segment.expect("an entry").path()).expect("removes");
    }
    std::fs::write(directory.path().join("journal").join(format!("{:020}.journal", 9)), []).expect("writes");
    drop(SqliteWriter::open(config.clone()).expect("opens"));
    assert_eq!(remembered(), 0);
}
