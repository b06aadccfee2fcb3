//! Sessions of Claude Code, in the shape that it sends them, at providers that know nothing of Messages.

use lunaroute_core::Dialect;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call};
use crate::support::dialogue::{Read, go_on, read};
use crate::support::stage::record;
use crate::translation::{Foreign, model};

const SESSION: &str = "0c5b8f4e-61d5-4c0e-9d5c-3f2f3c0a7b11";

/// The provider's dialects.
const FOREIGN: [Dialect; 2] = [Dialect::OpenaiChat, Dialect::OpenaiResponses];

/// A request with the headers that the program sends.
fn call(path: &str, body: &Value) -> Call {
    Call::post(path, body.to_string())
        .header("user-agent", "claude-cli/2.1.90 (external, cli)")
        .header("x-app", "cli")
        .header("authorization", "Bearer sk-of-the-client")
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14")
        .header("anthropic-beta", "context-management-2025-06-27,prompt-caching-scope-2026-01-05")
        .header("anthropic-dangerous-direct-browser-access", "true")
        .header("x-claude-code-session-id", SESSION)
        .header("x-stainless-lang", "js")
        .header("x-stainless-retry-count", "0")
        .header("x-stainless-timeout", "600")
}

fn metadata() -> Value {
    let user = json!({"device_id": "d".repeat(64), "account_uuid": "", "session_id": SESSION});
    json!({"user_id": user.to_string()})
}

fn tools() -> Value {
    let schema = |name: &str, required: &[&str]| {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": {name: {"type": "string", "description": "What to work on"}, "timeout": {"type": "number"}},
            "required": required, "additionalProperties": false,
        })
    };
    json!([
        {"name": "Bash", "description": "Runs a command.", "input_schema": schema("command", &["command"])},
        {"name": "Read", "description": "Reads a file.", "input_schema": schema("file_path", &["file_path"])},
        {"name": "mcp__issues__create", "description": "", "input_schema": schema("title", &[]),
         "cache_control": {"type": "ephemeral"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ])
}

/// The first request of a session.
fn opening(model: &str) -> Value {
    let cached = json!({"type": "ephemeral", "ttl": "1h"});
    json!({
        "model": model, "max_tokens": 32_000, "stream": true, "temperature": 1,
        "thinking": {"type": "enabled", "budget_tokens": 31_999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": metadata(),
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.90.abc; cc_entrypoint=cli; cch=0a1b2;"},
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", "cache_control": cached},
            {"type": "text", "text": "# Tone\nBe brief.", "cache_control": cached},
        ],
        "tools": tools(),
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "<system-reminder>\nThe date is 2026-11-21.\n</system-reminder>"},
            {"type": "text", "text": "Why does the build fail?", "cache_control": {"type": "ephemeral"}},
        ]}],
    })
}

/// The next request: the answer as it came, and the results of its calls.
fn next(mut request: Value, told: &Read, results: &[Value]) -> Value {
    let messages = request["messages"].as_array_mut().expect("messages");
    messages.extend(told.history.iter().cloned());
    let result = |((id, _, _), result): (&(String, String, Value), &Value)| {
        let mut block = json!({"type": "tool_result", "tool_use_id": id});
        block.as_object_mut().expect("an object").extend(result.as_object().expect("an object").clone());
        block
    };
    let mut blocks: Vec<Value> = told.calls.iter().zip(results).map(result).collect();
    blocks.last_mut().expect("a result")["cache_control"] = json!({"type": "ephemeral"});
    blocks.push(json!({"type": "text", "text": "<system-reminder>\nGo on.\n</system-reminder>"}));
    messages.push(json!({"role": "user", "content": blocks}));
    request
}

/// What belongs to the vendor of the client alone never reaches a foreign one.
#[track_caller]
fn check_foreign(stage: &Foreign, sent: &Value, answer: &Answer) {
    let text = sent.to_string();
    for own in ["x-anthropic-billing-header", "cache_control", "context_management", "budget_tokens", "lr1."]
    {
        assert!(!text.contains(own), "{own} is in {sent:#}");
    }
    let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
    for (name, value) in &entry.headers {
        let is_own =
            ["anthropic-", "x-claude-", "x-stainless-"].iter().any(|prefix| name.starts_with(prefix));
        assert!(!is_own && !value.contains("sk-of-the-client"), "{name}: {value}");
    }
    let warned = answer.head.header("x-lunaroute-warnings").expect("what was lost is named");
    assert!(warned.contains("context_management"), "{warned}");
    // OpenAI searches the web itself where Responses are spoken; most hosts of Chat do not.
    let searches = entry.dialect == Dialect::OpenaiResponses;
    assert_eq!(text.contains("web_search"), searches, "{sent:#}");
    assert!(searches || warned.contains("tools[3]"), "{warned}");
}

/// Names of the tools that the provider was offered.
fn offered(sent: &Value) -> Vec<&str> {
    let tools = sent["tools"].as_array().expect("tools");
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str().or_else(|| tool["function"]["name"].as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probes_before_a_session_are_answered() {
    let stage = Foreign::open("").await;
    for path in ["/api/hello", "/"] {
        let answer = stage.exchange(&Call::new("HEAD", path)).await;
        assert_eq!((answer.status(), answer.body.len()), (200, 0), "{path}");
    }
    for to in FOREIGN {
        let mut body = opening(&model(to));
        for name in ["max_tokens", "stream", "temperature", "metadata", "context_management"] {
            body.as_object_mut().expect("an object").remove(name);
        }
        let answer = stage.exchange(&call("/v1/messages/count_tokens?beta=true", &body)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let tokens = answer.json()["input_tokens"].as_u64().expect("a figure");
        assert!((100..2_000).contains(&tokens), "{tokens}");
    }
    assert!(stage.provider.ledger().entries.is_empty(), "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_is_made_by_a_foreign_model() {
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        let schema = json!({
            "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
            "additionalProperties": false,
        });
        let body = json!({
            "model": model(to), "max_tokens": 512, "stream": true, "temperature": 1, "tools": [], "metadata": metadata(),
            "system": [{"type": "text", "text": "Give the session a title of a few words."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Why does the build fail?"}]}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        });
        let answer = stage.exchange(&call("/v1/messages?beta=true", &body).short("text=5")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.head.header("x-lunaroute-warnings"), None);
        let told = read(Dialect::Anthropic, &answer, true);
        let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
        assert_eq!((told.text, told.stop.as_str()), (entry.text, "end"), "{to}");
        let sent = stage.received();
        let held = match to {
            Dialect::OpenaiChat => &sent["response_format"]["json_schema"],
            _ => &sent["text"]["format"],
        };
        assert_eq!((&held["schema"], &held["strict"]), (&schema, &json!(true)), "{sent:#}");
        assert!(sent.get("tools").is_none(), "an empty list of tools is refused: {sent:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_two_tool_steps_comes_to_its_end() {
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        let mut request = opening(&model(to));
        for step in 0..3 {
            let what = format!("{to}, step {step}");
            let script =
                if step < 2 { "tools=3,reasoning=6,cached=50" } else { "text=7,reasoning=6,cached=50" };
            let answer = stage.exchange(&call("/v1/messages?beta=true", &request).short(script)).await;
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            let (told, sent) = (read(Dialect::Anthropic, &answer, true), stage.received());
            check_foreign(&stage, &sent, &answer);
            assert_eq!(offered(&sent), ["Bash", "Read", "mcp__issues__create"], "{what}");
            let (limit, effort) = match to {
                Dialect::OpenaiChat => (&sent["max_completion_tokens"], &sent["reasoning_effort"]),
                _ => (&sent["max_output_tokens"], &sent["reasoning"]["effort"]),
            };
            assert_eq!((limit, effort), (&json!(32_000), &json!("xhigh")), "{what}");
            assert!(sent.to_string().contains("You are Claude Code"), "{what}");
            check_history(to, &sent, step);
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!(told.reasoning, entry.reasoning, "{what}");
            assert_eq!(told.usage.0, entry.usage.total_input().expect("figures"), "{what}");
            assert_eq!(told.usage.1, 50, "{what}: what was read from the cache");
            if step == 2 {
                assert_eq!((told.text.as_str(), told.stop.as_str()), (entry.text.as_str(), "end"), "{what}");
                let kept = record(stage.home.path(), answer.head.request_id()).await.request;
                assert_eq!(kept.session_id.as_str(), SESSION, "{what}");
                break;
            }
            assert_eq!(told.stop, "tools", "{what}");
            let names: Vec<&str> = told.calls.iter().map(|(_, name, _)| name.as_str()).collect();
            assert_eq!(names, ["Bash", "Read", "mcp__issues__create"], "{what}");
            assert!(told.calls[0].2["command"].is_string(), "{what}: {:?}", told.calls);
            let results = [
                json!({"content": "exit 1\nerror[E0308]"}),
                json!({"content": [{"type": "text", "text": "File does not exist."}], "is_error": true}),
                json!({"content": []}),
            ];
            request = next(request, &told, &results);
        }
    }
}

/// The calls and results of the steps before stand in the provider's own form, each result with its call's id.
#[track_caller]
fn check_history(to: Dialect, sent: &Value, steps: usize) {
    let (list, of_call, of_result) = match to {
        Dialect::OpenaiChat => ("messages", "tool_calls", "tool_call_id"),
        _ => ("input", "function_call", "function_call_output"),
    };
    let items = sent[list].as_array().expect("a list");
    let (calls, results): (Vec<&Value>, Vec<&Value>) = if to == Dialect::OpenaiChat {
        let calls =
            items.iter().filter_map(|item| item[of_call].as_array()).flatten().map(|call| &call["id"]);
        (calls.collect(), items.iter().filter_map(|item| item.get(of_result)).collect())
    } else {
        let of = |kind: &str| {
            items.iter().filter(|item| item["type"] == kind).map(|item| &item["call_id"]).collect()
        };
        (of(of_call), of(of_result))
    };
    assert_eq!((calls.len(), &calls), (3 * steps, &results), "{sent:#}");
    assert_eq!(sent.to_string().matches("Error: File does not exist.").count(), steps, "{sent:#}");
    // A maker gets its own reasoning back, and nobody else gets it.
    let reasoning = items.iter().filter(|item| item["type"] == "reasoning").count();
    assert_eq!(reasoning, if to == Dialect::OpenaiResponses { steps } else { 0 }, "{sent:#}");
}

/// A tool of a server whose names are longer than other vendors take.
const REVIEW: &str = "mcp__plugin_github__create_pull_request_review_comment_with_suggestions";

/// A request as later versions send it: a system turn between the others, thinking by itself that is not shown, and a tool
/// that the model would have to look for.
fn later(model: &str) -> Value {
    let mut request = opening(model);
    let members = request.as_object_mut().expect("an object");
    members.remove("temperature");
    members.insert("thinking".to_owned(), json!({"type": "adaptive", "display": "omitted"}));
    members.insert("output_config".to_owned(), json!({"effort": "high"}));
    let list = |members: &mut serde_json::Map<String, Value>, name: &str, value: Value| {
        members[name].as_array_mut().expect("a list").push(value);
    };
    list(members, "messages", json!({"role": "system", "content": "Plan mode is off."}));
    let schema = json!({"type": "object", "properties": {"body": {"type": "string"}}, "required": ["body"]});
    let review =
        json!({"name": REVIEW, "description": "Reviews.", "input_schema": schema, "defer_loading": true});
    members["tools"] = json!([tools()[0], review]);
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_with_hidden_thinking_and_a_deferred_tool_comes_to_its_end() {
    let stage = Foreign::open("").await;
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::Gemini] {
        let mut request = later(&model(to));
        for step in 0..3 {
            let what = format!("{to}, step {step}");
            let script = if step < 2 { "agent=2,tools=2,reasoning=6" } else { "text=7,reasoning=6" };
            let answer = stage.exchange(&call("/v1/messages?beta=true", &request).short(script)).await;
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            let (told, sent) = (read(Dialect::Anthropic, &answer, true), stage.received());
            assert_eq!(told.reasoning, "", "{what}: it is not shown");
            let declared = sent["tools"][0].get("functionDeclarations").unwrap_or(&sent["tools"]);
            let declared = json!({"tools": declared});
            let names = offered(&declared);
            assert_eq!((names.len(), names[0]), (2, "Bash"), "{what}: {declared:#}");
            assert!(names[1].len() <= 64 || to == Dialect::Gemini && names[1].len() <= 128, "{}", names[1]);
            assert!(!sent.to_string().contains("defer_loading"), "{what}: it is offered in full: {sent:#}");
            assert!(sent.to_string().contains("Plan mode is off."), "{what}: {sent:#}");
            let (effort, wanted) = match to {
                Dialect::OpenaiChat => (&sent["reasoning_effort"], json!("high")),
                Dialect::OpenaiResponses => (&sent["reasoning"]["effort"], json!("high")),
                _ => (&sent["generationConfig"]["thinkingConfig"]["thinkingBudget"], json!(24_576)),
            };
            assert_eq!(effort, &wanted, "{what}: {sent:#}");
            let results = sent.to_string().matches("\"rain\"").count();
            if step == 2 {
                assert_eq!((told.stop.as_str(), told.calls.len()), ("end", 0), "{what}");
                assert!(!told.text.is_empty() && results == 4, "{what}: {sent:#}");
                let kept = record(stage.home.path(), answer.head.request_id()).await.request;
                assert_eq!((kept.session_id.as_str(), kept.tool_calls), (SESSION, Some(0)), "{what}");
                break;
            }
            let called: Vec<&str> = told.calls.iter().map(|(_, name, _)| name.as_str()).collect();
            assert_eq!((called, told.stop.as_str()), (vec!["Bash", REVIEW], "tools"), "{what}");
            request = go_on(Dialect::Anthropic, request, &told);
        }
    }
}
