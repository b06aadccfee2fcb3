//! Who is there: the open requests and the sessions of the last while, written at the head of each segment, so that
//! recovery never has to read further back than the last of these lists.

use lunaroute_core::{RequestId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::request::OpenRequest;
use crate::identity::{KnownSession, SessionTracker};

/// Sessions that are listed at most; more only cost a new session after a crash.
const SESSIONS: usize = 5_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RollCall {
    pub(crate) open: Vec<Present>,
    pub(crate) sessions: Vec<KnownSession>,
}

/// An open request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Present {
    pub(crate) request: RequestId,
    pub(crate) session: SessionId,
    pub(crate) next_seq: u32,
    pub(crate) status: Option<u16>,
    pub(crate) last_at: Timestamp,
}

impl RollCall {
    pub(crate) fn new<'a>(open: impl Iterator<Item = &'a OpenRequest>, tracker: &SessionTracker) -> Self {
        let open = open
            .map(|request| Present {
                request: request.id,
                session: request.session.clone(),
                next_seq: request.next_seq(),
                status: request.status,
                last_at: request.last_at(),
            })
            .collect();
        Self { open, sessions: tracker.active(Timestamp::now(), SESSIONS) }
    }

    /// Of this request only what is before `seq` is in the journal.
    pub(crate) fn reached(&mut self, request: RequestId, seq: u32) {
        let present = self.open.iter_mut().filter(|present| present.request == request);
        present.for_each(|present| present.next_seq = present.next_seq.min(seq));
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("ids and numbers only, and memory never fails to write")
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}
