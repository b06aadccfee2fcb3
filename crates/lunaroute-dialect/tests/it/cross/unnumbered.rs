//! Streams of Responses from hosts that do not number their items, such as llama.cpp.

use serde_json::{Value, json};

use super::{CHAT, MESSAGES, RESPONSES, blocks, completion, named, told};

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": id, "call_id": format!("call_{id}"), "name": name, "arguments": arguments})
}

fn message(id: &str, text: &str) -> Value {
    json!({"type": "message", "id": id, "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn added(item: &Value) -> Value {
    let mut item = item.clone();
    match item["type"].as_str() {
        Some("message") => item["content"] = json!([]),
        _ => item["arguments"] = json!(""),
    }
    json!({"type": "response.output_item.added", "item": item})
}

fn finished(item: &Value) -> Value {
    json!({"type": "response.output_item.done", "item": item})
}

fn goes_on(kind: &str, id: &str, delta: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "item_id": id, "delta": delta})
}

fn stream(events: Vec<Value>, output: &[Value]) -> String {
    let mut all = vec![json!({"type": "response.created", "response": {"id": "resp_up", "model": "m"}})];
    all.extend(events);
    all.push(json!({"type": "response.completed", "response": {"id": "resp_up", "status": "completed", "output": output}}));
    named(&all)
}

/// The events without what tells their item.
fn without(events: &[Value], members: &[&str]) -> Vec<Value> {
    let mut events = events.to_vec();
    for event in &mut events {
        for member in members {
            event.as_object_mut().expect("an object").remove(*member);
            if let Some(item) = event["item"].as_object_mut() {
                item.remove(*member);
            }
        }
        if event["item"].is_null() {
            event.as_object_mut().expect("an object").remove("item");
        }
    }
    events
}

#[track_caller]
fn says(stream: &str, text: &str, calls: &[(&str, Value)]) {
    let told_chat = told(RESPONSES, CHAT, stream);
    assert_eq!(completion(&told_chat)["content"], text, "{stream}");
    let blocks = blocks(&told(RESPONSES, MESSAGES, stream));
    let asked: Vec<(Value, Value)> = blocks
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| (block["id"].clone(), block["input"].clone()))
        .collect();
    let expected: Vec<(Value, Value)> = calls.iter().map(|(id, input)| (json!(id), input.clone())).collect();
    assert_eq!(asked, expected, "{stream}");
    let said: String = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    assert_eq!(said, text, "{stream}");
}

#[test]
fn calls_without_numbers_are_told_apart() {
    let (a, b) = (call("a", "weather", "{\"x\":1}"), call("b", "weather", "{\"y\":2}"));
    let arguments = "function_call_arguments";
    let events = [
        added(&a),
        goes_on(arguments, "a", "{\"x\""),
        goes_on(arguments, "a", ":1}"),
        finished(&a),
        added(&b),
        goes_on(arguments, "b", "{\"y\":2}"),
        finished(&b),
    ];
    let expected = [("call_a", json!({"x": 1})), ("call_b", json!({"y": 2}))];
    let output = [a, b];
    says(&stream(events.to_vec(), &output), "", &expected);
    says(&stream(without(&events, &["item_id"]), &output), "", &expected);
    says(&stream(without(&events, &["item_id", "id"]), &output), "", &expected);
    // The one whose pieces come late is found by its id.
    let mixed = [0, 4, 1, 5, 2, 3, 6].map(|place: usize| events[place].clone());
    says(&stream(mixed.to_vec(), &output), "", &expected);
}

#[test]
fn a_message_before_a_call_is_told_once() {
    let (text, a) = (message("msg_1", "Let me see."), call("a", "weather", "{\"x\":1}"));
    let events = [
        added(&text),
        goes_on("output_text", "msg_1", "Let me "),
        goes_on("output_text", "msg_1", "see."),
        finished(&text),
        added(&a),
        goes_on("function_call_arguments", "a", "{\"x\":1}"),
        finished(&a),
    ];
    let expected = [("call_a", json!({"x": 1}))];
    let output = [text.clone(), a.clone()];
    says(&stream(events.to_vec(), &output), "Let me see.", &expected);
    says(&stream(without(&events, &["item_id"]), &output), "Let me see.", &expected);
    says(&stream(without(&events, &["item_id", "id"]), &output), "Let me see.", &expected);
    let nameless = without(&[finished(&text), finished(&a)], &["id"]);
    let nameless: Vec<Value> = nameless.into_iter().map(|event| event["item"].clone()).collect();
    says(&stream(without(&events, &["item_id", "id"]), &nameless), "Let me see.", &expected);
    // What only the end tells is told there, wherever it stands.
    says(&stream(events[4..].to_vec(), &[a.clone(), text.clone()]), "Let me see.", &expected);
    says(&stream(events[4..].to_vec(), &[text.clone(), a.clone()]), "Let me see.", &expected);
    says(&stream(vec![finished(&text), finished(&a)], &[text, a]), "Let me see.", &expected);
}

#[test]
fn items_are_known_by_their_ids_where_the_last_list_counts_otherwise() {
    let (text, a) = (message("msg_1", "Hm."), call("a", "weather", "{}"));
    let at = |mut event: Value, place: u64| {
        event["output_index"] = json!(place);
        event
    };
    // The search at 1 is not among the output.
    let events = vec![
        at(added(&text), 0),
        at(goes_on("output_text", "msg_1", "Hm."), 0),
        at(finished(&text), 0),
        at(added(&a), 2),
        at(goes_on("function_call_arguments", "a", "{}"), 2),
        at(finished(&a), 2),
    ];
    says(&stream(events.clone(), &[text.clone(), a.clone()]), "Hm.", &[("call_a", json!({}))]);
    // Hosts whose ids change from event to event are known by the numbers.
    let other = message("msg_other", "Hm.");
    says(&stream(events[..3].to_vec(), &[other]), "Hm.", &[]);
}
