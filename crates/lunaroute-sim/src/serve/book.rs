//! The ledger while it is written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use lunaroute_core::{Timestamp, Usage, headers};
use tokio::sync::watch;

use crate::config::BodyPolicy;
use crate::request::{Route, header};
use crate::{Config, Entry, Ledger, Outcome, credential_mark};

/// Entries in order, the oldest dropped when there is no room.
#[derive(Debug)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
    changes: watch::Sender<()>,
    policy: BodyPolicy,
    kept_body_bytes: usize,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Pages {
    ledger: Ledger,
    body_bytes: usize,
    /// Grows with each reset, so that a pen from before it writes nothing.
    generation: u64,
}

impl Book {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            pages: Mutex::default(),
            changes: watch::Sender::new(()),
            policy: config.bodies,
            kept_body_bytes: config.kept_body_bytes,
            capacity: config.ledger_capacity.max(1),
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.pages().ledger.clone()
    }

    /// The account at the first moment at which it fulfils the condition.
    pub(crate) async fn when(&self, mut condition: impl FnMut(&Ledger) -> bool) -> Ledger {
        let mut changes = self.changes.subscribe();
        loop {
            {
                let pages = self.pages();
                if condition(&pages.ledger) {
                    return pages.ledger.clone();
                }
            }
            // The sender is ours and lives as long as we do; were it gone, nothing would change any more.
            if changes.changed().await.is_err() {
                return self.ledger();
            }
        }
    }

    pub(crate) fn reset(&self) {
        let mut pages = self.pages();
        *pages = Pages { generation: pages.generation + 1, ..Pages::default() };
        drop(pages);
        self.changes.send_replace(());
    }

    /// Opens an entry.
    pub(crate) fn open(self: &Arc<Self>, head: &Parts, route: &Route) -> Pen {
        let mut entry = blank(head, route);
        let mut pages = self.pages();
        pages.make_room(self.capacity);
        entry.number = pages.ledger.forgotten + pages.ledger.entries.len() as u64 + 1;
        entry.request_id = format!("req_sim_{:08}", entry.number);
        let pen = Pen {
            number: entry.number,
            request_id: entry.request_id.clone(),
            generation: pages.generation,
            open: true,
            book: Arc::clone(self),
        };
        pages.ledger.entries.push(entry);
        drop(pages);
        self.changes.send_replace(());
        pen
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic elsewhere leaves whole entries behind: nothing here is half written under the lock.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// Forgets a sixteenth of a full ledger, so that forgetting costs little for each entry.
    fn make_room(&mut self, capacity: usize) {
        if self.ledger.entries.len() < capacity {
            return;
        }
        let oldest = (capacity / 16).max(1);
        self.ledger.forgotten += oldest as u64;
        for entry in self.ledger.entries.drain(..oldest) {
            self.body_bytes -= entry.body.map_or(0, |body| body.len());
        }
    }
}

/// What was played of an answer.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) usage: Usage,
    pub(crate) tool_calls: u32,
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) stop: Option<lunaroute_core::StopReason>,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    pub(crate) first_byte_at: Option<Timestamp>,
    pub(crate) last_byte_at: Option<Timestamp>,
}

/// Writes one entry. Dropped while the entry is open, it writes that the client was gone.
#[derive(Debug)]
pub(crate) struct Pen {
    book: Arc<Book>,
    generation: u64,
    open: bool,
    pub(crate) number: u64,
    pub(crate) request_id: String,
}

impl Pen {
    /// Notes the body.
    pub(crate) fn body(&self, body: &Bytes) {
        let digest =
            (self.book.policy != BodyPolicy::Length).then(|| blake3::hash(body).to_hex().to_string());
        let wanted = self.book.policy == BodyPolicy::Whole;
        let limit = self.book.kept_body_bytes;
        self.write(|entry, body_bytes| {
            entry.body_bytes = body.len() as u64;
            entry.body_digest = digest;
            if wanted && *body_bytes + body.len() <= limit {
                *body_bytes += body.len();
                entry.body = Some(body.clone());
            }
        });
    }

    /// Notes what the body asks for.
    pub(crate) fn asked(&self, model: Option<String>, stream: bool) {
        self.write(|entry, _| {
            entry.model = model;
            entry.stream = stream;
        });
    }

    /// Notes the status that is about to be answered.
    pub(crate) fn status(&self, status: u16) {
        self.write(|entry, _| entry.status = status);
    }

    /// Notes the end.
    pub(crate) fn close(&mut self, outcome: Outcome, played: Played) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let now = Timestamp::now();
        self.write(|entry, _| {
            entry.usage = played.usage;
            entry.tool_calls = played.tool_calls;
            entry.text = played.text;
            entry.reasoning = played.reasoning;
            entry.stop = played.stop;
            entry.bytes_sent = played.bytes;
            entry.events_sent = played.events;
            entry.first_byte_at = played.first_byte_at;
            entry.last_byte_at = played.last_byte_at;
            entry.finished_at = Some(now);
            entry.outcome = Some(outcome);
        });
        self.book.changes.send_replace(());
    }

    fn write(&self, change: impl FnOnce(&mut Entry, &mut usize)) {
        let mut pages = self.book.pages();
        if pages.generation != self.generation {
            return;
        }
        let Pages { ledger, body_bytes, .. } = &mut *pages;
        let place =
            self.number.checked_sub(ledger.forgotten + 1).and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| ledger.entries.get_mut(place)) {
            change(entry, body_bytes);
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.close(Outcome::ClientGone, Played::default());
    }
}

fn blank(head: &Parts, route: &Route) -> Entry {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let text = |name| header(&head.headers, name).map(str::to_owned);
    Entry {
        number: 0,
        received_at: Timestamp::now(),
        method: head.method.to_string(),
        path: headers::path_for_record(path),
        version: format!("{:?}", head.version),
        headers: marked(head),
        test_id: text("x-test-id"),
        correlation_id: text("x-request-id").or_else(|| text("x-client-request-id")),
        body_bytes: 0,
        body_digest: None,
        body: None,
        dialect: route.dialect(),
        operation: route.operation(),
        model: None,
        stream: false,
        status: 0,
        request_id: String::new(),
        usage: Usage::default(),
        tool_calls: 0,
        text: String::new(),
        reasoning: String::new(),
        stop: None,
        bytes_sent: 0,
        events_sent: 0,
        first_byte_at: None,
        last_byte_at: None,
        finished_at: None,
        outcome: None,
    }
}

/// The headers with a mark in place of each secret.
fn marked(head: &Parts) -> Vec<(String, String)> {
    let mut shown = headers::for_record(&head.headers);
    for ((_, text), value) in shown.iter_mut().zip(head.headers.values()) {
        if text == headers::REDACTED {
            *text = credential_mark(value.as_bytes());
        }
    }
    shown
}
