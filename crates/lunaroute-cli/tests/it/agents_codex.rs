//! Sessions of Codex, in the shape that it sends them, at providers that know nothing of Responses.

use lunaroute_core::Dialect;
use serde_json::{Value, json};

use crate::support::bodies::encode;
use crate::support::client::Call;
use crate::support::dialogue::{Read, events, go_on, read};
use crate::support::stage::record;
use crate::translation::{Foreign, model};

const SESSION: &str = "0199c1f0-6d5c-7c31-8a3e-2f7d9a4b1c22";

/// The provider's dialects.
const FOREIGN: [Dialect; 2] = [Dialect::OpenaiChat, Dialect::Anthropic];

/// A request with the headers that the program sends, compressed as it does.
fn call(body: &Value) -> Call {
    Call::post("/v1/responses", encode("zstd", body.to_string().as_bytes()))
        .header("content-encoding", "zstd")
        .header("accept", "text/event-stream")
        .header("authorization", "Bearer sk-of-the-client")
        .header("chatgpt-account-id", "account")
        .header("user-agent", "codex_cli_rs/0.118.0 (Linux 6.8; x86_64)")
        .header("originator", "codex_cli_rs")
        .header("version", "0.118.0")
        .header("session-id", SESSION)
        .header("thread-id", SESSION)
        .header("x-codex-turn-metadata", json!({"session_id": SESSION}).to_string())
        .header("x-codex-window-id", format!("{SESSION}:0"))
}

fn message(role: &str, kind: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

/// The first request of a session.
fn opening(model: &str) -> Value {
    let query = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    json!({
        "model": model, "instructions": "You are Codex, a coding agent.", "stream": true, "store": false,
        "input": [
            message("developer", "input_text", "<permissions>read-only</permissions>"),
            message("user", "input_text", "<environment_context><cwd>/w</cwd></environment_context>"),
            message("user", "input_text", "Fix the build."),
        ],
        "tools": [
            {"type": "custom", "name": "apply_patch", "description": "Edits files.",
             "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"}},
            {"type": "function", "name": "shell_command", "description": "Runs a command.", "strict": false,
             "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"],
                            "additionalProperties": false}},
            {"type": "namespace", "name": "mcp__docs", "description": "Documents.", "tools": [
                {"type": "function", "name": "search", "description": "Searches.", "parameters": query, "strict": false}]},
            {"type": "local_shell"},
            {"type": "web_search", "external_web_access": false},
        ],
        "tool_choice": "auto", "parallel_tool_calls": true,
        "reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": SESSION, "text": {"verbosity": "low"},
        "client_metadata": {"session_id": SESSION, "thread_id": SESSION, "x-codex-window-id": format!("{SESSION}:0")},
    })
}

/// What belongs to the vendor of the client alone never reaches a foreign one.
#[track_caller]
fn check_foreign(stage: &Foreign, sent: &Value) {
    let text = sent.to_string();
    for own in ["client_metadata", "encrypted_content", "namespace", "local_shell", "lr1.", "\"store\""] {
        assert!(!text.contains(own), "{own} is in {sent:#}");
    }
    let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
    for (name, value) in &entry.headers {
        let is_own = name.starts_with("x-codex-")
            || ["originator", "session-id", "content-encoding"].contains(&name.as_str());
        assert!(!is_own, "{name}: {value}");
        // What speaks OpenAI's languages may have OpenAI's key.
        let has_key = value.contains("sk-of-the-client");
        assert!(!has_key || entry.dialect == Dialect::OpenaiChat, "{name}: {value}");
    }
}

/// Names of the tools that the provider was offered.
fn offered(sent: &Value) -> Vec<&str> {
    let name = |tool: &'_ Value| -> Option<usize> {
        ["function", "custom"].iter().position(|kind| tool[*kind].is_object())
    };
    let tools = sent["tools"].as_array().expect("tools");
    tools
        .iter()
        .filter_map(|tool| match name(tool) {
            Some(0) => tool["function"]["name"].as_str(),
            Some(_) => tool["custom"]["name"].as_str(),
            None => tool["name"].as_str(),
        })
        .collect()
}

/// The events come as the program needs them: each item is opened before its pieces and closed after them.
#[track_caller]
fn check_items(body: &[u8]) {
    let events = events(body);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds.first(), Some(&"response.created"));
    assert_eq!(kinds.last(), Some(&"response.completed"));
    let count = |kind: &str| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!(count("response.output_item.added"), count("response.output_item.done"));
    let completed = &events.last().expect("an event")["response"];
    assert!(completed["id"].is_string() && completed["usage"]["total_tokens"].is_u64(), "{completed:#}");
}

/// The items of an answer by their types.
fn kinds(told: &Read) -> Vec<&str> {
    told.history.iter().filter_map(|item| item["type"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_two_tool_steps_comes_to_its_end() {
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        let mut request = opening(&model(to));
        for step in 0..3 {
            let what = format!("{to}, step {step}");
            let script = if step < 2 { "agent=2,tools=3,reasoning=6" } else { "text=7,reasoning=6" };
            let answer = stage.exchange(&call(&request).short(script)).await;
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            let (told, sent) = (read(Dialect::OpenaiResponses, &answer, true), stage.received());
            let warned = answer.head.header("x-lunaroute-warnings").unwrap_or_default();
            assert!(warned.contains("tools[3]") && warned.contains("tools[4]"), "{what}: {warned}");
            check_foreign(&stage, &sent);
            check_items(&answer.body);
            assert_eq!(offered(&sent)[..3], ["apply_patch", "shell_command", "mcp__docs__search"], "{what}");
            // Anthropic searches the web itself; most hosts of Chat do not.
            let searches = to == Dialect::Anthropic;
            assert_eq!(offered(&sent).get(3) == Some(&"web_search"), searches, "{what}: {sent:#}");
            check_history(to, &sent, step);
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!(told.reasoning, entry.reasoning, "{what}");
            assert_eq!(told.model, model(to), "{what}");
            if step == 2 {
                assert_eq!((told.text.as_str(), told.stop.as_str()), (entry.text.as_str(), "end"), "{what}");
                let kept = record(stage.home.path(), answer.head.request_id()).await.request;
                assert_eq!(kept.session_id.as_str(), SESSION, "{what}");
                break;
            }
            let calls = ["custom_tool_call", "function_call", "function_call"];
            assert_eq!(
                kinds(&told)[..],
                [&["reasoning"][..], &calls].concat(),
                "{what}: {:#?}",
                told.history
            );
            let [reasoning, patch, _, search] = &told.history[..] else {
                panic!("{what}: {:#?}", told.history)
            };
            assert!(
                patch["input"].as_str().is_some_and(|input| !input.is_empty() && !input.starts_with('{')),
                "{patch:#}"
            );
            assert_eq!(
                (&search["namespace"], &search["name"]),
                (&json!("mcp__docs"), &json!("search")),
                "{what}"
            );
            let seal = reasoning["encrypted_content"].as_str();
            assert_eq!(
                seal.is_some_and(|seal| seal.starts_with("lr1.")),
                to == Dialect::Anthropic,
                "{reasoning:#}"
            );
            request = go_on(Dialect::OpenaiResponses, request, &told);
        }
    }
}

/// The steps before stand in the provider's own form, and reasoning comes back to its maker under its own signature.
#[track_caller]
fn check_history(to: Dialect, sent: &Value, steps: usize) {
    let messages = sent["messages"].as_array().expect("messages");
    let blocks = |kind: &str| -> Vec<&Value> {
        let content = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
        content.filter(|block| block["type"] == kind).collect()
    };
    let (calls, results): (Vec<&Value>, Vec<&Value>) = if to == Dialect::OpenaiChat {
        let calls = messages.iter().filter_map(|message| message["tool_calls"].as_array()).flatten();
        let results = messages.iter().filter_map(|message| message.get("tool_call_id"));
        (calls.map(|call| &call["id"]).collect(), results.collect())
    } else {
        let ids = |kind, name: &str| blocks(kind).into_iter().map(|block| &block[name]).collect();
        (ids("tool_use", "id"), ids("tool_result", "tool_use_id"))
    };
    assert_eq!((calls.len(), &calls), (3 * steps, &results), "{sent:#}");
    if to == Dialect::Anthropic {
        let thoughts = blocks("thinking");
        assert_eq!(thoughts.len(), steps, "{sent:#}");
        let is_sealed =
            |thought: &&Value| thought["signature"].as_str().is_some_and(|signature| !signature.is_empty());
        assert!(thoughts.iter().all(is_sealed), "{sent:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_crosses_to_the_letter() {
    let patch =
        "*** Begin Patch\n*** Update File: a.rs\n@@\n-let s = \"\\n\";\n+let s = \"é🚀\";\n*** End Patch\n";
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        let mut request = opening(&model(to));
        let input = request["input"].as_array_mut().expect("a list");
        input.push(json!({"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": patch, "status": "completed"}));
        input.push(json!({"type": "custom_tool_call_output", "call_id": "call_1", "output": "Success."}));
        let answer = stage.exchange(&call(&request).short("text=3")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let sent = stage.received();
        let messages = sent["messages"].as_array().expect("messages");
        let came = match to {
            Dialect::OpenaiChat => messages
                .iter()
                .find_map(|message| message["tool_calls"].get(0))
                .map(|call| &call["custom"]["input"]),
            _ => messages
                .iter()
                .filter_map(|message| message["content"].as_array())
                .flatten()
                .find(|block| block["type"] == "tool_use")
                .map(|block| &block["input"]["input"]),
        };
        assert_eq!(came.and_then(Value::as_str), Some(patch), "{sent:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_two_tool_steps_comes_to_its_end_at_gemini() {
    let stage = Foreign::open("").await;
    let to = Dialect::Gemini;
    let mut request = opening(&model(to));
    for step in 0..3 {
        let script = if step < 2 { "agent=2,tools=3,reasoning=6" } else { "text=7,reasoning=6" };
        let answer = stage.exchange(&call(&request).short(script)).await;
        assert_eq!(answer.status(), 200, "step {step}: {}", answer.text());
        let (told, sent) = (read(Dialect::OpenaiResponses, &answer, true), stage.received());
        check_foreign(&stage, &sent);
        check_items(&answer.body);
        let declared = sent["tools"][0]["functionDeclarations"].as_array().expect("functions");
        let names: Vec<&str> = declared.iter().filter_map(|function| function["name"].as_str()).collect();
        assert_eq!(names, ["apply_patch", "shell_command", "mcp__docs__search"], "step {step}");
        let parts: Vec<&Value> = sent["contents"]
            .as_array()
            .expect("contents")
            .iter()
            .flat_map(|content| content["parts"].as_array().expect("parts"))
            .collect();
        let ids = |kind: &str| -> Vec<&Value> {
            parts.iter().filter_map(|part| part.get(kind)).map(|call| &call["id"]).collect()
        };
        let (calls, results) = (ids("functionCall"), ids("functionResponse"));
        assert_eq!((calls.len(), &calls), (3 * step, &results), "step {step}: {sent:#}");
        // The first call of each step carries the signature that came with it.
        let signed = parts.iter().filter(|part| part["thoughtSignature"].is_string()).count();
        assert_eq!(signed, step, "{sent:#}");
        if step == 2 {
            assert_eq!((told.stop.as_str(), told.calls.len()), ("end", 0));
            let kept = record(stage.home.path(), answer.head.request_id()).await.request;
            assert_eq!(kept.session_id.as_str(), SESSION);
            break;
        }
        let [.., patch, _, search] = &told.history[..] else { panic!("{:#?}", told.history) };
        assert_eq!((&patch["type"], &patch["name"]), (&json!("custom_tool_call"), &json!("apply_patch")));
        assert_eq!((&search["namespace"], &search["name"]), (&json!("mcp__docs"), &json!("search")));
        request = go_on(Dialect::OpenaiResponses, request, &told);
    }
}
