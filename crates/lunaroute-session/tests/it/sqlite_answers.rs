//! Long answers, and requests of one session that run side by side, in the SQLite projection.

use lunaroute_core::{Role, SessionId};
use lunaroute_session::query::{SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{History, Remover, SqliteConfig, SqliteWriter};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::{ItemOutcome, JournaledEvent, SessionWriter};

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

#[test]
fn requests_of_one_session_that_end_in_any_order_store_once_what_they_share() {
    // Too short to be found by their content.
    let message = |number: usize| {
        let role = if number == 7 { Role::Tool } else { Role::User };
        (role, format!("\"{number:0>150}\""))
    };
    let mut stories = Vec::<Story>::new();
    for number in 1..=6 {
        let count = 40 + usize::try_from(number).expect("small");
        let mut story = Story::new(number, "s").with_messages(&(0..count).map(message).collect::<Vec<_>>());
        story.results = vec![("call".to_owned(), Some(false), story.messages[7].1.clone())];
        stories.push(match stories.last() {
            Some(earlier) => story.repeating(earlier),
            None => story,
        });
    }
    let events = told(&stories);
    for order in [[3, 1, 2, 0, 5, 4], [5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]] {
        for batches in [1, 6] {
            let place = Place::new();
            let mut writer = place.usual_writer();
            // All have begun before the first of them ends.
            write(&mut writer, &events.iter().filter(|item| item.event.seq < 2).cloned().collect::<Vec<_>>());
            for numbers in order.chunks(6 / batches) {
                let of = |number: &usize| {
                    let id = stories[*number].id();
                    events.iter().filter(move |item| item.event.request == id && item.event.seq >= 2).cloned()
                };
                write(&mut writer, &numbers.iter().flat_map(of).collect::<Vec<_>>());
            }
            drop(writer);
            let blobs = one::<i64>(&place, "SELECT count(*) FROM blobs");
            // Those of the longest body, what each brings besides its body, and where bodies end in another way.
            assert!((40..100).contains(&blobs), "{order:?} in {batches}: {blobs} stretches");
            let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
            for story in &stories {
                assert_eq!(query.request_body(story.id()).expect("is kept"), story.body);
            }
            let result_of =
                one::<String>(&place, "SELECT result_request_id FROM tool_calls WHERE id = 'call'");
            assert_eq!(result_of, stories[0].id().to_string(), "{order:?}: of the request that began first");
            assert_kept(&place, &stories);
        }
    }
}

/// A chat of short turns: each says all that was said before.
fn chat(session: &str, numbers: std::ops::Range<u64>) -> Vec<Story> {
    let said = |number: u64| {
        let words = blake3::hash(&number.to_be_bytes()).to_hex();
        (Role::User, format!("{{\"role\":\"user\",\"content\":\"{words} {words}\"}}"))
    };
    numbers
        .clone()
        .map(|number| {
            let turns = number - numbers.start + 3;
            Story::new(number, session).with_messages(&(0..turns).map(said).collect::<Vec<_>>())
        })
        .collect()
}

#[test]
fn a_small_body_that_comes_again_is_kept_once() {
    let place = Place::new();
    let mut writer = place.usual_writer();
    let stories = [chat("s1", 1..12), chat("s2", 21..32)].concat();
    // Turn about, in batches that hold parts of both.
    let mut turns = stories.clone();
    turns.sort_by_key(|story| story.number % 20);
    for batch in told(&turns).chunks(37) {
        write(&mut writer, batch);
    }
    let raw: usize = stories.iter().map(|story| story.body.len()).sum();
    let content =
        one::<i64>(&place, "SELECT sum(raw_len) FROM blobs WHERE id IN (SELECT content FROM requests)");
    let besides = one::<i64>(
        &place,
        "SELECT sum(raw_len) FROM blobs WHERE id NOT IN (SELECT content FROM requests WHERE content IS NOT NULL)",
    );
    println!("{raw} bytes of bodies, {content} bytes of small content, {besides} bytes besides");
    assert!(stories.iter().all(|story| story.body.len() < 4_096), "all are small");
    // With headers, previews, samples and answers, which are a quarter of the bodies.
    assert!(usize::try_from(content).expect("positive") * 3 < raw * 2, "{content} of {raw}");
    let check = |stories: &[Story]| {
        let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
        for story in stories {
            assert_eq!(query.request_body(story.id()).expect("is kept"), story.body, "{}", story.number);
            let messages = query.request(story.id()).expect("is there").messages;
            assert_eq!(messages.len(), story.messages.len());
        }
        assert_kept(&place, stories);
    };
    check(&stories);
    // A writer that begins anew knows no body yet, and goes on all the same.
    drop(writer);
    let mut writer = place.usual_writer();
    let further = chat("s1", 1..14).split_off(11);
    let all = [stories.clone(), further.clone()].concat();
    let from = told(&all).split_off(told(&stories).len());
    write(&mut writer, &from);
    check(&all);
    // What a session leans on goes with it, and only with it.
    let remover = Remover::open(&SqliteConfig::new(place.path()), None).expect("opens");
    assert!(remover.remove(&SessionId::parse("s1").expect("a session id")).expect("removes"));
    check(&stories[11..]);
    // The writer that knew those bodies knows that they have gone.
    let again = [all.clone(), vec![Story { number: 60, ..further[0].clone() }]].concat();
    write(&mut writer, &told(&again).split_off(told(&all).len()));
    check(&again[again.len() - 1..]);
    check(&stories[11..]);
}

#[test]
fn a_small_body_that_was_shown_while_it_ran_is_kept_whole_for_those_that_follow() {
    let place = Place::new();
    // Shows each request as running as soon as it has begun.
    let mut writer = place.writer();
    let stories = chat("s", 1..8);
    let events = told(&stories);
    for pair in stories.chunks(2) {
        let of = |wanted: fn(u32) -> bool| {
            let ids: Vec<_> = pair.iter().map(Story::id).collect();
            let is_of =
                move |item: &&JournaledEvent| ids.contains(&item.event.request) && wanted(item.event.seq);
            events.iter().filter(is_of).cloned().collect::<Vec<_>>()
        };
        write(&mut writer, &of(|seq| seq < 3));
        if pair[0].number == 5 {
            // Another process goes on from the row as running, and is told again what it was.
            drop(writer);
            writer = place.writer();
            write(&mut writer, &of(|seq| seq < 3));
        }
        write(&mut writer, &of(|seq| seq >= 3));
    }
    drop(writer);
    let raw: usize = stories.iter().map(|story| story.body.len()).sum();
    let content =
        one::<i64>(&place, "SELECT sum(raw_len) FROM blobs WHERE id IN (SELECT content FROM requests)");
    assert!(
        usize::try_from(content).expect("positive") < raw,
        "{content} of {raw}: with headers and answers"
    );
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    for story in &stories {
        assert_eq!(query.request_body(story.id()).expect("is kept"), story.body);
    }
    assert_kept(&place, &stories);
}
