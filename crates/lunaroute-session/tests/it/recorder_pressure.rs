//! Queues that are full and writers that are slow.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunaroute_core::{AttemptOutcome, AttemptReason, Ending};
use lunaroute_session::event::{EventKind, GapCause};
use lunaroute_session::{JournalState, NotRecorded, ProviderForm, RecorderConfig, WriterState};

use crate::disks::{Faults, FaultyDisk};
use crate::rig::{
    Desk, FakeWriter, PATIENCE, answer_bytes, builder, by_request, config, exchange, head, journal, start,
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_holds_the_stream_back_and_then_names_the_loss() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let mut config = config(directory.path());
    config.queue_bytes = 64 * 1024;
    config.frame_wait = Duration::from_millis(100);
    let recorder = builder(config).disk(disk).start().expect("starts");
    let mut recording = recorder.begin(start(b"x"));
    recording.written().await.expect("written");
    recording.durable().await.expect("durable");
    recording.response_started(&head(200));
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.hang_writes(true);
    let (mut sent, mut waits) = (Vec::new(), Vec::new());
    for number in 0..64_u8 {
        let frame = vec![number; 4 * 1024];
        let asked = Instant::now();
        std::future::poll_fn(|context| recording.poll_room(context)).await;
        waits.push(asked.elapsed());
        sent.extend_from_slice(&frame);
        recording.frames(Bytes::from(frame), 3);
    }
    let held_back = waits.iter().filter(|wait| **wait >= Duration::from_millis(90)).count();
    assert_eq!(held_back, 1, "the stream is held back once, then not any more: {waits:?}");
    assert!(recorder.figures().waiting_bytes <= 64 * 1024 + 8 * 1024, "{:?}", recorder.figures());
    let mut second = recorder.begin(start(&[b'y'; 1_000]));
    assert!(matches!(second.written().await, Err(NotRecorded::QueueFull)));
    faults.hang_writes(false);
    recording.close(Ending::Completed, None);
    second.close(Ending::GatewayError, None);
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert_eq!((figures.waiting_notes, figures.waiting_bytes), (0, 0));
    assert_eq!(figures.received, figures.written + figures.gaps, "{figures:?}");
    recorder.shutdown(PATIENCE).await;

    let requests = by_request(&journal(directory.path()));
    let events = &requests[&recording.request()];
    let kept = answer_bytes(events);
    let gap = events.iter().find_map(|event| match event.kind {
        EventKind::Gap { lost_frames, lost_bytes, cause } => {
            Some((lost_frames, lost_bytes, cause, event.body.clone()))
        }
        _ => None,
    });
    let (lost_frames, lost_bytes, cause, hash) = gap.expect("a gap");
    assert_eq!((cause, lost_frames), (GapCause::QueueFull, figures.gaps));
    assert_eq!(lost_frames % 3, 0, "each frame of a burst counts");
    assert_eq!(kept.len() as u64 + lost_bytes, sent.len() as u64, "every byte is accounted for");
    assert_eq!(kept, sent[..kept.len()]);
    assert_eq!(&hash.whole()[..], blake3::hash(&sent[kept.len()..]).as_bytes());
    println!(
        "queue full: kept {} bytes, lost {lost_bytes} bytes in {lost_frames} frames, all named",
        kept.len()
    );
    let stripped = &requests[&second.request()];
    assert!(stripped[0].body.is_empty());
    assert!(matches!(stripped[1].kind, EventKind::Gap { lost_bytes: 1_000, cause: GapCause::QueueFull, .. }));
}

/// What the tests of translated requests tell: a request body as a provider of another dialect gets it.
fn form(body: Vec<u8>) -> ProviderForm {
    let exchange = start(b"").exchange;
    ProviderForm { exchange, path: "/v1/messages".to_owned(), body: body.into(), warnings: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_s_form_is_within_the_budget_and_its_loss_is_named() {
    const BUDGET: usize = 64 * 1024;
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let mut config = config(directory.path());
    (config.queue_bytes, config.frame_wait) = (BUDGET, Duration::from_millis(50));
    let recorder = builder(config).disk(disk).start().expect("starts");
    let mut recording = recorder.begin(start(b"x"));
    recording.written().await.expect("written");
    recording.attempt_started("other", None, AttemptReason::Primary);
    recording.provider_request(form(b"kept".to_vec()));
    recording.provider_response(&head(200));
    recording.response_started(&head(200));
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.hang_writes(true);
    std::future::poll_fn(|context| recording.poll_room(context)).await;
    for _ in 0..64 {
        // One grant, many frames of the provider: each must find room by itself.
        recording.provider_frames(&Bytes::from(vec![b'p'; 8 * 1024]), 1);
    }
    recording.frame(Bytes::from_static(b"T:lost\n"));
    let outcome = AttemptOutcome {
        status: Some(529),
        latency_us: 1,
        failure: None,
        message: None,
        retry_after_ms: None,
    };
    for _ in 0..4 {
        recording.attempt_finished(outcome.clone(), Bytes::from(vec![b'd'; 64 * 1024]));
        recording.attempt_started("other", None, AttemptReason::Fallback);
        recording.provider_request(form(vec![b'f'; 512 * 1024]));
    }
    let waiting = recorder.figures().waiting_bytes;
    faults.hang_writes(false);
    recording.close(Ending::Completed, None);
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    recorder.shutdown(PATIENCE).await;

    assert!(waiting <= BUDGET as u64 + 64 * 1024, "{waiting} bytes wait");
    assert_eq!(figures.received, figures.written + figures.gaps, "{figures:?}");
    assert!(figures.received > 64, "every frame counts: {figures:?}");
    let requests = by_request(&journal(directory.path()));
    let events = &requests[&recording.request()];
    let provider: usize = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::ProviderDelta { .. }))
        .map(|event| event.body.len())
        .sum();
    assert!(
        provider > 0 && provider <= BUDGET + 8 * 1024,
        "{provider} bytes of the provider's answer are kept"
    );
    let gaps: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Gap { lost_frames, lost_bytes, cause: GapCause::QueueFull } => {
                Some((lost_frames, lost_bytes))
            }
            _ => None,
        })
        .collect();
    let lost = |bytes| gaps.iter().filter(|gap| **gap == (0, bytes)).count();
    assert_eq!((lost(64 * 1024), lost(512 * 1024)), (4, 4), "{gaps:?}");
    assert!(gaps.contains(&(1, 7)), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_names_what_the_trouble_was_when_it_began() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let mut config = config(directory.path());
    (config.queue_bytes, config.frame_wait) = (16 * 1024, Duration::from_millis(50));
    let recorder = builder(config).disk(disk).start().expect("starts");
    let mut recording = recorder.begin(start(b"x"));
    recording.written().await.expect("written");
    recording.response_started(&head(200));
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.broken.store(true, Ordering::SeqCst);
    recording.frame(Bytes::from_static(b"T:kept\n"));
    until(&recorder, |figures| matches!(figures.journal, JournalState::Down { .. })).await;
    for _ in 0..32 {
        std::future::poll_fn(|context| recording.poll_room(context)).await;
        recording.frame(Bytes::from(vec![b'x'; 1_024]));
    }
    faults.broken.store(false, Ordering::SeqCst);
    until(&recorder, |figures| figures.journal == JournalState::Healthy).await;
    recording.close(Ending::Completed, None);
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    let causes: Vec<GapCause> = requests[&recording.request()]
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Gap { cause, .. } => Some(cause),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [GapCause::JournalFailed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_failing_writers_stop_nobody_and_lose_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let [healthy, blocked, failing, picky] = [Desk::new(), Desk::new(), Desk::new(), Desk::new()];
    blocked.block(true);
    failing.failures.store(3, Ordering::SeqCst);
    picky.poison.store(1, Ordering::SeqCst);
    let mut builder = builder(config(directory.path()));
    for (name, desk) in
        [("healthy", &healthy), ("blocked", &blocked), ("failing", &failing), ("picky", &picky)]
    {
        builder = builder.writer(Box::new(FakeWriter { name, desk: Arc::clone(desk) }));
    }
    let recorder = builder.start().expect("starts");
    let mut costs = Vec::new();
    for _ in 0..100 {
        let mut recording = recorder.begin(start(b"body"));
        recording.written().await.expect("written although a writer hangs");
        recording.response_started(&head(200));
        for _ in 0..50 {
            let frame = Bytes::from_static(b"T:some words of an answer\n");
            let started = Instant::now();
            recording.frame(frame);
            costs.push(started.elapsed());
        }
        recording.frame(Bytes::from_static(b"END\n"));
        recording.close(Ending::Completed, None);
    }
    costs.sort_unstable();
    let (half, most) = (costs[costs.len() / 2], costs[costs.len() * 99 / 100]);
    println!("frame(): p50 {half:?}, p99 {most:?} over {} frames (debug build)", costs.len());
    assert!(half < Duration::from_millis(1), "the client's path waits");

    let late = recorder.flush(Duration::from_secs(3)).await.expect_err("one writer hangs");
    assert_eq!(late.behind, ["blocked"]);
    assert_eq!(by_request(&healthy.events()).len(), 100);
    assert_eq!(by_request(&failing.events()).len(), 100, "after three refusals");
    blocked.block(false);
    recorder.flush(PATIENCE).await.expect("flushed");
    assert_eq!(blocked.events(), healthy.events());
    assert_eq!(failing.events(), healthy.events());
    let writers = recorder.figures().writers;
    assert!(writers.iter().all(|writer| writer.state == WriterState::Healthy && writer.behind_bytes == 0));
    assert_eq!((writers[2].failed, writers[2].retried), (3, 3));
    assert_eq!(writers[3].quarantined, 100);
    assert_eq!(writers[3].written + 100, writers[0].written);
    recorder.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_misses_waits_for_it_across_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    desk.failures.store(u64::MAX, Ordering::SeqCst);
    desk.permanent.store(true, Ordering::SeqCst);
    for round in 0..2 {
        let writer = Box::new(FakeWriter { name: "dead", desk: Arc::clone(&desk) });
        let recorder = builder(config(directory.path())).writer(writer).start().expect("starts");
        for _ in 0..10 {
            exchange(&recorder, b"body", &[b"END\n"]).await;
        }
        if round == 0 {
            until(&recorder, |figures| matches!(figures.writers[0].state, WriterState::Down { .. })).await;
            assert!(recorder.figures().writers[0].behind_bytes > 0);
            recorder.shutdown(Duration::from_secs(1)).await;
            assert!(desk.events().is_empty());
            desk.failures.store(0, Ordering::SeqCst);
        } else {
            recorder.shutdown(PATIENCE).await;
        }
    }
    assert_eq!(by_request(&desk.events()).len(), 20, "lost or doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_lost_its_place_is_fed_from_its_checkpoint_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    let writer = Box::new(FakeWriter { name: "one", desk: Arc::clone(&desk) });
    let recorder = builder(config(directory.path())).writer(writer).start().expect("starts");
    for round in 0..4 {
        for _ in 0..10 {
            exchange(&recorder, b"body", &[b"T:word\n", b"END\n"]).await;
        }
        recorder.flush(PATIENCE).await.expect("flushed");
        assert_eq!(by_request(&desk.events()).len(), 10 * (round + 1), "lost or doubled");
        // It keeps less and less of what it had, in the middle of a request too.
        desk.keeps.store([25, 3, 0, 0][round], Ordering::SeqCst);
        desk.rewinds.store(2, Ordering::SeqCst);
    }
    recorder.shutdown(PATIENCE).await;
    assert_eq!(desk.events(), journal(directory.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_keeps_up_never_reads_the_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    let writer = Box::new(FakeWriter { name: "one", desk: Arc::clone(&desk) });
    let config = RecorderConfig { segment_bytes: 64 << 20, ..config(directory.path()) };
    let recorder = builder(config).writer(writer).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    // The pen goes on in the file that it holds open; nobody else finds it.
    let journal = directory.path().join("journal");
    let hidden = directory.path().join("hidden");
    std::fs::rename(&journal, &hidden).expect("the journal is moved away");
    for _ in 0..50 {
        exchange(&recorder, b"body", &[b"T:word\n", b"END\n"]).await;
        recorder.flush(PATIENCE).await.expect("flushed without the journal");
    }
    std::fs::rename(&hidden, &journal).expect("the journal is back");
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&desk.events()).len(), 50);
    let figures = recorder.figures();
    assert_eq!((figures.writers[0].failed, figures.writers[0].waiting), (0, 0), "{figures:?}");
}
