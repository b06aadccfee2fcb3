//! Earlier request bodies of a file that a later body may repeat.
//!
//! The last bodies of a file are bases. Whoever reads the file knows the same ones as whoever wrote it, so a line may
//! leave out what its body has in common with one of them.

use std::collections::VecDeque;

use bytes::Bytes;
use lunaroute_core::RequestId;

use crate::event::{EventKind, Repeats, SessionEvent};

/// How many bodies of a file are bases: the agents of one session that take turns are seldom more.
const BASES: usize = 8;

/// Below this nothing is left out: the reference has about a hundred bytes itself.
const LEAST_BYTES: usize = 256;

/// Bodies that the recorder did not compare, because they are small, are compared here up to this length.
const SMALL_BYTES: usize = 4 * 1024;

/// What a body has in common with a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) repeats: Repeats,
    /// Whether the event tells it itself.
    pub(super) told: bool,
}

/// The bases of a file that is being written.
#[derive(Debug, Default)]
pub(super) struct WrittenBases {
    /// Length of each body, the latest last.
    lengths: VecDeque<(RequestId, u64)>,
    /// The latest body, when it is small.
    small: Option<(RequestId, Box<[u8]>)>,
}

impl WrittenBases {
    /// What the event's body has in common with a base; afterwards it is one itself.
    pub(super) fn enter(&mut self, event: &SessionEvent) -> Option<Shared> {
        let EventKind::Started(started) = &event.kind else { return None };
        let body = &event.body;
        if body.is_empty() {
            return None;
        }
        let told = started
            .repeats
            .filter(|repeats| self.hold(repeats, body))
            .map(|repeats| Shared { repeats, told: true });
        let shared = told.or_else(|| self.compare(body));
        if self.lengths.len() == BASES {
            self.lengths.pop_front();
        }
        self.lengths.push_back((event.request, body.len() as u64));
        self.small = (LEAST_BYTES..=SMALL_BYTES)
            .contains(&body.len())
            .then(|| (event.request, Box::from(body.as_ref())));
        shared
    }

    /// Forgets all: nothing that is written from now on refers to what is in the file.
    pub(super) fn clear(&mut self) {
        self.lengths.clear();
        self.small = None;
    }

    /// Gives the memory of a body back: the next small one is compared with none.
    pub(super) fn forget_small(&mut self) {
        self.small = None;
    }

    /// Whether the body can be put together again from a base.
    fn hold(&self, repeats: &Repeats, body: &[u8]) -> bool {
        let Some(&(_, base)) = self.lengths.iter().rev().find(|(of, _)| *of == repeats.of) else {
            return false;
        };
        let common = repeats.prefix.saturating_add(repeats.suffix);
        common <= base && common <= body.len() as u64
    }

    /// Compares a small body with the latest one.
    fn compare(&self, body: &[u8]) -> Option<Shared> {
        let (of, base) = self.small.as_ref()?;
        if !(LEAST_BYTES..=SMALL_BYTES).contains(&body.len()) {
            return None;
        }
        let mut prefix = body.iter().zip(base).take_while(|(ours, theirs)| ours == theirs).count();
        let room = body.len().min(base.len()) - prefix;
        let (ours, theirs) = (body.iter().rev(), base.iter().rev());
        let mut suffix = ours.zip(theirs).take(room).take_while(|(ours, theirs)| ours == theirs).count();
        // Between characters, so that what is new stays text.
        let cuts_character = |at: usize| body.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        while prefix > 0 && cuts_character(prefix) {
            prefix -= 1;
        }
        while suffix > 0 && cuts_character(body.len() - suffix) {
            suffix -= 1;
        }
        let repeats = Repeats { of: *of, prefix: prefix as u64, suffix: suffix as u64 };
        ((prefix + suffix) * 2 >= body.len()).then_some(Shared { repeats, told: false })
    }
}

/// The bases of a file that is being read.
#[derive(Debug, Default)]
pub(super) struct ReadBases(VecDeque<(RequestId, Bytes)>);

impl ReadBases {
    /// Takes the body of a request that began.
    pub(super) fn enter(&mut self, request: RequestId, body: Bytes) {
        if self.0.len() == BASES {
            self.0.pop_front();
        }
        self.0.push_back((request, body));
    }

    /// Puts a body together from a base and what is new; `None` when the base is not there or another one.
    pub(super) fn whole(&self, middle: &[u8], repeats: &Repeats, crc32: u32) -> Option<Bytes> {
        let (_, base) = self.0.iter().rev().find(|(of, _)| *of == repeats.of)?;
        let start = base.get(..usize::try_from(repeats.prefix).ok()?)?;
        let end = base.get(base.len().checked_sub(usize::try_from(repeats.suffix).ok()?)?..)?;
        let mut whole = Vec::with_capacity(start.len() + middle.len() + end.len());
        whole.extend_from_slice(start);
        whole.extend_from_slice(middle);
        whole.extend_from_slice(end);
        (crc32fast::hash(&whole) == crc32).then(|| Bytes::from(whole))
    }
}
