//! What is Gemini's alone, across to providers of other dialects: answers as one JSON list, the question for a request's
//! length, seals that ride on calls, and thoughts that nobody asked to see.

use lunaroute_core::Dialect;
use serde_json::{Value, json};

use crate::support::client::{Call, End};
use crate::support::dialogue::{body, go_on, question, read};
use crate::support::stage::record;
use crate::translation::{Foreign, model};

const FROM: Dialect = Dialect::Gemini;

fn others() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(|to| *to != FROM)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_no_stream_of_events_is_a_list_of_one() {
    let stage = Foreign::open("").await;
    for to in others() {
        for query in ["", "?alt=json", "?key=k"] {
            let path = format!("/v1beta/models/{}:streamGenerateContent{query}", model(to));
            let request = body(FROM, &question(FROM, &model(to), true));
            let answer = stage.exchange(&Call::post(&path, request).short("agent=1,reasoning=4")).await;
            assert_eq!((answer.status(), answer.end), (200, End::Whole), "{to}{query}: {}", answer.text());
            let kind = answer.head.header("content-type").unwrap_or_default();
            assert!(kind.starts_with("application/json"), "{to}{query}: {kind}");
            let list = answer.json();
            let [whole] = list.as_array().expect("a list").as_slice() else { panic!("{to}{query}: {list}") };
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            assert!(!entry.stream, "{to}{query}: it is told at once");
            let parts = whole["candidates"][0]["content"]["parts"].as_array().expect("parts");
            assert!(
                parts.iter().any(|part| part["functionCall"]["name"] == "weather"),
                "{to}{query}: {list}"
            );
            assert_eq!(whole["candidates"][0]["finishReason"], "STOP", "{to}{query}");
            let kept = record(stage.home.path(), answer.head.request_id()).await.request;
            assert_eq!(kept.ending.as_deref(), Some("completed"), "{to}{query}");
            assert_eq!(kept.tool_calls, Some(1), "{to}{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_length_of_a_request_is_estimated_in_either_form() {
    let stage = Foreign::open("").await;
    let said =
        json!([{ "role": "user", "parts": [{ "text": "the moon goes round the earth ".repeat(100) }] }]);
    for to in others() {
        let held = json!({ "model": format!("models/{}", model(to)), "contents": said });
        for request in [json!({ "contents": said }), json!({ "generateContentRequest": held })] {
            let path = format!("/v1beta/models/{}:countTokens", model(to));
            let answer = stage.exchange(&Call::post(&path, request.to_string())).await;
            assert_eq!(answer.status(), 200, "{to}: {}", answer.text());
            assert_eq!(answer.head.header("x-lunaroute-estimated"), Some("input_tokens"), "{to}");
            let tokens = answer.json()["totalTokens"].as_u64().expect("a figure");
            // Six words and as many tokens, a hundred times.
            assert!((600..1_200).contains(&tokens), "{to}: {tokens}");
        }
    }
    assert!(stage.provider.ledger().entries.is_empty(), "nobody was asked");
    let path = format!("/v1beta/models/{}:countTokens", model(FROM));
    let own = stage.exchange(&Call::post(&path, json!({ "contents": said }).to_string())).await;
    assert_eq!((own.status(), own.head.header("x-lunaroute-estimated")), (200, None), "{}", own.text());
    assert_eq!(stage.provider.ledger().entries.len(), 1, "who can count is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_seal_rides_on_the_call_and_goes_home_to_its_maker_alone() {
    let stage = Foreign::open("").await;
    for (to, maker) in [(Dialect::OpenaiResponses, "openai"), (Dialect::Anthropic, "anthropic")] {
        for stream in [false, true] {
            let what = format!("{to}, stream {stream}");
            let request = question(FROM, &model(to), stream);
            let told = read(FROM, &stage.ask(FROM, &request, "agent=1,reasoning=5").await, stream);
            let parts = told.history[0]["parts"].as_array().expect("parts");
            let call = parts.iter().find(|part| part["functionCall"].is_object()).expect("a call");
            // Google's clients hold signatures as bytes and write them in base64.
            assert!(call["thoughtSignature"].is_string(), "{what}: {parts:?}");
            let mut next = go_on(FROM, request, &told);
            // Clients may leave thoughts away, which Google permits; the call is what comes back.
            let content = next["contents"][1]["parts"].as_array_mut().expect("parts");
            content.retain(|part| part["thought"] != true);
            stage.ask(FROM, &next, "text=3").await;
            let sent = stage.received().to_string();
            assert!(!sent.contains("lr1."), "{what}: {maker} gets its own without the tag: {sent}");
            let sealed =
                if to == Dialect::Anthropic { "\"signature\":\"" } else { "\"encrypted_content\":\"" };
            assert!(sent.contains(sealed), "{what}: {sent}");
            // At another vendor nothing of it is left.
            next["model"] = model(Dialect::OpenaiChat).into();
            let signature = call["thoughtSignature"].as_str().expect("text").to_owned();
            let answer = stage.ask(FROM, &next, "text=3").await;
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            let sent = stage.received().to_string();
            assert!(!sent.contains(&signature) && !sent.contains("lr1."), "{what}: {sent}");
            // Nor at the caller's own, where the rest of the request is what it was.
            next["model"] = model(FROM).into();
            let answer = stage.ask(FROM, &next, "text=3").await;
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            next.as_object_mut().expect("members").retain(|name, _| name != "model" && name != "stream");
            let parts = next["contents"][1]["parts"].as_array_mut().expect("parts");
            let call = parts.iter_mut().find(|part| part["functionCall"].is_object()).expect("a call");
            call["thoughtSignature"] = "skip_thought_signature_validator".into();
            assert_eq!(stage.received(), next, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thoughts_are_shown_to_those_alone_who_asked_for_them() {
    let stage = Foreign::open("").await;
    for to in others() {
        for stream in [false, true] {
            let mut request = question(FROM, &model(to), stream);
            request["generationConfig"] = json!({});
            let told = read(FROM, &stage.ask(FROM, &request, "text=5,reasoning=6").await, stream);
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!((told.text, told.reasoning), (entry.text, String::new()), "{to}, stream {stream}");
            let history = Value::from(told.history).to_string();
            assert!(!history.contains("\"thought\":true"), "{to}, stream {stream}: {history}");
        }
    }
}
