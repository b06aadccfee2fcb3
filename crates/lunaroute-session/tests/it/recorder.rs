//! What a record holds, and that it has one end whatever happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use lunaroute_core::{AttemptOutcome, AttemptReason, Ending, Failure, FailureKind, Operation, Retry};
use lunaroute_session::event::{EventKind, GapCause, SessionEvent};
use lunaroute_session::filter::{Filter, FilterError};
use lunaroute_session::{NotRecorded, RecorderConfig, SyncPolicy};

use crate::rig::{
    Desk, FakeWriter, Outcomes, PATIENCE, answer_bytes, builder, by_request, config, ending, exchange, head,
    journal, start,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_from_its_first_byte_to_its_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let outcomes = Arc::new(Outcomes::default());
    let recorder = builder(config(directory.path())).observer(outcomes.clone()).start().expect("starts");
    let mut recording = recorder.begin(start(b"hello"));
    recording.written().await.expect("written");
    recording.attempt_started("first", None, AttemptReason::Primary);
    let outcome = AttemptOutcome {
        status: Some(503),
        latency_us: 5,
        failure: Some(FailureKind::Overloaded),
        message: None,
        retry_after_ms: Some(1_000),
    };
    recording.attempt_finished(outcome, Bytes::from_static(b"busy"));
    recording.attempt_started("second", Some("model-9"), AttemptReason::Fallback);
    recording.response_started(&head(200));
    recording.durable().await.expect("durable");
    for frame in ["T:Hel\n", "T:lo\nTO", "OL:call-a:read:{\"x\":1}\n", "USE:7\n", "END\n"] {
        recording.frame(Bytes::from_static(frame.as_bytes()));
    }
    recording.close(Ending::Completed, None);
    recording.close(Ending::Cancelled, None);
    let id = recording.request();
    drop(recording);
    let report = recorder.shutdown(PATIENCE).await;
    assert_eq!(report.lost, 0);

    let requests = by_request(&journal(directory.path()));
    let events = &requests[&id];
    assert_eq!(events[0].session.as_str(), "run-1", "the client's own id");
    assert_eq!(events[0].body, "hello");
    assert!(!format!("{events:?}").contains("canary-key"), "no credential is recorded");
    assert_eq!(answer_bytes(events), b"T:Hel\nT:lo\nTOOL:call-a:read:{\"x\":1}\nUSE:7\nEND\n");
    let names: Vec<String> = events.iter().map(name).collect();
    let expected = [
        "started",
        "request",
        "attempt_started",
        "attempt_finished",
        "attempt_started",
        "response_started",
        "stream_delta",
        "tool_call",
        "response",
        "stats",
        "completed",
    ];
    assert_eq!(names, expected);
    assert_eq!(events[3].body, "busy");
    let EventKind::Response(response) = &events[8].kind else { panic!("no response") };
    assert_eq!((response.usage.output, response.tool_calls, response.ended), (Some(7), 1, true));
    assert_eq!(response.text_preview.as_deref(), Some("Hello"));
    let EventKind::Stats(stats) = &events[9].kind else { panic!("no stats") };
    assert_eq!(stats.response_blake3, blake3::hash(&answer_bytes(events)).to_hex().to_string());
    assert!(stats.frames == 5 && stats.ttft_us.is_some() && stats.gap_p99_us.is_some());
    assert!(stats.total_us >= stats.ttft_us.unwrap_or(u64::MAX) && stats.overhead_pre_us >= 15);
    let told = outcomes.0.lock().expect("unpoisoned");
    assert_eq!(told.len(), 1, "the observer is told once");
    assert_eq!((told[0].provider.as_deref(), told[0].attempts), (Some("second"), 2));
    assert_eq!((told[0].usage.output, told[0].streamed), (Some(7), true));
}

fn name(event: &SessionEvent) -> String {
    let kind = serde_json::to_value(&event.kind).expect("serialises");
    kind["kind"].as_str().expect("tagged").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_out_has_exactly_one_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = builder(config(directory.path())).start().expect("starts");
    let mut expected = Vec::new();

    let dropped = recorder.begin(start(b"dropped"));
    expected.push((dropped.request(), Ending::Cancelled, None));
    drop(dropped);

    let panicking = recorder.begin(start(b"panicking"));
    expected.push((panicking.request(), Ending::GatewayError, Some(FailureKind::Internal)));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let _recording = panicking;
        panic!("the walk fails");
    });
    assert!(tasks.join_next().await.is_some_and(|result| result.is_err()));

    let mut cut = recorder.begin(start(b"cut"));
    cut.response_started(&head(200));
    cut.frame(Bytes::from_static(b"T:half\n"));
    cut.close(Ending::Completed, None);
    expected.push((cut.request(), Ending::UpstreamError, Some(FailureKind::Protocol)));

    let mut failed = recorder.begin(start(b"failed inside"));
    failed.response_started(&head(200));
    failed.frame(Bytes::from_static(b"T:half\nERR:overloaded_error\nEND\n"));
    failed.close(Ending::Completed, None);
    expected.push((failed.request(), Ending::UpstreamError, Some(FailureKind::Overloaded)));

    let mut refused = recorder.begin(start(b"429"));
    refused.response_started(&head(429));
    refused.frame(Bytes::from_static(b"slow down"));
    refused.close(Ending::Completed, None);
    expected.push((refused.request(), Ending::Completed, Some(FailureKind::RateLimited)));

    let mut late = recorder.begin(start(b"late"));
    let failure = Failure::upstream(FailureKind::Timeout, Retry::Elsewhere, "too late");
    late.close(Ending::UpstreamError, Some(&failure));
    expected.push((late.request(), Ending::UpstreamError, Some(FailureKind::Timeout)));

    let mut other = start(b"any path");
    other.exchange.operation = Operation::Other;
    let mut other = recorder.begin(other);
    other.response_started(&head(200));
    other.frame(Bytes::from_static(b"\xff\xfe no model's words"));
    other.close(Ending::Completed, None);
    expected.push((other.request(), Ending::Completed, None));

    let left_open = recorder.begin(start(b"open"));
    expected.push((left_open.request(), Ending::Interrupted, None));
    recorder.shutdown(PATIENCE).await;
    drop(left_open);

    let requests = by_request(&journal(directory.path()));
    assert_eq!(requests.len(), expected.len());
    for (id, wanted, error) in expected {
        let events = &requests[&id];
        assert_eq!(ending(events), wanted, "{events:?}");
        let errors: Vec<FailureKind> = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Error { error, .. } => Some(*error),
                _ => None,
            })
            .collect();
        assert_eq!(errors.first().copied(), error, "an error event goes with every failure");
    }
    let after = recorder.begin(start(b"after the end"));
    assert_eq!(after.written().await, Err(NotRecorded::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn order_has_no_holes_under_many_tasks_and_figures_add_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let desks = [Desk::new(), Desk::new()];
    let recorder = builder(config(directory.path()))
        .writer(Box::new(FakeWriter { name: "one", desk: Arc::clone(&desks[0]) }))
        .writer(Box::new(FakeWriter { name: "two", desk: Arc::clone(&desks[1]) }))
        .start()
        .expect("starts");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let recorder = recorder.clone();
        tasks.spawn(async move {
            let frames: Vec<String> = (0..20).map(|word| format!("T:{number}-{word} \n")).collect();
            let mut frames: Vec<&[u8]> = frames.iter().map(|frame| frame.as_bytes()).collect();
            frames.push(b"END\n");
            exchange(&recorder, b"body", &frames).await
        });
    }
    let ids = tasks.join_all().await;
    for _ in 0..3 {
        recorder.flush(PATIENCE).await.expect("a flush may be repeated");
        assert_eq!(by_request(&desks[0].events()).len(), 200, "a flush is a barrier for every writer");
        assert_eq!(by_request(&desks[1].events()).len(), 200);
    }
    let figures = recorder.figures();
    assert_eq!(
        (figures.waiting_notes, figures.waiting_bytes, figures.gaps, figures.open_requests),
        (0, 0, 0, 0)
    );
    // Begin, attempt, head, 21 frames and end of each.
    assert_eq!((figures.received, figures.written), (200 * 25, 200 * 25));
    assert!(figures.writers.iter().all(|writer| writer.behind_bytes == 0));
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    for id in ids {
        let text = String::from_utf8(answer_bytes(&requests[&id])).expect("text");
        let words: Vec<usize> = text
            .lines()
            .filter_map(|line| line.rsplit_once('-').and_then(|(_, word)| word.trim().parse().ok()))
            .collect();
        assert_eq!(words, (0..20).collect::<Vec<usize>>());
    }
    assert_eq!(desks[0].events(), desks[1].events());
}

/// Fails for events that hold a word.
struct Censor;

impl Filter for Censor {
    fn filter(&self, event: SessionEvent) -> Result<SessionEvent, FilterError> {
        let text = format!("{:?}{:?}", event.kind, event.body);
        assert!(!text.contains("panic-word"), "asked to");
        if text.contains("secret-word") {
            return Err(FilterError { reason: "cannot be made safe".to_owned() });
        }
        Ok(event)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_fails_fails_closed_and_parts_that_panic_stop_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    // Telling of a panic takes its time.
    let config = RecorderConfig { begin_wait: PATIENCE, ..config(directory.path()) };
    let recorder = builder(config).filter(Box::new(Censor)).start().expect("starts");
    let secret =
        exchange(&recorder, b"secret-word", &[b"T:secret-word\n", b"T:panic-word\n", b"END\n"]).await;
    let panicking = exchange(&recorder, b"PANIC", &[b"T:a\n", b"PANIC\n", b"T:b\n"]).await;
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert!(figures.contained_panics >= 3, "{figures:?}");
    assert!(figures.filtered_out >= 2, "{figures:?}");
    recorder.shutdown(PATIENCE).await;
    // Entries may be compressed, so the words are looked for in what was put into them.
    let kept = format!("{:?}", journal(directory.path()));
    for word in ["secret-word", "panic-word"] {
        assert!(!kept.contains(word), "unfiltered words reached the disk");
    }
    assert!(kept.contains("rig/1"), "the words of other fields are found");
    let requests = by_request(&journal(directory.path()));
    let gaps = requests[&secret]
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Gap { cause: GapCause::FilterFailed, .. }))
        .count();
    assert!(gaps >= 1, "the loss is told");
    assert_eq!(answer_bytes(&requests[&panicking]), b"T:a\nPANIC\nT:b\n", "the raw bytes stay");
    assert_eq!(ending(&requests[&panicking]), Ending::Completed, "an unreadable answer is not judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_again_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let recorder = builder(config(directory.path())).start().expect("starts");
        for _ in 0..2 {
            let mut unnamed = start(b"who am I");
            unnamed.hint.external_id = None;
            unnamed.hint.source = String::new();
            let mut recording = recorder.begin(unnamed);
            recording.close(Ending::Completed, None);
        }
        recorder.shutdown(PATIENCE).await;
    }
    for events in by_request(&journal(directory.path())).values() {
        let EventKind::Started(started) = &events[0].kind else { panic!("no start") };
        assert_eq!(started.session_source, "fingerprint");
        sessions.push(events[0].session.clone());
    }
    assert_eq!(sessions.len(), 4);
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "one run of work is one session");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_makes_nobody_wait_and_old_segments_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    let mut config = config(directory.path());
    config.sync = SyncPolicy::Interval(std::time::Duration::from_millis(20));
    config.segment_bytes = 64 * 1024;
    let recorder = builder(config)
        .writer(Box::new(FakeWriter { name: "one", desk: Arc::clone(&desk) }))
        .start()
        .expect("starts");
    for number in 0..40_u8 {
        // Nothing of a body may repeat the one before, or the journal stays short.
        let mut body = vec![0; 8 * 1024];
        blake3::Hasher::new().update(&[number]).finalize_xof().fill(&mut body);
        exchange(&recorder, &body, &[b"END\n"]).await;
    }
    recorder.flush(PATIENCE).await.expect("flushed");
    let first = || std::fs::read_dir(directory.path().join("journal")).expect("a journal").count();
    let before = first();
    crate::rig::until(&recorder, |_| first() <= 4).await;
    assert!(before > 4, "{before} files before");
    assert_eq!(by_request(&desk.events()).len(), 40);
    assert_eq!(desk.failures.load(Ordering::SeqCst), 0);
    recorder.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_recorder_lets_go_of_what_every_writer_has() {
    let directory = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    let mut config = config(directory.path());
    config.rest_after = std::time::Duration::from_millis(50);
    config.segment_bytes = 32 << 20;
    let writer = || Box::new(FakeWriter { name: "one", desk: Arc::clone(&desk) });
    let recorder = builder(config.clone()).writer(writer()).start().expect("starts");
    let mut body = vec![0; 100 * 1024];
    let mut record = async |recorder: &lunaroute_session::Recorder, number: u8| {
        blake3::Hasher::new().update(&[number]).finalize_xof().fill(&mut body);
        exchange(recorder, &body, &[b"END\n"]).await;
        recorder.flush(PATIENCE).await.expect("flushed");
    };
    for number in 0..4 {
        record(&recorder, number).await;
    }
    let full = recorder.figures().journal_bytes;
    crate::rig::until(&recorder, |figures| figures.journal_bytes < 4 * 1024).await;
    record(&recorder, 4).await;
    // What an earlier run has written goes too, though nothing new comes.
    recorder.shutdown(PATIENCE).await;
    let recorder = builder(config).writer(writer()).start().expect("starts");
    crate::rig::until(&recorder, |figures| figures.journal_bytes < 4 * 1024).await;
    let rested = recorder.figures();
    record(&recorder, 5).await;
    recorder.shutdown(PATIENCE).await;
    assert!(full > 400 * 1024, "{full} bytes before");
    assert_eq!(rested.writers[0].behind_bytes, 0);
    assert_eq!((by_request(&desk.events()).len(), desk.failures.load(Ordering::SeqCst)), (6, 0));
    println!("{full} bytes of journal, {} after a rest", rested.journal_bytes);
}
