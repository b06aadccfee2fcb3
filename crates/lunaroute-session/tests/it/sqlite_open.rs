//! Opening a database, and what may be wrong with one.

use std::time::Duration;

use lunaroute_session::query::SqliteQuery;
use lunaroute_session::sqlite::{MigrationError, OpenError, SqliteConfig, SqliteWriter, sqlite_version};
use lunaroute_session::writer::SessionWriter;

use crate::story::{Place, Story, dump, told, write};

#[test]
fn a_locked_database_keeps_the_batch_and_takes_it_later() {
    let place = Place::new();
    let events = told(&[Story::new(1, "s"), Story::new(2, "s")]);
    let config = SqliteConfig { busy_timeout: Duration::from_millis(1), ..SqliteConfig::new(place.path()) };
    let mut writer = SqliteWriter::open(config).expect("opens");
    let half = events.len() / 2 + 3;
    write(&mut writer, &events[..half]);
    let other = place.connection();
    other.execute_batch("BEGIN IMMEDIATE").expect("locks");
    for _ in 0..3 {
        let error = writer.write(&events[half..]).expect_err("is locked");
        assert!(error.transient, "{error}");
    }
    other.execute_batch("ROLLBACK").expect("unlocks");
    write(&mut writer, &events[half..]);
    drop((writer, other));
    let straight = Place::new();
    straight.write(&events);
    assert_eq!(
        dump(&place.path()),
        dump(&straight.path()),
        "the refused batch left nothing and lost nothing"
    );
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_was() {
    fn check(prepare: &str, expected: impl Fn(&OpenError) -> bool) {
        let place = Place::new();
        place.write(&told(&[Story::new(1, "s")]));
        place.connection().execute_batch(prepare).expect("prepares");
        let before = std::fs::read(place.path()).expect("reads");
        let Err(error) = SqliteWriter::open(SqliteConfig::new(place.path())) else {
            panic!("{prepare}: was opened");
        };
        assert!(expected(&error), "{prepare}: {error}");
        let Err(read) = SqliteQuery::open_read_only(&place.path()) else {
            panic!("{prepare}: was opened to read")
        };
        assert_eq!(read.to_string(), error.to_string());
        assert_eq!(std::fs::read(place.path()).expect("reads"), before, "{prepare}: something was written");
    }
    let schema = |error: &OpenError, expected: fn(&MigrationError) -> bool| match error {
        OpenError::Schema { source, .. } => expected(source),
        _ => false,
    };
    check("INSERT INTO schema_version VALUES (5, '0005_later', 'x', 0)", |error| {
        error.to_string().contains("schema 5 is newer than this build's 4")
            && schema(error, |error| matches!(error, MigrationError::Newer { found: 5, known: 4 }))
    });
    check("UPDATE schema_version SET checksum = 'x' WHERE version = 1", |error| {
        schema(error, |error| matches!(error, MigrationError::Altered { version: 1, .. }))
    });
    check("DELETE FROM schema_version WHERE version = 1", |error| {
        schema(error, |error| matches!(error, MigrationError::Altered { .. }))
    });
    check("PRAGMA application_id = 7", |error| {
        schema(error, |error| matches!(error, MigrationError::Foreign))
    });
}

#[cfg(unix)]
#[test]
fn only_this_user_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let _writer = place.writer();
    for file in std::fs::read_dir(place.directory.path()).expect("lists") {
        let file = file.expect("an entry");
        let mode = file.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}

#[test]
fn sqlite_is_not_one_with_the_wal_reset_corruption() {
    let numbers: Vec<u32> = sqlite_version().split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(numbers >= vec![3, 51, 3], "{}", sqlite_version());
}
