//! Damage to a stream of events: events gone, doubled, out of order, of another stream, or with damaged data.

use fastrand::Rng;

use super::{Pool, bytes, json};

/// The stream with one thing wrong with it.
pub(super) fn damaged(rng: &mut Rng, input: &[u8], corpus: &[Vec<u8>], pool: &Pool) -> Vec<u8> {
    let text = String::from_utf8_lossy(input);
    let mut events: Vec<String> = text.split_inclusive("\n\n").map(str::to_owned).collect();
    if events.is_empty() {
        return bytes::damaged(rng, input, corpus);
    }
    let (place, other) = (rng.usize(..events.len()), rng.usize(..events.len()));
    match rng.u8(0..14) {
        0 => drop(events.remove(place)),
        1 => events.swap(place, other),
        2 => events.insert(other, events[place].clone()),
        3 => events.truncate(place),
        4 => {
            let strange = rng.choice(corpus).map(|stream| String::from_utf8_lossy(stream).into_owned());
            let strange: Vec<String> =
                strange.unwrap_or_default().split_inclusive("\n\n").map(str::to_owned).collect();
            events.insert(place, rng.choice(&strange).cloned().unwrap_or_default());
        }
        5 => events.insert(place, rng.choice(STRAYS).unwrap_or_default().to_owned()),
        6 => return endings(rng, &text),
        _ => events[place] = with_data(rng, &events[place], pool),
    }
    events.concat().into_bytes()
}

/// What may stand between events.
const STRAYS: [&str; 8] = [
    ": ping\n\n",
    "data: [DONE]\n\n",
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
    "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\"}}\n\n",
    "data:\n\n",
    "data\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "\n\n\n",
];

/// The stream with other line endings.
fn endings(rng: &mut Rng, text: &str) -> Vec<u8> {
    let ending = rng.choice(["\r\n", "\r", "\n\n"]).unwrap_or("\n");
    text.replace('\n', ending).into_bytes()
}

/// The event with damaged JSON in its data.
fn with_data(rng: &mut Rng, event: &str, pool: &Pool) -> String {
    let mut lines: Vec<String> = event.split('\n').map(str::to_owned).collect();
    for line in &mut lines {
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let damaged = json::damaged(rng, data.as_bytes(), pool);
        *line = format!("data: {}", String::from_utf8_lossy(&damaged));
    }
    lines.join("\n")
}
