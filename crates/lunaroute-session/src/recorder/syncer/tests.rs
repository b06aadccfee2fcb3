use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use lunaroute_core::{
    Delta, Dialect, Exchange, Interpreter, Operation, RequestId, RequestReading, ResponseHead,
    ResponseReader, SessionHint, Timestamp,
};
use lunaroute_storage::journal::{Journal, JournalConfig, PendingSync, Record};
use tokio::task::JoinSet;

use super::{Done, Job, Patience, Syncer};
use crate::recorder::opening::Opening;
use crate::recorder::shared::Shared;
use crate::recorder::{Recorder, RecorderConfig, RequestStart, SyncPolicy};
use crate::recording::Recording;

/// Longer than a test may take.
const LONG: Duration = Duration::from_secs(3_600);

/// What happens at once has happened by then.
const SOON: Duration = Duration::from_secs(30);

struct ReadsNothing;

impl Interpreter for ReadsNothing {
    fn request(&self, _: &Exchange, _: &[u8]) -> RequestReading {
        RequestReading::default()
    }

    fn response(&self, _: &Exchange, _: &ResponseHead) -> Box<dyn ResponseReader> {
        Box::new(Self)
    }
}

impl ResponseReader for ReadsNothing {
    fn read(&mut self, _: &[u8], _: &mut Vec<Delta>) {}

    fn finish(&mut self, _: &mut Vec<Delta>) {}
}

fn start() -> RequestStart {
    RequestStart {
        id: RequestId::generate(),
        received_at: Timestamp::now(),
        exchange: Exchange {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            headers: Arc::new(HeaderMap::new()),
            addressed: None,
        },
        hint: SessionHint::default(),
        listener: "127.0.0.1:8081".into(),
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
        client_ip: None,
        body: Bytes::from_static(b"{}"),
        overhead_pre_us: 0,
    }
}

/// Looks again and again until it is so.
fn see(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

fn a_sync(directory: &std::path::Path) -> PendingSync {
    let mut journal = Journal::open(JournalConfig::new(directory)).expect("it opens").0;
    journal.append(&[Record { kind: 1, parts: &[b"something"] }]).expect("appended");
    journal.begin_sync().expect("there is something")
}

/// Begins a request in a task, which writes the start itself where the pen's thread sleeps.
async fn begin(recorder: &Recorder) -> Recording {
    // A guest stays away where turns follow each other closely.
    let since = Instant::now();
    see("time passes", || since.elapsed() > Duration::from_millis(1));
    let recorder = recorder.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let recording = recorder.begin(start());
        recording.written().await.expect("written");
        recording
    });
    tasks.join_next().await.expect("there is one").expect("no panic")
}

/// A recorder whose pen looks at nothing by itself.
fn recorder(directory: &std::path::Path) -> Recorder {
    let mut config = RecorderConfig::new(directory, [7; 32]);
    (config.begin_wait, config.durable_wait, config.coalesce) = (SOON, SOON, LONG);
    Recorder::builder(config).interpreter(Arc::new(ReadsNothing)).start().expect("it starts")
}

#[tokio::test]
async fn what_the_pens_thread_writes_waits_for_no_pause() {
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = recorder(directory.path());
    let syncer: &Syncer = &recorder.owner.shared.syncer;
    recorder.flush(SOON).await.expect("durable");
    syncer.lock().patience = Patience::of(LONG);
    let mut begun = Vec::new();
    for what in ["a sync follows", "another one follows, although there was a pause"] {
        let before = recorder.figures().syncs;
        let recording = recorder.begin(start());
        recording.written().await.expect("written, by the pen's thread as the runtime has one only");
        begun.push(recording);
        see(what, || recorder.figures().syncs > before);
        see("a pause follows", || syncer.lock().pausing);
    }
    drop(begun);
    recorder.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_that_nobody_waits_for_share_a_sync_and_who_waits_has_it_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = recorder(directory.path());
    let syncer: &Syncer = &recorder.owner.shared.syncer;
    // Where the pen's thread was awake it wrote, and that heeds no pause.
    let written_by_guests = async || {
        recorder.flush(SOON).await.expect("durable");
        syncer.lock().patience = Patience::of(LONG);
        let first = begin(&recorder).await;
        see("a sync that nobody waits for is followed by a pause", || syncer.lock().pausing);
        let before = recorder.figures().syncs;
        let others = [begin(&recorder).await, begin(&recorder).await, begin(&recorder).await];
        (syncer.lock().pausing && recorder.figures().syncs == before).then_some((first, others, before))
    };
    let mut found = None;
    for _ in 0..1_000 {
        found = written_by_guests().await;
        if found.is_some() {
            break;
        }
    }
    let (first, others, before) = found.expect("guests write");
    for recording in others.iter().chain([&first]) {
        tokio::time::timeout(SOON / 2, recording.durable()).await.expect("at once").expect("durable");
    }
    assert!(recorder.figures().syncs - before < 3, "not one for each of them");
    drop((first, others));
    recorder.shutdown(SOON).await;
}

#[test]
fn what_is_put_off_ends_with_who_waits_with_a_job_and_with_the_thread() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = RecorderConfig::new(directory.path(), [7; 32]);
    let shared = Arc::new(Shared::new(&config, Arc::default(), Vec::new()));
    let syncer = Arc::clone(&shared.syncer);
    let job = |number: usize| Job {
        sync: a_sync(&directory.path().join(number.to_string())),
        openings: vec![Arc::new(Opening::new())],
        chunk: None,
    };
    let thread = std::thread::spawn(move || shared.syncer.run(&shared));
    let pauses_after = |number| {
        syncer.lock().patience = Patience::of(LONG);
        assert!(syncer.submit(job(number)).is_none(), "it is taken");
        see("a pause follows", || syncer.lock().pausing);
        assert!(syncer.take_done().is_some_and(|done| done.finished.succeeded()));
    };

    pauses_after(0);
    assert!(!syncer.is_busy() && syncer.defers(false), "the next is put off");
    assert!(!syncer.defers(true), "unless it is much");
    syncer.hurry();
    see("who waits ends it", || !syncer.lock().pausing);
    assert!(!syncer.defers(false), "nobody would call the pen any more");

    pauses_after(1);
    pauses_after(2);

    syncer.close();
    see("it ends with the thread", || thread.is_finished());
    thread.join().expect("no panic");
}

#[test]
fn no_pause_follows_a_sync_of_frames_alone_or_one_of_an_interval() {
    for (had_starts, policy) in [(false, SyncPolicy::Group), (true, SyncPolicy::Interval(LONG))] {
        let directory = tempfile::tempdir().expect("a directory");
        let syncer = Arc::new(Syncer::default());
        syncer.lock().patience = Patience::of(LONG);
        let done = Done { finished: a_sync(directory.path()).run(), openings: Vec::new() };
        let concluding = Arc::clone(&syncer);
        let thread = std::thread::spawn(move || concluding.conclude(done, had_starts, policy));
        see("it goes on at once", || thread.is_finished());
        assert!(!thread.join().expect("no panic"), "nobody asked to be called");
    }
}
