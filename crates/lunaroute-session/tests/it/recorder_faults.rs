//! Disks that hang, fail and fill up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunaroute_core::Ending;
use lunaroute_session::codec;
use lunaroute_session::event::{EventKind, GapCause, SessionEvent};
use lunaroute_session::filter::{Filter, FilterError};
use lunaroute_session::{JournalState, NotRecorded, RecorderConfig, Recording, SyncPolicy, WriterState};
use lunaroute_storage::journal::{Journal, JournalConfig, Record, read_all};

use crate::disks::{Faults, FaultyDisk};
use crate::rig::{
    Desk, FakeWriter, PATIENCE, answer_bytes, builder, by_request, config, exchange, head, journal, start,
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn durable_means_after_the_sync_and_a_hanging_disk_delays_no_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    // A machine that is busy otherwise is no disk that hangs.
    let config = RecorderConfig { begin_wait: PATIENCE, ..config(directory.path()) };
    let recorder = builder(config).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    faults.hang_syncs(true);
    let before = faults.synced.load(Ordering::SeqCst);
    let mut recording = recorder.begin(start(b"x"));
    recording.written().await.expect("written without the sync");
    recording.response_started(&head(200));
    let mut durable = Box::pin(recording.durable());
    let early = tokio::time::timeout(Duration::from_millis(100), &mut durable).await;
    assert!(early.is_err(), "durable before any sync: {early:?}");
    let started = Instant::now();
    for _ in 0..1_000 {
        recording.frame(Bytes::from_static(b"T:x\n"));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "a frame waited for the disk");
    faults.hang_syncs(false);
    durable.await.expect("durable");
    assert!(faults.synced.load(Ordering::SeqCst) > before, "durable without a sync");
    recording.frame(Bytes::from_static(b"END\n"));
    recording.close(Ending::Completed, None);
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    assert_eq!(answer_bytes(&requests[&recording.request()]).len(), 1_000 * 4 + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_not_made_durable_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let recorder = builder(config(directory.path())).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    faults.hang_syncs(true);
    // One elsewhere and three in a row by the pen, whether or not it appends in between.
    faults.failing_syncs.store(4, Ordering::SeqCst);
    let mut recording = recorder.begin(start(b"x"));
    recording.written().await.expect("written");
    faults.hang_syncs(false);
    let durable = recording.durable().await;
    assert!(matches!(durable, Err(NotRecorded::JournalDown { .. })), "{durable:?} {:?}", recorder.figures());
    recording.close(Ending::GatewayError, None);
    until(&recorder, |figures| figures.journal == JournalState::Healthy && figures.failed > 0).await;
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), 1, "kept all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_refuses_promises_and_loses_nothing_that_was_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let recorder = builder(config(directory.path())).disk(disk).start().expect("starts");
    let mut open = recorder.begin(start(b"before"));
    open.written().await.expect("written");
    open.response_started(&head(200));
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.broken.store(true, Ordering::SeqCst);
    open.frame(Bytes::from_static(b"T:during\n"));
    let mut during = recorder.begin(start(b"during"));
    assert!(during.written().await.is_err(), "promised what the disk does not have");
    let figures = until(&recorder, |figures| matches!(figures.journal, JournalState::Down { .. })).await;
    assert!(figures.waiting_notes > 0 && figures.oldest_unwritten > Duration::ZERO, "{figures:?}");
    let begin = Instant::now();
    assert!(matches!(recorder.begin(start(b"later")).written().await, Err(NotRecorded::JournalDown { .. })));
    assert!(begin.elapsed() < Duration::from_secs(1), "it waits no longer than begin_wait");
    faults.broken.store(false, Ordering::SeqCst);
    until(&recorder, |figures| figures.journal == JournalState::Healthy).await;
    open.frame(Bytes::from_static(b"END\n"));
    open.close(Ending::Completed, None);
    during.close(Ending::GatewayError, None);
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert_eq!((figures.received, figures.gaps), (figures.written, 0), "{figures:?}");
    assert!(figures.failed > 0 && figures.retried > 0, "{figures:?}");
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    assert_eq!(requests.len(), 3);
    assert_eq!(answer_bytes(&requests[&open.request()]), b"T:during\nEND\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_every_end_and_names_what_is_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let recorder = builder(config(directory.path())).disk(disk).start().expect("starts");
    let mut ids = vec![exchange(&recorder, b"before", &[b"END\n"]).await];
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.room.store(8 * 1024, Ordering::SeqCst);
    for number in 0..5 {
        let mut recording = recorder.begin(start(&[b'b'; 20_000]));
        let written = recording.written().await;
        assert!(matches!(written, Err(NotRecorded::DiskFull { .. })), "{number}: {written:?}");
        recording.response_started(&head(200));
        recording.frame(Bytes::from(vec![b'f'; 30_000]));
        recording.frame(Bytes::from_static(b"\nEND\n"));
        recording.close(Ending::Completed, None);
        ids.push(recording.request());
    }
    recorder.flush(PATIENCE).await.expect("flushed");
    assert_eq!(recorder.figures().journal, JournalState::Full);
    faults.room.store(0, Ordering::SeqCst);
    ids.push(exchange(&recorder, &[b'a'; 20_000], &[b"END\n"]).await);
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = until(&recorder, |figures| figures.journal == JournalState::Healthy).await;
    assert_eq!(figures.received, figures.written + figures.gaps, "{figures:?}");
    assert_eq!(figures.gaps, 10, "two frames of each of five");
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    assert_eq!(requests.len(), ids.len(), "unaccounted requests");
    for id in &ids[1..6] {
        let lost: u64 = requests[id].iter().map(lost_bytes).sum();
        assert_eq!(lost, 20_000 + 30_005, "{:?}", requests[id]);
    }
    assert_eq!(requests[&ids[6]][0].body.len(), 20_000, "whole again");
}

fn lost_bytes(event: &SessionEvent) -> u64 {
    match event.kind {
        EventKind::Gap { lost_bytes, cause: GapCause::DiskFull, .. } => lost_bytes,
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_over_a_hanging_disk_ends_in_time_and_tells_the_loss() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let mut config = config(directory.path());
    config.sync = SyncPolicy::Interval(Duration::from_secs(60));
    let recorder = builder(config).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    faults.hang_writes(true);
    let recording = recorder.begin(start(b"x"));
    assert!(recording.written().await.is_err());
    let started = Instant::now();
    let report = recorder.shutdown(Duration::from_millis(200)).await;
    assert!(started.elapsed() < Duration::from_secs(5), "the shutdown hangs with the disk");
    assert_eq!(report.lost, 1, "the start that is still on its way");
    faults.hang_writes(false);
}

/// Lets nothing of what a body says into the record.
struct NoReadings;

impl Filter for NoReadings {
    fn filter(&self, event: SessionEvent) -> Result<SessionEvent, FilterError> {
        match event.kind {
            EventKind::Request(_) => Err(FilterError { reason: "asked to".to_owned() }),
            _ => Ok(event),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_a_full_disk_did_not_take_is_told_together_with_its_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let config = RecorderConfig { begin_wait: PATIENCE, ..config(directory.path()) };
    let recorder = builder(config).disk(disk).filter(Box::new(NoReadings)).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    faults.room.store(8 * 1024, Ordering::SeqCst);
    faults.hang_writes(true);
    let mut first = recorder.begin(start(b"holds the disk up"));
    // Begun and over while the disk hangs, so that its start and its end are in one append.
    let mut short = recorder.begin(start(&[b's'; 20_000]));
    short.close(Ending::Completed, None);
    let mut alive = recorder.begin(start(&[b'a'; 30_000]));
    faults.hang_writes(false);
    assert!(matches!(alive.written().await, Err(NotRecorded::DiskFull { .. })));
    let before: Vec<SessionEvent> = journal(directory.path());
    let told: u64 = before.iter().filter(|event| event.request == alive.request()).map(lost_bytes).sum();
    assert_eq!(told, 30_000, "the loss of a request that goes on is told with its start");
    first.close(Ending::Completed, None);
    alive.response_started(&head(200));
    alive.close(Ending::Completed, None);
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    let lost = |recording: &Recording| requests[&recording.request()].iter().map(lost_bytes).sum::<u64>();
    assert_eq!((lost(&short), lost(&alive)), (20_000, 30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_always_fails_holds_no_answer_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let recorder = builder(config(directory.path())).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    faults.broken.store(true, Ordering::SeqCst);
    // The first is in the batch that fails; the others wait in the queue while the pen pauses.
    for number in 0..4 {
        let recording = recorder.begin(start(b"x"));
        let begun = Instant::now();
        let (written, durable) = (recording.written().await, recording.durable().await);
        let took = begun.elapsed();
        assert!(written.is_err() && durable.is_err(), "{number}: {written:?} {durable:?}");
        assert!(took < Duration::from_millis(500), "{number}: held up for {took:?}");
    }
    let begun = Instant::now();
    let unasked = recorder.begin(start(b"x"));
    assert!(matches!(unasked.durable().await, Err(NotRecorded::JournalDown { .. })));
    assert!(begun.elapsed() < Duration::from_secs(2), "held up for {:?}", begun.elapsed());
    faults.broken.store(false, Ordering::SeqCst);
    drop(unasked);
    recorder.flush(PATIENCE).await.expect("mended");
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), 5, "kept all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_whose_syncs_take_half_a_second_delays_neither_starts_nor_frames() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    // A segment ends while a sync is under way, too.
    let config = RecorderConfig { segment_bytes: 100 * 1024, ..config(directory.path()) };
    let recorder = builder(config).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("started");
    faults.sync_takes.store(500, Ordering::SeqCst);
    let (mut starts, mut frames) = (Vec::new(), Vec::new());
    let mut recordings = Vec::new();
    for number in 0..60 {
        let begun = Instant::now();
        let mut recording = recorder.begin(start(&[number; 2_000]));
        recording.written().await.expect("written although the disk is busy");
        starts.push(begun.elapsed());
        recording.response_started(&head(200));
        for _ in 0..20 {
            let begun = Instant::now();
            std::future::poll_fn(|context| recording.poll_room(context)).await;
            recording.frame(Bytes::from_static(b"T:word\n"));
            frames.push(begun.elapsed());
        }
        recordings.push(recording);
    }
    let begun = Instant::now();
    for recording in &mut recordings {
        recording.durable().await.expect("durable");
        recording.frame(Bytes::from_static(b"END\n"));
        recording.close(Ending::Completed, None);
    }
    let all_durable = begun.elapsed();
    starts.sort_unstable();
    frames.sort_unstable();
    let at = |times: &[Duration], share: usize| times[times.len() * share / 100];
    println!(
        "syncs of 500 ms: written p50 {:?}, p99 {:?}; frame p50 {:?}, p99 {:?}; all 60 durable after {all_durable:?}",
        at(&starts, 50),
        at(&starts, 99),
        at(&frames, 50),
        at(&frames, 99)
    );
    assert!(at(&starts, 90) < Duration::from_millis(100), "starts wait for the disk: {starts:?}");
    assert!(at(&frames, 99) < Duration::from_millis(50), "frames wait for the disk");
    assert!(all_durable < Duration::from_secs(8), "starts share syncs: {all_durable:?}");
    faults.sync_takes.store(0, Ordering::SeqCst);
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_recorder_that_gives_up_is_told_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let config = RecorderConfig { begin_wait: PATIENCE, ..config(directory.path()) };
    let recorder = builder(config).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.broken.store(true, Ordering::SeqCst);
    let _in_hand = recorder.begin(start(b"in hand"));
    until(&recorder, |figures| matches!(figures.journal, JournalState::Down { .. })).await;
    let begun = Instant::now();
    let queued = recorder.begin(start(b"in the queue"));
    // In this order: the flush waits behind the start when the recorder is told to end.
    let (written, flushed, _) = tokio::join!(
        queued.written(),
        recorder.flush(PATIENCE),
        recorder.shutdown(Duration::from_millis(300))
    );
    assert!(written.is_err() && flushed.is_err());
    assert!(begun.elapsed() < PATIENCE / 2, "waited out: {:?}", begun.elapsed());
}

/// The promise for `interval` is 5 ms for the first byte. How long a busy machine takes is no matter of this test; what can
/// make it longer at all is waiting for the disk, and here the disk never answers.
#[tokio::test(flavor = "multi_thread")]
async fn with_an_interval_no_first_byte_waits_for_the_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let config = RecorderConfig {
        sync: SyncPolicy::Interval(Duration::from_millis(1)),
        begin_wait: PATIENCE,
        durable_wait: PATIENCE,
        ..config(directory.path())
    };
    let recorder = builder(config).disk(disk).start().expect("starts");
    recorder.flush(PATIENCE).await.expect("flushed");
    faults.hang_syncs(true);
    let before = faults.synced.load(Ordering::SeqCst);
    let mut waits = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        let mut recording = recorder.begin(start(b"body"));
        recording.written().await.expect("written although no sync ends");
        recording.response_started(&head(200));
        recording.durable().await.expect("promised at once");
        std::future::poll_fn(|context| recording.poll_room(context)).await;
        recording.frame(Bytes::from_static(b"T:word\nEND\n"));
        waits.push(begun.elapsed());
        recording.close(Ending::Completed, None);
    }
    assert_eq!(faults.synced.load(Ordering::SeqCst), before, "a sync has ended after all");
    waits.sort_unstable();
    println!("first byte beside a sync that hangs: p50 {:?}, p99 {:?}", waits[100], waits[198]);
    faults.hang_syncs(false);
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), 200);
}

/// A journal with an entry that only a newer program reads, and what may stand behind it.
fn newer_journal(place: &Path, behind: &[Record<'_>]) {
    let (mut journal, _) = Journal::open(JournalConfig::new(place)).expect("opens");
    journal
        .append(&[Record { kind: codec::EVENT, parts: &[&[250], b"what a newer program wrote"] }])
        .expect("appends");
    if !behind.is_empty() {
        journal.append(behind).expect("appends");
    }
    journal.sync().expect("syncs");
}

fn has_newer_entry(place: &Path) -> bool {
    let mut frames = read_all(place).expect("readable").map(|frame| frame.expect("whole"));
    frames.any(|frame| frame.kind == codec::EVENT && frame.payload[0] == 250)
}

#[test]
fn a_journal_of_a_newer_program_is_refused_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("journal");
    newer_journal(&place, &[]);
    let Err(refused) = builder(config(directory.path())).start() else { panic!("started") };
    assert!(refused.to_string().contains("use the newer program"), "{refused}");
    assert!(has_newer_entry(&place));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_writer_passes_by_an_entry_of_a_newer_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("journal");
    // What recovery reads begins behind it.
    newer_journal(&place, &[Record { kind: codec::ROLL_CALL, parts: &[b"{}"] }]);
    let desk = Desk::new();
    let writer = Box::new(FakeWriter { name: "behind", desk: Arc::clone(&desk) });
    let recorder = builder(config(directory.path())).writer(writer).start().expect("starts");
    let is_told = |state: &WriterState| match state {
        WriterState::Degraded { reason } | WriterState::Down { reason } => reason.contains("newer program"),
        WriterState::Healthy | WriterState::Stopped => false,
    };
    until(&recorder, |figures| is_told(&figures.writers[0].state)).await;
    recorder.shutdown(Duration::from_millis(200)).await;
    assert!(has_newer_entry(&place));
}
