//! Questions to the record.

use lunaroute_core::{Ending, RequestId, Timestamp, Usage};
use lunaroute_session::query::{
    Page, Period, QueryError, RequestFilter, SessionFilter, SessionQuery, SqliteQuery, TokenCounts, export,
};
use serde_json::Value;

use crate::story::{Place, START, Story, journal, request_id, told};

/// Twelve sessions of one request each, and one with three.
fn library() -> Place {
    let place = Place::new();
    let mut stories: Vec<Story> =
        (1..=12).map(|number| Story::new(number, &format!("session-{number:02}"))).collect();
    stories[3].model = "special".to_owned();
    stories[4].provider = "elsewhere".to_owned();
    stories[5].client = "codex".to_owned();
    stories[6].ending = Ending::Cancelled;
    stories.extend((13..=15).map(|number| Story::new(number, "trio")));
    let mut running = told(&stories);
    // The last request never ends.
    running.pop();
    place.write(&running);
    place
}

fn open(place: &Place) -> SqliteQuery {
    SqliteQuery::open_read_only(&place.path()).expect("opens")
}

#[test]
fn filters_find_exactly_what_they_name() {
    #[track_caller]
    fn check(query: &SqliteQuery, filter: SessionFilter, expected: &[&str]) {
        let found = query.sessions(&filter, Page::default()).expect("answers");
        let ids: Vec<&str> = found.items.iter().map(|session| session.id.as_str()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let place = library();
    let query = open(&place);
    let word = |word: &str| Some(word.to_owned());
    let at = |second: i64| Some(Timestamp::from_micros(START + second * 1_000_000));
    let none = SessionFilter::default;
    check(&query, SessionFilter { id: word("session-03"), ..none() }, &["session-03"]);
    check(
        &query,
        SessionFilter { id: word("session-1"), ..none() },
        &["session-12", "session-11", "session-10"],
    );
    check(&query, SessionFilter { id: word("%"), ..none() }, &[]);
    check(&query, SessionFilter { external_id: word("ext-trio"), ..none() }, &["trio"]);
    check(&query, SessionFilter { model: word("special"), ..none() }, &["session-04"]);
    check(&query, SessionFilter { model: word("special-2026"), ..none() }, &["session-04"]);
    check(&query, SessionFilter { provider: word("elsewhere"), ..none() }, &["session-05"]);
    check(&query, SessionFilter { client: word("codex"), ..none() }, &["session-06"]);
    check(&query, SessionFilter { status: word("cancelled"), ..none() }, &["session-07"]);
    check(&query, SessionFilter { status: word("running"), ..none() }, &["trio"]);
    let both_ends = Period { from: at(2), to: at(4) };
    check(&query, SessionFilter { period: both_ends, ..none() }, &["session-04", "session-03", "session-02"]);
    check(&query, SessionFilter { client: word("' OR 1=1 --"), ..none() }, &[]);

    let requests = |filter: RequestFilter| {
        let found = query.requests(&filter, Page::default()).expect("answers");
        found.items.iter().map(|request| request.id).collect::<Vec<_>>()
    };
    let of = |status: &str| RequestFilter { status: word(status), ..RequestFilter::default() };
    assert_eq!(requests(of("cancelled")), [request_id(7)]);
    assert_eq!(requests(of("running")), [request_id(15)]);
    let special = RequestFilter { model: word("special"), ..RequestFilter::default() };
    assert_eq!(requests(special), [request_id(4)]);
    assert_eq!(query.active_sessions(Page::default()).expect("answers").items[0].id.as_str(), "trio");
}

#[test]
fn pages_meet_without_gap_or_overlap_whatever_their_limits() {
    let place = library();
    let query = open(&place);
    let all = query.sessions(&SessionFilter::default(), Page::default()).expect("answers");
    assert_eq!((all.items.len(), all.limit, all.more), (13, 100, false));
    for limit in [1, 3, 5, 12, 13] {
        let mut found = Vec::new();
        loop {
            let page = Page::new(limit, found.len() as u64);
            let listing = query.sessions(&SessionFilter::default(), page).expect("answers");
            found.extend(listing.items);
            if !listing.more {
                break;
            }
        }
        assert_eq!(found, all.items, "by {limit}");
    }
    assert_eq!((Page::new(0, 0).limit(), Page::new(u32::MAX, 0).limit()), (1, 1_000));
    let beyond = query.sessions(&SessionFilter::default(), Page::new(5, u64::MAX)).expect("answers");
    assert!(beyond.items.is_empty() && !beyond.more);
    // An offset that is no multiple of the limit.
    let odd = query.sessions(&SessionFilter::default(), Page::new(4, 3)).expect("answers");
    assert_eq!(odd.items, all.items[3..7]);
}

#[test]
fn a_session_is_found_by_any_of_its_names() {
    let place = library();
    let query = open(&place);
    for name in ["session-03", "ext-session-03", "session-03"] {
        assert_eq!(query.session_detail(name).expect("is there").session.id.as_str(), "session-03");
    }
    let trio = query.session_detail("tri").expect("is there");
    assert_eq!(trio.session.requests, 3);
    let ids: Vec<_> = trio.request_list.iter().map(|request| request.id).collect();
    assert_eq!(ids, [13, 14, 15].map(request_id), "in the order in which they began");
    assert_eq!(trio.request_list[0].attempt_list.len(), 1);
    assert_eq!(trio.session.first_token_us, Some(1_500));
    let tokens = TokenCounts {
        input: Some(23 + 24),
        cache_read: Some(0),
        output: Some(13 + 14),
        ..TokenCounts::default()
    };
    assert_eq!(trio.session.tokens, tokens, "the running one has no figures yet");
    assert!(matches!(query.session_detail("nobody"), Err(QueryError::NotFound { .. })));
    let Err(QueryError::Ambiguous { some, .. }) = query.session_detail("session-0") else {
        panic!("is ambiguous")
    };
    assert_eq!(some, ["session-01", "session-02"]);
    assert!(matches!(query.request(request_id(99)), Err(QueryError::NotFound { .. })));
}

#[test]
fn totals_add_up_and_silence_is_not_zero() {
    let place = library();
    let query = open(&place);
    let totals = query.summary(Period::default()).expect("answers");
    assert_eq!((totals.sessions, totals.requests, totals.succeeded), (13, 15, 13));
    assert_eq!((totals.cancelled, totals.failed, totals.running), (1, 0, 1));
    assert_eq!(totals.tokens.output, Some((1..=14).sum()));
    assert_eq!(totals.tokens.reasoning, None);
    let nothing = Period { from: Some(Timestamp::from_micros(START * 2)), to: None };
    let totals = query.summary(nothing).expect("answers for no rows");
    assert_eq!((totals.requests, totals.tokens.input), (0, None));
}

#[test]
fn recent_sessions_come_latest_first_with_the_clients_own_id() {
    let place = library();
    let query = open(&place);
    let since = Timestamp::from_micros(START + 11_000_000);
    let known = query.known_sessions(since, 2).expect("answers");
    let names: Vec<_> =
        known.iter().map(|known| (known.external.as_deref(), known.client.as_str())).collect();
    assert_eq!(names, [(Some("ext-trio"), "claude-code"), (Some("ext-session-12"), "claude-code")]);
    assert_eq!(query.known_sessions(since, 100).expect("answers").len(), 3);
    assert_eq!(known[0].last_activity.as_micros(), START + 15_000_000, "the running request began then");
}

#[test]
fn an_export_is_lines_of_json_with_the_bodies_in_them() {
    let place = Place::new();
    let mut binary = Story::new(2, "s");
    binary.body = vec![0xff, 0, 1];
    binary.usage = Usage::default();
    place.write(&told(&[Story::new(1, "s"), binary.clone()]));
    let mut output = Vec::new();
    export(&open(&place), &["s".to_owned()], &mut output).expect("exports");
    let lines: Vec<Value> = output
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["session", "request", "request"]);
    assert_eq!(lines[0]["session"]["started_at"], "2026-11-21T00:00:01.000000Z");
    assert_eq!(lines[1]["request"]["request_body"], "{\"q\":1}");
    assert_eq!(lines[1]["request"]["response_body"], "answer 1 goes on");
    assert_eq!(lines[2]["request"]["request_body_base64"], "/wAB");
    assert_eq!(lines[2]["request"]["tokens"]["input"], Value::Null);
    assert_eq!(lines[1]["request"]["tokens"]["cache_read"], 0);
    let error = export(&open(&place), &["nobody".to_owned()], &mut Vec::new()).expect_err("is not there");
    assert!(error.to_string().contains("'nobody'"), "{error}");
}

#[test]
fn there_is_nothing_to_ask_before_the_first_record() {
    let place = Place::new();
    let Err(error) = SqliteQuery::open_read_only(&place.path()) else { panic!("was opened") };
    assert!(error.to_string().contains("there is no database at"), "{error}");
}

#[test]
fn turns_of_a_session_stay_in_order_when_the_clock_is_set_back() {
    let place = Place::new();
    let events = (1..5).flat_map(|number| {
        let mut events = Story::new(number, "s").events();
        for event in &mut events {
            // An hour back before each turn.
            event.at = Timestamp::from_micros(event.at.as_micros() - number as i64 * 3_600_000_000);
        }
        events
    });
    place.write(&journal(events));
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    let ids: Vec<RequestId> = (1..5).map(request_id).collect();
    let detail = query.session_detail("s").expect("is there");
    assert_eq!(detail.request_list.iter().map(|request| request.id).collect::<Vec<_>>(), ids);
    let filter = RequestFilter { session: Some(detail.session.id), ..RequestFilter::default() };
    let listed = query.requests(&filter, Page::default()).expect("answers").items;
    assert_eq!(listed.iter().rev().map(|request| request.id).collect::<Vec<_>>(), ids, "the latest first");
}
