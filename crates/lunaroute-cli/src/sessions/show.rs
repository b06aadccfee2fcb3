//! `lunaroute sessions show`.

use std::io::{self, Write};

use anyhow::Context;
use lunaroute_core::RequestId;
use lunaroute_session::query::{RequestRecord, SessionDetail, SessionQuery};

use crate::output::{
    self, TOKEN_HEADS, figure, milliseconds, print_json, print_table, text, tokens, visible,
};

pub(super) fn show(
    query: &dyn SessionQuery,
    name: &str,
    (request_body, response_body, provider_form): (Option<&str>, Option<&str>, bool),
    json: bool,
) -> anyhow::Result<()> {
    let detail = query.session_detail(name)?;
    let of = |request: &str| find(&detail, request);
    let wanted = match (request_body, response_body, provider_form) {
        (Some(request), _, false) => Some(query.request_body(of(request)?)?),
        (Some(request), _, true) => Some(query.provider_request_body(of(request)?)?),
        (None, Some(request), false) => Some(query.response_body(of(request)?)?),
        (None, Some(request), true) => Some(query.provider_response_body(of(request)?)?),
        (None, None, _) => None,
    };
    if let Some(wanted) = wanted {
        return body(&wanted);
    }
    if json {
        return print_json(&detail);
    }
    head(&detail);
    requests(&detail.request_list)?;
    translations(&detail.request_list)?;
    tool_calls(&detail)
}

/// The session's request of that id, or of that number in the order shown (from 1).
fn find(detail: &SessionDetail, request: &str) -> anyhow::Result<RequestId> {
    let by_number =
        request.parse::<usize>().ok().and_then(|number| detail.request_list.get(number.checked_sub(1)?));
    by_number
        .or_else(|| detail.request_list.iter().find(|known| known.id.to_string() == request))
        .map(|known| known.id)
        .with_context(|| {
            format!("the session has no request '{request}'; give its number in the list, or its id")
        })
}

fn body(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    Ok(output.flush()?)
}

fn head(detail: &SessionDetail) {
    let session = &detail.session;
    println!("session       {}", session.id);
    if let Some(external) = session.external_id.as_deref().filter(|external| *external != session.id.as_str())
    {
        println!("client's id   {}", visible(external));
    }
    println!("client        {}", text(session.client.as_deref()));
    println!("provider      {}", text(session.provider.as_deref()));
    println!("model         {}", text(session.model.as_deref()));
    println!("started       {}", output::moment(session.started_at));
    println!("last activity {}", output::moment(session.last_activity_at));
    println!("status        {}", session.status);
    if let Some(error) = &session.error {
        println!("error         {}", visible(error));
    }
    println!();
}

fn requests(requests: &[RequestRecord]) -> anyhow::Result<()> {
    let mut heads = vec!["#", "started (UTC)", "kind", "model", "#status"];
    heads.extend(TOKEN_HEADS);
    heads.extend(["#tools", "#first token", "#total", "ending", "says"]);
    let mut table = output::table(&heads);
    for (number, request) in requests.iter().enumerate() {
        let mut row = vec![
            (number + 1).to_string(),
            output::moment(request.started_at),
            text(request.kind.as_deref()),
            text(request.model_used.as_deref().or(request.model_requested.as_deref())),
            figure(request.http_status.map(u64::from)),
        ];
        row.extend(tokens(&request.tokens));
        row.extend([
            figure(request.tool_calls),
            milliseconds(request.ttft_ms),
            milliseconds(request.total_ms),
            text(request.ending.as_deref().or(Some(&request.status))),
            one_line(request.error.as_deref().or(request.preview.as_deref()).unwrap_or_default()),
        ]);
        table.add_row(row);
    }
    Ok(print_table(&table)?)
}

/// The requests that were translated, and what was lost on the way.
fn translations(requests: &[RequestRecord]) -> anyhow::Result<()> {
    let mut table =
        output::table(&["#", "client's dialect", "provider's dialect", "could not be carried over"]);
    let mut any = false;
    for (number, request) in requests.iter().enumerate() {
        let Some(to) = &request.provider_dialect else { continue };
        any = true;
        let warnings: Vec<String> =
            request.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.what)).collect();
        table.add_row([
            (number + 1).to_string(),
            text(request.dialect.as_deref()),
            to.clone(),
            text(Some(warnings.join("; ").as_str()).filter(|warnings| !warnings.is_empty())),
        ]);
    }
    if any {
        println!();
        print_table(&table)?;
    }
    Ok(())
}

fn tool_calls(detail: &SessionDetail) -> anyhow::Result<()> {
    if detail.tool_call_list.is_empty() {
        return Ok(());
    }
    println!();
    let mut table = output::table(&["tool", "call", "status", "#took"]);
    for call in &detail.tool_call_list {
        table.add_row([
            text(call.name.as_deref()),
            visible(&call.id),
            call.status.clone(),
            milliseconds(call.duration_ms),
        ]);
    }
    Ok(print_table(&table)?)
}

/// The start of a text on one line.
pub(super) fn one_line(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", visible(&text[..end])),
        None => visible(text),
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn recorded_text_cannot_command_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc"), "a [2Jb  c");
        assert_eq!(one_line(&"é".repeat(61)), format!("{}...", "é".repeat(60)));
    }
}
