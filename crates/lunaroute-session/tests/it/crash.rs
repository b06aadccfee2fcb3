//! A process that is killed at any moment: what its disk then holds is what the next one starts with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunaroute_core::{AttemptReason, Ending, RequestId};
use lunaroute_session::event::EventKind;
use lunaroute_session::jsonl::{JsonlConfig, JsonlWriter};
use lunaroute_session::sqlite::{SqliteConfig, SqliteWriter};
use lunaroute_session::{Recorder, RecorderConfig};
use rusqlite::Connection;

use crate::rig::{
    PATIENCE, answer_bytes, builder, by_request, config, ending, exchange, head, journal, start,
};

const KILLS: usize = 8;
const STREAMS: usize = 16;

fn recorder(directory: &Path) -> Recorder {
    let config = RecorderConfig { segment_bytes: 128 * 1024, ..config(directory) };
    builder(config)
        .writer(Box::new(
            SqliteWriter::open(SqliteConfig::new(directory.join("sessions.db"))).expect("a database"),
        ))
        .writer(Box::new(JsonlWriter::open(JsonlConfig::new(directory.join("jsonl"))).expect("files")))
        .start()
        .expect("starts")
}

/// What the clients saw: requests that were accepted, with the bytes of the answer that were handed over and when.
#[derive(Default)]
struct Seen(Mutex<HashMap<RequestId, Vec<(Instant, usize)>>>);

async fn stream_for_ever(recorder: Recorder, seen: Arc<Seen>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let mut recording = recorder.begin(start(b"a question of some length"));
        recording.written().await.expect("written");
        seen.0.lock().expect("unpoisoned").insert(recording.request(), Vec::new());
        recording.attempt_started("provider-1", None, AttemptReason::Primary);
        recording.response_started(&head(200));
        recording.durable().await.expect("durable");
        for word in 0..40 {
            let frame = Bytes::from(format!("T:word {word}\n"));
            if let Some(frames) = seen.0.lock().expect("unpoisoned").get_mut(&recording.request()) {
                frames.push((Instant::now(), frame.len()));
            }
            recording.frame(frame);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        recording.frame(Bytes::from_static(b"TOOL:a:read:{}\nUSE:5\nEND\n"));
        recording.close(Ending::Completed, None);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // A segment that is pruned at this moment is needed by nobody.
            let _ = fs::copy(&path, &target);
        }
    }
}

/// What a kill would leave: the projections first and the journal last, for it is never behind them. Gives the moment
/// of the kill, as the journal sees it.
fn snapshot(from: &Path, to: &Path) -> Instant {
    fs::create_dir_all(to.join("jsonl")).expect("a directory");
    let _ = fs::copy(from.join("jsonl/checkpoint.json"), to.join("jsonl/checkpoint.json"));
    for day in fs::read_dir(from.join("jsonl")).expect("days").map(|entry| entry.expect("an entry").path()) {
        if day.is_dir() {
            copy(&day, &to.join("jsonl").join(day.file_name().expect("a name")));
        }
    }
    let database = Connection::open(from.join("sessions.db")).expect("a database");
    let target = to.join("sessions.db");
    database.execute("VACUUM INTO ?1", [target.to_str().expect("text")]).expect("copied");
    let moment = Instant::now();
    copy(&from.join("journal"), &to.join("journal"));
    moment
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_doubles_and_leaves_open_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let live = recorder(&directory.path().join("live"));
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        streams.spawn(stream_for_ever(live.clone(), Arc::clone(&seen), Arc::clone(&stop)));
    }
    let mut kills = Vec::new();
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(37 * (1 + kill as u64))).await;
        let accepted: Vec<RequestId> = seen.0.lock().expect("unpoisoned").keys().copied().collect();
        let (from, to) = (directory.path().join("live"), directory.path().join(format!("kill-{kill}")));
        let (source, target) = (from.clone(), to.clone());
        let moment = tokio::task::spawn_blocking(move || snapshot(&source, &target)).await.expect("copied");
        kills.push((to, accepted, moment));
    }
    stop.store(true, Ordering::SeqCst);
    streams.join_all().await;
    live.shutdown(PATIENCE).await;

    let (mut checked, mut tail) = (0, Duration::ZERO);
    for (state, accepted, moment) in kills {
        let started = Instant::now();
        let next = recorder(&state);
        next.flush(PATIENCE).await.expect("recovered");
        let figures = next.figures();
        assert!(started.elapsed() < Duration::from_secs(5), "not ready in time");
        assert!(figures.writers.iter().all(|writer| writer.quarantined == 0), "{figures:?}");
        next.shutdown(PATIENCE).await;
        let lines = jsonl(&state);
        for id in &accepted {
            assert!(lines.contains_key(id), "lost {id}");
        }
        assert_eq!(sqlite(&state), lines, "the writers do not tell the same");
        tail = tail.max(longest_tail(&state, &seen, moment));
        checked += lines.len();
        // Starting once more changes nothing.
        let again = recorder(&state);
        again.flush(PATIENCE).await.expect("flushed");
        assert_eq!(again.figures().interrupted, 0);
        again.shutdown(PATIENCE).await;
        assert_eq!(jsonl(&state), lines);
    }
    println!(
        "{KILLS} kills, {STREAMS} streams: {checked} requests held, lost 0, doubled 0, stuck 0, longest tail {tail:?}"
    );
}

/// The end of each request as the lines tell it, after checking that no line is torn, doubled or missing.
fn jsonl(state: &Path) -> BTreeMap<RequestId, String> {
    let mut ends = BTreeMap::new();
    let mut seqs: BTreeMap<RequestId, BTreeSet<u64>> = BTreeMap::new();
    for day in fs::read_dir(state.join("jsonl")).expect("days").map(|entry| entry.expect("an entry").path()) {
        if !day.is_dir() {
            continue;
        }
        for file in fs::read_dir(day).expect("files") {
            let text = fs::read_to_string(file.expect("an entry").path()).expect("text");
            for line in text.lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
                let id: RequestId = line["request"].as_str().expect("an id").parse().expect("an id");
                let fresh = seqs.entry(id).or_default().insert(line["seq"].as_u64().expect("a number"));
                assert!(fresh, "doubled: {line}");
                if line["kind"] == "completed" {
                    let end = line["ending"].as_str().expect("an ending").to_owned();
                    assert!(ends.insert(id, end).is_none(), "two ends of {id}");
                }
            }
        }
    }
    for (id, seqs) in seqs {
        assert_eq!(seqs.iter().next_back().map(|last| last + 1), Some(seqs.len() as u64), "holes in {id}");
        assert!(ends.contains_key(&id), "{id} is stuck");
    }
    ends
}

/// The end of each request as the database tells it.
fn sqlite(state: &Path) -> BTreeMap<RequestId, String> {
    let database = Connection::open(state.join("sessions.db")).expect("a database");
    let mut rows = database.prepare("SELECT id, status FROM requests").expect("a table");
    let rows =
        rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).expect("rows");
    rows.map(|row| {
        let (id, status) = row.expect("a row");
        let end = match status.as_str() {
            "success" => "completed",
            other => other,
        };
        (id.parse().expect("an id"), end.to_owned())
    })
    .collect()
}

/// How old the oldest byte was that had been handed over before the kill and is not in the record.
fn longest_tail(state: &Path, seen: &Seen, moment: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    if !state.join("journal").exists() {
        return longest;
    }
    let requests = by_request_that_begin_here(state);
    for (id, frames) in seen.0.lock().expect("unpoisoned").iter() {
        let Some(recorded) = requests.get(id) else { continue };
        let mut sum = 0;
        let missing = frames.iter().find(|(at, bytes)| {
            sum += bytes;
            *at <= moment && sum > *recorded
        });
        longest = missing.map_or(longest, |(at, _)| longest.max(moment - *at));
    }
    assert!(longest < Duration::from_millis(500), "a tail of {longest:?}, declared are 50 ms");
    longest
}

/// Bytes of each answer in the journal, of the requests whose beginning has not been pruned.
fn by_request_that_begin_here(state: &Path) -> HashMap<RequestId, usize> {
    let mut events = journal(state);
    let begun: BTreeSet<RequestId> =
        events.iter().filter(|event| event.seq == 0).map(|event| event.request).collect();
    events.retain(|event| begun.contains(&event.request));
    by_request(&events).iter().map(|(id, events)| (*id, answer_bytes(events).len())).collect()
}

/// The state of a process that is killed now.
fn killed(from: &Path, to: &Path) {
    copy(&from.join("journal"), &to.join("journal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_ends_as_interrupted_with_what_it_had_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    let config = |state: &Path| RecorderConfig { segment_bytes: 32 * 1024, ..config(state) };
    let recorder = builder(config(&first)).start().expect("starts");
    let mut old = recorder.begin(start(b"begun long before"));
    old.response_started(&head(200));
    old.frame(Bytes::from_static(b"T:old words\n"));
    recorder.flush(PATIENCE).await.expect("flushed");
    // Enough for several segments, so that the beginning of the old one lies before the last roll call.
    for _ in 0..20 {
        exchange(&recorder, &[b'x'; 8 * 1024], &[b"END\n"]).await;
    }
    let mut young = recorder.begin(start(b"begun just now"));
    young.response_started(&head(200));
    young.frame(Bytes::from_static(b"T:young words\nTOOL:a:read:{}\nUSE:9\n"));
    old.frame(Bytes::from_static(b"T:and more\n"));
    recorder.flush(PATIENCE).await.expect("flushed");
    killed(&first, &second);

    let next = builder(config(&second)).start().expect("starts");
    next.flush(PATIENCE).await.expect("recovered");
    assert_eq!(next.figures().interrupted, 2);
    next.shutdown(PATIENCE).await;
    let requests = by_request(&journal(&second));
    assert_eq!(requests.len(), 22);
    let open = [old.request(), young.request()];
    for (id, events) in &requests {
        let wanted = if open.contains(id) { Ending::Interrupted } else { Ending::Completed };
        assert_eq!(ending(events), wanted);
    }
    assert_eq!(answer_bytes(&requests[&old.request()]), b"T:old words\nT:and more\n");
    let told = requests[&young.request()].iter().find_map(|event| match &event.kind {
        EventKind::Response(response) => Some((response.text_preview.clone(), response.usage.output)),
        _ => None,
    });
    assert_eq!(told, Some((Some("young words".to_owned()), Some(9))));
    recorder.shutdown(PATIENCE).await;
}
