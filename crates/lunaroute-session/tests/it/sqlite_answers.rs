//! Long answers, and requests of one session that run side by side, in the SQLite projection.

use lunaroute_core::Role;
use lunaroute_session::query::{SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{History, SqliteConfig, SqliteWriter};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::{ItemOutcome, SessionWriter};

use crate::story::{Place, Story, one, told, write};

const MIB: usize = 1 << 20;

/// A request whose answer has so many MiB, which hardly compress, in pieces of half a MiB.
fn long(number: u64, mebibytes: usize) -> Story {
    let mut bytes = vec![0; mebibytes * MIB];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    Story { answer: bytes.chunks(MIB / 2).map(<[u8]>::to_vec).collect(), ..Story::new(number, "s") }
}

fn assert_answers(place: &Place, stories: &[Story]) {
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    for story in stories {
        assert!(
            query.response_body(story.id()).expect("is kept") == story.answer_bytes(),
            "{}",
            story.number
        );
    }
}

fn assert_kept(place: &Place, stories: &[Story]) {
    assert_answers(place, stories);
    let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
    assert!(report.is_sound(), "{report:#?}");
}

/// What of this process's open files lies in `place` without a name.
#[cfg(target_os = "linux")]
fn nameless(place: &Place) -> Vec<std::path::PathBuf> {
    let directory = place.path().parent().expect("a directory").canonicalize().expect("is there");
    let open = std::fs::read_dir("/proc/self/fd").expect("Linux").filter_map(Result::ok);
    open.map(|entry| entry.path())
        .filter(|path| {
            let target = std::fs::read_link(path).unwrap_or_default();
            target.starts_with(&directory) && target.to_string_lossy().ends_with(" (deleted)")
        })
        .collect()
}

#[test]
fn answers_too_long_for_memory_are_kept_whole() {
    let place = Place::new();
    let mut writer = place.writer();
    let stories = [long(1, 9), long(2, 5), long(3, 1)];
    // A few events at a time, and the first two side by side.
    let events = told(&stories);
    for batch in events.chunks(7) {
        write(&mut writer, batch);
    }
    assert_kept(&place, &stories);
    let files = std::fs::read_dir(place.path().parent().expect("a directory")).expect("is there");
    let names: Vec<String> =
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| name.contains(".db")), "{names:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_answer_whose_file_is_lost_is_read_again() {
    let place = Place::new();
    let mut writer = place.writer();
    let story = long(1, 6);
    let events = told(std::slice::from_ref(&story));
    let (most, end) = events.split_at(events.len() - 1);
    write(&mut writer, most);
    let files = nameless(&place);
    assert_eq!(files.len(), 1, "what is beyond memory is in a file");
    std::fs::File::options().write(true).open(&files[0]).and_then(|file| file.set_len(9)).expect("is cut");
    let refused = writer.write(end).expect_err("a part of the answer is gone");
    assert!(refused.transient && refused.rewind, "{refused}");
    assert!(refused.to_string().contains("read again"), "{refused}");
    assert!(writer.checkpoint().expect("has one") <= events[0].position);
    write(&mut writer, &events);
    assert_kept(&place, &[story]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_history_began_is_brought_in_again_when_its_file_is_lost() {
    let place = Place::new();
    let story = long(1, 3);
    let events = told(std::slice::from_ref(&story));
    let (begun, rest) = events.split_at(events.len() - 2);
    let told: Vec<_> = begun.iter().map(|item| (*item.event).clone()).collect();
    let history = History::new(move || Box::new(told.clone().into_iter()));
    let config = SqliteConfig { history: Some(history), ..SqliteConfig::new(place.path()) };
    let mut writer = SqliteWriter::open(config).expect("opens");
    let _checkpoint = writer.checkpoint().expect("has one");
    let files = nameless(&place);
    assert_eq!(files.len(), 1, "what is beyond memory is in a file");
    // A disk that gives other bytes than were written to it.
    let damaged = std::fs::File::options().write(true).open(&files[0]);
    damaged.and_then(|mut file| std::io::Write::write_all(&mut file, b"?")).expect("is changed");
    assert!(writer.write(rest).expect_err("a part of the answer is wrong").rewind);
    let _checkpoint = writer.checkpoint().expect("has one");
    write(&mut writer, rest);
    writer.reconcile().expect("reconciles");
    assert_kept(&place, &[story]);
}

#[test]
fn a_long_answer_is_kept_although_a_figure_fits_no_column() {
    let place = Place::new();
    let mut story = long(1, 3);
    story.usage.input = Some(u64::MAX);
    let events = told(std::slice::from_ref(&story));
    let outcomes = place.writer().write(&events).expect("goes on");
    let quarantined = |outcome: &&ItemOutcome| matches!(outcome, ItemOutcome::Quarantined(_));
    assert_eq!(outcomes.iter().filter(quarantined).count(), 1);
    assert_answers(&place, &[story]);
    let aside: i64 = one(&place, "SELECT length(payload) FROM quarantine");
    assert!(aside > 4 << 20, "the whole answer is in what was put aside: {aside}");
}

#[test]
fn what_a_running_request_repeats_is_repeated_by_the_next_one_too() {
    let place = Place::new();
    let mut writer = place.writer();
    // Shorter than what is looked for by its content: only what is said to be repeated is found again.
    let message = |number: usize| (Role::User, format!("\"{number:0>150}\""));
    let turns = |number: u64, count: usize| {
        Story::new(number, "s").with_messages(&(0..count).map(message).collect::<Vec<_>>())
    };
    let first = turns(1, 40);
    let second = turns(2, 41).repeating(&first);
    let third = turns(3, 42).repeating(&second);
    let stories = [first, second, third];
    let events = told(&stories);
    let blobs = || one::<i64>(&place, "SELECT count(*) FROM blobs");
    let of = |number: usize| {
        let request = stories[number].id();
        events.iter().filter(move |item| item.event.request == request).cloned()
    };
    write(&mut writer, &of(0).collect::<Vec<_>>());
    let before = blobs();
    // The second has begun and goes on while the third comes and goes.
    let begun: Vec<_> = of(1).take(2).chain(of(2)).collect();
    write(&mut writer, &begun);
    let added = blobs() - before;
    assert!((1..10).contains(&added), "{added} stretches were stored again");
    write(&mut writer, &of(1).collect::<Vec<_>>());
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    for story in &stories {
        assert_eq!(query.request_body(story.id()).expect("is kept"), story.body);
    }
    assert_kept(&place, &stories);
}
