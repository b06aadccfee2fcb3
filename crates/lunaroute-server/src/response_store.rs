//! What the gateway remembers of Responses conversations for providers that do not: the items of a request and of its
//! answer under the answer's id, for the caller that it belongs to and nobody else. In memory, and bounded in each way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use lunaroute_core::headers::is_credential;
use lunaroute_core::{Failure, FailureKind};
use lunaroute_ingress::{Budget, Share};
use sha2::Sha256;

/// Who asks, told by the credential: a keyed hash, by a key that lives no longer than the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallerId([u8; 32]);

/// Items of one request or one answer, as they were sent.
struct Segment {
    bytes: Bytes,
    _held: Share,
}

/// A conversation up to an answer. Conversations that go on from one another share what they have in common.
#[derive(Clone, Default)]
pub(crate) struct Chain {
    segments: Vec<Arc<Segment>>,
    /// The provider that stored the answer itself.
    pub(crate) stored_by: Option<Arc<str>>,
}

impl Chain {
    /// The items in their order.
    pub(crate) fn items(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().map(|segment| &segment.bytes[..])
    }

    /// How many bytes the items are.
    pub(crate) fn size(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes.len()).sum()
    }
}

/// The last answer on one connection. It stays whatever `store` says, because nobody else can ask for it.
#[derive(Default)]
pub(crate) struct Thread(Mutex<Option<(String, Chain)>>);

impl Thread {
    /// The conversation up to the answer, if it was the last one.
    pub(crate) fn find(&self, id: &str) -> Option<Chain> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(known, _)| known == id).map(|(_, chain)| chain.clone())
    }

    /// An answer has come to its end; the one before is forgotten.
    pub(crate) fn keep(&self, id: String, chain: Chain) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, chain));
    }
}

/// The limits of a store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) answers: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

/// The answers of all callers.
pub(crate) struct ResponseStore {
    key: [u8; 32],
    memory: Arc<Budget>,
    answers: usize,
    age: Duration,
    kept: Mutex<Kept>,
}

type Key = (CallerId, String);

#[derive(Default)]
struct Kept {
    chains: HashMap<Key, Chain>,
    /// The same in the order in which they came.
    order: VecDeque<(Instant, Key)>,
}

impl ResponseStore {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            key: rand::random(),
            memory: Budget::new(bounds.bytes),
            answers: bounds.answers,
            age: bounds.age,
            kept: Mutex::default(),
        }
    }

    /// Who asks with these headers. Callers without a credential are one.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> CallerId {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        for (name, value) in headers.iter().filter(|(name, _)| is_credential(name)) {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                // The length in front keeps "ab" + "c" and "a" + "bc" apart.
                mac.update(&(part.len() as u64).to_le_bytes());
                mac.update(part);
            }
        }
        CallerId(mac.finalize().into_bytes().into())
    }

    /// The conversation up to an answer of this caller.
    pub(crate) fn find(&self, caller: CallerId, id: &str, now: Instant) -> Option<Chain> {
        let mut kept = self.kept();
        kept.forget_older(now, self.age);
        kept.chains.get(&(caller, id.to_owned())).cloned()
    }

    /// The conversation with the items of a request and of its answer behind it. `None` when there is no memory for them,
    /// also without the oldest answers.
    pub(crate) fn extend(&self, before: &Chain, items: [Vec<u8>; 2]) -> Option<Chain> {
        let mut chain = Chain { segments: before.segments.clone(), stored_by: None };
        for bytes in items.into_iter().filter(|bytes| !bytes.is_empty()) {
            let held = self.room(bytes.len())?;
            chain.segments.push(Arc::new(Segment { bytes: bytes.into(), _held: held }));
        }
        Some(chain)
    }

    /// Keeps an answer for its caller.
    pub(crate) fn keep(&self, caller: CallerId, id: String, chain: Chain, now: Instant) {
        let mut kept = self.kept();
        kept.forget_older(now, self.age);
        let key = (caller, id);
        if kept.chains.insert(key.clone(), chain).is_none() {
            kept.order.push_back((now, key));
        }
        while kept.chains.len() > self.answers {
            kept.forget_oldest();
        }
    }

    /// Memory for so many bytes; the oldest answers make room.
    fn room(&self, bytes: usize) -> Option<Share> {
        if bytes > self.memory.limit() {
            return None;
        }
        loop {
            if let Some(held) = self.memory.take(bytes) {
                return Some(held);
            }
            if !self.kept().forget_oldest() {
                return None;
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget_older(&mut self, now: Instant, age: Duration) {
        while self.order.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) > age) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key)) = self.order.pop_front() else { return false };
        self.chains.remove(&key);
        true
    }
}

/// That an answer is not known, or not the caller's.
pub(crate) fn unknown_response(id: &str) -> Failure {
    let shown: String = id.chars().take(100).collect();
    let message =
        format!("no answer '{shown}' is known; send the whole conversation without previous_response_id");
    Failure::client(FailureKind::UnknownResponse, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn store(answers: usize, bytes: usize) -> ResponseStore {
        ResponseStore::new(Bounds { answers, bytes, age: Duration::from_secs(10) })
    }

    fn caller(store: &ResponseStore, key: &str) -> CallerId {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(key).expect("a header"));
        headers.insert("user-agent", HeaderValue::from_static("any"));
        store.caller(&headers)
    }

    fn keep(store: &ResponseStore, caller: CallerId, id: &str, text: &str, now: Instant) -> Option<Chain> {
        let chain = store.extend(&Chain::default(), [text.into(), Vec::new()])?;
        store.keep(caller, id.to_owned(), chain.clone(), now);
        Some(chain)
    }

    #[test]
    fn an_answer_is_found_by_its_caller_alone_and_for_a_time() {
        let (store, now) = (store(10, 1_000), Instant::now());
        let (one, other) = (caller(&store, "Bearer one"), caller(&store, "Bearer other"));
        keep(&store, one, "resp_1", "a", now);
        let found = store.find(one, "resp_1", now).expect("it was kept");
        assert_eq!(found.items().collect::<Vec<_>>(), [b"a"]);
        assert!(store.find(other, "resp_1", now).is_none(), "nobody reads another caller's answer");
        assert!(store.find(one, "resp_2", now).is_none());
        assert!(store.find(one, "resp_1", now + Duration::from_secs(10)).is_some());
        assert!(store.find(one, "resp_1", now + Duration::from_secs(11)).is_none());
        drop(found);
        assert_eq!(store.memory.used(), 0, "what is forgotten takes no memory");
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let (store, now) = (store(2, 10), Instant::now());
        let one = caller(&store, "Bearer one");
        for id in ["1", "2", "3"] {
            keep(&store, one, id, "abc", now);
        }
        let known = |id: &str| store.find(one, id, now).is_some();
        assert_eq!(["1", "2", "3"].map(known), [false, true, true], "two answers are kept");
        keep(&store, one, "4", "abcdef", now).expect("there is room without the oldest");
        assert_eq!(["2", "3", "4"].map(known), [false, true, true]);
        assert!(keep(&store, one, "5", "more than ten bytes", now).is_none());
        assert!(known("3") && known("4"), "what cannot be kept drives nothing out");
    }

    #[test]
    fn conversations_share_what_they_have_in_common() {
        let (store, now) = (store(10, 100), Instant::now());
        let one = caller(&store, "Bearer one");
        let first = keep(&store, one, "1", "0123456789", now).expect("room");
        let next = store.extend(&first, [b"ab".to_vec(), b"cd".to_vec()]).expect("room");
        assert_eq!(next.items().collect::<Vec<_>>().concat(), b"0123456789abcd");
        assert_eq!((next.size(), store.memory.used()), (14, 14), "the common part is there once");
    }
}
