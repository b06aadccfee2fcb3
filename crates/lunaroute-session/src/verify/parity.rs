//! The same requests in another keeper of events as in the database: the same ends, figures and bytes.

use std::collections::HashMap;

use lunaroute_core::{Ending, RequestId, Timestamp, Usage};
use lunaroute_storage::journal::Position;
use rusqlite::OptionalExtension;

use super::database::Snapshot;
use super::report::{Check, Report};
use crate::event::{EventKind, SessionEvent};
use crate::sqlite::{StoredBytes, is_removed};

/// What is known of a request that has not ended yet.
struct Open {
    next_seq: u32,
    usage: Usage,
    hasher: blake3::Hasher,
    hash: Option<String>,
    /// Hash of the request's body, once its first event was seen.
    body: Option<blake3::Hash>,
    lost: bool,
    /// Whether its first event was seen; else it began in a part that is gone.
    whole: bool,
}

/// Number and place of the last event of requests that are over.
pub(super) type Ends = HashMap<RequestId, (u32, Position)>;

const MILLIS_OF_A_DAY: i64 = 86_400_000;

/// Compares the events of one keeper with the database.
pub(super) struct Parity<'database> {
    name: &'static str,
    /// Whether the keeper holds every event of a request once, from the first on. The journal is pruned and may repeat.
    keeps_beginnings: bool,
    database: Option<&'database Snapshot>,
    open: HashMap<RequestId, Open>,
    /// The last event of each request that is over.
    over: Ends,
    /// When the first and the last request of each day began, in milliseconds, by the number of the day.
    covered: HashMap<i64, (i64, i64)>,
    check: Check,
}

/// The end of a request as one keeper tells it.
#[derive(Debug, PartialEq, Eq)]
struct End {
    ending: String,
    status: Option<u16>,
    tokens: [Option<i64>; 6],
    blake3: Option<String>,
}

impl<'database> Parity<'database> {
    pub(super) fn new(
        name: &'static str,
        keeps_beginnings: bool,
        database: Option<&'database Snapshot>,
    ) -> Self {
        let check = Check { name, checked: 0, pending: 0, problem_count: 0, problems: Vec::new() };
        let (open, over, covered) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { name, keeps_beginnings, database, open, over, covered, check }
    }

    /// Something that the keeper itself shows as damaged.
    pub(super) fn damage(&mut self, place: impl Into<String>, what: &str, found: impl ToString) {
        self.check.problem(place, what, "whole content", found);
    }

    /// Bytes at an end that may be in the middle of being written.
    pub(super) fn torn(&mut self, bytes: u64) {
        self.check.pending += u64::from(bytes > 0);
    }

    /// Takes the next event; those of one request come in order.
    pub(super) fn event(
        &mut self,
        place: &str,
        position: Position,
        event: &SessionEvent,
        report: &mut Report,
    ) {
        let id = event.request;
        // The journal may hold an event twice: an append that failed half-way is done again.
        if !self.keeps_beginnings && self.is_repeated(event) {
            return;
        }
        if self.over.contains_key(&id) {
            let what = format!("request {id} goes on after its end");
            self.check.problem(place, what, "one terminal state", format!("event {}", event.seq));
            return;
        }
        if let EventKind::Started(_) = &event.kind
            && self.name == "jsonl"
        {
            report.days.entry(day(event.at)).or_default().jsonl += 1;
            let at = event.at.as_millis();
            let (first, last) = self.covered.entry(at.div_euclid(MILLIS_OF_A_DAY)).or_insert((at, at));
            (*first, *last) = (at.min(*first), at.max(*last));
        }
        let whole = event.seq == 0;
        let open = self.open.entry(id).or_insert_with(|| Open {
            next_seq: if whole || self.keeps_beginnings { 0 } else { event.seq },
            usage: Usage::default(),
            hasher: blake3::Hasher::new(),
            hash: None,
            body: None,
            lost: false,
            whole,
        });
        if event.seq != open.next_seq {
            let what = format!("events of request {id} are missing or out of order");
            self.check.problem(
                place,
                what,
                format!("event {}", open.next_seq),
                format!("event {}", event.seq),
            );
        }
        open.next_seq = event.seq.saturating_add(1);
        match &event.kind {
            EventKind::Started(_) => open.body = Some(blake3::hash(&event.body.whole())),
            EventKind::StreamDelta { .. } => {
                open.hasher.update(&event.body.whole());
            }
            EventKind::Response(response) => open.usage = response.usage,
            EventKind::Stats(stats) => open.hash = Some(stats.response_blake3.clone()),
            EventKind::Gap { .. } => open.lost = true,
            EventKind::Completed { ending, status, .. } => {
                self.end(place, position, event, *ending, *status);
            }
            _ => {}
        }
    }

    fn is_repeated(&self, event: &SessionEvent) -> bool {
        let open = self.open.get(&event.request).is_some_and(|open| event.seq < open.next_seq);
        open || self.over.get(&event.request).is_some_and(|(last, _)| event.seq <= *last)
    }

    fn end(
        &mut self,
        place: &str,
        position: Position,
        event: &SessionEvent,
        ending: Ending,
        status: Option<u16>,
    ) {
        let Some(open) = self.open.remove(&event.request) else { return };
        self.over.insert(event.request, (event.seq, position));
        self.check.checked += 1;
        if let Some(hash) = open.hash.as_ref().filter(|_| open.whole && !open.lost) {
            let found = open.hasher.finalize().to_hex().to_string();
            self.check.same(place, "the answer's bytes are not those that flowed", hash, &found);
        }
        let Some(database) = self.database else { return };
        let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = open.usage;
        let ours = End {
            ending: ending.as_str().to_owned(),
            status,
            tokens: [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning]
                .map(|tokens| tokens.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX))),
            blake3: open.hash,
        };
        match stored(database, event.request) {
            Err(error) => self.check.finish(place, Err(error)),
            Ok(Some(theirs)) => {
                if let Some(body) = open.body {
                    same_body(&mut self.check, place, database, event.request, &body);
                }
                compare(&mut self.check, place, database, event, &ours, theirs, open.whole);
            }
            Ok(None) if position >= database.state.read => self.check.pending += 1,
            // The journal holds what was removed for a while longer, and so may a file that is about to go.
            Ok(None) if is_removed(&database.connection, event.request).unwrap_or(false) => {}
            // What was put aside is told by its own check.
            Ok(None) if is_put_aside(database, event).unwrap_or(false) => {}
            Ok(None) => {
                let what = format!("the end of request {} is not in the database", event.request);
                self.check.problem(place, what, ours.ending, "nothing");
            }
        }
    }

    /// Looks for requests of the database that the keeper lacks, which has to have those that began on its days between the
    /// first and the last of the day. It came as far as `reached` in the journal; what ends after that in `journal` is still
    /// on its way.
    pub(super) fn look_for_missing(&mut self, journal: &Ends, reached: Position) -> rusqlite::Result<()> {
        let Some(database) = self.database else { return Ok(()) };
        let sql = "SELECT id, started_at FROM requests WHERE ending IS NOT NULL";
        let mut statement = database.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, began): (String, i64) = (row.get(0)?, row.get(1)?);
            // An id that is none is told where requests are checked.
            let Ok(request) = id.parse::<RequestId>() else { continue };
            let day = self.covered.get(&began.div_euclid(MILLIS_OF_A_DAY));
            let is_covered = day.is_some_and(|(first, last)| (*first..=*last).contains(&began));
            if !is_covered || self.over.contains_key(&request) || self.open.contains_key(&request) {
                continue;
            }
            if journal.get(&request).is_some_and(|(_, end)| *end >= reached) {
                self.check.pending += 1;
            } else {
                let what = "it is in the database and not in the files of its day";
                self.check.problem(format!("requests {id}"), what, "its lines", "none");
            }
        }
        Ok(())
    }

    /// Puts the check into the report; tells how many requests there were, and which of them are over.
    pub(super) fn finish(mut self, report: &mut Report) -> (u64, Ends) {
        self.check.pending += self.open.len() as u64;
        report.checks.push(self.check);
        ((self.over.len() + self.open.len()) as u64, self.over)
    }
}

/// The end of a request in the database; `None` while it has none.
fn stored(database: &Snapshot, request: RequestId) -> rusqlite::Result<Option<End>> {
    let mut statement = database.connection.prepare_cached(
        "SELECT ending, http_status, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, \
         output_tokens, reasoning_tokens, nullif(lower(hex(response_blake3)), '') FROM requests WHERE id = ? AND ending IS NOT NULL",
    )?;
    let end = statement.query_row([request.to_string()], |row| {
        Ok(End {
            ending: row.get(0)?,
            status: row.get(1)?,
            tokens: [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?],
            blake3: row.get(8)?,
        })
    });
    end.optional()
}

fn compare(
    check: &mut Check,
    place: &str,
    database: &Snapshot,
    event: &SessionEvent,
    ours: &End,
    mut theirs: End,
    whole: bool,
) {
    // A request without its figures is told by the check of what was put aside; one whose beginning is gone may lack them
    // here.
    match is_put_aside(database, event) {
        Err(error) => check.finish(place, Err(error)),
        Ok(true) => {}
        Ok(false) => {
            if ours.blake3.is_none() {
                theirs.blake3 = None;
            }
            if ours.status.is_none() {
                // The database also knows the status of an answer that began and never ended.
                theirs.status = None;
            }
            if !whole && ours.tokens == [None; 6] {
                theirs.tokens = [None; 6];
            }
            let what = format!("request {} ends differently in the database", event.request);
            check.same(place, &what, ours, &theirs);
        }
    }
}

/// Whether the event is among what fits no row.
fn is_put_aside(database: &Snapshot, event: &SessionEvent) -> rusqlite::Result<bool> {
    let mut statement =
        database.connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM quarantine WHERE event_id = ?)")?;
    statement.query_row([format!("{}:{}", event.request, event.seq)], |row| row.get(0))
}

/// The body that the database gives back is the one that arrived.
fn same_body(
    check: &mut Check,
    place: &str,
    database: &Snapshot,
    request: RequestId,
    expected: &blake3::Hash,
) {
    let stored = StoredBytes::load(&database.connection, &request.to_string());
    let body = match stored {
        Ok(Some(stored)) if !stored.are_removed => stored.body(&database.connection),
        Ok(_) => return,
        Err(error) => Err(error),
    };
    let what = format!("request {request} has another body in the database");
    match body {
        Ok(body) => check.same(place, &what, &expected.to_hex(), &blake3::hash(&body).to_hex()),
        Err(error) => check.problem(place, what, expected, error),
    }
}

/// The UTC day of a moment, as `YYYY-MM-DD`.
pub(super) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}
