//! What the demo sends: each dialect plain and streamed, agents with tools, and what goes wrong in life.

use std::net::SocketAddr;

use http::Method;
use lunaroute_core::{Answer, Dialect, Operation};
use lunaroute_sim::{Script, ScriptedError};
use serde_json::{Value, json};

use super::agent;
use super::client::{Call, Caller};

/// The exchanges that were sent, by their marks.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) marks: Vec<String>,
}

impl Sent {
    /// Sends a call and shows that it was.
    pub(super) async fn exchange(&mut self, caller: &Caller, call: Call) -> anyhow::Result<Answer> {
        let reply = caller.send(&call).await?;
        self.marks.push(call.mark.clone());
        anstream::eprintln!("  {:>2}. {:<34} {}", self.marks.len(), call.mark, reply.status);
        Ok(reply.answer)
    }
}

/// Sends everything, one after the other.
pub(super) async fn send_all(gateway: SocketAddr) -> anyhow::Result<Sent> {
    let caller = Caller::new(gateway)?;
    let mut sent = Sent::default();
    for call in simple_calls() {
        sent.exchange(&caller, call).await?;
    }
    agent::anthropic(&caller, &mut sent).await?;
    agent::responses(&caller, &mut sent).await?;
    for call in troubled_calls() {
        sent.exchange(&caller, call).await?;
    }
    Ok(sent)
}

/// Questions without a past.
fn simple_calls() -> Vec<Call> {
    let paced = |script: Script| Script { first_byte_delay_ms: 20, event_delay_ms: 2, ..script };
    let mut calls = Vec::new();
    for (number, stream) in [false, true, true].into_iter().enumerate() {
        let form = if stream { "streamed" } else { "plain" };
        let tokens = 20 + 10 * u32::try_from(number).unwrap_or_default();
        calls.push(chat(&format!("chat {form} {}", number + 1), stream, paced(Script::text(tokens))));
        calls.push(responses(
            &format!("responses {form} {}", number + 1),
            stream,
            paced(Script::text(tokens)),
        ));
        let thinking = Script { reasoning_tokens: 8, cached_tokens: 64, ..Script::text(tokens) };
        calls.push(messages(&format!("messages {form} {}", number + 1), stream, paced(thinking)));
    }
    let mut parallel = chat("chat with two tools at once", true, Script::tools(2));
    parallel.body["tools"] = json!([weather("get_weather"), weather("get_forecast")]);
    calls.push(parallel);
    calls.push(chat("chat that hits its length", false, "length,text=12".parse().unwrap_or_default()));
    let mut count = messages("tokens counted beforehand", false, Script::default());
    count.operation = Operation::CountTokens;
    count.path = "/v1/messages/count_tokens";
    calls.push(count);
    calls.push(Call {
        operation: Operation::Models,
        method: Method::GET,
        path: "/v1/models",
        body: Value::Null,
        ..chat("list of models", false, Script::default())
    });
    calls
}

/// What goes wrong in life.
fn troubled_calls() -> Vec<Call> {
    let limited =
        ScriptedError { status: 429, times: None, retry_after_ms: Some(30_000), should_retry: None };
    let endless = Script { endless: true, event_delay_ms: 5, ..Script::default() };
    vec![
        messages("rate limit with Retry-After", true, Script { error: Some(limited), ..Script::default() }),
        messages("provider fails in mid-stream", true, Script::error_event(6)),
        Call { hang_up_after: Some(4), ..chat("client hangs up", true, endless) },
        chat("unknown model", false, Script::error(404)),
    ]
}

fn weather(name: &str) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": name,
            "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
        },
    })
}

fn chat(mark: &str, stream: bool, script: Script) -> Call {
    let mut body = json!({
        "model": "gpt-5.4-mini", "stream": stream,
        "messages": [{ "role": "user", "content": format!("Say something about {mark}.") }],
    });
    if stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    call(mark, Dialect::OpenaiChat, Operation::Chat, "/v1/chat/completions", body, script)
}

fn responses(mark: &str, stream: bool, script: Script) -> Call {
    let body =
        json!({ "model": "gpt-5.4", "stream": stream, "input": format!("Say something about {mark}.") });
    call(mark, Dialect::OpenaiResponses, Operation::Responses, "/v1/responses", body, script)
}

fn messages(mark: &str, stream: bool, script: Script) -> Call {
    let body = json!({
        "model": "claude-sonnet-5", "max_tokens": 512, "stream": stream,
        "messages": [{ "role": "user", "content": format!("Say something about {mark}.") }],
    });
    call(mark, Dialect::Anthropic, Operation::Messages, "/v1/messages", body, script)
}

fn call(
    mark: &str,
    dialect: Dialect,
    operation: Operation,
    path: &'static str,
    body: Value,
    script: Script,
) -> Call {
    let client =
        if dialect == Dialect::Anthropic { "Anthropic/Python 2.11.0" } else { "OpenAI/Python 3.52.0" };
    Call {
        mark: mark.to_owned(),
        dialect,
        operation,
        method: Method::POST,
        path,
        body,
        headers: vec![("user-agent", client.to_owned())],
        script,
        hang_up_after: None,
    }
}
