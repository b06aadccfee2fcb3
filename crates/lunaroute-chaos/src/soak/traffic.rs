//! What clients ask for, and how they behave: as a day of a few agents and programs is.

use std::time::Duration;

use lunaroute_sim::Script;

use crate::stage::client::{Call, Habit, PATHS, Seen};

/// What is in a request's mark when its client hangs up, and when its answer is an error.
const LEAVES: &str = "leaves";
const FAILS: &str = "fails";

/// Bytes of an agent's history.
const HISTORY: usize = 40 << 10;

/// Whether anybody takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Pieces come one after the other, as a model says them, and some clients read slowly.
    Lively,
    /// All is there at once, and read at once.
    Hurried,
}

/// Requests of every ten: four plain, two streams, an agent's turn, an error, a client that leaves, one that reads slowly.
pub(super) fn mixed(
    name: &'static str,
    pace: Pace,
) -> impl Fn(usize, usize) -> (Call, Habit) + Send + Sync + 'static {
    let time = u64::from(pace == Pace::Lively);
    move |client, number| {
        let habit = Habit { keep: false, ..Habit::default() };
        let path = PATHS[(client + number) % PATHS.len()];
        let kind = (client + number) % 10;
        let call = |word: &str, stream, script| {
            let mark = format!("{name}-{word}-{client}-{number}");
            // Sessions come again, as they do for a gateway that serves the same people all day.
            Call::new(mark, path, stream, script).in_session(format!("{name}-{client}-{}", number / 200 % 8))
        };
        match kind {
            0..=3 => (call("plain", false, Script::text(40)), habit),
            4 | 5 => (call("stream", true, Script { event_delay_ms: 2 * time, ..Script::text(60) }), habit),
            6 => (call("agent", true, Script::text(80)).of_bytes(HISTORY, true), habit),
            7 => (call(FAILS, false, Script::error(400)), habit),
            8 => {
                let script = Script { event_delay_ms: 5 * time, endless: true, ..Script::default() };
                (call(LEAVES, true, script), Habit { pieces: 6, ..habit })
            }
            _ => (
                call("slow", true, Script::text(400)),
                Habit { rest: Duration::from_millis(3 * time), ..habit },
            ),
        }
    }
}

/// Whether an answer is something else than its script says.
pub(super) fn is_unexpected(seen: &Seen) -> bool {
    if seen.mark.contains(FAILS) {
        !(seen.whole && seen.status == Some(400))
    } else if seen.mark.contains(LEAVES) {
        !seen.hung_up
    } else {
        !seen.succeeded()
    }
}
