//! What recording costs: the client's side of an event, the pen, the form of the journal, and bodies that repeat.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box_drop};
use http::{HeaderMap, HeaderValue, Method};
use lunaroute_core::{
    AttemptReason, Delta, Dialect, Ending, Exchange, Interpreter, Operation, RequestId, RequestReading,
    ResponseHead, ResponseReader, SessionHint, Timestamp,
};
use lunaroute_session::codec::{self, EventReader};
use lunaroute_session::event::{Repeats, SessionEvent};
use lunaroute_session::writer::{Ack, DrainReport, ItemOutcome, JournaledEvent, SessionWriter, WriteError};
use lunaroute_session::{Recorder, RecorderConfig, RequestStart};
use lunaroute_storage::journal::{Journal, JournalConfig, Position, Record, read_all};

const SMALL: usize = 1_024;
const AGENT: usize = 157 * 1_024;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    divan::main();
}

/// Says as little of a body as can be: what reading costs is the dialects' matter.
struct Silent;

impl Interpreter for Silent {
    fn request(&self, _: &Exchange, _: &[u8]) -> RequestReading {
        RequestReading::default()
    }

    fn response(&self, _: &Exchange, _: &ResponseHead) -> Box<dyn ResponseReader> {
        Box::new(Whole)
    }
}

struct Whole;

impl ResponseReader for Whole {
    fn read(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) {
        deltas.push(Delta::Text { index: 0, text: String::from_utf8_lossy(bytes).into_owned() });
    }

    fn finish(&mut self, deltas: &mut Vec<Delta>) {
        deltas.push(Delta::End);
    }
}

/// Takes everything and keeps nothing.
struct Nowhere(&'static str, Position);

impl SessionWriter for Nowhere {
    fn name(&self) -> &str {
        self.0
    }

    fn checkpoint(&mut self) -> Result<Position, WriteError> {
        Ok(self.1)
    }

    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
        self.1 = batch.last().map_or(self.1, |last| last.next);
        Ok(vec![ItemOutcome::Written; batch.len()])
    }

    fn flush(&mut self) -> Result<Ack, WriteError> {
        Ok(Ack { position: self.1 })
    }

    fn shutdown(&mut self, _: Instant) -> DrainReport {
        DrainReport::default()
    }
}

fn recorder(directory: &tempfile::TempDir) -> Recorder {
    let recorder = Recorder::builder(RecorderConfig::new(directory.path(), [1; 32]))
        .interpreter(Arc::new(Silent))
        .writer(Box::new(Nowhere("one", Position::default())))
        .writer(Box::new(Nowhere("two", Position::default())));
    recorder.start().expect("starts")
}

fn headers() -> Arc<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "127.0.0.1:8080"),
        ("content-type", "application/json"),
        ("user-agent", "bench/1"),
        ("authorization", "Bearer sk-bench"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Arc::new(headers)
}

fn start(headers: &Arc<HeaderMap>, session: u64, body: Bytes) -> RequestStart {
    RequestStart {
        id: RequestId::generate(),
        received_at: Timestamp::now(),
        exchange: Exchange {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            headers: Arc::clone(headers),
            addressed: None,
        },
        hint: SessionHint {
            client: "bench".to_owned(),
            external_id: Some(format!("run-{session}")),
            source: "header:x-bench".to_owned(),
        },
        listener: "127.0.0.1:8080".into(),
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
        client_ip: None,
        body,
        overhead_pre_us: 15,
    }
}

/// A body of so many bytes whose number stands near its head.
fn body(length: usize, number: u64) -> Bytes {
    let mut body =
        format!("{{\"messages\":[{{\"content\":\"question {number:012}\"}}],\"history\":\"").into_bytes();
    let mut noise = vec![0; length.saturating_sub(body.len())];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
    body.append(&mut noise);
    body.into()
}

/// Whole requests through the recorder, until the journal and both writers have them.
fn requests(bencher: Bencher<'_, '_>, count: u64, length: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = recorder(&directory);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (headers, head) = (headers(), ResponseHead { status: 200, headers: headers() });
    let answer = body(600, 0);
    let mut number = 0;
    let bodies =
        |first: u64| (first..first + count).map(|number| body(length, number)).collect::<Vec<Bytes>>();
    let inputs = std::cell::Cell::new(0);
    let next = || bodies(inputs.replace(inputs.get() + count));
    bencher.counter(ItemsCount::new(count)).with_inputs(next).bench_local_values(|bodies| {
        for body in bodies {
            number += 1;
            let mut recording = recorder.begin(start(&headers, number / 16, body));
            recording.attempt_started("provider", Some("model"), AttemptReason::Primary);
            recording.response_started(&head);
            recording.frame(answer.clone());
            recording.close(Ending::Completed, None);
        }
        runtime.block_on(recorder.flush(PATIENCE)).expect("flushed");
    });
    let figures = recorder.figures();
    assert_eq!((figures.gaps, figures.received), (0, figures.written));
    let each = (figures.journal_bytes, number);
    println!(
        "{length} bytes: {} requests, {} bytes of journal at the end, {} syncs",
        each.1, each.0, figures.syncs
    );
    runtime.block_on(recorder.shutdown(PATIENCE));
}

#[divan::bench(sample_count = 20)]
fn thousand_small_requests_into_journal_and_two_writers(bencher: Bencher<'_, '_>) {
    requests(bencher, 1_000, SMALL);
}

#[divan::bench(sample_count = 10)]
fn hundred_agent_turns_into_journal_and_two_writers(bencher: Bencher<'_, '_>) {
    requests(bencher, 100, AGENT);
}

/// What a stream pays for a frame.
#[divan::bench(sample_count = 200, sample_size = 50)]
fn callers_side_of_a_frame(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = recorder(&directory);
    let mut recording = recorder.begin(start(&headers(), 0, body(SMALL, 0)));
    recording.response_started(&ResponseHead { status: 200, headers: headers() });
    let frame = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n");
    bencher.bench_local(|| recording.frame(black_box(frame.clone())));
}

fn events(length: usize) -> Vec<SessionEvent> {
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = recorder(&directory);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut recording = recorder.begin(start(&headers(), 0, body(length, 0)));
    recording.attempt_started("provider", Some("model"), AttemptReason::Primary);
    recording.response_started(&ResponseHead { status: 200, headers: headers() });
    recording.frame(body(600, 0));
    recording.close(Ending::Completed, None);
    runtime.block_on(recorder.shutdown(PATIENCE));
    let journal = directory.path().join("journal");
    let mut reader = EventReader::new(&journal);
    let frames = read_all(&journal).expect("readable").map(|frame| frame.expect("whole"));
    let items = frames
        .filter(|frame| frame.kind == codec::EVENT)
        .flat_map(|frame| reader.events(&frame).expect("events"));
    items.map(|item| SessionEvent::clone(&item.event)).collect()
}

#[divan::bench]
fn encode_a_small_request(bencher: Bencher<'_, '_>) {
    let events = events(SMALL);
    println!("{} events, {} bytes", events.len(), codec::encode(&events).bytes());
    bencher.counter(ItemsCount::new(events.len())).bench(|| codec::encode(black_box(&events)));
}

#[divan::bench]
fn decode_a_small_request(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(JournalConfig::new(directory.path())).expect("opens").0;
    let events = events(SMALL);
    let encoded = codec::encode(&events);
    journal.append(&[Record { kind: codec::EVENT, parts: &encoded.parts() }]).expect("appends");
    let frame = read_all(directory.path()).expect("readable").next().expect("a frame").expect("whole");
    bencher
        .counter(ItemsCount::new(events.len()))
        .with_inputs(|| EventReader::new(directory.path()))
        .bench_refs(|reader| reader.events(black_box(&frame)).expect("events"));
}

#[divan::bench(args = [4 * 1_024, AGENT])]
fn compare_bodies(bencher: Bencher<'_, '_>, length: usize) {
    let (one, other) = (body(length, 1), body(length, 2));
    let of = RequestId::generate();
    bencher
        .counter(BytesCount::new(length))
        .bench(|| black_box_drop(Repeats::between(of, black_box(&one), black_box(&other))));
}

#[divan::bench(args = [SMALL, 64 * 1_024])]
fn append_to_the_journal(bencher: Bencher<'_, '_>, length: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = JournalConfig {
        ballast_bytes: 0,
        unsynced_bytes: usize::MAX,
        ..JournalConfig::new(directory.path())
    };
    let mut journal = Journal::open(config).expect("opens").0;
    let payload = body(length, 0);
    let mut since = 0;
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        journal.append(&[Record { kind: codec::EVENT, parts: &[&payload] }]).expect("appends");
        since += length;
        if since > 8 * 1024 * 1024 {
            since = 0;
            journal.sync().expect("syncs");
            journal.prune(journal.end()).expect("prunes");
        }
    });
}
