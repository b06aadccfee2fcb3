//! Streams: their beginnings, blocks, calls and ends.

use lunaroute_dialect::cross::{Profile, Translation};
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, asked, blocks, call, chunks, completion, delta, done, events, finish,
    message, named, only, sent, streamed, text_block, told, tool_block, try_sent,
};
use crate::fixtures::{GEMINI_TOOLS, RESPONSES_TOOLS};

fn calls_of(events: &[Value]) -> Vec<Value> {
    completion(events)["calls"].as_array().expect("calls").clone()
}

#[test]
fn case_01_one_role_and_tool_numbers_of_their_own() {
    let stream = message(
        &[text_block("a"), tool_block("toolu_1", json!({}), &["", "{\"p\":1}"]), text_block("b")],
        "tool_use",
    );
    let chunks = told(MESSAGES, CHAT, &stream);
    let roles = chunks.iter().filter(|chunk| chunk["choices"][0]["delta"]["role"].is_string()).count();
    assert_eq!(roles, 1);
    let joined = completion(&chunks);
    assert_eq!(joined["content"], "ab");
    assert_eq!(joined["calls"], json!([{"id": "toolu_1", "name": "weather", "arguments": "{\"p\":1}"}]));
    assert_eq!(joined["finish"], "tool_calls");
}

#[test]
fn case_02_thinking_ends_before_text_begins() {
    let stream = done(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"content": "Hi"})),
        finish("stop"),
    ]);
    let told = told(CHAT, MESSAGES, &stream);
    only(&told, "message_start");
    let blocks = blocks(&told);
    let kinds: Vec<&str> = blocks.iter().filter_map(|block| block["type"].as_str()).collect();
    assert_eq!(kinds, ["thinking", "text"]);
    assert!(blocks[0]["signature"].as_str().expect("a signature").starts_with("lr1."));
    // The grammar forbids deltas outside of their block; their kinds have to fit as well.
    let mut open = "";
    for event in &told {
        match event["delta"]["type"].as_str() {
            Some("thinking_delta") => assert_eq!(open, "thinking"),
            Some("text_delta") => assert_eq!(open, "text"),
            _ => open = event["content_block"]["type"].as_str().unwrap_or(open),
        }
    }
}

#[test]
fn case_03_a_first_fragment_beside_the_name_is_kept() {
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), "{\"city\":"),
        call(0, None, None, "\"Rome\"}"),
        finish("tool_calls"),
    ]);
    let blocks = blocks(&told(CHAT, MESSAGES, &stream));
    assert_eq!(
        blocks,
        [json!({"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}})]
    );
}

#[test]
fn case_04_empty_lists_of_calls_are_no_calls() {
    let stream = done(&[
        delta(json!({"content": "Hi", "tool_calls": []})),
        delta(json!({"content": "!", "tool_calls": null})),
        finish("stop"),
    ]);
    let told = told(CHAT, MESSAGES, &stream);
    assert_eq!(blocks(&told), [json!({"type": "text", "text": "Hi!"})]);
    assert_eq!(only(&told, "message_delta")["delta"]["stop_reason"], "end_turn");
}

#[test]
fn case_05_a_call_without_input_has_an_empty_object() {
    for fragments in [&[][..], &[""]] {
        let stream = message(&[tool_block("toolu_1", json!({}), fragments)], "tool_use");
        assert_eq!(calls_of(&told(MESSAGES, CHAT, &stream))[0]["arguments"], "{}");
        let told = told(MESSAGES, RESPONSES, &stream);
        assert_eq!(only(&told, "response.function_call_arguments.done")["arguments"], "{}");
        assert_eq!(only(&told, "response.output_item.done")["item"]["arguments"], "{}");
    }
}

#[test]
fn case_07_input_at_the_beginning_is_told_once() {
    let filled = json!({"city": "Rome"});
    let alone = message(&[tool_block("toolu_1", filled.clone(), &[])], "tool_use");
    assert_eq!(calls_of(&told(MESSAGES, CHAT, &alone))[0]["arguments"], "{\"city\":\"Rome\"}");
    let with_deltas = message(&[tool_block("toolu_1", filled, &["{\"city\":", "\"Oslo\"}"])], "tool_use");
    assert_eq!(calls_of(&told(MESSAGES, CHAT, &with_deltas))[0]["arguments"], "{\"city\":\"Oslo\"}");
}

#[test]
fn case_08_parallel_calls_follow_each_other() {
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), ""),
        call(0, None, None, "{\"n\":0}"),
        call(1, Some("call_2"), Some("weather"), ""),
        call(1, None, None, "{\"n\":1}"),
        finish("tool_calls"),
    ]);
    let told = told(CHAT, MESSAGES, &stream);
    let place = |kind: &str, index: u64| {
        told.iter().position(|event| event["type"] == kind && event["index"] == index).expect("it is there")
    };
    assert!(place("content_block_stop", 0) < place("content_block_start", 1));
    let ids: Vec<Value> =
        blocks(&told).iter().map(|block| json!([block["id"], block["input"]["n"]])).collect();
    assert_eq!(ids, [json!(["call_1", 0]), json!(["call_2", 1])]);
}

#[test]
fn case_09_mixed_fragments_never_become_broken_json() {
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), "{\"n\""),
        call(1, Some("call_2"), Some("weather"), "{\"n\""),
        call(0, None, None, ":0}"),
        call(1, None, None, ":1}"),
        finish("tool_calls"),
    ]);
    for interleaved_calls in [false, true] {
        let mut asked = asked(MESSAGES, CHAT);
        asked.interleaved_calls = interleaved_calls;
        let told = events(&streamed(CHAT, MESSAGES, &stream, asked));
        let inputs: Vec<Value> = blocks(&told).iter().map(|block| block["input"].clone()).collect();
        assert_eq!(inputs, [json!({"n": 0}), json!({"n": 1})]);
    }
    // Free text does not tell its end, so there the host's profile has to.
    let custom = |index: u64, id: Option<&str>, input: &str| {
        let mut call = json!({"index": index, "custom": {"input": input}});
        if let Some(id) = id {
            (call["id"], call["custom"]["name"]) = (json!(id), json!("patch"));
        }
        delta(json!({"tool_calls": [call]}))
    };
    let stream = done(&[
        custom(0, Some("call_1"), "a"),
        custom(1, Some("call_2"), "b"),
        custom(0, None, "c"),
        finish("tool_calls"),
    ]);
    let plain = told(CHAT, MESSAGES, &stream);
    only(&plain, "error");
    let mut held = asked(MESSAGES, CHAT);
    held.interleaved_calls = true;
    let told = events(&streamed(CHAT, MESSAGES, &stream, held));
    let inputs: Vec<Value> = blocks(&told).iter().map(|block| block["input"]["input"].clone()).collect();
    assert_eq!(inputs, [json!("ac"), json!("b")]);
}

#[test]
fn case_10_one_number_with_two_ids_is_two_calls() {
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), "{\"n\":0}"),
        call(0, Some("call_2"), Some("weather"), "{\"n\":1}"),
        finish("tool_calls"),
    ]);
    let ids: Vec<Value> =
        blocks(&told(CHAT, MESSAGES, &stream)).iter().map(|block| block["id"].clone()).collect();
    assert_eq!(ids, ["call_1", "call_2"]);
}

#[test]
fn case_11_calls_without_numbers_are_told_apart_by_their_ids() {
    let nameless = |id: &str, name: Option<&str>, arguments: &str| {
        let mut call = json!({"id": id, "function": {"arguments": arguments}});
        if let Some(name) = name {
            call["function"]["name"] = json!(name);
        }
        delta(json!({"tool_calls": [call]}))
    };
    let stream = done(&[
        nameless("call_1", Some("weather"), "{\"n\":"),
        nameless("call_1", None, "0}"),
        nameless("call_2", Some("weather"), "{\"n\":1}"),
        finish("tool_calls"),
    ]);
    let inputs: Vec<Value> =
        blocks(&told(CHAT, MESSAGES, &stream)).iter().map(|block| block["input"].clone()).collect();
    assert_eq!(inputs, [json!({"n": 0}), json!({"n": 1})]);
}

#[test]
fn case_12_names_and_ids_are_told_once() {
    let stream = done(&[
        call(0, Some("call_1"), Some("get_x"), "{"),
        call(0, Some("call_1"), Some("get_x"), "}"),
        finish("tool_calls"),
    ]);
    let told = told(CHAT, RESPONSES, &stream);
    let item = &only(&told, "response.output_item.done")["item"];
    assert_eq!(
        (&item["name"], &item["call_id"], &item["arguments"]),
        (&json!("get_x"), &json!("call_1"), &json!("{}"))
    );
    let blocks = blocks(&super::told(CHAT, MESSAGES, &stream));
    assert_eq!(blocks, [json!({"type": "tool_use", "id": "call_1", "name": "get_x", "input": {}})]);
}

#[test]
fn case_13_an_end_without_a_reason_is_an_end() {
    let stream = done(&[call(0, Some("call_1"), Some("weather"), "{}")]);
    let told_responses = told(CHAT, RESPONSES, &stream);
    only(&told_responses, "response.function_call_arguments.done");
    only(&told_responses, "response.output_item.done");
    assert_eq!(only(&told_responses, "response.completed")["response"]["output"][0]["name"], "weather");
    let told = told(CHAT, MESSAGES, &stream);
    assert_eq!(only(&told, "message_delta")["delta"]["stop_reason"], "tool_use");
}

#[test]
fn case_14_who_asks_for_a_tool_waits_for_it() {
    let stream = done(&[call(0, Some("call_1"), Some("weather"), "{}"), finish("stop")]);
    assert_eq!(only(&told(CHAT, MESSAGES, &stream), "message_delta")["delta"]["stop_reason"], "tool_use");
    let stream = message(&[tool_block("toolu_1", json!({}), &["{}"])], "end_turn");
    assert_eq!(completion(&told(MESSAGES, CHAT, &stream))["finish"], "tool_calls");
}

#[test]
fn case_15_a_torn_stream_ends_in_an_error() {
    let chat = chunks(&[delta(json!({"content": "Hal"}))]);
    let messages = message(&[text_block("Hal")], "end_turn");
    let messages = messages.split("event: content_block_stop").next().expect("its beginning");
    for (from, stream) in [(CHAT, chat.as_str()), (MESSAGES, messages)] {
        for to in [CHAT, RESPONSES, MESSAGES].into_iter().filter(|to| *to != from) {
            let text = streamed(from, to, stream, asked(to, from));
            for end in ["message_stop", "[DONE]", "response.completed"] {
                assert!(!text.contains(end), "{from} to {to}: {text}");
            }
            assert!(text.contains("error"), "{from} to {to}: {text}");
        }
    }
}

#[test]
fn case_16_an_end_without_its_mark_is_an_end_after_the_reason() {
    let stream = chunks(&[delta(json!({"content": "Hi"})), finish("stop")]);
    only(&told(CHAT, MESSAGES, &stream), "message_stop");
    let stream = message(&[text_block("Hi")], "end_turn");
    let stream = stream.split("event: message_stop").next().expect("its beginning");
    let text = streamed(MESSAGES, CHAT, stream, asked(CHAT, MESSAGES));
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[test]
fn case_17_figures_behind_the_reason_are_told_with_it() {
    let figures = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}});
    let told = told(CHAT, MESSAGES, &done(&[delta(json!({"content": "Hi"})), finish("stop"), figures]));
    let last = only(&told, "message_delta");
    assert_eq!((&last["usage"]["input_tokens"], &last["usage"]["output_tokens"]), (&json!(9), &json!(3)));
}

#[test]
fn case_18_figures_that_never_come_are_estimated() {
    let stream = done(&[delta(json!({"content": "fourteen chars"})), finish("stop")]);
    let mut asked = asked(MESSAGES, CHAT);
    asked.estimated_input = Some(40);
    let mut out = Vec::new();
    let mut translation = Translation::new(CHAT, MESSAGES, asked);
    translation.push(stream.as_bytes(), &mut out);
    translation.end(&mut out);
    let told = events(&String::from_utf8(out).expect("text"));
    let first = &only(&told, "message_start")["message"]["usage"];
    let last = &only(&told, "message_delta")["usage"];
    assert_eq!(
        (&first["input_tokens"], &last["input_tokens"], &last["output_tokens"]),
        (&json!(40), &json!(40), &json!(4))
    );
}

#[test]
fn case_19_running_figures_are_not_summed() {
    let counted = |text: &str, tokens: u64| {
        let choice = delta(json!({"content": text}));
        json!({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": tokens}})
    };
    let told =
        told(CHAT, MESSAGES, &done(&[counted("a", 1), counted("b", 2), counted("c", 3), finish("stop")]));
    let usage = &only(&told, "message_delta")["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(9), &json!(3)));
}

#[test]
fn case_20_later_figures_replace_earlier_ones() {
    let stream = message(&[text_block("Hi")], "end_turn");
    let again =
        stream.replace(r#""usage":{"output_tokens":7}"#, r#""usage":{"input_tokens":12,"output_tokens":7}"#);
    assert_ne!(stream, again);
    for stream in [stream, again] {
        let usage = &completion(&told(MESSAGES, CHAT, &stream))["usage"];
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(12), &json!(7)));
    }
}

#[test]
fn case_21_a_first_chunk_without_choices_is_no_beginning() {
    let filter =
        json!({"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]});
    let told = told(CHAT, MESSAGES, &done(&[filter, delta(json!({"content": "Hi"})), finish("stop")]));
    assert_eq!(blocks(&told), [json!({"type": "text", "text": "Hi"})]);
    assert_eq!(told[0]["type"], "message_start");
}

#[test]
fn case_22_characters_may_be_torn_between_reads() {
    let stream = done(&[delta(json!({"content": "a🚀b"})), finish("stop")]);
    let mut translation = Translation::new(CHAT, MESSAGES, asked(MESSAGES, CHAT));
    let mut out = Vec::new();
    for byte in stream.bytes() {
        translation.push(&[byte], &mut out);
    }
    translation.end(&mut out);
    let text = String::from_utf8(out).expect("text");
    assert!(!text.contains('\u{fffd}'));
    assert_eq!(blocks(&events(&text)), [json!({"type": "text", "text": "a🚀b"})]);
}

#[test]
fn case_23_line_ends_and_comments_make_no_difference() {
    let stream = done(&[delta(json!({"content": "Hi"})), finish("stop")]);
    let plain = streamed(CHAT, MESSAGES, &stream, asked(MESSAGES, CHAT));
    for line_end in ["\r\n", "\r"] {
        let other = format!(": OPENROUTER PROCESSING\n\n{stream}").replace('\n', line_end);
        assert_eq!(streamed(CHAT, MESSAGES, &other, asked(MESSAGES, CHAT)), plain);
    }
}

#[test]
fn case_24_an_error_in_a_stream_is_told_in_the_callers_words() {
    let stream = named(&[
        json!({"type": "message_start", "message": {"id": "msg_up", "model": "claude-up", "usage": {"input_tokens": 1}}}),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ]);
    let text = streamed(MESSAGES, CHAT, &stream, asked(CHAT, MESSAGES));
    let events = events(&text);
    let error = &events.last().expect("an event")["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("service_unavailable_error"), &json!("server_is_overloaded"))
    );
    assert!(!text.contains("[DONE]"));
    let told = told(MESSAGES, RESPONSES, &stream);
    assert_eq!(only(&told, "response.failed")["response"]["error"]["code"], "server_is_overloaded");
}

#[test]
fn case_26_a_cut_answer_says_that_it_was_cut() {
    let stream = named(&[
        json!({"type": "response.created", "response": {"id": "resp_up", "model": "gpt-up", "status": "in_progress"}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Onc"}),
        json!({"type": "response.incomplete", "response": {
            "id": "resp_up", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [],
        }}),
    ]);
    assert_eq!(completion(&told(RESPONSES, CHAT, &stream))["finish"], "length");
    assert_eq!(
        only(&told(RESPONSES, MESSAGES, &stream), "message_delta")["delta"]["stop_reason"],
        "max_tokens"
    );
}

#[test]
fn case_56_a_request_of_responses_at_the_path_of_chat_gets_chunks() {
    let request = json!({
        "model": "asked-model", "stream": true,
        "input": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": []}],
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}],
    });
    let sent = sent(CHAT, MESSAGES, &request);
    assert_eq!(sent.body["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]));
    assert_eq!(sent.body["tools"][0]["name"], "weather");
    let stream = message(&[text_block("Hi")], "end_turn");
    let told = events(&streamed(MESSAGES, CHAT, &stream, sent.asked));
    assert_eq!(completion(&told)["content"], "Hi");
    let empty = json!({"model": "m", "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [], "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]});
    let profile = Profile::default();
    assert!(try_sent(CHAT, MESSAGES, &empty, &super::ModelFacts::default(), &profile).is_ok());
}

#[test]
fn sources_are_told_where_their_words_stand() {
    let cited = (
        json!({"type": "text", "text": ""}),
        vec![
            json!({"type": "text_delta", "text": "sunny é"}),
            json!({"type": "citations_delta", "citation": {
                "type": "web_search_result_location", "url": "https://w.test", "title": "W", "encrypted_index": "x",
            }}),
        ],
    );
    let stream = message(&[text_block("It is "), cited], "end_turn");
    let chunks = told(MESSAGES, CHAT, &stream);
    let annotations = chunks.iter().find_map(|chunk| chunk["choices"][0]["delta"]["annotations"].as_array());
    let cited = &annotations.expect("annotations")[0]["url_citation"];
    assert_eq!(*cited, json!({"start_index": 6, "end_index": 13, "title": "W", "url": "https://w.test"}));
    let told = told(MESSAGES, RESPONSES, &stream);
    let added = &only(&told, "response.output_text.annotation.added")["annotation"];
    assert_eq!(
        (&added["start_index"], &added["end_index"]),
        (&json!(0), &json!(7)),
        "inside of its own part"
    );
}

#[test]
fn thinking_that_is_not_to_be_shown_is_carried_by_its_seal_alone() {
    let request = json!({
        "model": "m", "max_tokens": 9000, "stream": true, "messages": [{"role": "user", "content": "q"}],
        "thinking": {"type": "adaptive", "display": "omitted"},
    });
    let chat = done(&[
        delta(json!({"role": "assistant", "reasoning_content": "hm, "})),
        delta(json!({"reasoning_content": "so"})),
        delta(json!({"content": "Hi"})),
        finish("stop"),
    ]);
    for (from, stream) in [(CHAT, chat.as_str()), (RESPONSES, RESPONSES_TOOLS), (GEMINI, GEMINI_TOOLS)] {
        let text = streamed(from, MESSAGES, stream, sent(MESSAGES, from, &request).asked);
        assert!(!text.contains("thinking_delta"), "{from}: {text}");
        let blocks = blocks(&events(&text));
        assert_eq!((&blocks[0]["type"], &blocks[0]["thinking"]), (&json!("thinking"), &json!("")), "{from}");
        assert!(blocks[0]["signature"].as_str().is_some_and(|seal| seal.starts_with("lr1.")), "{from}");
        assert!(blocks.iter().any(|block| block["type"] == "text"), "{from}: {blocks:#?}");
    }
}
