//! Which session a request belongs to.
//!
//! A client that names its session decides. For the others a keyed fingerprint of the client's family, its credential,
//! its instructions and its first question does: the turns of one agent run share all of them, and nobody without the key
//! can tell from a session id what was asked, or with which credential. A request that says nothing, such as one for the
//! list of models, goes by its caller's address instead. Pure: the time is an argument.

mod fingerprint;

use std::collections::HashMap;
use std::time::Duration;

use lunaroute_core::{RequestReading, SessionHint, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::fingerprint::Caller;
use self::fingerprint::Fingerprint;

/// The source of a session whose client names none.
pub const FINGERPRINT: &str = "fingerprint";

/// A session that an earlier process has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSession {
    /// The client's own id; `None` when the session was found by its fingerprint.
    pub external: Option<String>,
    /// The client's family.
    pub client: String,
    /// Our id.
    pub session: SessionId,
    /// When something last happened in it.
    pub last_activity: Timestamp,
}

/// What tells one session from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    External { client: String, id: String },
    Fingerprint(Fingerprint),
}

struct Entry {
    session: SessionId,
    last_activity: Timestamp,
    /// Requests under way: a session never idles while one is.
    open: u32,
}

/// Where a request belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The session.
    pub session: SessionId,
    /// Where its id comes from, for the record.
    pub source: String,
}

/// Remembers the sessions of the last while. Bounded; what it forgets only costs a new session.
pub struct SessionTracker {
    key: [u8; 32],
    idle: Duration,
    capacity: usize,
    entries: HashMap<Key, Entry>,
    /// The ids in `entries`, so that two clients that choose the same id get two sessions.
    used: HashMap<SessionId, Key>,
}

impl SessionTracker {
    /// A tracker whose sessions end after `idle` without activity and which remembers at most `capacity` of them.
    #[must_use]
    pub fn new(key: [u8; 32], idle: Duration, capacity: usize) -> Self {
        Self { key, idle, capacity: capacity.max(1), entries: HashMap::new(), used: HashMap::new() }
    }

    /// Takes over what an earlier process knew. Of two sessions with one key the later stays.
    pub fn restore(&mut self, known: KnownSession) {
        let key = match known.external {
            Some(id) => Key::External { client: known.client, id },
            None => match Fingerprint::in_session(&known.session) {
                Some(fingerprint) => Key::Fingerprint(fingerprint),
                None => return,
            },
        };
        let later = self.entries.get(&key).is_none_or(|entry| entry.last_activity <= known.last_activity);
        if later {
            self.remember(key, known.session, known.last_activity, 0);
        }
    }

    /// Whether the session of a request with this hint can be told without reading its body.
    #[must_use]
    pub fn needs_reading(hint: &SessionHint) -> bool {
        hint.external_id.is_none()
    }

    /// Finds or makes the session of a request that arrived at `at`; [`finish`](Self::finish) ends it.
    pub fn place(
        &mut self,
        hint: &SessionHint,
        reading: &RequestReading,
        caller: Caller<'_>,
        at: Timestamp,
    ) -> Placed {
        let (key, source) = match &hint.external_id {
            Some(id) => (Key::External { client: hint.client.clone(), id: id.clone() }, hint.source.clone()),
            None => {
                let fingerprint = Fingerprint::of(&self.key, &hint.client, reading, caller);
                (Key::Fingerprint(fingerprint), FINGERPRINT.to_owned())
            }
        };
        if let Some(entry) = self.entries.get_mut(&key).filter(|entry| {
            entry.open > 0 || u128::from(at.micros_since(entry.last_activity)) <= self.idle.as_micros()
        }) {
            entry.open += 1;
            entry.last_activity = entry.last_activity.max(at);
            return Placed { session: entry.session.clone(), source };
        }
        let session = self.new_session(&key, at);
        self.remember(key, session.clone(), at, 1);
        Placed { session, source }
    }

    /// A request of the session is over.
    pub fn finish(&mut self, session: &SessionId, at: Timestamp) {
        let Some(entry) = self.used.get(session).and_then(|key| self.entries.get_mut(key)) else { return };
        if entry.session == *session {
            entry.open = entry.open.saturating_sub(1);
            entry.last_activity = entry.last_activity.max(at);
        }
    }

    /// The sessions that are not idle at `at`, the most recent first, at most `limit`.
    #[must_use]
    pub fn active(&self, at: Timestamp, limit: usize) -> Vec<KnownSession> {
        let mut active: Vec<KnownSession> = self
            .entries
            .iter()
            .filter(|(_, entry)| u128::from(at.micros_since(entry.last_activity)) <= self.idle.as_micros())
            .map(|(key, entry)| {
                let (external, client) = match key {
                    Key::External { client, id } => (Some(id.clone()), client.clone()),
                    Key::Fingerprint(_) => (None, String::new()),
                };
                let session = entry.session.clone();
                KnownSession { external, client, session, last_activity: entry.last_activity }
            })
            .collect();
        active.sort_unstable_by_key(|known| std::cmp::Reverse(known.last_activity));
        active.truncate(limit);
        active
    }

    /// The client's id when it can be ours and is free; else a new one.
    fn new_session(&self, key: &Key, at: Timestamp) -> SessionId {
        match key {
            Key::Fingerprint(fingerprint) => fingerprint.session(at),
            Key::External { id, .. } => SessionId::parse(id)
                .ok()
                .filter(|id| !self.used.contains_key(id))
                .unwrap_or_else(SessionId::generate),
        }
    }

    fn remember(&mut self, key: Key, session: SessionId, last_activity: Timestamp, open: u32) {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.forget_oldest();
        }
        self.used.insert(session.clone(), key.clone());
        if let Some(former) = self.entries.insert(key.clone(), Entry { session, last_activity, open }) {
            // The client's own id stays taken for ever by its first session; ids of ours are never asked for again.
            let keep = matches!(&key, Key::External { id, .. } if id == former.session.as_str());
            if !keep && self.entries.get(&key).is_some_and(|entry| entry.session != former.session) {
                self.used.remove(&former.session);
            }
        }
    }

    /// Makes room in one sweep for a tenth of the capacity, so that a sweep is rare.
    fn forget_oldest(&mut self) {
        let mut times: Vec<Timestamp> = self.entries.values().map(|entry| entry.last_activity).collect();
        let place = (self.capacity / 10).min(times.len() - 1);
        let (_, limit, _) = times.select_nth_unstable(place);
        let limit = *limit;
        self.entries.retain(|_, entry| entry.last_activity > limit);
        let entries = &self.entries;
        self.used.retain(|_, key| entries.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::LazyLock;

    use http::{HeaderMap, HeaderValue};
    use uuid::Uuid;

    use super::fingerprint::CREDENTIALS;
    use super::*;

    const IDLE: Duration = Duration::from_secs(1_800);

    fn tracker() -> SessionTracker {
        SessionTracker::new([7; 32], IDLE, 100)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000 + seconds * 1_000_000)
    }

    /// Headers and an address.
    struct Someone(LazyLock<HeaderMap>, Option<IpAddr>);

    impl Someone {
        fn caller(&self) -> Caller<'_> {
            Caller { headers: &self.0, address: self.1 }
        }
    }

    static NOBODY: Someone = Someone(LazyLock::new(HeaderMap::new), None);

    fn named(client: &str, id: &str) -> SessionHint {
        SessionHint { client: client.into(), external_id: Some(id.into()), source: "header:x".into() }
    }

    fn asked(first: &str) -> RequestReading {
        RequestReading { first_user_text: Some(first.into()), ..RequestReading::default() }
    }

    #[test]
    fn the_clients_own_id_is_used_until_it_idles_and_never_for_two_clients() {
        let mut tracker = tracker();
        let none = RequestReading::default();
        let first = tracker.place(&named("codex", "run-1"), &none, NOBODY.caller(), at(0));
        assert_eq!((first.session.as_str(), first.source.as_str()), ("run-1", "header:x"));
        let other_client = tracker.place(&named("sdk", "run-1"), &none, NOBODY.caller(), at(1));
        assert_ne!(other_client.session, first.session);
        assert_eq!(
            tracker.place(&named("codex", "run-1"), &none, NOBODY.caller(), at(5_000)).session,
            first.session,
            "still open"
        );
        tracker.finish(&first.session, at(5_000));
        tracker.finish(&first.session, at(5_001));
        assert_eq!(
            tracker.place(&named("codex", "run-1"), &none, NOBODY.caller(), at(6_801)).session,
            first.session,
            "sliding"
        );
        tracker.finish(&first.session, at(6_801));
        let later = tracker.place(&named("codex", "run-1"), &none, NOBODY.caller(), at(8_602)).session;
        assert_ne!(later, first.session, "idle for longer than 30 minutes");
        tracker.finish(&later, at(8_602));
        let last = tracker.place(&named("codex", "run-1"), &none, NOBODY.caller(), at(20_000)).session;
        assert!(last != later && last != first.session);
        let strange = tracker.place(&named("codex", "../etc/passwd"), &none, NOBODY.caller(), at(0)).session;
        assert!(Uuid::parse_str(strange.as_str()).is_ok());
    }

    #[test]
    fn a_fingerprint_joins_turns_and_survives_a_restart_in_the_id_itself() {
        let mut tracker = tracker();
        let hint = SessionHint { client: "aider".into(), ..SessionHint::default() };
        let first = tracker.place(&hint, &asked("hello"), NOBODY.caller(), at(0));
        assert_eq!(first.source, FINGERPRINT);
        tracker.finish(&first.session, at(1));
        assert_eq!(tracker.place(&hint, &asked("hello"), NOBODY.caller(), at(60)).session, first.session);
        assert_ne!(tracker.place(&hint, &asked("other"), NOBODY.caller(), at(60)).session, first.session);
        let stranger = SessionHint { client: "cursor".into(), ..SessionHint::default() };
        assert_ne!(tracker.place(&stranger, &asked("hello"), NOBODY.caller(), at(60)).session, first.session);

        let mut restarted = SessionTracker::new([7; 32], IDLE, 100);
        for known in tracker.active(at(61), 100) {
            restarted.restore(known);
        }
        assert_eq!(restarted.place(&hint, &asked("hello"), NOBODY.caller(), at(62)).session, first.session);
        let mut other_key = SessionTracker::new([8; 32], IDLE, 100);
        for known in tracker.active(at(61), 100) {
            other_key.restore(known);
        }
        assert_ne!(other_key.place(&hint, &asked("hello"), NOBODY.caller(), at(62)).session, first.session);
    }

    #[test]
    fn callers_with_other_credentials_share_no_session_even_when_they_ask_the_same() {
        let mut tracker = tracker();
        let hint = SessionHint { client: "sdk".into(), ..SessionHint::default() };
        let mut sessions = Vec::new();
        for (name, value) in CREDENTIALS.into_iter().flat_map(|name| [(name, "key-1"), (name, "key-2")]) {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            let mut place = |address: [u8; 4]| {
                let caller = Caller { headers: &headers, address: Some(address.into()) };
                tracker.place(&hint, &asked("hello"), caller, at(0)).session
            };
            let first = place([10, 0, 0, 1]);
            assert_eq!(place([10, 0, 0, 2]), first, "one run may come from several addresses");
            sessions.push(first);
        }
        let all = sessions.len();
        sessions.sort();
        sessions.dedup();
        assert_eq!((sessions.len(), all), (8, 8));
    }

    #[test]
    fn requests_that_say_nothing_go_by_their_callers_address() {
        let mut tracker = tracker();
        let hint = SessionHint { client: "sdk".into(), ..SessionHint::default() };
        let headers = HeaderMap::new();
        let empty = RequestReading { first_user_text: Some(String::new()), ..RequestReading::default() };
        let mut place = |reading: &RequestReading, address: [u8; 4]| {
            let caller = Caller { headers: &headers, address: Some(address.into()) };
            tracker.place(&hint, reading, caller, at(0)).session
        };
        let first = place(&RequestReading::default(), [10, 0, 0, 1]);
        assert_eq!(place(&empty, [10, 0, 0, 1]), first);
        assert_ne!(place(&empty, [10, 0, 0, 2]), first);
        let system = RequestReading { system_text: Some("be kind".into()), ..RequestReading::default() };
        assert_eq!(place(&system, [10, 0, 0, 1]), place(&system, [10, 0, 0, 2]));
    }

    #[test]
    fn memory_is_bounded_and_the_recent_stay() {
        let mut tracker = tracker();
        for number in 0..1_000_i64 {
            let placed = tracker.place(
                &named("c", &format!("s{number}")),
                &RequestReading::default(),
                NOBODY.caller(),
                at(number),
            );
            tracker.finish(&placed.session, at(number));
            assert!(tracker.entries.len() <= 100 && tracker.used.len() <= 100);
        }
        assert_eq!(tracker.active(at(1_000), 1)[0].external.as_deref(), Some("s999"));
    }
}
