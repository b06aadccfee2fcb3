//! What it costs to keep events as lines of JSON: `cargo bench -p lunaroute-session --bench jsonl`.
//!
//! Divide by the items that are shown: one item is one request of nine events.

use std::cell::Cell;
use std::time::Instant;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lunaroute_session::event::Repeats;
use lunaroute_session::jsonl::{self, JsonlConfig, JsonlWriter};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};

#[path = "../tests/it/exchange.rs"]
mod exchange;

const SMALL: usize = 1_024;
const AGENT: usize = 157_000;

/// Requests of one batch.
const BATCH: u64 = 64;

fn main() {
    divan::main();
}

/// Batches whose sessions have `requests_per_session` requests each, then go on to the next; `flush_every` batches.
fn write(
    bencher: Bencher<'_, '_>,
    body_bytes: usize,
    requests_per_session: u64,
    requests: u64,
    repeats: bool,
) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
    let number = Cell::new(0_u64);
    let make = || -> Vec<JournaledEvent> {
        let first = number.get();
        number.set(first + requests);
        let events = (first..first + requests).flat_map(|number| {
            let session = format!("01a1fcf6-8152-7ded-9784-{:012}", number / requests_per_session);
            let repeats = (repeats && number % requests_per_session > 0).then(|| Repeats {
                of: exchange::request(number - 1),
                prefix: 100,
                suffix: body_bytes as u64 - 200,
            });
            exchange::events(&session, number, exchange::body(body_bytes, number), repeats)
        });
        exchange::journaled(first * 10_000, events.collect())
    };
    let cpu = Cell::new(0);
    bencher.counter(ItemsCount::new(requests)).with_inputs(make).bench_local_values(|batch| {
        let before = cpu_nanoseconds();
        black_box(writer.write(&batch).expect("written"));
        cpu.set(cpu.get() + cpu_nanoseconds() - before);
    });
    let before = cpu_nanoseconds();
    writer.shutdown(Instant::now());
    let cpu = (cpu.get() + cpu_nanoseconds() - before) as f64 / 1_000.0 / number.get() as f64;
    let files = std::fs::read_dir(directory.path().join("2026-11-20")).map_or(0, Iterator::count);
    let bytes: u64 = std::fs::read_dir(directory.path().join("2026-11-20"))
        .expect("a day")
        .map(|file| file.and_then(|file| file.metadata()).map_or(0, |data| data.len()))
        .sum();
    let bytes = bytes as f64 / number.get() as f64;
    println!("    per request: {cpu:.1} us of CPU with all syncs, {bytes:.0} bytes in {files} files");
}

/// What this thread has used of a processor: the time that the disk takes is another matter.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[divan::bench]
fn small_requests_of_one_session(bencher: Bencher<'_, '_>) {
    write(bencher, SMALL, u64::MAX, BATCH, false);
}

#[divan::bench]
fn small_requests_16_to_a_session(bencher: Bencher<'_, '_>) {
    write(bencher, SMALL, 16, BATCH, false);
}

#[divan::bench(sample_count = 20)]
fn small_requests_each_a_session(bencher: Bencher<'_, '_>) {
    write(bencher, SMALL, 1, BATCH, false);
}

#[divan::bench]
fn agent_turns_that_repeat(bencher: Bencher<'_, '_>) {
    write(bencher, AGENT, 16, 16, true);
}

#[divan::bench(sample_count = 20)]
fn agent_turns_that_do_not(bencher: Bencher<'_, '_>) {
    write(bencher, AGENT, 16, 16, false);
}

/// Requests read back, 16 to a session.
#[divan::bench(sample_count = 20)]
fn read_back(bencher: Bencher<'_, '_>) {
    const REQUESTS: u64 = 1_600;
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
    for number in 0..REQUESTS {
        let session = format!("01a1fcf6-8152-7ded-9784-{:012}", number / 16);
        let events = exchange::events(&session, number, exchange::body(SMALL, number), None);
        writer.write(&exchange::journaled(number * 10_000, events)).expect("written");
    }
    writer.shutdown(Instant::now());
    bencher.counter(ItemsCount::new(REQUESTS)).bench_local(|| {
        let events = jsonl::read(directory.path()).filter(Result::is_ok).count();
        assert_eq!(events, REQUESTS as usize * exchange::EVENTS);
    });
}

/// A flush with so many files that hold a new request.
#[divan::bench(args = [1, 8, 64, 1_024], sample_count = 10, sample_size = 1)]
fn flush(bencher: Bencher<'_, '_>, files: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
    let mut number = 0_u64;
    bencher.counter(ItemsCount::new(files)).bench_local(|| {
        for _ in 0..files {
            let session = format!("01a1fcf6-8152-7ded-9784-{number:012}");
            let events = exchange::events(&session, number, exchange::body(SMALL, number), None);
            writer.write(&exchange::journaled(number * 10_000, events)).expect("written");
            number += 1;
        }
        black_box(writer.flush().expect("flushed"));
    });
}
