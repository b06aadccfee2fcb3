use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use lunaroute_core::{
    Delta, Dialect, Exchange, Interpreter, Operation, RequestId, RequestReading, ResponseHead,
    ResponseReader, SessionHint, Timestamp,
};

use super::{Patience, Syncer};
use crate::recorder::{Recorder, RecorderConfig, RequestStart};
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

async fn written(recorder: &Recorder) -> Recording {
    let recording = recorder.begin(start());
    recording.written().await.expect("written");
    recording
}

/// Looks again and again until it is so.
fn see(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn starts_that_nobody_waits_for_share_a_sync_and_who_waits_has_it_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = RecorderConfig::new(directory.path(), [7; 32]);
    let recorder = Recorder::builder(config).interpreter(Arc::new(ReadsNothing)).start().expect("it starts");
    let syncer: &Syncer = &recorder.owner.shared.syncer;
    recorder.flush(SOON).await.expect("what the start itself writes is durable");
    syncer.lock().patience = Patience::of(LONG);
    let before = recorder.figures().syncs;

    let first = written(&recorder).await;
    see("a sync that nobody waits for is followed by a pause", || syncer.lock().pausing);
    first.durable().await.expect("durable before the pause began");
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(written(&recorder).await);
    }
    assert!(syncer.is_busy(), "the pause goes on: nobody waited for what is not durable");
    for other in &others {
        tokio::time::timeout(SOON, other.durable()).await.expect("at once").expect("durable");
    }
    assert_eq!(recorder.figures().syncs - before, 2, "one for the first, one for all others");

    for recording in others.iter_mut().chain([&mut { first }]) {
        recording.close(lunaroute_core::Ending::Completed, None);
    }
    drop(others);
    recorder.shutdown(SOON).await;
}
