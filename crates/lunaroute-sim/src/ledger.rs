//! What the provider saw and did: the other side's account, with which a gateway's record is compared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lunaroute_core::{Dialect, Operation, StopReason, Timestamp, Usage};
use serde::{Serialize, Serializer};

/// How an answer ended, seen from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was handed to the connection whole.
    Completed,
    /// A status of 400 or more was answered, whole.
    ErrorStatus,
    /// The stream was ended by an error event.
    ErrorEvent,
    /// The provider cut the connection, as its script said.
    Cut,
    /// The client was gone before the answer was whole.
    ClientGone,
}

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Number of the request since the start or the last reset, from 1; answered in `x-sim-request`.
    pub number: u64,
    /// When its head had arrived.
    pub received_at: Timestamp,
    /// HTTP method.
    pub method: String,
    /// Path and query; values of query parameters that carry a credential are redacted.
    pub path: String,
    /// `HTTP/1.1`, `HTTP/2.0` ...
    pub version: String,
    /// Header lines; a credential's value is replaced by its [`credential_mark`].
    pub headers: Vec<(String, String)>,
    /// The client's `x-test-id`.
    pub test_id: Option<String>,
    /// The first of `x-request-id` and `x-client-request-id`.
    pub correlation_id: Option<String>,
    /// Length of the body as it arrived.
    pub body_bytes: u64,
    /// BLAKE3 of the body as it arrived, in hexadecimal; `None` with [`BodyPolicy::Length`](crate::BodyPolicy::Length).
    pub body_digest: Option<String>,
    /// The body as it arrived, with [`BodyPolicy::Whole`](crate::BodyPolicy::Whole) and room for it. Base64 in JSON.
    #[serde(serialize_with = "as_base64")]
    pub body: Option<Bytes>,
    /// The dialect that the path speaks; paths that no dialect owns are OpenAI's.
    pub dialect: Dialect,
    /// What was asked.
    pub operation: Operation,
    /// The model that was named.
    pub model: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// HTTP status of the answer; 0 when none was sent.
    pub status: u16,
    /// The provider's request id, as answered in `x-request-id` or `request-id`.
    pub request_id: String,
    /// Tokens as they were told on the wire up to the end, brought into disjoint classes.
    pub usage: Usage,
    /// Tool calls that were begun on the wire.
    pub tool_calls: u32,
    /// Visible text that was sent, cut at 1 MiB.
    pub text: String,
    /// Shown reasoning that was sent.
    pub reasoning: String,
    /// Why the model stopped, when that was told.
    pub stop: Option<StopReason>,
    /// Body bytes that were handed to the connection.
    pub bytes_sent: u64,
    /// Events of the stream that were handed over whole; 1 for a plain body.
    pub events_sent: u64,
    /// When the first byte of the body was handed over.
    pub first_byte_at: Option<Timestamp>,
    /// When the last byte of the body so far was handed over.
    pub last_byte_at: Option<Timestamp>,
    /// When the answer ended, or when the client's going was noticed.
    pub finished_at: Option<Timestamp>,
    /// How it ended; `None` while it is open.
    pub outcome: Option<Outcome>,
}

impl Entry {
    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The account at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Ledger {
    /// Requests in the order of their arrival.
    pub entries: Vec<Entry>,
    /// Entries that were dropped because the ledger was full.
    pub forgotten: u64,
}

impl Ledger {
    /// Entries that have ended.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.entries.iter().filter(|entry| entry.outcome.is_some()).count()
    }

    /// Entries that carried this `x-test-id`, in order.
    pub fn of_test<'a>(&'a self, test_id: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.test_id.as_deref() == Some(test_id))
    }
}

/// What the ledger shows of a credential: enough to tell whether two are the same, too little to use one.
#[must_use]
pub fn credential_mark(value: &[u8]) -> String {
    format!("blake3:{}", &blake3::hash(value).to_hex()[..16])
}

fn as_base64<S: Serializer>(body: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    body.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
}
