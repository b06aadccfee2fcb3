//! `lunaroute sessions tail`.

use std::collections::VecDeque;
use std::time::Duration;

use lunaroute_core::RequestId;
use lunaroute_session::query::{Page, RequestFilter, RequestRecord, SessionQuery};

use super::show::one_line;
use crate::output::{self, figure, milliseconds, print_json, text};
use crate::serve::{Signals, block_on};

/// How often the database is asked for what is new.
const INTERVAL: Duration = Duration::from_millis(500);

/// How many requests are looked at each time, and remembered as shown.
const WINDOW: u32 = 1_000;

pub(super) fn tail(query: &dyn SessionQuery, lines: u32, follow: bool, json: bool) -> anyhow::Result<()> {
    let mut shown = Shown::default();
    print_new(query, &mut shown, lines as usize, json)?;
    if !follow {
        return Ok(());
    }
    block_on(async {
        let mut signals = Signals::listen()?;
        loop {
            tokio::select! {
                _ = signals.next() => return Ok(()),
                () = tokio::time::sleep(INTERVAL) => print_new(query, &mut shown, usize::MAX, json)?,
            }
        }
    })
}

/// The latest requests that were printed already, the oldest forgotten first.
#[derive(Default)]
struct Shown(VecDeque<RequestId>);

impl Shown {
    /// Whether the request is new; it is known from then on.
    fn take(&mut self, id: RequestId) -> bool {
        if self.0.contains(&id) {
            return false;
        }
        if self.0.len() >= 2 * WINDOW as usize {
            self.0.pop_front();
        }
        self.0.push_back(id);
        true
    }
}

/// Prints the requests that have ended since the last time, at most the latest `most`.
fn print_new(query: &dyn SessionQuery, shown: &mut Shown, most: usize, json: bool) -> anyhow::Result<()> {
    let listing = query.requests(&RequestFilter::default(), Page::new(WINDOW, 0))?;
    let mut ended: Vec<RequestRecord> = listing
        .items
        .into_iter()
        .filter(|request| request.completed_at.is_some() && shown.take(request.id))
        .collect();
    ended.truncate(most);
    for request in ended.iter().rev() {
        if json {
            print_json(request)?;
        } else {
            println!(
                "{}  {}  {}  {}  {}  in {} out {}  {}  {}",
                output::moment(request.started_at),
                request.session_id,
                text(request.model_used.as_deref().or(request.model_requested.as_deref())),
                figure(request.http_status.map(u64::from)),
                text(request.ending.as_deref()),
                figure(request.tokens.input),
                figure(request.tokens.output),
                milliseconds(request.total_ms),
                one_line(request.error.as_deref().or(request.preview.as_deref()).unwrap_or_default()),
            );
        }
    }
    Ok(())
}
