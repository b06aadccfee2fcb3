//! Hand-made requests as the recorder would tell them, and a database to write them to.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Delta, Dialect, Ending, FailureKind, MessageSpan, Operation, RequestId,
    Role, SessionId, StopReason, Timestamp, ToolResultSpan, Usage,
};
use lunaroute_session::event::{
    AttemptStarted, EventKind, GapCause, Repeats, RequestRead, ResponseRead, SessionEvent, Started, Stats,
};
use lunaroute_session::query::{SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{SqliteConfig, SqliteWriter};
use lunaroute_session::writer::{ItemOutcome, JournaledEvent, SessionWriter};
use lunaroute_storage::journal::Position;
use rusqlite::Connection;
use rusqlite::types::Value;

/// 2026-11-21T00:00:00Z.
pub(crate) const START: i64 = 1_795_219_200_000_000;

/// One request from its arrival to its end; fields are changed before [`events`](Self::events) is called.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) number: u64,
    pub(crate) session: String,
    pub(crate) external_id: Option<String>,
    pub(crate) client: String,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) text: String,
    pub(crate) body: Vec<u8>,
    pub(crate) encoding: Option<String>,
    pub(crate) messages: Vec<(Role, Range<usize>)>,
    pub(crate) results: Vec<(String, Option<bool>, Range<usize>)>,
    pub(crate) tools: Vec<(String, String, String)>,
    pub(crate) answer: Vec<Vec<u8>>,
    pub(crate) usage: Usage,
    pub(crate) ending: Ending,
    pub(crate) status: Option<u16>,
    pub(crate) mishap: Option<(FailureKind, String)>,
    pub(crate) gap: Option<(u64, u64, GapCause)>,
    pub(crate) repeats: Option<Repeats>,
}

impl Story {
    pub(crate) fn new(number: u64, session: &str) -> Self {
        Self {
            number,
            session: session.to_owned(),
            external_id: Some(format!("ext-{session}")),
            client: "claude-code".to_owned(),
            model: "model-1".to_owned(),
            provider: "anthropic".to_owned(),
            text: format!("question {number}"),
            body: format!("{{\"q\":{number}}}").into_bytes(),
            encoding: None,
            messages: Vec::new(),
            results: Vec::new(),
            tools: Vec::new(),
            answer: vec![format!("answer {number} ").into_bytes(), b"goes on".to_vec()],
            usage: Usage {
                input: Some(10 + number),
                output: Some(number),
                cache_read: Some(0),
                ..Usage::default()
            },
            ending: Ending::Completed,
            status: Some(200),
            mishap: None,
            gap: None,
            repeats: None,
        }
    }

    /// A request whose body is `{"messages":[...]}` over these messages.
    pub(crate) fn with_messages(mut self, messages: &[(Role, String)]) -> Self {
        let mut body = b"{\"model\":\"model-1\",\"messages\":[".to_vec();
        self.messages.clear();
        for (place, (role, message)) in messages.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            let start = body.len();
            body.extend_from_slice(message.as_bytes());
            self.messages.push((*role, start..body.len()));
        }
        body.extend_from_slice(b"],\"stream\":true}");
        self.body = body;
        self
    }

    /// Tells how much of the body stands in that of `earlier`.
    pub(crate) fn repeating(mut self, earlier: &Self) -> Self {
        let (old, new) = (&earlier.body, &self.body);
        let prefix = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let rest = old.len().min(new.len()) - prefix;
        let pairs = old.iter().rev().zip(new.iter().rev()).take(rest);
        let suffix = pairs.take_while(|(old, new)| old == new).count();
        self.repeats = Some(Repeats { of: earlier.id(), prefix: prefix as u64, suffix: suffix as u64 });
        self
    }

    pub(crate) fn id(&self) -> RequestId {
        request_id(self.number)
    }

    pub(crate) fn answer_bytes(&self) -> Vec<u8> {
        self.answer.concat()
    }

    fn at(&self, step: i64) -> Timestamp {
        Timestamp::from_micros(START + i64::try_from(self.number).expect("small") * 1_000_000 + step * 10_000)
    }

    fn started(&self) -> EventKind {
        EventKind::Started(Arc::new(Started {
            client: self.client.clone(),
            external_id: self.external_id.clone(),
            session_source: "header:x-session".to_owned(),
            dialect: Dialect::Anthropic,
            operation: Operation::Messages,
            listener: "127.0.0.1:8081".to_owned(),
            method: "POST".to_owned(),
            path: "/v1/messages".to_owned(),
            headers: vec![("x-text".to_owned(), self.text.clone()), ("accept".to_owned(), "*/*".to_owned())],
            client_ip: Some("127.0.0.1".to_owned()),
            user_agent: Some(self.text.clone()),
            overhead_pre_us: 17,
            repeats: self.repeats,
        }))
    }

    fn read(&self) -> EventKind {
        let span = |(role, range): &(Role, Range<usize>)| MessageSpan { role: *role, range: range.clone() };
        let result = |(call_id, is_error, range): &(String, Option<bool>, Range<usize>)| ToolResultSpan {
            call_id: call_id.clone(),
            is_error: *is_error,
            range: range.clone(),
        };
        EventKind::Request(Arc::new(RequestRead {
            model: Some(self.model.clone()),
            stream: true,
            content_encoding: self.encoding.clone(),
            messages: self.messages.iter().map(span).collect(),
            tool_results: self.results.iter().map(result).collect(),
            preview: Some(self.text.clone()),
            problem: None,
        }))
    }

    fn answer_events(&self) -> Vec<(EventKind, Bytes)> {
        let mut events = vec![(
            EventKind::ResponseStarted {
                status: self.status.unwrap_or(200),
                headers: vec![("x-text".to_owned(), self.text.clone())].into(),
            },
            Bytes::new(),
        )];
        for (number, piece) in (0_u64..).zip(&self.answer) {
            let text = Delta::Text { index: 0, text: String::from_utf8_lossy(piece).into_owned() };
            events.push((
                EventKind::StreamDelta {
                    frames: 1,
                    first_us: number * 100,
                    last_us: number * 100,
                    parts: vec![text],
                },
                Bytes::from(piece.clone()),
            ));
        }
        for (id, name, arguments) in &self.tools {
            let (id, name, arguments) = (id.clone(), name.clone(), arguments.clone());
            events.push((EventKind::ToolCall { id, name, arguments }, Bytes::new()));
        }
        events.push((
            EventKind::Response(Arc::new(ResponseRead {
                provider_response_id: Some(format!("msg-{}", self.text)),
                model: Some(format!("{}-2026", self.model)),
                text_preview: Some(self.text.clone()),
                usage: self.usage,
                stop: Some(StopReason::EndTurn),
                stop_raw: Some("end_turn".to_owned()),
                tool_calls: u32::try_from(self.tools.len()).expect("few"),
                content_encoding: None,
                ended: true,
                usage_estimated: false,
            })),
            Bytes::new(),
        ));
        events.push((EventKind::Stats(self.stats()), Bytes::new()));
        events
    }

    fn stats(&self) -> Stats {
        let answer = self.answer_bytes();
        Stats {
            request_bytes: self.body.len() as u64,
            response_bytes: answer.len() as u64,
            response_blake3: blake3::hash(&answer).to_hex().to_string(),
            frames: self.answer.len() as u64,
            ttft_us: Some(1_500),
            gap_p50_us: Some(10),
            gap_p95_us: Some(20),
            gap_p99_us: Some(30),
            total_us: 90_000,
            overhead_pre_us: 18,
            overhead_post_us: 0,
        }
    }

    /// The events in order.
    pub(crate) fn events(&self) -> Vec<SessionEvent> {
        let mut kinds = vec![(self.started(), Bytes::from(self.body.clone())), (self.read(), Bytes::new())];
        let attempt = AttemptStarted {
            ordinal: 0,
            provider: self.provider.clone(),
            model: Some(self.model.clone()),
            reason: AttemptReason::Primary,
        };
        kinds.push((EventKind::AttemptStarted(attempt.into()), Bytes::new()));
        let outcome = AttemptOutcome {
            status: self.status,
            latency_us: 1_200,
            failure: self.mishap.as_ref().map(|(kind, _)| *kind),
            message: self.mishap.as_ref().map(|(_, message)| message.clone()),
            retry_after_ms: Some(5),
        };
        let discarded = Bytes::from_static(b"a body that the client never saw");
        kinds.push((EventKind::AttemptFinished { ordinal: 0, outcome }, discarded));
        kinds.extend(self.answer_events());
        if let Some((error, message)) = self.mishap.clone() {
            kinds.push((EventKind::Error { error, message }, Bytes::new()));
        }
        if let Some((lost_frames, lost_bytes, cause)) = self.gap {
            kinds.push((EventKind::Gap { lost_frames, lost_bytes, cause }, Bytes::new()));
        }
        let completed = EventKind::Completed {
            ending: self.ending,
            status: self.status,
            error: self.mishap.as_ref().map(|(kind, _)| *kind),
            message: self.mishap.as_ref().map(|(_, message)| message.clone()),
        };
        kinds.push((completed, Bytes::new()));
        let session = SessionId::parse(&self.session).expect("a session id");
        (0_u32..)
            .zip(kinds)
            .map(|(seq, (kind, body))| SessionEvent {
                session: session.clone(),
                request: self.id(),
                seq,
                at: self.at(i64::from(seq)),
                kind,
                body: body.into(),
            })
            .collect()
    }
}

/// The request id of a number; ids sort like their numbers.
pub(crate) fn request_id(number: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[0] = 1;
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    RequestId::from_bytes(bytes)
}

/// Events with places in a journal of one segment.
pub(crate) fn journal(events: impl IntoIterator<Item = SessionEvent>) -> Vec<JournaledEvent> {
    let at = |index: u64| Position { segment: 1, offset: index * 100 };
    (0_u64..)
        .zip(events)
        .map(|(index, event)| JournaledEvent {
            position: at(index),
            next: at(index + 1),
            event: event.into(),
        })
        .collect()
}

/// The events of stories, one story after the other.
pub(crate) fn told(stories: &[Story]) -> Vec<JournaledEvent> {
    journal(stories.iter().flat_map(Story::events))
}

/// A directory with a database in it.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("sessions.db")
    }

    /// A writer that shows a request as running with the batch that it began in.
    pub(crate) fn writer(&self) -> SqliteWriter {
        let config = SqliteConfig { show_running_after: Duration::ZERO, ..SqliteConfig::new(self.path()) };
        SqliteWriter::open(config).expect("opens")
    }

    /// A writer as the gateway has it.
    pub(crate) fn usual_writer(&self) -> SqliteWriter {
        SqliteWriter::open(SqliteConfig::new(self.path())).expect("opens")
    }

    /// Writes everything in one batch with a new writer.
    #[track_caller]
    pub(crate) fn write(&self, events: &[JournaledEvent]) {
        write(&mut self.writer(), events);
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.path()).expect("opens")
    }
}

/// Writes a batch of which every event is taken.
#[track_caller]
pub(crate) fn write(writer: &mut SqliteWriter, events: &[JournaledEvent]) {
    let outcomes = writer.write(events).expect("writes");
    assert_eq!(outcomes, vec![ItemOutcome::Written; events.len()]);
}

/// What the tables say, whatever the order in which it was written: numbers that only name rows and seals are left out,
/// bodies are put together.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    const NAMES_ONLY: [&str; 12] = [
        "digest",
        // Counts what came early, which depends on how long a request runs before it is written.
        "out_of_order",
        "number",
        "session",
        "body",
        "decoded",
        "content",
        "sections",
        "answer",
        "arguments",
        "attempt_list",
        "provider_response_blob",
    ];
    let connection = Connection::open(path).expect("opens");
    let query = SqliteQuery::open_read_only(path).expect("opens");
    let mut lines = Vec::new();
    for table in [
        "conversations",
        "sessions",
        "requests",
        "attempts",
        "responses",
        "stream_metrics",
        "session_errors",
        "tool_calls",
        "projector_state",
        "quarantine",
    ] {
        let info = format!("SELECT name FROM pragma_table_info('{table}')");
        let mut statement = connection.prepare(&info).expect("prepares");
        let columns: Vec<String> = statement
            .query_map([], |row| row.get(0))
            .expect("queries")
            .collect::<Result<_, _>>()
            .expect("reads");
        let columns: Vec<&str> = columns
            .iter()
            .map(String::as_str)
            .filter(|name| !NAMES_ONLY.contains(name) && (table != "responses" || *name != "body_blob"))
            .collect();
        let select = format!("SELECT {} FROM {table} ORDER BY 1, 2", columns.join(", "));
        let select =
            if table == "sessions" { select.replace("ORDER BY 1, 2", "ORDER BY id") } else { select };
        let mut statement = connection.prepare(&select).expect("prepares");
        let mut rows = statement.query([]).expect("queries");
        while let Some(row) = rows.next().expect("reads") {
            let values: Vec<Value> =
                (0..columns.len()).map(|column| row.get(column).expect("any value")).collect();
            lines.push(format!("{table} {values:?}"));
        }
    }
    let mut statement = connection.prepare("SELECT id FROM requests ORDER BY id").expect("prepares");
    let ids = statement.query_map([], |row| row.get::<_, String>(0)).expect("queries");
    for id in ids {
        let id: RequestId = id.expect("reads").parse().expect("a request id");
        let detail = serde_json::to_string(&query.request(id).expect("is there")).expect("JSON");
        let bodies = (query.request_body(id).ok(), query.response_body(id).ok());
        lines.push(format!("{id} {detail} {bodies:?}"));
    }
    lines
}

/// One value of the database.
pub(crate) fn one<T: rusqlite::types::FromSql>(place: &Place, sql: &str) -> T {
    place.connection().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}
