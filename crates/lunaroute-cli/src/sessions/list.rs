//! `lunaroute sessions list`.

use anyhow::{Context, bail};
use comfy_table::Table;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lunaroute_core::Timestamp;
use lunaroute_session::query::{Page, Period, SessionFilter, SessionQuery, SessionRecord};

use crate::arguments::ListOptions;
use crate::output::{self, TOKEN_HEADS, milliseconds, print_json, print_table, text, tokens};

pub(super) fn list(query: &dyn SessionQuery, options: &ListOptions, json: bool) -> anyhow::Result<()> {
    if options.limit == 0 || options.limit > 1_000 {
        bail!("--limit is {}; it is 1 to 1000", options.limit);
    }
    let filter = SessionFilter {
        id: options.id.clone(),
        external_id: None,
        client: options.client.clone(),
        provider: options.provider.clone(),
        model: options.model.clone(),
        status: options.status.clone(),
        period: Period {
            from: options.from.as_deref().map(|time| moment(time, false)).transpose()?,
            to: options.to.as_deref().map(|time| moment(time, true)).transpose()?,
        },
    };
    let listing = query.sessions(&filter, Page::new(options.limit, options.offset))?;
    if json {
        return print_json(&listing);
    }
    print_sessions(&listing.items)?;
    if listing.more {
        anstream::eprintln!("there are more: --offset {}", listing.offset + u64::from(listing.limit));
    }
    Ok(())
}

/// The sessions as a table, or a sentence when there are none.
pub(crate) fn print_sessions(sessions: &[SessionRecord]) -> anyhow::Result<()> {
    if sessions.is_empty() {
        anstream::eprintln!("no session is recorded that fits");
        return Ok(());
    }
    Ok(print_table(&session_table(sessions))?)
}

/// A row per session: who, with what model, how many requests, tokens by class, times, and how it went.
fn session_table(sessions: &[SessionRecord]) -> Table {
    let mut heads = vec!["session", "started (UTC)", "client", "model", "#requests"];
    heads.extend(TOKEN_HEADS);
    heads.extend(["#tools", "#first token", "#total", "outcome"]);
    let mut table = output::table(&heads);
    for session in sessions {
        let mut row = vec![
            session.id.to_string(),
            output::moment(session.started_at),
            text(session.client.as_deref()),
            text(session.model.as_deref()),
            session.requests.to_string(),
        ];
        row.extend(tokens(&session.tokens));
        row.extend([
            session.tool_calls.to_string(),
            milliseconds(session.first_token_us.map(|micros| micros / 1000)),
            milliseconds(Some(session.total_ms)),
            outcome(session),
        ]);
        table.add_row(row);
    }
    table
}

fn outcome(session: &SessionRecord) -> String {
    match session.failed_requests {
        0 => session.status.clone(),
        failed => format!("{}, {failed} failed", session.status),
    }
}

/// A day or a moment. A day that ends a period counts to its last microsecond.
pub(super) fn moment(given: &str, end: bool) -> anyhow::Result<Timestamp> {
    if let Ok(time) = given.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_micros(time.as_microsecond()));
    }
    let day: Date = given.parse().with_context(|| {
        format!("'{given}' is no time; write a day like 2026-11-21 or a moment like 2026-11-21T08:00:00Z")
    })?;
    let day = if end { day.tomorrow()? } else { day };
    let start = day.to_zoned(TimeZone::UTC)?.timestamp().as_microsecond();
    Ok(Timestamp::from_micros(if end { start - 1 } else { start }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_whole_and_a_moment_is_exact() {
        let shown = |given, end| moment(given, end).expect("a time").to_string();
        assert_eq!(shown("2026-11-21", false), "2026-11-21T00:00:00.000000Z");
        assert_eq!(shown("2026-11-21", true), "2026-11-21T23:59:59.999999Z");
        assert_eq!(shown("2026-11-21T08:00:00Z", true), "2026-11-21T08:00:00.000000Z");
        assert!(moment("yesterday", false).is_err());
    }
}
