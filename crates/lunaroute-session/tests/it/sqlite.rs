//! The SQLite projection at its wall: events in, rows out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_core::{Delta, Ending, FailureKind, Role, Usage};
use lunaroute_session::event::{EventKind, GapCause};
use lunaroute_session::query::{SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{SqliteConfig, SqliteWriter};
use lunaroute_session::verify::{VerifyInput, verify};
use lunaroute_session::writer::{ItemOutcome, SessionWriter};
use lunaroute_storage::journal::Position;

use crate::story::{Place, START, Story, journal, one, request_id, told, write};

/// Text that has broken databases, terminals and parsers.
const STRANGE: &str = "nul \0 ansi \u{1b}[31m emoji \u{1f98a} quote ' \" ; -- % _ \r\n \u{202e} \u{fffd}";

/// Two turns of an agent: the model asks for two tools, the next request brings their results back.
fn agent() -> [Story; 2] {
    let mut first = Story::new(1, "s1").with_messages(&[(Role::User, "{\"u\":\"go\"}".to_owned())]);
    first.tools = vec![
        ("call-a".to_owned(), "read".to_owned(), "{\"path\":\"x\"}".to_owned()),
        ("call-b".to_owned(), "write".to_owned(), "{}".to_owned()),
    ];
    let second = Story::new(2, "s1").with_messages(&[
        (Role::User, "{\"u\":\"go\"}".to_owned()),
        (Role::Tool, "{\"result\":\"fine\"}".to_owned()),
        (Role::Tool, "{\"result\":\"broken\"}".to_owned()),
    ]);
    let results = vec![
        ("call-a".to_owned(), Some(false), second.messages[1].1.clone()),
        ("call-b".to_owned(), Some(true), second.messages[2].1.clone()),
    ];
    [first, Story { results, ..second }]
}

#[test]
fn every_table_holds_what_the_events_said() {
    let place = Place::new();
    let mut failed = Story::new(3, "s1");
    failed.ending = Ending::UpstreamError;
    failed.mishap = Some((FailureKind::Protocol, "cut short".to_owned()));
    failed.gap = Some((2, 99, GapCause::QueueFull));
    let [first, second] = agent();
    place.write(&told(&[first, second, failed]));

    let count = |sql: &str| one::<i64>(&place, sql);
    let text = |sql: &str| one::<String>(&place, sql);
    assert_eq!(count("SELECT count(*) FROM conversations WHERE external_id = 'ext-s1'"), 1);
    assert_eq!(count("SELECT request_count FROM sessions"), 3);
    assert_eq!(count("SELECT input_tokens FROM sessions"), 36);
    assert_eq!(count("SELECT output_tokens FROM sessions"), 6);
    assert_eq!(count("SELECT cache_read_tokens FROM sessions"), 0, "0 is a number");
    assert_eq!(one::<Option<i64>>(&place, "SELECT reasoning_tokens FROM sessions"), None, "absent is NULL");
    assert_eq!(count("SELECT tool_call_count FROM sessions"), 2);
    assert_eq!(text("SELECT status || ' ' || error FROM sessions"), "error cut short");
    assert_eq!(count("SELECT count(*) FROM requests WHERE digest IS NOT NULL"), 3);
    assert_eq!(count("SELECT count(*) FROM requests WHERE status = 'success' AND ending = 'completed'"), 2);
    assert_eq!(
        text("SELECT gap_cause || lost_frames || lost_bytes FROM requests WHERE status = 'error'"),
        "queue_full299"
    );
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    let messages: Vec<_> =
        [1, 2, 3].map(|number| query.request(request_id(number)).expect("is there").messages).concat();
    let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["user", "user", "tool", "tool"]);
    assert_eq!(messages[0], messages[1], "both requests carry it");
    assert_eq!(count("SELECT count(*) FROM attempts WHERE latency_ms = 1 AND reason = 'primary'"), 3);
    assert_eq!(count("SELECT count(*) FROM responses WHERE body_blob IS NOT NULL"), 3);
    let pieces = query.request(request_id(1)).expect("is there").stream;
    assert_eq!(pieces.iter().map(|piece| piece.kind.as_str()).collect::<Vec<_>>(), ["text", "text"]);
    assert_eq!(count("SELECT count(*) FROM stream_metrics WHERE ttft_us = 1500 AND gap_p99_us = 30"), 3);
    assert_eq!(text("SELECT kind || message FROM session_errors"), "protocolcut short");
    assert_eq!(text("SELECT status || success FROM tool_calls WHERE id = 'call-a'"), "completed1");
    assert_eq!(text("SELECT status || success FROM tool_calls WHERE id = 'call-b'"), "error0");
    assert_eq!(count("SELECT count(*) FROM tool_calls WHERE duration_ms > 0 AND name IS NOT NULL"), 2);
    assert_eq!(count("SELECT count(*) FROM quarantine"), 0);
    assert_eq!(count("SELECT out_of_order FROM projector_state"), 0);
}

#[test]
fn each_ending_gives_its_status_to_request_and_session() {
    let cases = [
        (Ending::Completed, Some(200), "success", "completed"),
        (Ending::Completed, Some(429), "error", "error"),
        (Ending::UpstreamError, Some(200), "error", "error"),
        (Ending::GatewayError, Some(503), "error", "error"),
        (Ending::Cancelled, Some(200), "cancelled", "cancelled"),
        (Ending::Interrupted, None, "interrupted", "error"),
    ];
    for (ending, status, request, session) in cases {
        let place = Place::new();
        place.write(&told(&[Story { ending, status, ..Story::new(1, "s") }]));
        let found: String = one(&place, "SELECT r.status || ' ' || s.status FROM requests r, sessions s");
        assert_eq!(found, format!("{request} {session}"), "{ending:?} {status:?}");
    }
}

#[test]
fn a_running_request_is_seen_and_its_session_runs_until_the_last_one_ends() {
    let place = Place::new();
    let events = told(&[Story::new(1, "s")]);
    let other = told(&[Story { ending: Ending::Cancelled, ..Story::new(2, "s") }]);
    let mut writer = place.writer();
    let mut all = events[..2].to_vec();
    all.extend(other);
    all.extend_from_slice(&events[2..]);
    let all = journal(all.into_iter().map(|item| item.event.as_ref().clone()));
    let end = all.len() - 1;
    write(&mut writer, &all[..2]);
    let states = || {
        one::<String>(
            &place,
            "SELECT group_concat(status, ' ') FROM (SELECT status FROM requests ORDER BY id)",
        )
    };
    let session = || one::<String>(&place, "SELECT status FROM sessions");
    assert_eq!((states().as_str(), session().as_str()), ("running", "running"));
    assert_eq!(writer.checkpoint().expect("is known"), all[0].position, "the open request must come again");
    write(&mut writer, &all[2..end]);
    assert_eq!((states().as_str(), session().as_str()), ("running cancelled", "running"));
    assert_eq!(
        one::<i64>(&place, "SELECT count(*) FROM requests WHERE status = 'running' AND body IS NOT NULL"),
        1
    );
    write(&mut writer, &all[end..]);
    assert_eq!((states().as_str(), session().as_str()), ("success cancelled", "completed"));
    assert_eq!(writer.checkpoint().expect("is known"), all[end].next);
    assert_eq!(writer.flush().expect("flushes").position, all[end].next);
}

#[test]
fn a_result_before_its_call_is_kept_and_counted_and_a_history_counts_once() {
    let place = Place::new();
    let [first, second] = agent();
    let mut again = Story { number: 3, ..second.clone() };
    again.results[0].1 = Some(true);
    let mut writer = place.writer();
    write(&mut writer, &told(&[second, again, first]));
    assert_eq!(writer.out_of_order(), 2);
    assert_eq!(one::<i64>(&place, "SELECT out_of_order FROM projector_state"), 2);
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM tool_calls"), 2);
    assert_eq!(one::<i64>(&place, "SELECT tool_call_count FROM sessions"), 2);
    let merged: String = one(&place, "SELECT name || status || success FROM tool_calls WHERE id = 'call-a'");
    assert_eq!(merged, "readcompleted1", "the first result stays, the call fills in its half");
}

#[test]
fn a_call_id_that_a_provider_uses_again_keeps_both_calls() {
    let place = Place::new();
    let tool = |name: &str| vec![("call-0".to_owned(), name.to_owned(), "{}".to_owned())];
    let stories =
        [1, 2].map(|number| Story { tools: tool(&format!("tool-{number}")), ..Story::new(number, "s") });
    place.write(&told(&stories));
    assert_eq!(
        one::<String>(&place, "SELECT group_concat(name) FROM (SELECT name FROM tool_calls ORDER BY name)"),
        "tool-1,tool-2"
    );
}

#[test]
fn an_end_without_a_beginning_makes_a_stub() {
    let place = Place::new();
    let events = told(&[Story::new(1, "s")]);
    place.write(&events[4..]);
    let found: String = one(&place, "SELECT status || coalesce(path, '-') || response_bytes FROM requests");
    assert_eq!(found, format!("success-{}", Story::new(1, "s").answer_bytes().len()));
    assert_eq!(one::<i64>(&place, "SELECT request_count FROM sessions"), 1);
}

#[test]
fn a_figure_that_fits_no_column_is_put_aside_and_the_rest_goes_on() {
    let place = Place::new();
    let mut bad = Story::new(2, "s");
    bad.usage = Usage { input: Some(u64::MAX), ..Usage::default() };
    let events = told(&[Story::new(1, "s"), bad.clone(), Story::new(3, "t")]);
    let mut writer = place.writer();
    // In two batches, so that the bad request is also seen while it runs with its figure already known.
    let split = events.iter().position(|item| item.event.request == bad.id()).expect("is there") + 9;
    let mut outcomes = writer.write(&events[..split]).expect("writes");
    outcomes.extend(writer.write(&events[split..]).expect("writes"));
    let aside: Vec<usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| **outcome != ItemOutcome::Written)
        .map(|(n, _)| n)
        .collect();
    assert_eq!(aside.len(), 1);
    assert!(matches!(events[aside[0]].event.kind, EventKind::Completed { .. }));
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE status = 'success'"), 3);
    assert_eq!(one::<i64>(&place, "SELECT sum(input_tokens) FROM sessions"), 24);
    let payload: String = one(&place, "SELECT payload FROM quarantine");
    assert!(payload.contains("18446744073709551615"), "the figure is kept: {payload}");
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    assert_eq!(query.response_body(bad.id()).expect("is kept"), bad.answer_bytes());
}

#[test]
fn strange_text_and_bytes_come_back_as_they_were() {
    let place = Place::new();
    let mut story = Story::new(1, "s");
    story.text = STRANGE.to_owned();
    story.external_id = Some(STRANGE.to_owned());
    story.client = STRANGE.to_owned();
    story.model = STRANGE.to_owned();
    story.provider = STRANGE.to_owned();
    story.tools = vec![(STRANGE.to_owned(), STRANGE.to_owned(), STRANGE.to_owned())];
    story.mishap = Some((FailureKind::Internal, STRANGE.to_owned()));
    story.body = vec![0, 0xff, 0xfe, b'{', 0, 0xc3, 0x28, 0xf0, 0x9f];
    story.answer = vec![vec![0xff; 3], STRANGE.as_bytes().to_vec(), vec![0]];
    place.write(&told(std::slice::from_ref(&story)));
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    let session = query.session_detail(STRANGE).expect("is found by the client's own id");
    let request = query.request(story.id()).expect("is there");
    let tool = &request.tool_call_list[0];
    let record = &request.request;
    for (what, found) in [
        ("external id", session.session.external_id.as_deref()),
        ("client", session.session.client.as_deref()),
        ("user agent", session.session.user_agent.as_deref()),
        ("session error", session.session.error.as_deref()),
        ("session provider", session.session.provider.as_deref()),
        ("model", record.model_requested.as_deref()),
        ("preview", record.preview.as_deref()),
        ("error", record.error.as_deref()),
        ("attempt model", record.attempt_list[0].model.as_deref()),
        ("attempt error", record.attempt_list[0].error.as_deref()),
        ("text preview", request.text_preview.as_deref()),
        ("header", Some(request.request_headers[0].1.as_str())),
        ("response header", Some(request.response_headers[0].1.as_str())),
        ("tool id", Some(tool.id.as_str())),
        ("tool name", tool.name.as_deref()),
        ("error message", Some(request.errors[0].message.as_str())),
    ] {
        assert_eq!(found, Some(STRANGE), "{what}");
    }
    assert_eq!(query.request_body(story.id()).expect("is kept"), story.body);
    assert_eq!(query.response_body(story.id()).expect("is kept"), story.answer_bytes());
}

#[test]
fn of_an_answer_beyond_the_limit_the_start_is_kept_and_it_says_so() {
    let place = Place::new();
    let story = Story { answer: vec![vec![7; 600], vec![8; 600]], ..Story::new(1, "s") };
    let config = SqliteConfig { response_limit: 1_000, ..SqliteConfig::new(place.path()) };
    write(&mut SqliteWriter::open(config).expect("opens"), &told(std::slice::from_ref(&story)));
    let found: String = one(&place, "SELECT gap_cause || response_bytes || (answer IS NULL) FROM requests");
    assert_eq!(found, "body_limit12001", "a short start is with the small content");
    let hash: String = one(&place, "SELECT lower(hex(response_blake3)) FROM requests");
    assert_eq!(hash, blake3::hash(&story.answer_bytes()).to_hex().to_string());
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    assert_eq!(query.response_body(story.id()).expect("its start"), story.answer_bytes()[..1_000]);
    let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
    assert!(report.is_sound(), "{report:#?}");
}

#[test]
fn what_is_kept_of_answers_that_are_too_long_is_bounded_for_all_together() {
    const MIB: usize = 1 << 20;
    let place = Place::new();
    // The first two go beyond their own limit; the third finds no room beside what is held of them.
    let answer = |number: u64| vec![vec![number as u8; MIB / 2]; 5];
    let stories: Vec<Story> =
        (1..4).map(|number| Story { answer: answer(number), ..Story::new(number, "s") }).collect();
    let config =
        SqliteConfig { response_limit: 2 * MIB, open_limit: 3 * MIB, ..SqliteConfig::new(place.path()) };
    let mut writer = SqliteWriter::open(config).expect("opens");
    write(&mut writer, &told(&stories));
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    for story in &stories {
        let (kept, whole) = (query.response_body(story.id()).expect("its start"), story.answer_bytes());
        assert_eq!(kept, whole[..MIB]);
        let sql = format!("SELECT lower(hex(response_blake3)) FROM requests WHERE id = '{}'", story.id());
        assert_eq!(one::<String>(&place, &sql), blake3::hash(&whole).to_hex().to_string());
    }
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM requests WHERE gap_cause = 'body_limit'"), 3);
}

#[test]
fn ten_thousand_requests_of_one_session_cost_the_same_first_and_last() {
    const CHUNK: u64 = 2_500;
    let place = Place::new();
    let mut writer = place.writer();
    let mut times = Vec::new();
    let mut offset = 0;
    for chunk in 0..4 {
        let mut events = told(&(0..CHUNK).map(|n| Story::new(chunk * CHUNK + n, "s")).collect::<Vec<_>>());
        for item in &mut events {
            item.position.offset += offset;
            item.next.offset += offset;
        }
        offset = events.last().expect("events").next.offset;
        let start = Instant::now();
        for batch in events.chunks(256) {
            write(&mut writer, batch);
        }
        times.push(start.elapsed());
    }
    println!("10,000 requests of one session, per 2,500: {times:?}");
    assert_eq!(one::<i64>(&place, "SELECT request_count FROM sessions"), 10_000);
    assert!(times[3] < times[0] * 4 + Duration::from_secs(1), "the cost grows with the history: {times:?}");
}

/// A hundred turns of an agent whose history grows to 150 KB.
fn agent_session(names_repeats: bool) -> Vec<Story> {
    let mut history = vec![(Role::System, format!("{{\"system\":\"{}\"}}", "rules ".repeat(2_000)))];
    let mut stories = Vec::<Story>::new();
    for turn in 0..100_u64 {
        // Said once, and as regular as text is.
        let said = |seed: u64, words: u64| -> String {
            (0..words)
                .map(|n| blake3::hash(&(seed * 1_000 + turn * 100 + n).to_le_bytes()).as_bytes()[0] % 64)
                .map(|word| format!("word{word} "))
                .collect()
        };
        history.push((Role::User, format!("{{\"role\":\"user\",\"content\":\"{}\"}}", said(1, 90))));
        history
            .push((Role::Assistant, format!("{{\"role\":\"assistant\",\"content\":\"{}\"}}", said(2, 90))));
        let mut story = Story::new(turn, "s").with_messages(&history);
        if let Some(earlier) = stories.last().filter(|_| names_repeats) {
            story = story.repeating(earlier);
        }
        stories.push(story);
    }
    stories
}

#[test]
fn an_agent_session_grows_with_what_is_said() {
    for names_repeats in [true, false] {
        let place = Place::new();
        let mut writer = place.usual_writer();
        let stories = agent_session(names_repeats);
        for batch in told(&stories).chunks(256) {
            write(&mut writer, batch);
        }
        writer.shutdown(Instant::now() + Duration::from_secs(60));
        let raw: usize = stories.iter().map(|story| story.body.len()).sum();
        let stored: i64 = one(&place, "SELECT sum(length(data)) FROM blobs");
        let pages: i64 =
            one(&place, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()");
        let pages = usize::try_from(pages).expect("positive");
        println!(
            "100 turns, repeats named: {names_repeats}: {raw} bytes of bodies, {stored} bytes in blobs, {pages} bytes of \
             database: 1/{}",
            raw / pages
        );
        assert!(pages * 20 < raw, "{pages} of {raw}");
        let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
        for story in stories.iter().rev().step_by(9) {
            assert_eq!(query.request_body(story.id()).expect("is kept"), story.body);
            let messages = query.request(story.id()).expect("is there").messages;
            assert_eq!(messages.len(), story.messages.len());
            let last = &story.body[story.messages[messages.len() - 1].1.clone()];
            assert_eq!(messages[messages.len() - 1].blake3, blake3::hash(last).to_hex().as_str());
        }
        let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn a_coded_body_comes_back_coded_and_its_messages_are_kept_too() {
    use std::io::Write;
    let [_, plain] = agent();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain.body).expect("writes");
    let coded = [
        ("gzip", gzip.finish().expect("ends"), 3),
        ("zstd", zstd::encode_all(&plain.body[..], 3).expect("encodes"), 3),
        ("br", vec![1, 2, 3, 4], 0),
        ("gzip", vec![9; 50], 0),
    ];
    let stories: Vec<Story> = (1..)
        .zip(coded.clone())
        .map(|(number, (encoding, body, _))| Story {
            number,
            session: format!("s{number}"),
            body,
            encoding: Some(encoding.to_owned()),
            ..plain.clone()
        })
        .collect();
    let place = Place::new();
    place.write(&told(&stories));
    let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
    for (number, (encoding, body, messages)) in (1..).zip(coded) {
        assert_eq!(query.request_body(request_id(number)).expect("is kept"), body, "{encoding}");
        let detail = query.request(request_id(number)).expect("is there");
        assert_eq!(detail.messages.len(), messages, "{encoding}");
    }
    assert_eq!(one::<i64>(&place, "SELECT count(*) FROM tool_calls WHERE result_blake3 IS NOT NULL"), 4);
}

#[test]
fn a_long_stream_costs_no_transaction_until_something_ends() {
    let place = Place::new();
    let events = told(&[Story::new(1, "s")]);
    let mut writer = place.writer();
    write(&mut writer, &events[..5]);
    let changes = || one::<i64>(&place, "SELECT read_offset FROM projector_state");
    let before = changes();
    let mut delta = events[5].clone();
    assert!(
        matches!(&delta.event.kind, EventKind::StreamDelta { parts, .. } if matches!(parts[0], Delta::Text { .. }))
    );
    for _ in 0..3 {
        write(&mut writer, std::slice::from_ref(&delta));
        delta.position = delta.next;
        delta.next = Position { offset: delta.next.offset + 100, ..delta.next };
        Arc::make_mut(&mut delta.event).seq += 1;
    }
    assert_eq!(changes(), before);
    writer.flush().expect("flushes");
    assert!(changes() > before, "a flush tells how far reading came");
    assert_eq!(writer.checkpoint().expect("is known"), events[0].position);
    assert_eq!(one::<i64>(&place, "SELECT started_at FROM requests") * 1_000, START + 1_000_000);
}

/// Identical bytes may be a body, a group of messages and a tool's result at once, each cut in its own way.
#[test]
fn content_that_is_known_in_another_form_never_stops_the_writer() {
    let messages: Vec<(Role, String)> =
        (0..20).map(|number| (Role::User, format!("{{\"u\":{number}}}"))).collect();
    let cut = Story::new(2, "s2").with_messages(&messages);
    let mut whole = Story { number: 1, session: "s1".to_owned(), ..cut.clone() };
    whole.messages.clear();
    // The sixteen messages that make a group, as the one message of another request.
    let group = messages[..16].iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(",");
    let mut lump =
        Story::new(3, "s3").with_messages(&[(Role::User, group.clone()), (Role::User, "{}".to_owned())]);
    lump.results = vec![("call-x".to_owned(), None, lump.messages[0].1.clone())];
    for order in [[&whole, &cut, &lump], [&lump, &whole, &cut], [&cut, &lump, &whole], [&lump, &cut, &whole]]
    {
        let place = Place::new();
        for story in order {
            place.write(&told(std::slice::from_ref(story)));
        }
        let query = SqliteQuery::open_read_only(&place.path()).expect("opens");
        assert_eq!(query.request(cut.id()).expect("is there").messages.len(), 20);
        for story in order {
            assert_eq!(query.request_body(story.id()).expect("kept"), story.body, "request {}", story.number);
        }
        let report = verify(&VerifyInput { database: Some(place.path()), ..VerifyInput::default() });
        assert!(report.is_sound(), "{report:?}");
    }
}
