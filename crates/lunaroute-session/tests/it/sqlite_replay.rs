//! The same events again, in other batches and from other places: the database is the same.

use lunaroute_core::{Ending, FailureKind, Role};
use lunaroute_session::event::{GapCause, SessionEvent};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::story::{Place, Story, dump, journal, write};

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
