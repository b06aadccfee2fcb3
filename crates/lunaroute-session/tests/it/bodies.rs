//! Bodies that repeat earlier ones: stored once, given whole, never wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use bytes::Bytes;
use lunaroute_core::{
    Dialect, Earlier, Ending, Exchange, Interpreter, RequestId, RequestReading, ResponseHead, ResponseReader,
};
use lunaroute_session::codec::{self, EventReader};
use lunaroute_session::event::{EventKind, Repeats, SessionEvent};
use lunaroute_session::{Recorder, RecorderConfig, RequestStart};
use lunaroute_storage::journal::read_all;

use crate::disks::{Faults, FaultyDisk};
use crate::rig::{Desk, FakeWriter, Lines, PATIENCE, builder, by_request, config, journal, start};

/// Bytes that repeat nothing of each other.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The turns of a conversation: each says all that was said before, and a little more.
fn turns(count: u64) -> Vec<Bytes> {
    let mut said = noise(0, 20_000);
    (1..=count)
        .map(|number| {
            said.extend_from_slice(&noise(number, 300));
            [b"head".as_slice(), &said, &number.to_le_bytes(), b"tail"].concat().into()
        })
        .collect()
}

async fn ask(recorder: &Recorder, start: RequestStart) -> RequestId {
    let mut recording = recorder.begin(start);
    recording.written().await.expect("written");
    recording.durable().await.expect("durable");
    recording.close(Ending::Completed, None);
    recording.request()
}

fn ask_with(body: &Bytes) -> RequestStart {
    RequestStart { body: body.clone(), ..start(b"") }
}

fn journal_bytes(directory: &Path) -> u64 {
    let files =
        fs::read_dir(directory.join("journal")).expect("a journal").map(|entry| entry.expect("an entry"));
    let segments =
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "journal"));
    segments.map(|file| file.metadata().expect("a file").len()).sum()
}

fn repeats(event: &SessionEvent) -> Option<Repeats> {
    match &event.kind {
        EventKind::Started(started) => started.repeats,
        other => panic!("no start but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_stored_once_and_every_turn_comes_back_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let desks = [Desk::new(), Desk::new()];
    let turns = turns(120);
    let mut asked = Vec::new();
    // The first process feeds one writer; the second feeds both, one of them from the journal alone.
    for (round, turns) in turns.chunks(60).enumerate() {
        let mut builder = builder(RecorderConfig { segment_bytes: 128 * 1024, ..config(directory.path()) });
        for (name, desk) in ["live", "late"].into_iter().zip(&desks) {
            if round == 0 && name == "late" {
                continue;
            }
            builder = builder.writer(Box::new(FakeWriter { name, desk: Arc::clone(desk) }));
        }
        let recorder = builder.start().expect("starts");
        // Nothing is pruned that the late writer will want.
        desks[0].block(round == 0);
        for body in turns {
            asked.push((ask(&recorder, ask_with(body)).await, body.clone()));
        }
        let stored = journal_bytes(directory.path());
        desks[0].block(false);
        let raw: u64 = turns.iter().map(|body| body.len() as u64).sum();
        println!("round {round}: {raw} bytes of bodies, {stored} bytes of journal in all");
        assert!(stored < raw / 4, "{stored} of {raw}");
        if round == 1 {
            recorder.flush(PATIENCE).await.expect("flushed");
        }
        recorder.shutdown(PATIENCE).await;
    }
    let live = by_request(&desks[0].events());
    for (request, body) in &asked {
        assert!(live[request][0].body == body, "the body of {request} is another");
    }
    let mut repeated = 0;
    for pair in asked.windows(2) {
        let Some(repeats) = repeats(&live[&pair[1].0][0]) else { continue };
        assert_eq!(repeats.of, pair[0].0, "the turn before is the most alike");
        let (prefix, suffix) = (repeats.prefix as usize, repeats.suffix as usize);
        assert_eq!(pair[1].1[..prefix], pair[0].1[..prefix]);
        assert_eq!(pair[1].1[pair[1].1.len() - suffix..], pair[0].1[pair[0].1.len() - suffix..]);
        repeated += 1;
    }
    assert!(repeated >= 117, "{repeated} of 119 turns were found to repeat");
    let late = by_request(&desks[1].events());
    let of_late = late.keys().filter(|request| live.contains_key(request)).count();
    assert_eq!(of_late, late.len());
    for (request, events) in &late {
        assert_eq!(events, &live[request], "a writer that reads the journal gets what a live one gets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_later_is_what_was_given_live() {
    let directory = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    let writer = Box::new(FakeWriter { name: "live", desk: Arc::clone(&desk) });
    let recorder = builder(RecorderConfig { segment_bytes: 64 << 20, ..config(directory.path()) })
        .writer(writer)
        .start()
        .expect("starts");
    for body in turns(80) {
        ask(&recorder, ask_with(&body)).await;
    }
    recorder.shutdown(PATIENCE).await;
    let live = desk.events.lock().expect("unpoisoned").clone();
    let place = directory.path().join("journal");
    let mut reader = EventReader::new(&place);
    let frames = read_all(&place).expect("readable").map(|frame| frame.expect("whole"));
    let read: Vec<_> = frames
        .filter(|frame| frame.kind == codec::EVENT)
        .flat_map(|frame| reader.events(&frame).expect("events"))
        .collect();
    assert_eq!(read, live, "positions and bodies");
    assert!(
        live.windows(2).all(|pair| pair[0].position < pair[1].position && pair[0].next <= pair[1].position)
    );
    // From any place on, as after a start: chains of bodies are followed back.
    for item in live.iter().step_by(7) {
        let desk = Desk::new();
        desk.events.lock().expect("unpoisoned").push(item.clone());
        let writer = Box::new(FakeWriter { name: "again", desk: Arc::clone(&desk) });
        let recorder = builder(config(directory.path())).writer(writer).start().expect("starts");
        recorder.shutdown(PATIENCE).await;
        let again = desk.events.lock().expect("unpoisoned").clone();
        let expected: Vec<_> = live.iter().filter(|other| other.position >= item.position).cloned().collect();
        assert!(again == expected, "from {}: {} of {} events", item.position, again.len(), expected.len());
    }
}

/// Flips a bit in the journal where the needle stands.
fn damage(directory: &Path, needle: &[u8]) {
    let segments: Vec<PathBuf> = fs::read_dir(directory.join("journal"))
        .expect("a journal")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    for path in segments {
        let mut bytes = fs::read(&path).expect("readable");
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).expect("writable");
            return;
        }
    }
    panic!("the needle is not in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_body_takes_only_those_along_that_lean_on_it_and_none_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let turns = turns(40);
    let mut asked = Vec::new();
    let recorder = builder(RecorderConfig { segment_bytes: 64 << 20, ..config(directory.path()) })
        .start()
        .expect("starts");
    for body in &turns {
        asked.push((ask(&recorder, ask_with(body)).await, body.clone()));
    }
    recorder.shutdown(PATIENCE).await;
    // What is new in the tenth turn stands in the journal once.
    damage(directory.path(), &noise(10, 300));
    let place = directory.path().join("journal");
    let mut reader = EventReader::new(&place);
    let frames = read_all(&place).expect("readable").map(|frame| frame.expect("damage is no error"));
    let events: Vec<_> = frames
        .filter(|frame| frame.kind == codec::EVENT)
        .flat_map(|frame| reader.events(&frame).expect("events"))
        .collect();
    let mut lost = 0;
    for (number, (request, body)) in (1..).zip(&asked) {
        let start = events
            .iter()
            .find(|item| item.event.request == *request && matches!(item.event.kind, EventKind::Started(_)));
        match start {
            None => assert_eq!(number, 10, "only the damaged one has no start"),
            Some(item) if item.event.body.is_empty() => lost += 1,
            Some(item) => assert!(item.event.body == body, "turn {number} came back wrong"),
        }
    }
    println!(
        "one damaged body of {}: {lost} that lean on it are lost, {} counted",
        asked.len(),
        reader.lost_bodies()
    );
    assert_eq!(lost, reader.lost_bodies());
    assert!((1..=31).contains(&lost), "the chain ends: {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stay_whole_when_the_disk_moves_what_they_lean_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let desk = Desk::new();
    let recorder = builder(RecorderConfig { segment_bytes: 512 * 1024, ..config(directory.path()) })
        .disk(disk)
        .writer(Box::new(FakeWriter { name: "one", desk: Arc::clone(&desk) }))
        .start()
        .expect("starts");
    let mut asked = Vec::new();
    for (number, body) in turns(60).into_iter().enumerate() {
        if number % 7 == 3 {
            faults.failing_syncs.store(1 + number as u64 % 2, Ordering::SeqCst);
        }
        asked.push((ask(&recorder, ask_with(&body)).await, body));
    }
    recorder.shutdown(PATIENCE).await;
    let (read, written) = (by_request(&journal(directory.path())), by_request(&desk.events()));
    for (request, body) in &asked {
        assert!(read[request][0].body == body && written[request][0].body == body, "{request}");
    }
    assert_eq!(read.len(), asked.len());
}

/// Remembers by which way it was asked.
#[derive(Default)]
struct Watched {
    whole: AtomicU64,
    after: Mutex<Vec<(usize, usize, usize)>>,
}

impl Interpreter for Watched {
    fn request(&self, exchange: &Exchange, body: &[u8]) -> RequestReading {
        self.whole.fetch_add(1, Ordering::SeqCst);
        Lines.request(exchange, body)
    }

    fn request_after(&self, exchange: &Exchange, body: &[u8], earlier: &Earlier<'_>) -> RequestReading {
        assert_eq!(body[..earlier.prefix], earlier.body[..earlier.prefix]);
        assert_eq!(*earlier.reading, Lines.request(exchange, earlier.body), "what the earlier body says");
        self.after.lock().expect("unpoisoned").push((body.len(), earlier.prefix, earlier.suffix));
        Lines.request(exchange, body)
    }

    fn response(&self, exchange: &Exchange, head: &ResponseHead) -> Box<dyn ResponseReader> {
        Lines.response(exchange, head)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reading_of_the_turn_before_helps_and_strangers_have_nothing_in_common() {
    let directory = tempfile::tempdir().expect("a directory");
    let watched = Arc::new(Watched::default());
    let recorder = builder(config(directory.path())).interpreter(watched.clone()).start().expect("starts");
    let turns = turns(5);
    for body in &turns {
        ask(&recorder, ask_with(body)).await;
    }
    // Nobody waits for the reading of a body, and the last one may still be under way.
    recorder.flush(PATIENCE).await.expect("everything is written");
    assert_eq!(
        (watched.whole.load(Ordering::SeqCst), watched.after.lock().expect("unpoisoned").len()),
        (1, 4)
    );
    let mut strangers = Vec::new();
    let mut other_session = ask_with(&turns[4]);
    other_session.hint.external_id = Some("run-2".to_owned());
    strangers.push(ask(&recorder, other_session).await);
    let mut other_dialect = ask_with(&turns[4]);
    other_dialect.exchange.dialect = Dialect::Anthropic;
    strangers.push(ask(&recorder, other_dialect).await);
    let mut coded = ask_with(&turns[4]);
    let mut headers = coded.exchange.headers.as_ref().clone();
    headers.insert("content-encoding", http::HeaderValue::from_static("br"));
    coded.exchange.headers = Arc::new(headers);
    strangers.push(ask(&recorder, coded).await);
    strangers.push(ask(&recorder, ask_with(&Bytes::from_static(b"short"))).await);
    // Clients that name no session are one conversation until they are read; what they say tells their sessions apart.
    for (name, body) in [("one", &turns[0]), ("two", &turns[1])] {
        let mut unnamed = ask_with(body);
        (unnamed.hint.external_id, unnamed.hint.client) = (None, "unnamed".to_owned());
        println!("unnamed {name}");
        strangers.push(ask(&recorder, unnamed).await);
    }
    recorder.shutdown(PATIENCE).await;
    let requests = by_request(&journal(directory.path()));
    for request in strangers {
        assert_eq!(repeats(&requests[&request][0]), None, "{:?}", requests[&request][0].kind);
    }
}

/// Reads its first body only once the gate is open.
struct Gated {
    watched: Watched,
    gate: Barrier,
    passed: AtomicBool,
}

impl Interpreter for Gated {
    fn request(&self, exchange: &Exchange, body: &[u8]) -> RequestReading {
        if !self.passed.swap(true, Ordering::SeqCst) {
            self.gate.wait();
        }
        self.watched.request(exchange, body)
    }

    fn request_after(&self, exchange: &Exchange, body: &[u8], earlier: &Earlier<'_>) -> RequestReading {
        self.watched.request_after(exchange, body, earlier)
    }

    fn response(&self, exchange: &Exchange, head: &ResponseHead) -> Box<dyn ResponseReader> {
        self.watched.response(exchange, head)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_come_together_help_each_other() {
    // Of a client that names no session they are read before anything is written, else afterwards.
    for external_id in [None, Some("run-1".to_owned())] {
        let directory = tempfile::tempdir().expect("a directory");
        let gate = Barrier::new(2);
        let gated = Arc::new(Gated { watched: Watched::default(), gate, passed: AtomicBool::new(false) });
        let recorder = builder(config(directory.path())).interpreter(gated.clone()).start().expect("starts");
        let named = |body: &Bytes| {
            let mut start = ask_with(body);
            start.hint.external_id = external_id.clone();
            start
        };
        let turns = turns(9);
        // While the first is read, all others come.
        let mut recordings: Vec<_> = turns.iter().map(|body| recorder.begin(named(body))).collect();
        gated.gate.wait();
        recordings.iter_mut().for_each(|recording| recording.close(Ending::Completed, None));
        recorder.flush(PATIENCE).await.expect("everything is written");
        let after = gated.watched.after.lock().expect("unpoisoned").len();
        assert_eq!((gated.watched.whole.load(Ordering::SeqCst), after), (1, 8), "{external_id:?}");
        recorder.shutdown(PATIENCE).await;
        let requests = by_request(&journal(directory.path()));
        for (recording, body) in recordings.iter().zip(&turns) {
            assert!(requests[&recording.request()][0].body == body, "the body of another");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_one_session_that_take_turns_are_read_after_their_own_last_turn() {
    let directory = tempfile::tempdir().expect("a directory");
    let watched = Arc::new(Watched::default());
    let recorder = builder(config(directory.path())).interpreter(watched.clone()).start().expect("starts");
    for round in 0..3 {
        for agent in 0..4 {
            let said: Vec<u8> = (0..=round).flat_map(|turn| noise(agent * 10 + turn, 9_000)).collect();
            ask(&recorder, ask_with(&said.into())).await;
        }
    }
    recorder.flush(PATIENCE).await.expect("everything is written");
    let after = watched.after.lock().expect("unpoisoned").len();
    assert_eq!((watched.whole.load(Ordering::SeqCst), after), (4, 8));
    recorder.shutdown(PATIENCE).await;
}
