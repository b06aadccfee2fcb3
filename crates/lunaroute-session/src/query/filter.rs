//! What to look for, and which part of it.

use lunaroute_core::{SessionId, Timestamp};
use rusqlite::types::Value;

/// A stretch of time; both ends are in it, `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The last moment.
    pub to: Option<Timestamp>,
}

/// Which sessions. Every `None` lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionFilter {
    /// The id, or how it begins.
    pub id: Option<String>,
    /// The client's own id.
    pub external_id: Option<String>,
    /// The client's family.
    pub client: Option<String>,
    /// A provider that answered in it.
    pub provider: Option<String>,
    /// A model that was asked for or answered in it.
    pub model: Option<String>,
    /// The status.
    pub status: Option<String>,
    /// When it began.
    pub period: Period,
}

/// Which requests. Every `None` lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestFilter {
    /// The session.
    pub session: Option<SessionId>,
    /// The provider.
    pub provider: Option<String>,
    /// The model that was asked for or answered.
    pub model: Option<String>,
    /// The status.
    pub status: Option<String>,
    /// When it arrived.
    pub period: Period,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    limit: u32,
    offset: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 100, offset: 0 }
    }
}

impl Page {
    /// `limit` items after the first `offset`; the limit is brought into 1..=1000.
    #[must_use]
    pub fn new(limit: u32, offset: u64) -> Self {
        Self { limit: limit.clamp(1, 1_000), offset }
    }

    /// How many items.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// How many are skipped.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.offset
    }
}

/// A WHERE clause with its values; text from outside is always a value.
#[derive(Default)]
pub(super) struct Condition {
    clauses: Vec<&'static str>,
    pub(super) values: Vec<Value>,
}

impl Condition {
    fn add(&mut self, clause: &'static str, values: impl IntoIterator<Item = Value>) {
        self.clauses.push(clause);
        self.values.extend(values);
    }

    /// `clause` has one `?` per time the word is needed.
    fn word(&mut self, clause: &'static str, word: Option<&String>) {
        if let Some(word) = word {
            let times = clause.matches('?').count();
            self.add(clause, vec![Value::Text(word.clone()); times]);
        }
    }

    fn period(&mut self, period: Period) {
        if let Some(from) = period.from {
            self.add("started_at >= ?", [Value::Integer(from.as_millis())]);
        }
        if let Some(to) = period.to {
            // Half open, so that the last millisecond is in it and the index serves.
            self.add("started_at < ?", [Value::Integer(to.as_millis().saturating_add(1))]);
        }
    }

    pub(super) fn of_sessions(filter: &SessionFilter) -> Self {
        let mut condition = Self::default();
        if let Some(id) = &filter.id {
            condition.add("id >= ? AND id < ?", prefix_range(id));
        }
        condition.word(
            "conversation_id IN (SELECT c.id FROM conversations c WHERE c.external_id = ?)",
            filter.external_id.as_ref(),
        );
        condition.word("client = ?", filter.client.as_ref());
        condition.word(
            "EXISTS (SELECT 1 FROM requests r WHERE r.session = sessions.number AND r.provider = ?)",
            filter.provider.as_ref(),
        );
        condition.word(
            "EXISTS (SELECT 1 FROM requests r WHERE r.session = sessions.number \
             AND (r.model_used = ? OR r.model_requested = ?))",
            filter.model.as_ref(),
        );
        condition.word("status = ?", filter.status.as_ref());
        condition.period(filter.period);
        condition
    }

    pub(super) fn of_requests(filter: &RequestFilter) -> Self {
        let mut condition = Self::default();
        if let Some(session) = &filter.session {
            condition.add(
                "session = (SELECT s.number FROM sessions s WHERE s.id = ?)",
                [Value::Text(session.as_str().to_owned())],
            );
        }
        condition.word("provider = ?", filter.provider.as_ref());
        condition.word("(model_used = ? OR model_requested = ?)", filter.model.as_ref());
        condition.word("status = ?", filter.status.as_ref());
        condition.period(filter.period);
        condition
    }

    pub(super) fn of_period(period: Period) -> Self {
        let mut condition = Self::default();
        condition.period(period);
        condition
    }

    /// The clause, with a leading space; empty when everything passes.
    pub(super) fn sql(&self) -> String {
        if self.clauses.is_empty() { String::new() } else { format!(" WHERE {}", self.clauses.join(" AND ")) }
    }
}

/// The range of ids that begin with `prefix`: a range uses the key, LIKE would obey wildcards in the text.
pub(super) fn prefix_range(prefix: &str) -> [Value; 2] {
    [Value::Text(prefix.to_owned()), Value::Text(format!("{prefix}\u{10FFFF}"))]
}
