//! Requests that write their start themselves, because the recorder's thread sleeps.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};
use lunaroute_core::{Delta, Ending, Exchange, Interpreter, RequestReading, ResponseHead, ResponseReader};
use lunaroute_session::event::{EventKind, SessionEvent};
use lunaroute_session::{JournalState, NotRecorded, Recorder, RecorderConfig, SyncPolicy};
use tokio::task::JoinSet;

use crate::disks::{Faults, FaultyDisk};
use crate::rig::{Desk, FakeWriter, PATIENCE, builder, by_request, config, journal, start, until};

/// What happens to a write of any thread but the recorder's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Guests {
    #[default]
    Write,
    Fail,
    Panic,
    Hang,
}

#[derive(Default)]
struct Watch {
    guests: Mutex<Guests>,
    changed: Condvar,
    /// Writes of other threads than the recorder's, hanging ones included.
    seen: Mutex<u64>,
}

impl Watch {
    fn set(&self, guests: Guests) {
        *self.guests.lock().expect("unpoisoned") = guests;
        self.changed.notify_all();
    }

    fn seen(&self) -> u64 {
        *self.seen.lock().expect("unpoisoned")
    }

    fn pass(&self) -> io::Result<()> {
        if is_recorders_own() {
            return Ok(());
        }
        *self.seen.lock().expect("unpoisoned") += 1;
        let guests = self.guests.lock().expect("unpoisoned");
        let guests = self.changed.wait_while(guests, |guests| *guests == Guests::Hang);
        let now = *guests.expect("unpoisoned");
        match now {
            Guests::Fail => Err(io::Error::from_raw_os_error(5)),
            Guests::Panic => panic!("as the test wants it"),
            Guests::Write | Guests::Hang => Ok(()),
        }
    }
}

fn is_recorders_own() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with("lunaroute-"))
}

/// A disk whose writes are watched.
fn watched_disk() -> (Box<FaultyDisk>, Arc<Watch>) {
    let (faults, watch) = (Arc::new(Faults::default()), Arc::new(Watch::default()));
    let watching = Arc::clone(&watch);
    let fresh = faults.before_write.set(Box::new(move || watching.pass())).is_ok();
    assert!(fresh, "nobody else watches it");
    (Box::new(FaultyDisk(faults)), watch)
}

fn watched(directory: &Path, begin_wait: Duration) -> (Recorder, Arc<Watch>) {
    let (disk, watch) = watched_disk();
    // A guest begins no segment.
    let config = RecorderConfig { begin_wait, segment_bytes: 64 << 20, ..config(directory) };
    (builder(config).disk(disk).start().expect("starts"), watch)
}

/// A request from its start to its end, in a task as a gateway's requests are.
async fn request(recorder: &Recorder) -> Result<(), NotRecorded> {
    let recorder = recorder.clone();
    let served = async move {
        let mut recording = recorder.begin(start(b"x"));
        let written = recording.written().await;
        let durable = if written.is_ok() { recording.durable().await } else { written };
        recording.close(Ending::Completed, None);
        durable
    };
    in_a_task(served).await
}

async fn in_a_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    tasks.join_next().await.expect("a task").expect("no panic reaches it")
}

/// Requests until one of them has written something itself; says how many they were.
async fn until_a_guest_writes(recorder: &Recorder, watch: &Watch) -> usize {
    let begun = Instant::now();
    let before = watch.seen();
    let mut requests = 0;
    while watch.seen() == before {
        assert!(begun.elapsed() < PATIENCE, "none of {requests} requests wrote anything itself");
        // Whether it was recorded as promised is for the caller to say.
        drop(request(recorder).await);
        requests += 1;
    }
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_start_writes_it_while_the_recorder_sleeps() {
    let directory = tempfile::tempdir().expect("a directory");
    let (recorder, watch) = watched(directory.path(), PATIENCE);
    let requests = until_a_guest_writes(&recorder, &watch).await;
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert_eq!((figures.received, figures.gaps), (figures.written, 0), "{figures:?}");
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), requests);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_runtime_with_one_thread_is_never_held_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let (recorder, watch) = watched(directory.path(), PATIENCE);
    let before = watch.seen();
    for _ in 0..50 {
        request(&recorder).await.expect("recorded");
    }
    assert_eq!(watch.seen(), before, "nobody else looks after its timers");
    recorder.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_for_a_request_is_written_by_the_recorder() {
    let directory = tempfile::tempdir().expect("a directory");
    let (recorder, watch) = watched(directory.path(), PATIENCE);
    watch.set(Guests::Fail);
    let requests = until_a_guest_writes(&recorder, &watch).await;
    // The last write may be that of a task whose request is over, and not have come back yet.
    until(&recorder, |figures| figures.failed > 0 && figures.journal == JournalState::Healthy).await;
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert_eq!((figures.received, figures.gaps), (figures.written, 0), "{figures:?}");
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), requests, "once each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_holds_a_request_up_holds_up_no_other_task() {
    let directory = tempfile::tempdir().expect("a directory");
    let (recorder, watch) = watched(directory.path(), Duration::from_millis(250));
    watch.set(Guests::Hang);
    let before = watch.seen();
    let mut held_up = JoinSet::new();
    let (its_recorder, its_watch) = (recorder.clone(), Arc::clone(&watch));
    held_up.spawn(async move { until_a_guest_writes(&its_recorder, &its_watch).await });
    while watch.seen() == before {
        tokio::task::yield_now().await;
    }
    // Its connections and timers are looked after by one thread at a time: by none if the other one slept. No pace is kept
    // by these timers; that they end is what is tried.
    for _ in 0..20 {
        let timer = in_a_task(tokio::time::sleep(Duration::from_millis(1)));
        tokio::time::timeout(PATIENCE, timer).await.expect("timers go on");
    }
    let other = tokio::time::timeout(PATIENCE, request(&recorder)).await.expect("told in time");
    assert!(other.is_err(), "promised while the disk hangs");
    watch.set(Guests::Write);
    let requests = held_up.join_next().await.expect("a task").expect("ends");
    recorder.flush(PATIENCE).await.expect("flushed");
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), requests + 1, "none is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_breaks_off_in_a_request_ends_the_recorder_and_not_the_request() {
    let directory = tempfile::tempdir().expect("a directory");
    let (recorder, watch) = watched(directory.path(), PATIENCE);
    watch.set(Guests::Panic);
    until_a_guest_writes(&recorder, &watch).await;
    until(&recorder, |figures| figures.journal == JournalState::Dead).await;
    assert!(matches!(request(&recorder).await, Err(NotRecorded::Dead)));
    recorder.shutdown(PATIENCE).await;
}

/// Answers that others than the recorder's threads have read, plain ones and coded ones.
#[derive(Default)]
struct ReadByGuests {
    plain: AtomicU64,
    coded: AtomicU64,
}

struct WatchedReaders(Arc<ReadByGuests>);

impl Interpreter for WatchedReaders {
    fn request(&self, _: &Exchange, _: &[u8]) -> RequestReading {
        RequestReading::default()
    }

    fn response(&self, _: &Exchange, head: &ResponseHead) -> Box<dyn ResponseReader> {
        let coded = head.headers.contains_key(CONTENT_ENCODING);
        Box::new(WatchedReader { coded, read: Arc::clone(&self.0) })
    }
}

struct WatchedReader {
    coded: bool,
    read: Arc<ReadByGuests>,
}

impl ResponseReader for WatchedReader {
    fn read(&mut self, _: &[u8], _: &mut Vec<Delta>) {
        if !is_recorders_own() {
            let count = if self.coded { &self.read.coded } else { &self.read.plain };
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn finish(&mut self, deltas: &mut Vec<Delta>) {
        self.read(&[], deltas);
    }
}

async fn answered(recorder: &Recorder, coded: bool) {
    let recorder = recorder.clone();
    let mut headers = HeaderMap::new();
    if coded {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    in_a_task(async move {
        let mut recording = recorder.begin(start(b"x"));
        recording.written().await.expect("written");
        recording.response_started(&ResponseHead { status: 200, headers: Arc::new(headers) });
        recording.durable().await.expect("durable");
        recording.frame(Bytes::from_static(b"a piece"));
        recording.close(Ending::Completed, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_a_bomb_is_read_by_the_recorder_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let read = Arc::new(ReadByGuests::default());
    let config = RecorderConfig { segment_bytes: 64 << 20, ..config(directory.path()) };
    let interpreter = Arc::new(WatchedReaders(Arc::clone(&read)));
    let recorder = Recorder::builder(config).interpreter(interpreter).start().expect("starts");
    let begun = Instant::now();
    while read.plain.load(Ordering::SeqCst) < 20 {
        assert!(begun.elapsed() < PATIENCE, "no request has read anything itself");
        answered(&recorder, true).await;
        answered(&recorder, false).await;
    }
    recorder.shutdown(PATIENCE).await;
    assert_eq!(read.coded.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_waits_for_the_recorder_to_look_by_itself() {
    const TASKS: usize = 8;
    const REQUESTS: usize = 100;
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    // So that starts come while others are being made durable.
    faults.sync_takes.store(1, Ordering::SeqCst);
    let config = RecorderConfig {
        coalesce: 10 * PATIENCE,
        begin_wait: PATIENCE,
        durable_wait: PATIENCE,
        segment_bytes: 64 << 20,
        ..config(directory.path())
    };
    let recorder = builder(config).disk(Box::new(FaultyDisk(faults))).start().expect("starts");
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let recorder = recorder.clone();
        tasks.spawn(async move {
            for _ in 0..REQUESTS {
                request(&recorder).await.expect("written and durable in time");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("each request is recorded");
    }
    recorder.shutdown(PATIENCE).await;
    assert_eq!(by_request(&journal(directory.path())).len(), TASKS * REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_request_writes_is_durable_when_the_interval_is_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let (disk, watch) = watched_disk();
    let config = RecorderConfig {
        sync: SyncPolicy::Interval(Duration::from_millis(5)),
        coalesce: 10 * PATIENCE,
        segment_bytes: 64 << 20,
        ..config(directory.path())
    };
    let desk = Desk::new();
    // What is not durable no writer gets.
    let writer = Box::new(FakeWriter { name: "fake", desk: Arc::clone(&desk) });
    let recorder = builder(config).disk(disk).writer(writer).start().expect("starts");
    let mut requests = 0;
    for _ in 0..5 {
        requests += until_a_guest_writes(&recorder, &watch).await;
        let is_end = |event: &&SessionEvent| matches!(event.kind, EventKind::Completed { .. });
        let ends = || desk.events().iter().filter(is_end).count();
        until(&recorder, |_| ends() == requests).await;
    }
    recorder.shutdown(PATIENCE).await;
}
