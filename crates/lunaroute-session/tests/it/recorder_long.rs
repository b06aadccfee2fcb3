//! Answers that are longer than what is kept of one, and answers that come faster than they can be written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use lunaroute_core::{Ending, ResponseHead};
use lunaroute_session::RecorderConfig;
use lunaroute_session::event::{EventKind, GapCause, SessionEvent};

use crate::disks::{Faults, FaultyDisk};
use crate::rig::{PATIENCE, answer_bytes, builder, by_request, config, ending, head, journal, start};

const LIMIT: usize = 10_000;

/// What an answer comes to that is too long: 40 words of 1,000 bytes, its figures, its end.
fn frames() -> Vec<Bytes> {
    let word =
        |number: u8| Bytes::from(format!("T:{}\n", char::from(b'a' + number % 26).to_string().repeat(997)));
    let end = [Bytes::from_static(b"USE:7\n"), Bytes::from_static(b"END\n")];
    (0..40).map(word).chain(end).collect()
}

/// The record of that answer with this head, its frames handed over in bursts of so many.
async fn record(head: &ResponseHead, burst: usize) -> Vec<SessionEvent> {
    let directory = tempfile::tempdir().expect("a directory");
    let config = RecorderConfig { body_limit: LIMIT, ..config(directory.path()) };
    let recorder = builder(config).start().expect("starts");
    let mut recording = recorder.begin(start(b"x"));
    recording.response_started(head);
    for frames in frames().chunks(burst) {
        std::future::poll_fn(|context| recording.poll_room(context)).await;
        recording.frames(frames.concat().into(), frames.len() as u32);
    }
    recording.close(Ending::Completed, None);
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert_eq!(figures.received, figures.written + figures.left_out, "{figures:?}");
    assert_eq!(
        figures.received,
        frames().len() as u64 + 3,
        "each frame counts, however it came: {figures:?}"
    );
    assert_eq!((figures.waiting_notes, figures.waiting_bytes), (0, 0), "{figures:?}");
    assert_eq!(recorder.shutdown(PATIENCE).await.lost, 0, "what is too long is left out, not lost");
    by_request(&journal(directory.path())).remove(&recording.request()).expect("recorded")
}

/// Checks that `kept` bytes are in the record, and that it tells the others and what was said at the end.
#[track_caller]
fn check(events: &[SessionEvent], kept: usize) {
    let sent = frames().concat();
    assert!(answer_bytes(events) == sent[..kept], "{} bytes are kept", answer_bytes(events).len());
    let gaps: Vec<_> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Gap { lost_bytes, lost_frames, cause } => {
                Some((lost_bytes, lost_frames, cause, event.body.whole()))
            }
            _ => None,
        })
        .collect();
    let rest = Bytes::copy_from_slice(blake3::hash(&sent[kept..]).as_bytes());
    let frames_lost = (frames().len() - kept / 1_000) as u64;
    assert_eq!(gaps, [((sent.len() - kept) as u64, frames_lost, GapCause::TooLarge, rest)]);
    let stats = events.iter().find_map(|event| match &event.kind {
        EventKind::Stats(stats) => Some(stats),
        _ => None,
    });
    let stats = stats.expect("figures");
    assert_eq!((stats.response_bytes, stats.frames), (sent.len() as u64, frames().len() as u64));
    assert_eq!(stats.response_blake3, blake3::hash(&sent[..kept]).to_hex().to_string());
    let read = events.iter().find_map(|event| match &event.kind {
        EventKind::Response(read) => Some(read),
        _ => None,
    });
    let read = read.expect("what it said");
    assert_eq!((read.usage.output, read.ended), (Some(7), true), "its end was read");
    assert_eq!(ending(events), Ending::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_up_to_the_limit_and_read_to_its_end() {
    check(&record(&head(200), 1).await, LIMIT);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_burst_as_much_is_kept_as_of_its_frames() {
    for burst in [3, 7, 11, 42] {
        check(&record(&head(200), burst).await, LIMIT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_answer_that_declares_to_be_too_long_nothing_is_kept_but_what_it_says() {
    let mut long = head(200);
    let length = HeaderValue::from(frames().concat().len());
    Arc::make_mut(&mut long.headers).insert("content-length", length);
    check(&record(&long, 1).await, 0);
    check(&record(&long, 7).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_fast_waits_before_it_takes_the_room_of_others() {
    const PIECE: usize = 64 * 1024;
    let directory = tempfile::tempdir().expect("a directory");
    let faults = Arc::new(Faults::default());
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    let config = RecorderConfig { frame_wait: PATIENCE, begin_wait: PATIENCE, ..config(directory.path()) };
    let recorder = builder(config).disk(disk).start().expect("starts");
    let (mut fast, mut other) = (recorder.begin(start(b"fast")), recorder.begin(start(b"other")));
    fast.written().await.expect("written");
    other.written().await.expect("written");
    fast.response_started(&head(200));
    other.response_started(&head(200));
    faults.hang_writes(true);
    let mut sent = Vec::new();
    let mut pieces = 0_u32;
    loop {
        let room = std::future::poll_fn(|context| fast.poll_room(context));
        if tokio::time::timeout(Duration::from_millis(300), room).await.is_err() {
            break;
        }
        let piece = vec![b'a' + (pieces % 26) as u8; PIECE];
        sent.extend_from_slice(&piece);
        fast.frame(piece.into());
        pieces += 1;
        assert!(sent.len() < 32 << 20, "it takes all there is");
    }
    let waiting = recorder.figures().waiting_bytes;
    println!("{} bytes were sent and {waiting} wait until the disk takes any", sent.len());
    assert!(waiting < 10 << 20, "{waiting} bytes wait");
    let room = std::future::poll_fn(|context| other.poll_room(context));
    tokio::time::timeout(Duration::from_millis(300), room).await.expect("others have room");
    faults.hang_writes(false);
    let room = std::future::poll_fn(|context| fast.poll_room(context));
    tokio::time::timeout(PATIENCE / 2, room).await.expect("it goes on when the disk does");
    for recording in [&mut fast, &mut other] {
        recording.frame(Bytes::from_static(b"\nEND\n"));
        recording.close(Ending::Completed, None);
    }
    sent.extend_from_slice(b"\nEND\n");
    recorder.flush(PATIENCE).await.expect("flushed");
    let figures = recorder.figures();
    assert_eq!((figures.gaps, figures.waiting_bytes), (0, 0), "{figures:?}");
    assert!(faults.synced.load(Ordering::SeqCst) > 0);
    recorder.shutdown(PATIENCE).await;
    assert!(answer_bytes(&by_request(&journal(directory.path()))[&fast.request()]) == sent, "other bytes");
}
