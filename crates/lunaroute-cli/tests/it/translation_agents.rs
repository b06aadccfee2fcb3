//! Requests in the shapes that Claude Code and Codex send, at providers of other dialects: a tool session of two steps.

use lunaroute_core::Dialect;
use serde_json::{Value, json};

use crate::support::bodies::encode;
use crate::support::client::Call;
use crate::support::dialogue::{go_on, read};
use crate::support::stage::record;
use crate::translation::{Foreign, model};

const SESSION: &str = "8d1f6a52-7f3e-4a5c-9b53-2a3a3f2c7d10";

fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
        "properties": { "file_path": { "type": "string" }, "limit": { "type": "number", "minimum": 1 } },
        "required": ["file_path"],
    })
}

/// As Claude Code asks: a billing line first, cache hints, adaptive thinking that is not shown, a deferred tool.
fn claude_code(model: &str) -> Value {
    let hint = json!({ "type": "ephemeral", "ttl": "1h" });
    let user = json!({ "device_id": "d0", "account_uuid": "", "session_id": SESSION }).to_string();
    json!({
        "model": model, "max_tokens": 32_000, "stream": true,
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329; cch=1a2b3;" },
            { "type": "text", "text": "You are Claude Code.", "cache_control": hint },
            { "type": "text", "text": "Be concise.", "cache_control": hint },
        ],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "<system-reminder>today</system-reminder>" },
                { "type": "text", "text": "What does notes.txt say?", "cache_control": hint },
            ] },
        ],
        "tools": [
            { "name": "Read", "description": "Reads a file.", "input_schema": schema() },
            { "name": "mcp__plugin_github__create_pull_request_review_comment_with_suggestions", "description": "Reviews.",
              "input_schema": schema(), "defer_loading": true },
        ],
        "thinking": { "type": "adaptive", "display": "omitted" },
        "output_config": { "effort": "high" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "metadata": { "user_id": user },
    })
}

/// As Codex asks: developer messages with ids, groups of tools, tools of the provider, reasoning that is to be carried.
fn codex(model: &str) -> Value {
    let grammar = json!({ "type": "grammar", "syntax": "lark", "definition": "start: /.+/" });
    let said = |role: &str, id: &str, text: &str| {
        let content = json!([{ "type": "input_text", "text": text }]);
        json!({ "type": "message", "id": id, "role": role, "content": content })
    };
    json!({
        "model": model, "stream": true, "store": false, "parallel_tool_calls": true, "tool_choice": "auto",
        "input": [said("developer", "msg_1", "You are Codex."), said("user", "msg_2", "Mend the test.")],
        "tools": [
            { "type": "function", "name": "shell", "description": "Runs a command.", "strict": false,
              "parameters": schema() },
            { "type": "custom", "name": "apply_patch", "description": "Edits files.", "format": grammar },
            { "type": "namespace", "name": "mcp__files", "tools": [
                { "type": "function", "name": "list", "description": "Lists.", "strict": false, "parameters": schema() },
            ] },
            { "type": "tool_search" }, { "type": "web_search" },
        ],
        "reasoning": { "effort": "medium", "summary": "auto" },
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": SESSION, "text": { "verbosity": "low" },
        "client_metadata": { "session_id": SESSION, "turn_id": "t1" },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_works_at_every_foreign_provider() {
    let stage = Foreign::open("").await;
    let from = Dialect::Anthropic;
    for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
        let ask = async |request: &Value| {
            let call = Call::post("/v1/messages?beta=true", request.to_string())
                .header("user-agent", "claude-cli/2.1.329 (external, cli)")
                .header("x-claude-code-session-id", SESSION)
                .header("anthropic-version", "2023-06-01")
                .header("anthropic-beta", "claude-code-20250219,context-management-2025-06-27")
                .header("accept-encoding", "gzip, deflate, br, zstd");
            let answer = stage.exchange(&call.short("agent=1,reasoning=6")).await;
            assert_eq!(answer.status(), 200, "{to}: {}", answer.text());
            answer
        };
        let request = claude_code(&model(to));
        let told = read(from, &ask(&request).await, true);
        assert_eq!(told.stop, "tools", "{to}");
        assert!(told.calls[0].2["file_path"].is_string(), "{to}: {:?}", told.calls);
        let sent = stage.received();
        assert!(
            !sent.to_string().contains("x-anthropic-billing-header"),
            "{to}: it changes with each request"
        );
        let seen = stage.provider.ledger().entries.last().cloned().expect("a request");
        assert!(
            !seen
                .headers
                .iter()
                .any(|(name, _)| name.starts_with("anthropic-") || name.starts_with("x-claude"))
        );
        let answer = ask(&go_on(from, request, &told)).await;
        assert_eq!(read(from, &answer, true).stop, "end", "{to}");
        let kept = record(stage.home.path(), answer.head.request_id()).await.request;
        assert_eq!((kept.session_id.as_str(), kept.tool_calls), (SESSION, Some(0)), "{to}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_works_at_every_foreign_provider() {
    let stage = Foreign::open("").await;
    let from = Dialect::OpenaiResponses;
    for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
        let ask = async |request: &Value, script: &str| {
            let call = Call::post("/v1/responses", encode("zstd", request.to_string().as_bytes()))
                .header("content-encoding", "zstd")
                .header("user-agent", "codex_cli_rs/0.169.0")
                .header("originator", "codex_cli_rs")
                .header("session-id", SESSION);
            let answer = stage.exchange(&call.short(script)).await;
            assert_eq!(answer.status(), 200, "{to}: {}", answer.text());
            answer
        };
        let request = codex(&model(to));
        let told = read(from, &ask(&request, "agent=1,reasoning=6").await, true);
        assert_eq!((told.stop.as_str(), told.calls[0].1.as_str()), ("tools", "shell"), "{to}");
        let sent = stage.received();
        let tools = sent["tools"].to_string();
        for name in ["shell", "apply_patch", "list"] {
            assert!(tools.contains(name), "{to}: {tools}");
        }
        assert!(sent.get("client_metadata").is_none() && sent.get("include").is_none(), "{to}: {sent}");
        let answer = ask(&go_on(from, request, &told), "agent=1,reasoning=6").await;
        let last = read(from, &answer, true);
        assert_eq!((last.stop.as_str(), last.calls.len()), ("end", 0), "{to}");
        let kept = record(stage.home.path(), answer.head.request_id()).await.request;
        assert_eq!(kept.session_id.as_str(), SESSION, "{to}");
    }
}
