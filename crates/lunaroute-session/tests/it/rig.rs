//! A recorder with parts that a test can watch and break.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use lunaroute_core::{
    AttemptReason, Delta, Dialect, Ending, Exchange, Interpreter, Observer, Operation, Outcome, RequestId,
    RequestReading, ResponseHead, ResponseReader, SessionHint, Timestamp, Usage,
};
use lunaroute_session::codec::{self, EventReader};
use lunaroute_session::event::{EventKind, SessionEvent};
use lunaroute_session::writer::{
    Ack, Batching, DrainReport, ItemOutcome, JournaledEvent, SessionWriter, WriteError,
};
use lunaroute_session::{Figures, Recorder, RecorderBuilder, RecorderConfig, RequestStart};
use lunaroute_storage::journal::{Position, read_all};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a made-up language: a line `T:text`, `TOOL:id:name:arguments`, `USE:output tokens`, `ERR:kind`, `END` or
/// `PANIC`.
pub(crate) struct Lines;

impl Interpreter for Lines {
    fn request(&self, _: &Exchange, body: &[u8]) -> RequestReading {
        assert!(body != b"PANIC", "asked to");
        RequestReading {
            model: Some("model-1".to_owned()),
            stream: true,
            first_user_text: Some(String::from_utf8_lossy(body).into_owned()),
            ..RequestReading::default()
        }
    }

    fn response(&self, _: &Exchange, _: &ResponseHead) -> Box<dyn ResponseReader> {
        Box::new(LineReader::default())
    }
}

#[derive(Default)]
struct LineReader {
    held: Vec<u8>,
}

impl ResponseReader for LineReader {
    fn read(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) {
        self.held.extend_from_slice(bytes);
        while let Some(end) = self.held.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.held.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let words: Vec<&str> = line.splitn(4, ':').collect();
            match words.as_slice() {
                ["T", text @ ..] => deltas.push(Delta::Text { index: 0, text: text.join(":") }),
                ["TOOL", id, name, arguments] => {
                    deltas.push(Delta::ToolCallStart { index: 1, id: (*id).into(), name: (*name).into() });
                    deltas.push(Delta::ToolCallArguments { index: 1, fragment: (*arguments).into() });
                }
                ["USE", tokens] => {
                    deltas.push(Delta::Usage(Usage { output: tokens.parse().ok(), ..Usage::default() }));
                }
                ["ERR", kind] => {
                    deltas.push(Delta::Error {
                        kind: (*kind).into(),
                        code: None,
                        message: "it broke".into(),
                        retry_after_ms: None,
                    });
                }
                ["END"] => deltas.push(Delta::End),
                ["PANIC"] => panic!("asked to"),
                _ => {}
            }
        }
    }

    fn finish(&mut self, _: &mut Vec<Delta>) {}
}

/// Remembers every outcome.
#[derive(Default)]
pub(crate) struct Outcomes(pub(crate) Mutex<Vec<Outcome>>);

impl Observer for Outcomes {
    fn finished(&self, outcome: &Outcome) {
        self.0.lock().expect("unpoisoned").push(outcome.clone());
    }
}

/// What a [`FakeWriter`] shares with its test.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) events: Mutex<Vec<JournaledEvent>>,
    /// Batches to refuse; `u64::MAX` refuses all.
    pub(crate) failures: AtomicU64,
    /// Refusals cannot be mended by trying again.
    pub(crate) permanent: AtomicBool,
    /// So many batches are refused because the writer lost its place: it keeps this many events of what it had.
    pub(crate) rewinds: AtomicU64,
    pub(crate) keeps: AtomicU64,
    /// Sequence number whose events are put aside.
    pub(crate) poison: AtomicU64,
    blocked: Mutex<bool>,
    unblocked: Condvar,
}

impl Desk {
    pub(crate) fn new() -> Arc<Self> {
        let desk = Self::default();
        desk.poison.store(u64::MAX, Ordering::SeqCst);
        Arc::new(desk)
    }

    pub(crate) fn block(&self, blocked: bool) {
        *self.blocked.lock().expect("unpoisoned") = blocked;
        self.unblocked.notify_all();
    }

    pub(crate) fn events(&self) -> Vec<SessionEvent> {
        self.events.lock().expect("unpoisoned").iter().map(|item| SessionEvent::clone(&item.event)).collect()
    }
}

pub(crate) struct FakeWriter {
    pub(crate) name: &'static str,
    pub(crate) desk: Arc<Desk>,
}

impl SessionWriter for FakeWriter {
    fn name(&self) -> &str {
        self.name
    }

    fn checkpoint(&mut self) -> Result<Position, WriteError> {
        let events = self.desk.events.lock().expect("unpoisoned");
        Ok(events.last().map_or_else(Position::default, |item| item.next))
    }

    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
        let blocked = self.desk.blocked.lock().expect("unpoisoned");
        drop(self.desk.unblocked.wait_while(blocked, |blocked| *blocked).expect("unpoisoned"));
        let left = self.desk.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.desk.failures.store(if left == u64::MAX { left } else { left - 1 }, Ordering::SeqCst);
            let transient = !self.desk.permanent.load(Ordering::SeqCst);
            return Err(WriteError {
                writer: self.name.to_owned(),
                message: "refused".to_owned(),
                transient,
                rewind: false,
            });
        }
        if self.desk.rewinds.load(Ordering::SeqCst) > 0 {
            self.desk.rewinds.fetch_sub(1, Ordering::SeqCst);
            let kept = usize::try_from(self.desk.keeps.load(Ordering::SeqCst)).expect("small");
            self.desk.events.lock().expect("unpoisoned").truncate(kept);
            let message = "its place is lost".to_owned();
            return Err(WriteError { writer: self.name.to_owned(), message, transient: true, rewind: true });
        }
        let poison = self.desk.poison.load(Ordering::SeqCst);
        let mut events = self.desk.events.lock().expect("unpoisoned");
        let outcomes = batch.iter().map(|item| {
            if u64::from(item.event.seq) == poison {
                return ItemOutcome::Quarantined("poison".to_owned());
            }
            events.push(item.clone());
            ItemOutcome::Written
        });
        Ok(outcomes.collect())
    }

    fn flush(&mut self) -> Result<Ack, WriteError> {
        Ok(Ack { position: self.checkpoint()? })
    }

    fn shutdown(&mut self, _: Instant) -> DrainReport {
        DrainReport { written: self.desk.events.lock().expect("unpoisoned").len() as u64, lost: 0 }
    }

    fn batching(&self) -> Option<Batching> {
        Some(Batching { events: 64, wait: Duration::from_millis(5), ..Batching::default() })
    }
}

/// A small, quick configuration.
pub(crate) fn config(directory: &Path) -> RecorderConfig {
    RecorderConfig {
        ballast_bytes: 256 * 1024,
        segment_bytes: 256 * 1024,
        ..RecorderConfig::new(directory, [1; 32])
    }
}

pub(crate) fn builder(config: RecorderConfig) -> RecorderBuilder {
    Recorder::builder(config).interpreter(Arc::new(Lines))
}

pub(crate) fn start(body: &[u8]) -> RequestStart {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("rig/1"));
    headers.insert("authorization", HeaderValue::from_static("Bearer canary-key"));
    RequestStart {
        id: RequestId::generate(),
        received_at: Timestamp::now(),
        exchange: Exchange {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            headers: Arc::new(headers),
            addressed: None,
        },
        hint: SessionHint {
            client: "rig".to_owned(),
            external_id: Some("run-1".to_owned()),
            source: "header:x-rig".to_owned(),
        },
        listener: "127.0.0.1:0".into(),
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
        client_ip: None,
        body: Bytes::copy_from_slice(body),
        overhead_pre_us: 15,
    }
}

pub(crate) fn head(status: u16) -> ResponseHead {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    ResponseHead { status, headers: Arc::new(headers) }
}

/// One whole request with these frames.
pub(crate) async fn exchange(recorder: &Recorder, body: &[u8], frames: &[&[u8]]) -> RequestId {
    let mut recording = recorder.begin(start(body));
    recording.written().await.expect("written");
    recording.attempt_started("provider-1", Some("model-1"), AttemptReason::Primary);
    recording.response_started(&head(200));
    recording.durable().await.expect("durable");
    for frame in frames {
        std::future::poll_fn(|context| recording.poll_room(context)).await;
        recording.frame(Bytes::copy_from_slice(frame));
    }
    recording.close(Ending::Completed, None);
    recording.request()
}

/// Every event in the journal of a state directory.
pub(crate) fn journal(directory: &Path) -> Vec<SessionEvent> {
    let frames = read_all(directory.join("journal")).expect("readable");
    let mut reader = EventReader::new(directory.join("journal"));
    let events = frames
        .map(|frame| frame.expect("whole"))
        .filter(|frame| frame.kind == codec::EVENT)
        .flat_map(|frame| reader.events(&frame).expect("events"))
        .map(|item| SessionEvent::clone(&item.event))
        .collect();
    assert_eq!(reader.lost_bodies(), 0, "a body could not be put together");
    events
}

/// Checks the promises that hold for every record and gives the events by request.
pub(crate) fn by_request(events: &[SessionEvent]) -> BTreeMap<RequestId, Vec<SessionEvent>> {
    let mut requests: BTreeMap<RequestId, Vec<SessionEvent>> = BTreeMap::new();
    for event in events {
        requests.entry(event.request).or_default().push(event.clone());
    }
    for (request, events) in &requests {
        let seqs: Vec<u32> = events.iter().map(|event| event.seq).collect();
        let expected: Vec<u32> = (0..).take(events.len()).collect();
        assert_eq!(seqs, expected, "{request}: seq has holes or repetitions");
        assert!(matches!(events[0].kind, EventKind::Started(_)), "{request}: {:?}", events[0].kind);
        let ends = events.iter().filter(|event| matches!(event.kind, EventKind::Completed { .. })).count();
        let last = events.last().map(|event| &event.kind);
        assert!(ends == 1 && matches!(last, Some(EventKind::Completed { .. })), "{request}: {ends} ends");
        assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at), "{request}: time runs backwards");
        assert!(events.iter().all(|event| event.session == events[0].session));
    }
    requests
}

/// The bytes of an answer as recorded.
pub(crate) fn answer_bytes(events: &[SessionEvent]) -> Vec<u8> {
    let stretches = events.iter().filter(|event| matches!(event.kind, EventKind::StreamDelta { .. }));
    stretches.flat_map(|event| event.body.whole()).collect()
}

pub(crate) fn ending(events: &[SessionEvent]) -> Ending {
    match events.last().map(|event| &event.kind) {
        Some(EventKind::Completed { ending, .. }) => *ending,
        other => panic!("no end but {other:?}"),
    }
}

/// Waits until the figures are as wanted.
pub(crate) async fn until(recorder: &Recorder, wanted: impl Fn(&Figures) -> bool) -> Figures {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let figures = recorder.figures();
        if wanted(&figures) {
            return figures;
        }
        assert!(Instant::now() < deadline, "never as wanted: {figures:?}");
        tokio::task::yield_now().await;
    }
}
