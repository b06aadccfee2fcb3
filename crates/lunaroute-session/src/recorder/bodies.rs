//! The bodies of the last requests, because the next turn of a conversation repeats most of the one before.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use lunaroute_core::{Dialect, Earlier, Operation, RequestId, RequestReading, SessionId};
use lunaroute_storage::journal::Position;

use super::note::RequestStart;
use crate::codec::{LEAST_BYTES, LONGEST_CHAIN, Lean};
use crate::event::{Body, EventKind, Repeats, SessionEvent, SharedBytes, common_prefix, common_suffix};

/// Bytes of bodies and of what was read of them that are kept.
const KEPT_BYTES: usize = 12 * 1024 * 1024;

/// What is kept of a request beside its body and what that says.
const REQUEST_BYTES: usize = 1_024;

/// A longer body is not kept: it would take the place of all others.
const LONGEST: usize = KEPT_BYTES / 4;

/// Bodies of one conversation that a new one is compared with, and of one client that names no sessions.
const PER_CONVERSATION: usize = 4;
const PER_CLIENT: usize = 16;

/// A body shares the first one of its conversation when no more than this part of it is new, and when that one is no more
/// than so many times as long: it stays in memory as long as anything that shares it.
const OWN_SHARE: usize = 4;
const ROOT_TIMES: usize = 2;

/// Requests whose bodies may repeat each other. Of a client that names no session, all requests are taken together:
/// whose they are is known only when they are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Conversation {
    dialect: Dialect,
    operation: Operation,
    client: String,
    external_id: Option<String>,
}

struct Known {
    conversation: Conversation,
    session: SessionId,
    /// Empty once it is not compared with any more.
    body: Bytes,
    /// The first body of the conversation, and how many bytes at its start and at its end are this one's, too; the body
    /// itself where that is not most of it.
    root: Bytes,
    rooted: (usize, usize),
    reading: Option<RequestReading>,
    /// What it takes beside its body and its root.
    bytes: usize,
    /// Where it is in the journal, and on how many others it leans there.
    place: Option<(Position, u32)>,
}

#[derive(Default)]
pub(crate) struct Bodies {
    known: HashMap<RequestId, Known>,
    /// The latest first.
    conversations: HashMap<Conversation, VecDeque<RequestId>>,
    /// The oldest first.
    order: VecDeque<RequestId>,
    /// Bodies and roots: most requests share theirs.
    shared: SharedBytes,
    /// Those that are not compared with any more, and whose body a request that was just taken in may yet be read after.
    outdated: Vec<RequestId>,
    bytes: usize,
}

impl Bodies {
    /// Where a request looks for earlier bodies and leaves its own; `None` when it is not worth it.
    pub(crate) fn conversation(start: &RequestStart) -> Option<Conversation> {
        let worth = (LEAST_BYTES..=LONGEST).contains(&start.body.len());
        // A coding spreads the smallest change over all that follows.
        if !worth || start.exchange.headers.contains_key(CONTENT_ENCODING) {
            return None;
        }
        Some(Conversation {
            dialect: start.exchange.dialect,
            operation: start.exchange.operation,
            client: start.hint.client.clone(),
            external_id: start.hint.external_id.clone(),
        })
    }

    /// The earlier body of which most comes again in `body`, when that is half of it at least.
    pub(crate) fn find(&self, conversation: &Conversation, body: &[u8]) -> Option<Repeats> {
        let mut best: Option<(Repeats, &[u8])> = None;
        for (of, known) in self.of_conversation(conversation) {
            let prefix = common_prefix(&known.body, body);
            if best.is_none_or(|(best, _)| prefix as u64 > best.prefix) {
                best = Some((Repeats { of, prefix: prefix as u64, suffix: 0 }, known.body.as_ref()));
            }
            if prefix * 2 >= body.len() {
                break;
            }
        }
        let (mut repeats, earlier) = best?;
        let prefix = usize::try_from(repeats.prefix).ok()?;
        let suffix = common_suffix(&earlier[prefix..], &body[prefix..]);
        repeats.suffix = suffix as u64;
        ((prefix + suffix) * 2 >= body.len() && prefix + suffix >= LEAST_BYTES).then_some(repeats)
    }

    fn of_conversation(&self, conversation: &Conversation) -> impl Iterator<Item = (RequestId, &Known)> {
        let ids = self.conversations.get(conversation).into_iter().flatten();
        ids.filter_map(|&id| Some((id, self.known.get(&id)?)))
    }

    /// Whether the earlier body is of this session.
    pub(crate) fn is_of(&self, repeats: &Repeats, session: &SessionId) -> bool {
        self.known.get(&repeats.of).is_some_and(|known| known.session == *session)
    }

    /// The earlier body together with what it says, when that is known.
    pub(crate) fn earlier(&self, repeats: &Repeats) -> Option<Earlier<'_>> {
        let known = self.known.get(&repeats.of)?;
        let (prefix, suffix) = (usize::try_from(repeats.prefix).ok()?, usize::try_from(repeats.suffix).ok()?);
        Some(Earlier { body: &known.body, reading: known.reading.as_ref()?, prefix, suffix })
    }

    /// Keeps the body of a request that is on its way to the journal.
    pub(crate) fn keep(
        &mut self,
        conversation: Conversation,
        request: RequestId,
        session: SessionId,
        (body, repeats): (Bytes, Option<&Repeats>),
    ) {
        let limit = if conversation.external_id.is_some() { PER_CONVERSATION } else { PER_CLIENT };
        let ids = self.conversations.entry(conversation.clone()).or_default();
        ids.push_front(request);
        self.outdated.extend(ids.split_off(limit.min(ids.len())));
        self.order.push_back(request);
        let (root, rooted) =
            self.root(&body, repeats).unwrap_or_else(|| (body.clone(), (body.len(), body.len())));
        let bytes = REQUEST_BYTES;
        self.bytes += bytes + self.shared.hold(&body) + self.shared.hold(&root);
        let known = Known { conversation, session, body, root, rooted, reading: None, bytes, place: None };
        self.known.insert(request, known);
        self.make_room();
    }

    /// The root of the body that is repeated, when most of this one is the root's.
    fn root(&self, body: &Bytes, repeats: Option<&Repeats>) -> Option<(Bytes, (usize, usize))> {
        let repeats = repeats?;
        let known = self.known.get(&repeats.of)?;
        let start = usize::try_from(repeats.prefix).ok()?.min(known.rooted.0);
        // Both may be all of a body, of which nothing is to be taken twice.
        let most = body.len().min(known.root.len()) - start;
        let end = usize::try_from(repeats.suffix).ok()?.min(known.rooted.1).min(most);
        let is_most = body.len() - start - end <= body.len() / OWN_SHARE;
        let worth = is_most && known.root.len() <= body.len() * ROOT_TIMES;
        worth.then(|| (known.root.clone(), (start, end)))
    }

    /// Makes the body of this start what is held for the writers: what it shares with the root is not held twice.
    pub(crate) fn slim(&self, event: &mut SessionEvent) {
        if !matches!(event.kind, EventKind::Started(_)) || event.body.len() < LEAST_BYTES {
            return;
        }
        let Some(known) = self.known.get(&event.request) else { return };
        let (root, (start, end), body) = (&known.root, known.rooted, event.body.whole());
        // What is known is known of this very body, and of no other that came under the same id.
        let is_same = body.as_ptr() == known.body.as_ptr() && body.len() == known.body.len();
        if is_same && body.as_ptr() != root.as_ptr() {
            event.body = Body::sharing(root, (start, end), &body[start..body.len() - end]);
        }
    }

    /// Lets go of the bodies that are not compared with any more; every request has been read. Where they stand is still
    /// known: what was found to repeat one of them a moment ago may lean on it.
    pub(crate) fn let_outdated_go(&mut self) {
        for request in self.outdated.drain(..) {
            let Some(known) = self.known.get_mut(&request) else { continue };
            self.bytes -= known.bytes - REQUEST_BYTES;
            known.bytes = REQUEST_BYTES;
            let (body, root) = (std::mem::take(&mut known.body), std::mem::take(&mut known.root));
            known.rooted = (0, 0);
            self.bytes -= self.shared.let_go(&body) + self.shared.let_go(&root);
            known.reading = None;
        }
    }

    /// Keeps what the body of a request says.
    pub(crate) fn keep_reading(&mut self, request: RequestId, reading: &RequestReading) {
        let Some(known) = self.known.get_mut(&request).filter(|known| !known.body.is_empty()) else { return };
        let texts = [&reading.system_text, &reading.first_user_text];
        let bytes = texts.into_iter().flatten().map(String::len).sum::<usize>()
            + (reading.messages.len() + reading.tool_results.len())
                * size_of::<lunaroute_core::MessageSpan>();
        known.bytes += bytes;
        self.bytes += bytes;
        known.reading = Some(reading.clone());
        self.make_room();
    }

    /// The request's body is not in the record, so nothing may refer to it.
    pub(crate) fn forget(&mut self, request: RequestId) {
        let Some(known) = self.known.remove(&request) else { return };
        self.bytes -= known.bytes + self.shared.let_go(&known.body) + self.shared.let_go(&known.root);
        if self.order.front() == Some(&request) {
            self.order.pop_front();
        } else {
            self.order.retain(|&id| id != request);
        }
        if let Some(ids) = self.conversations.get_mut(&known.conversation) {
            ids.retain(|&id| id != request);
            if ids.is_empty() {
                self.conversations.remove(&known.conversation);
            }
        }
    }

    fn make_room(&mut self) {
        while self.bytes > KEPT_BYTES
            && let Some(&oldest) = self.order.front()
        {
            self.forget(oldest);
        }
    }

    /// On what the body of this start can lean when its frame is in `segment`.
    pub(crate) fn lean(&self, event: &SessionEvent, segment: u64) -> Option<Lean> {
        let EventKind::Started(started) = &event.kind else { return None };
        let (base, depth) = self.known.get(&started.repeats?.of)?.place?;
        let leans = base.segment == segment && depth < LONGEST_CHAIN;
        leans.then(|| Lean { base, check: event.body.crc32() })
    }

    /// The frame that begins with this start stands at `place`.
    pub(crate) fn stands(&mut self, event: &SessionEvent, place: Position, lean: Option<Lean>) {
        let EventKind::Started(started) = &event.kind else { return };
        let depth = lean
            .and(started.repeats)
            .and_then(|repeats| self.known.get(&repeats.of)?.place)
            .map_or(0, |(_, depth)| depth + 1);
        if let Some(known) = self.known.get_mut(&event.request) {
            known.place = Some((place, depth));
        }
    }

    /// What was said of places does not hold any more.
    pub(crate) fn forget_places(&mut self) {
        self.known.values_mut().for_each(|known| known.place = None);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> RequestId {
        RequestId::from_bytes([number; 16])
    }

    #[test]
    fn of_a_client_that_names_no_session_the_last_bodies_are_held_and_the_places_of_all() {
        let conversation = Conversation {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            client: "sdk".to_owned(),
            external_id: None,
        };
        let session = SessionId::parse("s").expect("a session id");
        let body = vec![b'x'; 10_000];
        let mut bodies = Bodies::default();
        for number in 1..=40 {
            bodies.keep(conversation.clone(), id(number), session.clone(), (body.clone().into(), None));
            bodies.keep_reading(id(number), &RequestReading::default());
        }
        assert!(
            bodies.earlier(&Repeats { of: id(1), prefix: 10_000, suffix: 0 }).is_some(),
            "until all are read"
        );
        bodies.let_outdated_go();
        let held = bodies.known.values().filter(|known| !known.body.is_empty()).count();
        assert_eq!((held, bodies.known.len()), (PER_CLIENT, 40));
        assert_eq!(bodies.bytes, PER_CLIENT * body.len() + 40 * REQUEST_BYTES);
        let repeats = |number| Repeats { of: id(number), prefix: 10_000, suffix: 0 };
        assert!(bodies.earlier(&repeats(40)).is_some());
        // What is said late of a body that has gone is not taken for what the next one repeats.
        bodies.keep_reading(id(1), &RequestReading::default());
        assert!(bodies.earlier(&repeats(1)).is_none() && bodies.is_of(&repeats(1), &session));
        (1..=40).for_each(|number| bodies.forget(id(number)));
        assert_eq!(bodies.bytes, 0);
    }

    fn start(request: RequestId, body: Bytes) -> SessionEvent {
        let started = serde_json::json!({
            "kind": "started", "client": "sdk", "session_source": "generated", "dialect": "openai_chat",
            "operation": "chat", "listener": "default", "method": "POST", "path": "/", "headers": [], "overhead_pre_us": 0,
        });
        SessionEvent {
            session: SessionId::parse("s").expect("a session id"),
            request,
            seq: 0,
            at: lunaroute_core::Timestamp::from_micros(0),
            kind: serde_json::from_value(started).expect("a start"),
            body: body.into(),
        }
    }

    /// Keeps the bodies one after the other, each beside what it repeats of those before; gives what the writers hold.
    fn slimmed(bodies: &[Bytes]) -> Vec<Body> {
        let conversation = Conversation {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            client: "sdk".to_owned(),
            external_id: Some("1".to_owned()),
        };
        let mut known = Bodies::default();
        let mut slim = Vec::new();
        for (number, body) in (1..).zip(bodies) {
            let repeats = known.find(&conversation, body);
            let session = SessionId::parse("s").expect("a session id");
            known.keep(conversation.clone(), id(number), session, (body.clone(), repeats.as_ref()));
            let mut event = start(id(number), body.clone());
            known.slim(&mut event);
            assert!(event.body == *body, "body {number} is another");
            slim.push(event.body);
            // What came under its id and is another body stays as it is.
            let mut other = start(id(number), Bytes::from(vec![b'o'; body.len()]));
            known.slim(&mut other);
            assert!(other.body.earlier().is_none());
        }
        (1..).zip(bodies).for_each(|(number, _)| known.forget(id(number)));
        assert_eq!(known.bytes, 0);
        slim
    }

    #[test]
    fn turns_of_a_conversation_hold_what_they_have_beyond_its_first() {
        let turn = |number: usize| {
            let said: String =
                (0..200 + number).map(|line| format!("line {line} of the history\n")).collect();
            Bytes::from(format!("{said} the tools that every turn offers {}", "t".repeat(3_000)))
        };
        let turns: Vec<_> = (0..12).map(turn).collect();
        let slim = slimmed(&turns);
        assert!(slim[0].earlier().is_none(), "the first is what the others share");
        for slim in &slim[1..] {
            assert!(slim.own_bytes() < 400, "{} bytes of its own", slim.own_bytes());
            assert_eq!(slim.earlier().map(|earlier| earlier.as_ptr()), Some(turns[0].as_ptr()));
        }
        let same = slimmed(&[turns[0].clone(), turns[0].to_vec().into()]);
        assert_eq!(same[1].own_bytes(), 0);
    }

    #[test]
    fn what_shares_little_or_would_hold_much_more_than_itself_is_whole() {
        let text = |letter: &str, bytes| letter.repeat(bytes);
        let first = Bytes::from(text("a", 20_000));
        let half = Bytes::from(text("a", 10_000) + &text("b", 9_000));
        assert!(slimmed(&[first.clone(), half])[1].earlier().is_none(), "half of it is new");
        let short = Bytes::from(text("a", 9_000));
        assert!(slimmed(&[first, short])[1].earlier().is_none(), "it would keep twice its length");
    }

    proptest! {
        /// However often letters repeat, so that start and end may meet or pass each other.
        #[test]
        fn whatever_the_turns_are_each_comes_out_as_it_went_in(
            first in "[ab]{20}",
            turns in prop::collection::vec((0..20_usize, 0..20_usize, "[ab]{0,3}"), 1..8),
        ) {
            let mut bodies = vec![Bytes::from(first.repeat(400))];
            for (from, to, new) in turns {
                let last = &bodies[bodies.len() - 1];
                let (from, to) = (from.min(to) * last.len() / 20, from.max(to) * last.len() / 20);
                let next = [&last[..from], new.as_bytes(), &last[from..to], &last[from..]].concat();
                bodies.push(Bytes::from(next[..next.len().min(40_000)].to_vec()));
            }
            slimmed(&bodies);
        }
    }
}
