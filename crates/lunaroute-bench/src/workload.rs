//! What is asked for: requests like those of chat programs and coding agents, of exact sizes.

pub(crate) mod conversation;
mod words;

use std::ops::Range;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use serde_json::{Value, json};

use self::conversation::Conversation;
pub(crate) use self::words::Words;

/// The header by which the simulated provider is told what to answer.
const SCRIPT_HEADER: &str = "x-sim-script";

/// The model that a gateway before a foreign provider sends there.
pub(crate) const FOREIGN_MODEL: &str = "foreign";

/// Sizes of request bodies in bytes.
const SMALL: usize = 1_024;
const AGENT: usize = 157_000;

/// Stands in the last message of a body, so that no request repeats another byte for byte.
const NONCE: &str = "NONCE-0000000000000000";
/// Stands in the first question of a body: requests with the same one belong to one session of the gateway.
const SESSION: &str = "SESSION-0000000000000000";
/// Requests that share their first question, as the turns of one conversation do.
const REQUESTS_PER_SESSION: u64 = 16;

/// A kind of exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// A chat request of 1 KB with a plain answer.
    Small,
    /// An agent's chat turn of 157 KB with 30 tools and a plain answer.
    Agent,
    /// A chat request of 1 KB, answered by 50 events at once.
    Stream50,
    /// A chat request of 1 KB, answered by 500 events at once.
    Stream500,
    /// An agent's Messages turn of 157 KB, answered by 50 events at once.
    Messages50,
    /// A Messages request of 1 KB with a plain answer.
    MessagesSmall,
    /// A Messages request of 1 KB, answered by 500 events at once.
    MessagesStream500,
    /// A chat request of 1 KB, answered by 50 events with 5 ms between them.
    Paced,
    /// A chat request with a plain answer after so many turns of 1.5 KB.
    History {
        /// Questions with their answers before the last question.
        turns: u32,
    },
}

impl Workload {
    /// Events of one answer; 0 for a plain one.
    #[must_use]
    pub const fn events(self) -> u64 {
        match self {
            Self::Small | Self::Agent | Self::History { .. } | Self::MessagesSmall => 0,
            Self::Stream50 | Self::Messages50 | Self::Paced => 50,
            Self::Stream500 | Self::MessagesStream500 => 500,
        }
    }

    /// What the simulated provider is told. A stream's first and last events are not text: three and a token count in
    /// Chat Completions, six in Messages.
    const fn script(self) -> &'static str {
        match self {
            Self::Small | Self::Agent | Self::History { .. } | Self::MessagesSmall => "text=24",
            Self::Stream50 => "text=46",
            Self::Stream500 => "text=496",
            Self::Messages50 => "text=44",
            Self::MessagesStream500 => "text=494",
            Self::Paced => "text=46,delay=5",
        }
    }

    fn body(self) -> Value {
        match self {
            Self::Small => chat(false, SMALL, Vec::new()),
            Self::Stream50 | Self::Stream500 | Self::Paced => chat(true, SMALL, Vec::new()),
            Self::History { turns } => Conversation::new(SESSION).turn(turns, NONCE),
            Self::Agent => chat(
                false,
                AGENT,
                tools(
                    |name, text, schema| json!({"type": "function", "function": {"name": name, "description": text, "parameters": schema}}),
                ),
            ),
            Self::Messages50 => messages(
                true,
                AGENT,
                tools(
                    |name, text, schema| json!({"name": name, "description": text, "input_schema": schema}),
                ),
            ),
            Self::MessagesSmall => messages(false, SMALL, Vec::new()),
            Self::MessagesStream500 => messages(true, SMALL, Vec::new()),
        }
    }
}

/// A request that is ready to be sent many times, each time with a number of its own in its body.
#[derive(Debug)]
pub struct Template {
    workload: Workload,
    path: &'static str,
    script: String,
    /// Events of one answer; 0 for a plain one.
    events: u64,
    body: Vec<u8>,
    /// Where the digits of the request's number stand.
    request_digits: Range<usize>,
    /// Where the digits of its conversation's number stand.
    session_digits: Range<usize>,
}

impl Template {
    /// A request of this kind. With a pause, the provider waits so many milliseconds before the head of its answer.
    #[must_use]
    pub fn new(workload: Workload, pause_ms: u32) -> Self {
        Self::of(workload, pause_ms, &workload.body())
    }

    /// The same request for a model that only a provider of another dialect has.
    #[must_use]
    pub fn foreign(workload: Workload, pause_ms: u32) -> Self {
        let mut body = workload.body();
        body["model"] = json!(FOREIGN_MODEL);
        // Only Anthropic's own streams have a ping behind their start.
        let events = workload.events().saturating_sub(1);
        Self { events, ..Self::of(workload, pause_ms, &body) }
    }

    fn of(workload: Workload, pause_ms: u32, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        let request_digits = digits_of(&body, NONCE);
        let session_digits = digits_of(&body, SESSION);
        let script = match pause_ms {
            0 => workload.script().to_owned(),
            pause => format!("{},first_byte={pause}", workload.script()),
        };
        let path = match workload {
            Workload::Messages50 | Workload::MessagesSmall | Workload::MessagesStream500 => "/v1/messages",
            _ => "/v1/chat/completions",
        };
        let events = workload.events();
        Self { workload, path, script, events, body, request_digits, session_digits }
    }

    /// The kind of exchange.
    #[must_use]
    pub const fn workload(&self) -> Workload {
        self.workload
    }

    /// Events of one answer; 0 for a plain one.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// Length of its body.
    pub(crate) const fn body_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// The body of the request with this number.
    pub(crate) fn body(&self, number: u64) -> Bytes {
        Bytes::from(self.numbered(number))
    }

    /// The request with this number.
    pub(crate) fn request(&self, number: u64, host: &str) -> hyper::http::Result<Request<Full<Bytes>>> {
        Request::post(self.path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, "Bearer sk-bench")
            .header("user-agent", "lunaroute-bench")
            .header("anthropic-version", "2023-06-01")
            .header(SCRIPT_HEADER, &self.script)
            .body(Full::new(self.body(number)))
    }

    fn numbered(&self, number: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        for (digits, number) in
            [(&self.request_digits, number), (&self.session_digits, number / REQUESTS_PER_SESSION)]
        {
            body[digits.clone()]
                .copy_from_slice(format!("{number:0width$}", width = digits.len()).as_bytes());
        }
        body
    }
}

/// Where the digits stand after a word with a hyphen that every body holds once.
fn digits_of(body: &[u8], word: &str) -> Range<usize> {
    let start = memchr::memmem::rfind(body, word.as_bytes()).expect("every body is made with both words");
    let digits = word.find('-').map_or(0, |hyphen| hyphen + 1);
    start + digits..start + word.len()
}

fn chat(stream: bool, size: usize, tools: Vec<Value>) -> Value {
    let mut body = json!({
        "model": "gpt-5-mini",
        "messages": [
            {"role": "system", "content": "You answer in few words."},
            {"role": "user", "content": SESSION},
            {"role": "user", "content": NONCE},
        ],
        "temperature": 0.2,
    });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    if !tools.is_empty() {
        body["tools"] = json!(tools);
    }
    grow(body, size, |history| json!({"role": "assistant", "content": history}))
}

fn messages(stream: bool, size: usize, tools: Vec<Value>) -> Value {
    let mut body = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 4_096,
        "system": [{"type": "text", "text": "You are a careful programmer."}],
        "messages": [
            {"role": "user", "content": SESSION},
            {"role": "user", "content": NONCE},
        ],
    });
    if stream {
        body["stream"] = json!(true);
    }
    if !tools.is_empty() {
        body["tools"] = json!(tools);
    }
    grow(body, size, |history| json!({"role": "assistant", "content": [{"type": "text", "text": history}]}))
}

/// Puts pieces of history before the last message until the body has its size to the byte.
fn grow(mut body: Value, size: usize, turn: impl Fn(&str) -> Value) -> Value {
    const TURN: usize = 2_000;
    let overhead = turn("").to_string().len() + 1;
    loop {
        let missing = size.saturating_sub(body.to_string().len());
        let Some(messages) = body["messages"].as_array_mut() else { return body };
        if missing <= overhead {
            return body;
        }
        // The last piece of history takes all that is left, so that no remainder is too short for a turn of its own.
        let length = if missing < TURN + 2 * overhead { missing - overhead } else { TURN };
        let text = Words::new(messages.len() as u64).prose(length);
        messages.insert(messages.len() - 1, turn(&text));
    }
}

fn tools(shape: impl Fn(String, String, Value) -> Value) -> Vec<Value> {
    let of_number = |number: u64| {
        let mut words = Words::new(1_000 + number);
        let schema = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": words.prose(300)},
                "mode": {"type": "string", "enum": ["read", "write", "append"]},
                "limit": {"type": "integer", "description": words.prose(200)},
            },
            "required": ["path"],
        });
        shape(format!("tool_{number:02}"), words.prose(1_200), schema)
    };
    (0..30).map(of_number).collect()
}

#[cfg(test)]
mod tests {
    use super::{AGENT, SMALL, Template, Workload};

    #[track_caller]
    fn check(workload: Workload, size: usize) {
        let template = Template::new(workload, 0);
        assert_eq!(template.body.len(), size, "{workload:?}");
        let messages = |number| {
            let body: serde_json::Value = serde_json::from_slice(&template.numbered(number)).unwrap();
            body["messages"].as_array().unwrap().clone()
        };
        let (first, second, other) = (messages(16), messages(17), messages(32));
        assert_ne!(first.last(), second.last(), "{workload:?}");
        assert_eq!(first[..first.len() - 1], second[..first.len() - 1], "{workload:?}: one conversation");
        let question = first.iter().position(|message| message["role"] == "user").unwrap();
        assert_ne!(first[question], other[question], "{workload:?}: another conversation");
    }

    #[test]
    fn bodies_have_their_size_and_each_request_is_its_own() {
        check(Workload::Small, SMALL);
        check(Workload::Stream50, SMALL);
        check(Workload::Stream500, SMALL);
        check(Workload::Paced, SMALL);
        check(Workload::Agent, AGENT);
        check(Workload::Messages50, AGENT);
        check(Workload::MessagesSmall, SMALL);
        check(Workload::MessagesStream500, SMALL);
    }

    #[test]
    fn a_history_has_its_turns_and_each_request_is_its_own() {
        let of_turns = |turns| Template::new(Workload::History { turns }, 0);
        let body: serde_json::Value = serde_json::from_slice(&of_turns(10).numbered(1)).unwrap();
        assert_eq!(body["messages"].as_array().unwrap().len(), 1 + 2 * 10 + 1);
        check(Workload::History { turns: 10 }, of_turns(10).body.len());
        let grown = of_turns(400).body.len() - of_turns(100).body.len();
        assert!((440_000..=480_000).contains(&grown), "300 turns have {grown} bytes");
    }

    #[test]
    fn a_pause_is_a_word_of_the_script() {
        assert_eq!(Template::new(Workload::Small, 20).script, "text=24,first_byte=20");
    }
}
