//! Data on standard output: tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use lunaroute_core::Timestamp;
use lunaroute_session::query::TokenCounts;
use serde::Serialize;

/// What stands where nothing is known.
pub(crate) const UNKNOWN: &str = "-";

/// A table with these column heads; those that begin with `#` hold figures and are aligned to the right.
pub(crate) fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.trim_start_matches('#')));
    for (number, head) in heads.iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            column.set_padding((0, 2));
            if head.starts_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// Prints a table without spaces at the ends of lines.
pub(crate) fn print_table(table: &Table) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    for line in table.lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints a value as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, value)?;
    writeln!(output)?;
    Ok(output.flush()?)
}

/// Prints a value as JSON for reading.
pub(crate) fn print_json_pretty(value: &impl Serialize) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, value)?;
    writeln!(output)?;
    Ok(())
}

/// A figure, or the sign for unknown.
pub(crate) fn figure(value: Option<u64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

/// A text, or the sign for unknown.
pub(crate) fn text(value: Option<&str>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), visible)
}

/// Recorded text is whatever somebody sent: control characters, which a terminal would obey, are shown as blanks.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Milliseconds as people read them.
pub(crate) fn milliseconds(value: Option<u64>) -> String {
    match value {
        None => UNKNOWN.to_owned(),
        Some(value) if value < 10_000 => format!("{value} ms"),
        Some(value) => format!("{}.{} s", value / 1000, value % 1000 / 100),
    }
}

/// Tokens by class, in the order of [`TOKEN_HEADS`].
pub(crate) fn tokens(counts: &TokenCounts) -> [String; 5] {
    let writes = match (counts.cache_write_5m, counts.cache_write_1h) {
        (None, None) => None,
        (short, long) => Some(short.unwrap_or(0) + long.unwrap_or(0)),
    };
    [counts.input, counts.cache_read, writes, counts.output, counts.reasoning].map(figure)
}

/// Column heads for [`tokens`].
pub(crate) const TOKEN_HEADS: [&str; 5] = ["#input", "#cached", "#written", "#output", "#thought"];

/// A moment, to the second.
pub(crate) fn moment(time: Timestamp) -> String {
    let shown = time.to_string();
    shown
        .split_once('.')
        .map_or_else(|| shown.clone(), |(seconds, _)| format!("{}Z", seconds.replace('T', " ")))
}
