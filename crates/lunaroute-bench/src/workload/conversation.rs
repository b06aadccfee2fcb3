//! A conversation that grows: each request says again all that was said before.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use serde_json::{Value, json};

use super::SCRIPT_HEADER;
use super::words::Words;

/// Bytes of text of one turn: what the user says, and what the model says.
const SAID: usize = 720;
const ANSWERED: usize = 720;

/// A conversation by its first words.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    opening: String,
}

impl Conversation {
    pub(crate) fn new(opening: &str) -> Self {
        Self { opening: opening.to_owned() }
    }

    /// The request body after so many turns, with these words last.
    pub(crate) fn turn(&self, turns: u32, last: &str) -> Value {
        let mut messages = vec![json!({"role": "system", "content": "You are a careful programmer."})];
        for turn in 0..turns {
            let mut words = Words::new(100_000 + u64::from(turn));
            let said = words.prose(SAID);
            let said = if turn == 0 { format!("{} {said}", self.opening) } else { said };
            messages.push(json!({"role": "user", "content": said}));
            messages.push(json!({"role": "assistant", "content": words.prose(ANSWERED)}));
        }
        messages.push(json!({"role": "user", "content": last}));
        json!({"model": "gpt-5-mini", "messages": messages})
    }

    /// The bodies of a session of so many requests, each a turn longer than the one before.
    pub(crate) fn session(&self, requests: u32) -> Vec<Bytes> {
        (1..=requests)
            .map(|turns| self.turn(turns, "What comes next?"))
            .map(|body| Bytes::from(body.to_string()))
            .collect()
    }
}

/// A request with this body in a session of this name.
pub(crate) fn request(host: &str, session: &str, body: Bytes) -> hyper::http::Result<Request<Full<Bytes>>> {
    Request::post("/v1/chat/completions")
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, "Bearer sk-bench")
        .header("x-lunaroute-session-id", session)
        .header(SCRIPT_HEADER, "text=24")
        .body(Full::new(body))
}

#[cfg(test)]
mod tests {
    use super::Conversation;

    #[test]
    fn a_session_of_100_requests_grows_to_150_kilobytes_and_repeats_itself() {
        let bodies = Conversation::new("one").session(100);
        let last = bodies.last().unwrap().len();
        assert!((145_000..=155_000).contains(&last), "{last} bytes");
        for pair in bodies.windows(2) {
            let same = pair[0].iter().zip(&pair[1]).take_while(|(one, other)| one == other).count();
            assert!(same + 100 > pair[0].len(), "{same} of {} bytes come again", pair[0].len());
        }
    }
}
