//! Runs a check so that a panic is a finding and not the end.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

thread_local! {
    /// What the last panic of this thread said, and where.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From here on a panic is kept for the finding that names it, instead of being printed.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| {
        LAST.with(|last| *last.borrow_mut() = panic.to_string());
    }));
}

/// Runs it; a panic is an error. Gives also how long it took: on the processor, where the system tells that, because on a
/// loaded machine the clock says nothing.
pub(crate) fn caught(check: impl FnOnce() -> Result<(), String>) -> (Result<(), String>, Duration) {
    let (started, before) = (Instant::now(), on_processor());
    let outcome = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|payload| {
        let said = payload.downcast_ref::<String>().cloned();
        let said = said.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        let kept = LAST.with(RefCell::take);
        Err(format!("it panicked: {}", if kept.is_empty() { said.unwrap_or_default() } else { kept }))
    });
    let worked = before.zip(on_processor()).map(|(before, after)| after.saturating_sub(before));
    (outcome, worked.unwrap_or_else(|| started.elapsed()))
}

/// How long this thread has had a processor so far; `None` where the system does not tell.
fn on_processor() -> Option<Duration> {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    status.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The most memory that this process had at any time, in bytes; `None` where the system does not tell.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
