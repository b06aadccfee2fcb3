//! What an earlier process left open, read from the journal from its last roll call on.

use std::collections::HashMap;
use std::path::Path;

use lunaroute_core::{Answer, Ending, RequestId, SessionId, Timestamp};
use lunaroute_storage::journal::{JournalError, JournalReader, Position, SegmentInfo};

use super::ending::answer_events;
use super::roll_call::{Present, RollCall};
use crate::codec::{self, DecodeError, Expander};
use crate::event::{Body, EventKind, SessionEvent};
use crate::identity::{FINGERPRINT, KnownSession};

/// A request that has begun and not ended.
struct Unfinished {
    session: SessionId,
    next_seq: u32,
    status: Option<u16>,
    last_at: Timestamp,
    /// What was answered; `None` when its beginning lies before the roll call, so that it cannot be told.
    answer: Option<Answer>,
}

#[derive(Default)]
pub(crate) struct Recovered {
    unfinished: HashMap<RequestId, Unfinished>,
    sessions: HashMap<SessionId, KnownSession>,
}

impl Recovered {
    /// Reads what `segments` hold.
    pub(crate) fn read(
        directory: &Path,
        segments: &[SegmentInfo],
        text_limit: usize,
    ) -> Result<Self, JournalError> {
        let Some(last) = segments.last() else { return Ok(Self::default()) };
        let end = Position { segment: last.number, offset: last.bytes };
        let (mut recovered, mut expander) = (Self::default(), Expander::default());
        let mut reader = JournalReader::open(directory, last_roll_call(directory, segments)?)?;
        while let Some(frame) = reader.next(end)? {
            if frame.kind == codec::ROLL_CALL {
                if let Some(roll_call) = RollCall::decode(&frame.payload) {
                    recovered.take_over(roll_call);
                }
                continue;
            }
            match codec::decode(&frame.payload, &mut expander) {
                // Bodies are of no interest here, so what they lean on is not looked up.
                Ok(stored) => {
                    stored.into_iter().for_each(|stored| recovered.take_in(stored.event, text_limit));
                }
                Err(DecodeError::Format { format }) => {
                    return Err(JournalError::UnknownVersion {
                        directory: directory.to_owned(),
                        position: frame.position,
                        version: format,
                    });
                }
                // The writers tell of it.
                Err(_) => {}
            }
        }
        Ok(recovered)
    }

    pub(crate) fn sessions(&mut self) -> Vec<KnownSession> {
        self.sessions.drain().map(|(_, known)| known).collect()
    }

    /// The events that end what was left open.
    pub(crate) fn endings(self) -> impl Iterator<Item = Vec<SessionEvent>> {
        self.unfinished.into_iter().map(|(request, unfinished)| unfinished.ending(request))
    }

    fn take_over(&mut self, roll_call: RollCall) {
        // Whoever is known already is known better: the list follows the events it sums up.
        for Present { request, session, next_seq, status, last_at } in roll_call.open {
            self.unfinished.entry(request).or_insert(Unfinished {
                session,
                next_seq,
                status,
                last_at,
                answer: None,
            });
        }
        for known in roll_call.sessions {
            self.sessions.entry(known.session.clone()).or_insert(known);
        }
    }

    fn take_in(&mut self, event: SessionEvent, text_limit: usize) {
        if let Some(known) = self.sessions.get_mut(&event.session) {
            known.last_activity = known.last_activity.max(event.at);
        }
        if let EventKind::Started(started) = &event.kind {
            let external = started.external_id.clone().filter(|_| started.session_source != FINGERPRINT);
            let (session, last_activity) = (event.session.clone(), event.at);
            let known = KnownSession { external, client: started.client.clone(), session, last_activity };
            self.sessions.insert(event.session.clone(), known);
        }
        if matches!(event.kind, EventKind::Completed { .. }) {
            self.unfinished.remove(&event.request);
            return;
        }
        let unfinished = self.unfinished.entry(event.request).or_insert_with(|| Unfinished {
            session: event.session.clone(),
            next_seq: 0,
            status: None,
            last_at: event.at,
            answer: matches!(event.kind, EventKind::Started(_)).then(Answer::default),
        });
        unfinished.next_seq = unfinished.next_seq.max(event.seq.saturating_add(1));
        unfinished.last_at = unfinished.last_at.max(event.at);
        match event.kind {
            EventKind::ResponseStarted { status, .. } => unfinished.status = Some(status),
            EventKind::StreamDelta { parts, .. } => {
                if let Some(answer) = &mut unfinished.answer {
                    parts.iter().for_each(|part| answer.absorb(part, text_limit));
                }
            }
            _ => {}
        }
    }
}

impl Unfinished {
    fn ending(self, request: RequestId) -> Vec<SessionEvent> {
        let answer = self.answer.filter(|_| self.status.is_some());
        let mut kinds = answer.map_or_else(Vec::new, |answer| answer_events(request, &answer, None, false));
        kinds.push(EventKind::Completed {
            ending: Ending::Interrupted,
            status: self.status,
            error: None,
            message: Some("the gateway's process ended while the request was under way".to_owned()),
        });
        (self.next_seq..)
            .zip(kinds)
            .map(|(seq, kind)| SessionEvent {
                session: self.session.clone(),
                request,
                seq,
                at: self.last_at,
                kind,
                body: Body::default(),
            })
            .collect()
    }
}

/// Where the last roll call stands; the start of the journal when there is none.
fn last_roll_call(directory: &Path, segments: &[SegmentInfo]) -> Result<Position, JournalError> {
    for segment in segments.iter().rev() {
        let end = Position { segment: segment.number, offset: segment.bytes };
        let mut reader = JournalReader::open(directory, Position { segment: segment.number, offset: 0 })?;
        let mut found = None;
        while let Some(frame) = reader.next(end)? {
            if frame.kind == codec::ROLL_CALL {
                found = Some(frame.position);
            }
        }
        if let Some(position) = found {
            return Ok(position);
        }
    }
    Ok(Position::default())
}
