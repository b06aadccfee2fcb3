//! `previous_response_id` over HTTP, at providers that do not remember answers and at those that do.

use lunaroute_core::Dialect;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call};
use crate::support::dialogue::{events, read};
use crate::support::stage::{RESPONSES, Stage};
use crate::translation::{Foreign, model};

const FOREIGN: [Dialect; 2] = [Dialect::OpenaiChat, Dialect::Anthropic];

async fn ask(stage: &Foreign, key: &str, body: &Value) -> Answer {
    let call = Call::post(RESPONSES, body.to_string()).header("authorization", format!("Bearer {key}"));
    stage.exchange(&call.short("text=3")).await
}

/// The id of the answer.
fn id(answer: &Answer, stream: bool) -> Value {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    if stream { events(&answer.body)[0]["response"]["id"].clone() } else { answer.json()["id"].clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_at_a_provider_of_another_dialect() {
    let stage = Foreign::open("").await;
    for (to, stream) in FOREIGN.into_iter().flat_map(|to| [(to, false), (to, true)]) {
        let what = format!("{to}, stream {stream}");
        let mut said = Vec::new();
        let mut previous = Value::Null;
        for asked in ["one", "two", "three"] {
            let body = json!({"model": model(to), "stream": stream, "input": asked, "previous_response_id": previous});
            let answer = ask(&stage, "k", &body).await;
            let told = read(Dialect::OpenaiResponses, &answer, stream);
            said.extend([asked.to_owned(), told.text]);
            if !stream {
                assert_eq!(answer.json()["previous_response_id"], previous, "{what}");
            }
            previous = id(&answer, stream);
        }
        let got = stage.received();
        let turns = got["messages"].as_array().expect("turns");
        assert_eq!(turns.len(), 5, "{what}: {got}");
        for (turn, said) in turns.iter().zip(&said) {
            assert!(turn.to_string().contains(said.as_str()), "{what}: {said:?} in {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_its_callers_and_is_forgotten_when_it_shall_not_be_stored() {
    let stage = Foreign::open("").await;
    for to in FOREIGN {
        let stored = ask(&stage, "one", &json!({"model": model(to), "input": "secret"})).await;
        let unstored =
            ask(&stage, "one", &json!({"model": model(to), "input": "secret", "store": false})).await;
        let before = stage.provider.ledger().entries.len();
        let rows =
            [("other", id(&stored, false)), ("one", id(&unstored, false)), ("one", json!("resp_never"))];
        for (key, previous) in rows {
            let body = json!({"model": model(to), "input": "go on", "previous_response_id": previous});
            let answer = ask(&stage, key, &body).await;
            assert_eq!(answer.status(), 400, "{to}: {}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["code"], "previous_response_not_found", "{to}");
            assert_eq!(error["param"], "previous_response_id", "{to}");
        }
        assert_eq!(stage.provider.ledger().entries.len(), before, "{to}: nobody was asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_remembered_when_the_configuration_says_so() {
    let stage = Foreign::open("responses: { remembered: 0 }\n").await;
    let first = ask(&stage, "k", &json!({"model": model(Dialect::Anthropic), "input": "one"})).await;
    let body = json!({"model": model(Dialect::Anthropic), "input": "two", "previous_response_id": id(&first, false)});
    assert_eq!(ask(&stage, "k", &body).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_moves_from_another_dialect_to_the_callers_own() {
    let stage = Foreign::open("").await;
    let first = ask(&stage, "k", &json!({"model": model(Dialect::Anthropic), "input": "one"})).await;
    let own = model(Dialect::OpenaiResponses);
    let body =
        json!({"model": own, "input": "two", "previous_response_id": id(&first, false), "store": true});
    assert_eq!(ask(&stage, "k", &body).await.status(), 200);
    let got = stage.received();
    assert!(got.get("previous_response_id").is_none(), "{got}");
    assert_eq!(
        (&got["model"], &got["store"], &got["input"].as_array().map(Vec::len)),
        (&json!("m"), &json!(true), &Some(3))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_of_the_dialect_gets_the_bytes_as_they_are() {
    let stage = Stage::open("").await;
    let body = r#"{"model" : "m","input":"two", "previous_response_id": "resp_abc" }"#;
    let answer = stage.exchange(&Call::post(RESPONSES, body)).await;
    assert_eq!(answer.status(), 200);
    let entry = stage.ledger_when(|ledger| ledger.finished() == 1).await.entries.remove(0);
    assert_eq!(entry.body.as_deref(), Some(body.as_bytes()));
}
