//! Agents of one dialect at providers of another: tools, their results, and reasoning between them.

use lunaroute_core::Dialect;

use crate::support::dialogue::{go_on, pairs, question, read};
use crate::translation::{Foreign, model};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_three_turns_comes_to_its_end() {
    let stage = Foreign::open("").await;
    for (from, to) in pairs() {
        for stream in [false, true] {
            let what = format!("{from} to {to}, stream {stream}");
            let mut request = question(from, &model(to), stream);
            for turn in 0..3 {
                let answer = stage.ask(from, &request, "agent=2,reasoning=5").await;
                assert_eq!(answer.status(), 200, "{what}, turn {turn}: {}", answer.text());
                let told = read(from, &answer, stream);
                let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
                assert_eq!(told.calls.len(), entry.tool_calls as usize, "{what}, turn {turn}");
                assert_eq!(told.reasoning, entry.reasoning, "{what}, turn {turn}");
                if turn == 2 {
                    assert_eq!((told.stop.as_str(), told.calls.len()), ("end", 0), "{what}");
                    assert_eq!(told.text, entry.text, "{what}");
                    break;
                }
                assert_eq!(told.stop, "tools", "{what}, turn {turn}");
                let (_, name, arguments) = &told.calls[0];
                assert_eq!(name, "weather", "{what}");
                assert!(arguments["city"].is_string(), "{what}: {arguments}");
                request = go_on(from, request, &told);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_keep_their_ids_and_their_order() {
    let stage = Foreign::open("").await;
    for (from, to) in pairs() {
        for stream in [false, true] {
            let what = format!("{from} to {to}, stream {stream}");
            let request = question(from, &model(to), stream);
            let told = read(from, &stage.ask(from, &request, "tools=3").await, stream);
            let mut ids: Vec<&String> = told.calls.iter().map(|(id, _, _)| id).collect();
            ids.dedup();
            assert_eq!(ids.len(), 3, "{what}: {:?}", told.calls);
            let answer = stage.ask(from, &go_on(from, request, &told), "tools=3").await;
            assert_eq!(read(from, &answer, stream).stop, "end", "{what}");
            let sent = stage.received().to_string();
            let places: Vec<usize> = ids
                .iter()
                .map(|id| sent.find(id.as_str()).unwrap_or_else(|| panic!("{what}: {id}")))
                .collect();
            assert!(places.is_sorted(), "{what}: {places:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_provider_would_refuse_comes_back_as_it_was() {
    let stage = Foreign::open("").await;
    let long = format!("mcp__server__{}", "x".repeat(80));
    for stream in [false, true] {
        let mut request = question(Dialect::Anthropic, &model(Dialect::OpenaiChat), stream);
        request["tools"][0]["name"] = long.clone().into();
        let told = read(Dialect::Anthropic, &stage.ask(Dialect::Anthropic, &request, "tools").await, stream);
        assert_eq!(told.calls[0].1, long);
        let sent = stage.received();
        let name = sent["tools"][0]["function"]["name"].as_str().expect("a name");
        assert!(name.len() <= 64, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasoning_of_another_vendor_never_reaches_the_clients_own() {
    let stage = Foreign::open("").await;
    let from = Dialect::Anthropic;
    for stream in [false, true] {
        let request = question(from, &model(Dialect::OpenaiResponses), stream);
        let told = read(from, &stage.ask(from, &request, "agent=1,reasoning=5").await, stream);
        let history = serde_json::Value::from(told.history.clone()).to_string();
        assert!(history.contains("lr1.openai."), "the client carries the seal: {history}");
        let mut next = go_on(from, request, &told);
        // At the same vendor again the maker gets its own back, without the gateway's tag.
        stage.ask(from, &next, "text=3").await;
        let sent = stage.received();
        let items = sent["input"].as_array().expect("items");
        let reasoning = items.iter().find(|item| item["type"] == "reasoning").expect("it comes back");
        let encrypted = reasoning["encrypted_content"].as_str().expect("its seal");
        assert!(!encrypted.starts_with("lr1."), "{encrypted}");
        // At the client's own vendor nothing of it is left, and nothing else is touched but the model's name.
        next["model"] = model(from).into();
        let answer = stage.ask(from, &next, "text=3").await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        next["model"] = "m".into();
        let content = next["messages"][1]["content"].as_array_mut().expect("blocks");
        content.retain(|block| block["type"] != "thinking");
        assert_eq!(stage.received(), next);
    }
}
