//! The same events again, in other batches and from other places: the database is the same.

use lunaroute_core::{Ending, FailureKind, Role};
use lunaroute_session::event::{GapCause, SessionEvent};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::rig::{PATIENCE, builder, config, start};
use crate::story::{Place, Story, dump, journal, one, write};

/// Requests of two sessions with shared histories, tools, failures and gaps.
fn stories() -> Vec<Story> {
    let mut history: Vec<(Role, String)> = Vec::new();
    let mut stories = Vec::new();
    for number in 0..12_u64 {
        for _ in 0..3 {
            let place = history.len();
            history.push((
                Role::User,
                format!("{{\"message\":{place},\"text\":\"{}\"}}", "word ".repeat(place)),
            ));
        }
        let mut story =
            Story::new(number, if number % 3 == 0 { "other" } else { "main" }).with_messages(&history);
        let result = story.messages[story.messages.len() - 1].1.clone();
        // Every request brings back all results so far; some name calls that nobody asked for.
        story.results = (0..number).map(|call| (format!("call-{call}"), None, result.clone())).collect();
        story.tools = vec![(format!("call-{number}"), "tool".to_owned(), format!("{{\"n\":{number}}}"))];
        match number % 5 {
            1 => story.ending = Ending::Cancelled,
            2 => story.mishap = Some((FailureKind::Provider, "no".to_owned())),
            3 => story.gap = Some((1, 10, GapCause::QueueFull)),
            4 => story.usage.input = None,
            _ => {}
        }
        // Of its own session, whether that one is over by then or not.
        let earlier = stories.iter().rev().find(|earlier: &&Story| earlier.session == story.session);
        if let Some(earlier) = earlier.filter(|_| number % 4 != 3) {
            story = story.repeating(earlier);
        }
        stories.push(story);
    }
    stories
}

/// Mixes the events of requests that run at the same time; those of one request keep their order.
fn mixed(stories: &[Story], choices: &[Index]) -> Vec<JournaledEvent> {
    let mut streams: Vec<std::vec::IntoIter<SessionEvent>> =
        stories.iter().map(|story| story.events().into_iter()).collect();
    let mut events = Vec::new();
    let mut choices = choices.iter().cycle();
    while !streams.is_empty() {
        // At most four run at once, so that early ones end before late ones begin.
        let chosen = choices.next().expect("choices never end").index(streams.len().min(4));
        match streams[chosen].next() {
            Some(event) => events.push(event),
            None => drop(streams.remove(chosen)),
        }
    }
    journal(events)
}

/// The first row that differs, so that a failure can be read.
fn same(place: &Place, straight: &Place) -> Result<(), TestCaseError> {
    let (found, expected) = (dump(&place.path()), dump(&straight.path()));
    let difference = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    prop_assert_eq!(difference, None);
    prop_assert_eq!(found.len(), expected.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_and_restarts_lead_to_the_same_rows(
        choices in proptest::collection::vec(any::<Index>(), 40..80),
        batches in proptest::collection::vec(1_usize..40, 4..30),
        restarts in proptest::collection::vec((any::<bool>(), any::<Index>()), 4..30),
    ) {
        let events = mixed(&stories(), &choices);
        let straight = Place::new();
        straight.write(&events);

        let place = Place::new();
        let mut writer = place.writer();
        let mut reached = 0;
        let mut batches = batches.iter().cycle();
        let mut restarts = restarts.iter();
        while reached < events.len() {
            let end = (reached + batches.next().expect("batches never end")).min(events.len());
            write(&mut writer, &events[reached..end]);
            reached = end;
            let Some((restart, back)) = restarts.next() else { continue };
            if *restart {
                // Killed: memory is gone. Reading begins at the checkpoint, or anywhere before it.
                drop(writer);
                writer = place.writer();
                let checkpoint = writer.checkpoint().expect("is known");
                let from = events.iter().filter(|item| item.position < checkpoint).count();
                reached = if back.index(2) == 0 { from } else { back.index(from + 1) };
            }
        }
        drop(writer);
        same(&place, &straight)?;

        // And all of it once more.
        place.write(&events);
        same(&place, &straight)?;
    }
}

/// Each request's status and its session's.
fn states(place: &Place) -> String {
    one(
        place,
        "SELECT group_concat(state, ', ') FROM (SELECT r.status || ' ' || s.status AS state FROM requests r \
         JOIN sessions s ON s.id = r.session_id ORDER BY r.id)",
    )
}

fn assert_sound(place: &Place) {
    let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn requests_whose_journal_is_gone_are_interrupted_and_those_under_way_are_not_touched() {
    let place = Place::new();
    let message = |text: &str| [(Role::User, text.to_owned())];
    let stories = [
        Story::new(1, "lost"),
        Story::new(2, "read").with_messages(&message("{\"u\":\"go\"}")),
        Story::new(3, "goes-on"),
        Story::new(4, "lost"),
    ];
    let [first, second, third, fourth] = stories.map(|story| story.events());
    let begun = [&first[..1], &second[..2], &third[..1], &fourth[..]].concat();
    let mut killed = place.writer();
    write(&mut killed, &journal(begun));
    drop(killed);
    assert_eq!(states(&place), "running running, running running, running running, success running");

    // The third comes again; the others are gone with the journal. A fifth begins meanwhile.
    let fifth = Story::new(5, "read").events();
    let mut writer = place.writer();
    let again: Vec<SessionEvent> = third.iter().take(1).chain(&fifth[..1]).cloned().collect();
    let whole = journal([&again[..], &third[1..], &fifth[1..]].concat());
    write(&mut writer, &whole[..2]);
    writer.reconcile().expect("reconciles");
    assert_eq!(
        states(&place),
        "interrupted error, interrupted running, running running, success error, running running"
    );
    let told: String = one(
        &place,
        "SELECT ending || ' ' || gap_cause FROM requests WHERE session_id = 'lost' ORDER BY id LIMIT 1",
    );
    assert_eq!(told, "interrupted journal_failed");
    assert_sound(&place);
    writer.reconcile().expect("changes nothing");
    write(&mut writer, &whole[2..]);
    assert_eq!(
        states(&place),
        "interrupted error, interrupted completed, success completed, success error, success completed"
    );
    assert_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_whose_journal_was_removed_leaves_nothing_running() {
    let place = Place::new();
    place.write(&journal(Story::new(1, "lost").events().into_iter().take(1)));
    let recorder =
        builder(config(place.directory.path())).writer(Box::new(place.writer())).start().expect("starts");
    let mut live = recorder.begin(start(b"under way"));
    live.written().await.expect("written");
    recorder.flush(PATIENCE).await.expect("flushed");
    assert_eq!(states(&place), "interrupted error, running running");
    live.close(Ending::Completed, None);
    recorder.shutdown(PATIENCE).await;
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE status = 'running'"), 0);
    assert_sound(&place);
}
