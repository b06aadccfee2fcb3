//! Clients of OpenAI's legacy completions: at providers that know nothing of them, and at one that does.

use lunaroute_core::Dialect;
use lunaroute_dialect::sse::Framer;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call, End};
use crate::support::dialogue::path;
use crate::support::stage::{Stage, record};
use crate::translation::{Foreign, model};

const COMPLETIONS: &str = "/v1/completions";
const FOREIGN: [Dialect; 3] = [Dialect::OpenaiResponses, Dialect::Anthropic, Dialect::Gemini];

fn request(model: &str, stream: bool) -> Value {
    let mut request = json!({"model": model, "prompt": "Once upon", "max_tokens": 500, "stream": stream});
    if stream {
        request["stream_options"] = json!({"include_usage": true});
    }
    request
}

fn call(request: &Value, script: &str) -> Call {
    Call::post(COMPLETIONS, request.to_string()).short(script)
}

/// Text, reason for the end and figures (read, from a cache, written) of an answer, plain or streamed.
fn read(answer: &Answer, stream: bool) -> (String, String, (u64, u64, u64)) {
    let mut chunks = Vec::new();
    if stream {
        let mut is_done = false;
        Framer::new().push(&answer.body, |event| {
            assert!(!is_done, "an event behind [DONE]");
            is_done = event.data == b"[DONE]";
            chunks.extend(serde_json::from_slice::<Value>(event.data));
        });
        assert!(is_done, "{}", answer.text());
    } else {
        chunks.push(answer.json());
    }
    assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{chunks:#?}");
    let choices = || chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
    let reason = choices().find_map(|choice| choice["finish_reason"].as_str()).expect("a reason");
    let usage = &chunks.last().expect("a chunk")["usage"];
    let figure = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).expect("a figure");
    let figures = (
        figure("/prompt_tokens"),
        figure("/prompt_tokens_details/cached_tokens"),
        figure("/completion_tokens"),
    );
    (choices().filter_map(|choice| choice["text"].as_str()).collect(), reason.to_owned(), figures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_is_gone_on_with_by_every_foreign_provider() {
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        for stream in [false, true] {
            for (script, reason) in [("text=12,cached=70", "stop"), ("text=9,reasoning=4,length", "length")] {
                let what = format!("{to}, stream {stream}, {script}");
                let answer = stage.exchange(&call(&request(&model(to), stream), script)).await;
                assert_eq!((answer.status(), answer.end), (200, End::Whole), "{what}: {}", answer.text());
                assert_eq!(answer.head.header("x-lunaroute-warnings"), None, "{what}");
                let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
                assert_eq!((entry.dialect, entry.path), (to, path(to, "m", stream)), "{what}");
                let usage = entry.usage;
                let figures = (
                    usage.total_input().expect("figures"),
                    usage.cache_read.unwrap_or_default(),
                    usage.output.expect("figures"),
                );
                assert_eq!(read(&answer, stream), (entry.text, reason.to_owned(), figures), "{what}");
                let kept = record(stage.home.path(), answer.head.request_id()).await.request;
                assert_eq!(
                    (kept.kind.as_deref(), kept.tokens.output),
                    (Some("completions"), usage.output),
                    "{what}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_carried_is_named_and_trouble_is_told_in_openais_words() {
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        let mut warned = request(&model(to), false);
        warned["best_of"] = json!(2);
        let answer = stage.exchange(&call(&warned, "text=3")).await;
        assert_eq!(answer.status(), 200, "{to}: {}", answer.text());
        assert_eq!(answer.head.header("x-lunaroute-warnings"), Some("best_of"), "{to}");

        let asked = stage.provider.ledger().entries.len();
        for (name, value) in
            [("echo", json!(true)), ("suffix", json!("the end")), ("prompt", json!(["one", "two"]))]
        {
            let mut refused = request(&model(to), true);
            refused[name] = value;
            let answer = stage.exchange(&call(&refused, "")).await;
            assert_eq!(answer.status(), 400, "{to}: {}", answer.text());
            let error = answer.json()["error"].clone();
            assert_eq!(error["type"], "invalid_request_error", "{to}: {error}");
            assert!(error["message"].as_str().expect("a message").contains(name), "{to}: {error}");
        }
        assert_eq!(stage.provider.ledger().entries.len(), asked, "{to}: nobody was asked");

        let answer = stage.exchange(&call(&request(&model(to), true), "error=429")).await;
        assert_eq!(
            (answer.status(), &answer.json()["error"]["code"]),
            (429, &json!("rate_limit_exceeded")),
            "{to}"
        );
        let broken = stage.exchange(&call(&request(&model(to), true), "error_event=8,text=30")).await;
        let text = broken.text();
        assert!(text.contains("text_completion") && text.contains(r#""error""#), "{to}: {text}");
        assert!(!text.contains("[DONE]"), "{to}: a stream that broke has no normal end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_has_completions_is_asked_for_them_and_recorded_like_any_answer() {
    let stage = Stage::open("").await;
    for stream in [false, true] {
        let answer = stage.exchange(&call(&request("m", stream), "text=7,cached=20")).await;
        let (text, reason, figures) = read(&answer, stream);
        let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
        assert_eq!((entry.path.as_str(), &text, reason.as_str()), (COMPLETIONS, &entry.text, "stop"));
        let kept = stage.record(answer.head.request_id()).await.request;
        assert_eq!((kept.kind.as_deref(), kept.is_stream), (Some("completions"), Some(stream)));
        assert_eq!((kept.tokens.cache_read, kept.tokens.output), (Some(figures.1), Some(figures.2)));
        assert_eq!(kept.finish_reason.as_deref(), Some("end_turn"));
    }
}
