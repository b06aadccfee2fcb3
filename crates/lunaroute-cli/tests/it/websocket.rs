//! Responses over WebSocket, at providers of the dialect and of others.

use lunaroute_core::Dialect;
use lunaroute_sim::Entry;
use serde_json::{Value, json};

use crate::support::stage::{RESPONSES, Stage, until};
use crate::support::websocket::{Socket, text};
use crate::translation::{Foreign, model};

/// The body that a provider got.
fn body(entry: &Entry) -> Value {
    serde_json::from_slice(entry.body.as_deref().expect("a body")).expect("JSON")
}

/// The role of each item, or its type when it is no message.
fn kinds(body: &Value) -> Vec<&str> {
    let items = body["input"].as_array().expect("items").iter();
    items.map(|item| item["role"].as_str().or(item["type"].as_str()).expect("an item")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_takes_the_walk_of_a_post_and_each_event_is_a_message() {
    let stage = Stage::open("").await;
    let beta = ("openai-beta", "other=1, responses_websockets=2026-02-06");
    let script = ("x-sim-script", "text=5");
    let mut socket =
        Socket::open(stage.gateway.address, &[beta, script, ("authorization", "Bearer k")]).await;
    assert!(socket.handshake.headers().contains_key("x-lunaroute-request-id"));
    socket.ask("m", json!("hello"), json!({"store": false, "temperature": 1.0})).await;
    let events = socket.answer().await;
    let numbers: Vec<u64> =
        events.iter().map(|event| event["sequence_number"].as_u64().expect("one")).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>(), "every event, in order, none twice");
    assert_eq!(events[0]["type"], "response.created");
    let entry = stage.ledger_when(|ledger| ledger.finished() == 1).await.entries.remove(0);
    assert_eq!(text(&events.last().expect("events")["response"]), entry.text);
    assert_eq!((entry.method.as_str(), entry.path.as_str()), ("POST", RESPONSES));
    assert_eq!(
        body(&entry),
        json!({"model": "m", "input": "hello", "store": false, "temperature": 1.0, "stream": true})
    );
    assert_eq!(entry.header("openai-beta"), Some("other=1"));
    assert_eq!(entry.header("accept"), Some("text/event-stream"));
    let is_of_websocket =
        |(name, _): &(String, String)| name.starts_with("sec-websocket") || name == "upgrade";
    assert!(!entry.headers.iter().any(is_of_websocket), "{:?}", entry.headers);
    let recorded = until("the record", async || {
        let page = lunaroute_session::query::Page::new(10, 0);
        let filter = lunaroute_session::query::RequestFilter::default();
        let listing = lunaroute_session::query::SessionQuery::requests(&stage.query(), &filter, page);
        listing.expect("the record").items.into_iter().find(|request| request.ending.is_some())
    })
    .await;
    let detail = stage.record(recorded.id).await;
    assert_eq!(detail.request.method.as_deref(), Some("POST"));
    assert_eq!(detail.request.ending.map(|ending| ending.to_string()).as_deref(), Some("completed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_before_is_put_in_where_the_provider_does_not_remember_it() {
    let stage = Foreign::open("").await;
    for to in Dialect::ALL {
        let mut socket = Socket::open(stage.gateway.address, &[("x-sim-script", "text=3")]).await;
        let stateless = || json!({"store": false});
        let first = socket.response(&model(to), json!("one"), stateless()).await;
        let further = json!({"store": false, "previous_response_id": first["id"]});
        let input = json!([{"type": "message", "role": "user", "content": "two"}]);
        let second = socket.response(&model(to), input, further).await;
        let further = json!({"store": false, "previous_response_id": second["id"]});
        socket.response(&model(to), json!("three"), further).await;
        let got = stage.received();
        assert!(got.get("previous_response_id").is_none(), "{to}: {got}");
        let (list, answerer) = match to {
            Dialect::OpenaiResponses => ("input", "assistant"),
            Dialect::Gemini => ("contents", "model"),
            Dialect::OpenaiChat | Dialect::Anthropic => ("messages", "assistant"),
        };
        let roles: Vec<&str> =
            got[list].as_array().expect("turns").iter().filter_map(|turn| turn["role"].as_str()).collect();
        assert_eq!(roles, ["user", answerer, "user", answerer, "user"], "{to}: {got}");
        let told = got[list].to_string();
        for said in ["one", "two", "three", &text(&first), &text(&second)] {
            assert!(told.contains(said), "{to}: {said:?} in {told}");
        }
        // Gemini's path names the model.
        assert_eq!(got["model"] == "m", to != Dialect::Gemini, "{to}");
        // Only the last answer of the connection is remembered when nothing shall be stored.
        let further = json!({"store": false, "previous_response_id": first["id"]});
        if to != Dialect::OpenaiResponses {
            let error = socket.error(&model(to), json!("four"), further).await;
            assert_eq!(
                (&error["status"], &error["error"]["code"]),
                (&json!(400), &json!("previous_response_not_found"))
            );
            assert_eq!(error["error"]["param"], "previous_response_id");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_remembers_is_told_the_id_alone() {
    let stage = Stage::open("").await;
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    let first = socket.response("m", json!("one"), json!({})).await;
    socket.response("m", json!("two"), json!({"previous_response_id": first["id"]})).await;
    socket.response("m", json!("three"), json!({"previous_response_id": "resp_of_another_day"})).await;
    let ledger = stage.ledger_when(|ledger| ledger.finished() == 3).await;
    let bodies: Vec<Value> = ledger.entries.iter().map(body).collect();
    assert_eq!(
        bodies[1],
        json!({"model": "m", "input": "two", "previous_response_id": first["id"], "stream": true})
    );
    assert_eq!(bodies[2]["previous_response_id"], "resp_of_another_day", "its provider may know it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_up_asks_nobody_and_is_gone_on_from() {
    let stage = Stage::open("").await;
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    let tools = json!([{"type": "function", "name": "weather", "parameters": {}}]);
    let warm = json!({"generate": false, "store": false, "tools": tools});
    socket.ask("m", json!([{"type": "message", "role": "developer", "content": "be brief"}]), warm).await;
    let events = socket.answer().await;
    let kinds_told: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds_told, ["response.created", "response.completed"]);
    let warm = &events[1]["response"];
    assert_eq!((&warm["output"], &warm["status"], &warm["tools"]), (&json!([]), &json!("completed"), &tools));
    assert_eq!(stage.provider.ledger().entries.len(), 0);
    let further = json!({"store": false, "previous_response_id": warm["id"]});
    socket.response("m", json!([{"type": "message", "role": "user", "content": "hi"}]), further).await;
    let entry = stage.ledger_when(|ledger| ledger.finished() == 1).await.entries.remove(0);
    let got = body(&entry);
    assert_eq!(kinds(&got), ["developer", "user"]);
    assert!(got.get("previous_response_id").is_none() && got.get("generate").is_none(), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_loop_goes_on_with_nothing_but_the_result() {
    let stage = Foreign::open("").await;
    for to in Dialect::ALL {
        let mut socket = Socket::open(stage.gateway.address, &[("x-sim-script", "tools=1,thinking=4")]).await;
        let tools = json!([{"type": "function", "name": "weather", "parameters": {"type": "object"}}]);
        let further = json!({"store": false, "tools": tools, "include": ["reasoning.encrypted_content"]});
        let first = socket.response(&model(to), json!("weather?"), further.clone()).await;
        let output = first["output"].as_array().expect("items");
        let call = output.iter().find(|item| item["type"] == "function_call").expect("a call");
        let mut further = further;
        further["previous_response_id"] = first["id"].clone();
        let result =
            json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "it rains"}]);
        let second = socket.response(&model(to), result, further).await;
        assert_eq!(
            second["previous_response_id"].is_null(),
            to == Dialect::OpenaiResponses,
            "{to}: {second}"
        );
        let got = stage.received().to_string();
        assert!(got.contains("it rains") && got.contains("weather?"), "{to}: {got}");
        let id = call["call_id"].as_str().expect("an id");
        assert_eq!(got.matches(&format!("\"{id}\"")).count(), 2, "{to}: the call and its result: {got}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_wait_for_their_turn_and_answers_say_their_lane() {
    let stage = Stage::open("").await;
    let mut socket = Socket::open(stage.gateway.address, &[("x-sim-script", "text=3,delay=20")]).await;
    for lane in ["a", "b", "c"] {
        socket.ask("m", json!(lane), json!({"stream_id": lane})).await;
    }
    for lane in ["a", "b", "c"] {
        let events = socket.answer().await;
        assert!(events.iter().all(|event| event["stream_id"] == lane), "{events:?}");
    }
    let entries = stage.ledger_when(|ledger| ledger.finished() == 3).await.entries;
    for pair in entries.windows(2) {
        assert!(pair[1].received_at >= pair[0].last_byte_at.expect("sent"), "one after the other");
        assert!(body(&pair[1]).get("stream_id").is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_come_in_band_and_the_connection_lives_on() {
    let stage = Foreign::open("").await;
    for to in Dialect::ALL {
        let script = "429,fail_times=1,retry_after_ms=9000,text=2";
        let mut socket =
            Socket::open(stage.gateway.address, &[("x-sim-script", script), ("x-test-id", to.as_str())])
                .await;
        socket.send(r#"{"no":"#.into()).await;
        let event = socket.event().await;
        assert_eq!(
            (&event["status"], &event["error"]["type"]),
            (&json!(400), &json!("invalid_request_error"))
        );
        socket.send(r#"{"type":"response.steer","stream_id":"x"}"#.into()).await;
        let event = socket.event().await;
        assert_eq!((&event["status"], &event["stream_id"]), (&json!(400), &json!("x")));
        assert!(event["error"]["message"].as_str().expect("a sentence").contains("response.steer"));
        let event = socket.error(&model(to), json!("one"), json!({})).await;
        assert_eq!(event["status"], 429, "{to}: {event}");
        assert!(event["headers"]["retry-after"].is_string(), "{to}: {event}");
        socket.response(&model(to), json!("two"), json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_ends_with_an_error() {
    let stage = Foreign::open("").await;
    for to in Dialect::ALL {
        let mut socket =
            Socket::open(stage.gateway.address, &[("x-sim-script", "text=9,cut_events=5")]).await;
        socket.ask(&model(to), json!("one"), json!({})).await;
        let events = socket.answer().await;
        let last = events.last().expect("events");
        match to {
            Dialect::OpenaiResponses => {
                assert_eq!(last["type"], "error", "{to}: {last}");
                assert!(last["status"].as_u64().is_some_and(|status| status >= 500), "{to}: {last}");
            }
            _ => assert_eq!(last["type"], "response.failed", "{to}: {last}"),
        }
    }
}
