//! Sources that an answer names, and the searches that found them.

use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, completion, events, message, sent, streamed,
    text_block, told,
};

/// A candidate whose second sentence is grounded; the spans are bytes of UTF-8.
fn grounded() -> Value {
    let text = "Schön. Regen in Köln.";
    let (start, end) = (text.find("Regen").expect("it is there"), text.len());
    json!({
        "content": {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": text}]},
        "finishReason": "STOP",
        "groundingMetadata": {
            "webSearchQueries": ["q"],
            "groundingChunks": [{"web": {"uri": "https://x.test/a", "title": "A"}}, {"web": {"uri": "https://x.test/b"}}],
            "groundingSupports": [{"segment": {"startIndex": start, "endIndex": end}, "groundingChunkIndices": [1, 0, 9]}],
        },
    })
}

#[test]
fn grounded_words_of_gemini_name_their_sources_in_code_points() {
    let answer = json!({"candidates": [grounded()]});
    let chat = answered(GEMINI, CHAT, &answer, &asked(CHAT, GEMINI));
    let expected = json!([
        {"type": "url_citation", "url_citation": {"url": "https://x.test/b", "title": "", "start_index": 7, "end_index": 21}},
        {"type": "url_citation", "url_citation": {"url": "https://x.test/a", "title": "A", "start_index": 7, "end_index": 21}},
    ]);
    let annotations = &chat["choices"][0]["message"]["annotations"];
    let spans = |list: &Value| -> Vec<(Value, Value, Value)> {
        let list = list.as_array().expect("annotations").iter().map(|one| &one["url_citation"]);
        list.map(|one| (one["url"].clone(), one["start_index"].clone(), one["end_index"].clone())).collect()
    };
    assert_eq!(spans(annotations), spans(&expected));
    // In a stream they come with the last chunk, and said twice they are told once.
    let mut first = grounded();
    first["content"]["parts"] = json!([{"text": "Schön. "}]);
    first.as_object_mut().expect("an object").remove("finishReason");
    first["groundingMetadata"]["groundingSupports"] = json!([]);
    first["groundingMetadata"]["groundingChunks"] = json!([]);
    let mut last = grounded();
    last["content"]["parts"] = json!([{"text": "Regen in Köln."}]);
    let chunk = |candidate: &Value| format!("data: {}\r\n\r\n", json!({"candidates": [candidate]}));
    let stream = format!(
        "{}{}{}",
        chunk(&first),
        chunk(&last),
        chunk(&json!({"groundingMetadata": last["groundingMetadata"]}))
    );
    let chunks = told(GEMINI, CHAT, &stream);
    let annotations = chunks.iter().find_map(|chunk| chunk["choices"][0]["delta"].get("annotations"));
    assert_eq!(spans(annotations.expect("they are told")), spans(&expected));
    assert_eq!(completion(&chunks)["content"], "Schön. Regen in Köln.");
}

#[test]
fn sources_that_come_before_their_words_are_those_of_the_plain_answer() {
    let source = |name: &str| {
        json!({
            "type": "web_search_result_location", "url": format!("https://{name}.test"), "title": name, "encrypted_index": "x",
        })
    };
    let cited = |text: &str, sources: &[Value]| {
        let cites = sources.iter().map(|source| json!({"type": "citations_delta", "citation": source}));
        let deltas = cites.chain([json!({"type": "text_delta", "text": text})]).collect::<Vec<_>>();
        (json!({"type": "text", "text": "", "citations": []}), deltas)
    };
    let (a, b, c) = (source("a"), source("b"), source("c"));
    let stream = message(
        &[
            text_block("It is "),
            cited("sunny é", &[a.clone(), b.clone()]),
            text_block(" and "),
            cited("dry", std::slice::from_ref(&c)),
        ],
        "end_turn",
    );
    let plain = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "content": [
        {"type": "text", "text": "It is "}, {"type": "text", "text": "sunny é", "citations": [a, b]},
        {"type": "text", "text": " and "}, {"type": "text", "text": "dry", "citations": [c]},
    ], "usage": {"input_tokens": 12, "output_tokens": 7}});
    let chunks = told(MESSAGES, CHAT, &stream);
    let annotations = chunks.iter().find_map(|chunk| chunk["choices"][0]["delta"]["annotations"].as_array());
    let annotations = annotations.expect("they are told");
    assert_eq!(annotations.len(), 3);
    let expected = answered(MESSAGES, CHAT, &plain, &asked(CHAT, MESSAGES));
    assert_eq!(json!(annotations), expected["choices"][0]["message"]["annotations"]);
    let events = told(MESSAGES, RESPONSES, &stream);
    let last = &super::only(&events, "response.completed")["response"]["output"][0]["content"];
    let expected = answered(MESSAGES, RESPONSES, &plain, &asked(RESPONSES, MESSAGES));
    assert_eq!(*last, expected["output"][0]["content"]);
    assert_eq!(last[1]["annotations"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_signature_at_the_end_does_not_part_words_from_their_sources() {
    let text = "Schön. Regen.";
    let (start, end) = (text.find("Regen").expect("it is there"), text.len());
    let grounding = json!({
        "groundingChunks": [{"web": {"uri": "https://x.test/a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": start, "endIndex": end}, "groundingChunkIndices": [0]}],
    });
    let chunk = |parts: Value, more: Value| {
        let mut candidate = json!({"content": {"role": "model", "parts": parts}});
        for (name, value) in more.as_object().expect("an object") {
            candidate[name] = value.clone();
        }
        format!("data: {}\r\n\r\n", json!({"candidates": [candidate]}))
    };
    let sealed = |text: &str| json!([{"text": text, "thoughtSignature": "EqQB"}]);
    let last = json!({"finishReason": "STOP", "groundingMetadata": grounding});
    for stream in [
        format!("{}{}", chunk(json!([{"text": text}]), json!({})), chunk(sealed(""), last.clone())),
        format!(
            "{}{}",
            chunk(json!([{"text": "Schön. "}]), json!({})),
            chunk(sealed("Regen."), last.clone())
        ),
        [
            chunk(json!([{"text": text}]), json!({})),
            chunk(sealed(""), json!({})),
            chunk(json!([{"text": ""}]), last.clone()),
        ]
        .concat(),
        chunk(json!([{"text": text}, {"text": "", "thoughtSignature": "EqQB"}]), last.clone()),
    ] {
        let told_responses = told(GEMINI, RESPONSES, &stream);
        let output = super::only(&told_responses, "response.completed")["response"]["output"].clone();
        assert_eq!(output.as_array().map(Vec::len), Some(2), "words, then what seals them: {stream}");
        assert_eq!(output[0]["content"].as_array().map(Vec::len), Some(1), "{stream}");
        let part = &output[0]["content"][0];
        assert_eq!(part["text"], text);
        let cited = &part["annotations"];
        assert_eq!(cited.as_array().map(Vec::len), Some(1), "{stream}");
        assert_eq!((&cited[0]["start_index"], &cited[0]["end_index"]), (&json!(7), &json!(13)), "{stream}");
        assert!(output[1]["encrypted_content"].is_string(), "{stream}");
        let chat = told(GEMINI, CHAT, &stream);
        let annotations =
            chat.iter().find_map(|chunk| chunk["choices"][0]["delta"]["annotations"].as_array());
        assert_eq!(annotations.expect("they are told")[0]["url_citation"]["start_index"], 7, "{stream}");
    }
}

#[test]
fn sources_of_others_ground_the_words_for_clients_of_gemini() {
    let annotation = json!({"type": "url_citation", "url_citation": {
        "url": "https://x.test/a", "title": "A", "start_index": 7, "end_index": 12}});
    let chat = json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "Schön. Regen.", "annotations": [annotation]}}]});
    let expected = json!({
        "groundingChunks": [{"web": {"uri": "https://x.test/a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 8, "endIndex": 13, "text": "Regen"}, "groundingChunkIndices": [0]}],
    });
    let whole = answered(CHAT, GEMINI, &chat, &asked(GEMINI, CHAT));
    assert_eq!(whole["candidates"][0]["groundingMetadata"], expected);
    let stream = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": "Schön. Regen."}}]}),
        json!({"choices": [{"index": 0, "delta": {"annotations": [annotation]}, "finish_reason": "stop"}]}),
    );
    let chunks = events(&streamed(CHAT, GEMINI, &stream, asked(GEMINI, CHAT)));
    assert_eq!(chunks.last().expect("a chunk")["candidates"][0]["groundingMetadata"], expected);
}

#[test]
fn files_and_films_that_google_reads_itself_are_named_to_it() {
    for url in
        ["https://generativelanguage.googleapis.com/v1beta/files/f", "gs://b/o.png", "https://youtu.be/x"]
    {
        let request = json!({"model": "m", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url}}]}]});
        let part = &sent(CHAT, GEMINI, &request).body["contents"][0]["parts"][0];
        assert_eq!(part["fileData"]["fileUri"], url);
    }
}

#[test]
fn a_search_looks_where_it_was_told_to() {
    let place = json!({"type": "approximate", "city": "Rome", "country": "IT"});
    let domains = json!(["x.test"]);
    let theirs = json!({"type": "web_search_20250305", "name": "web_search", "allowed_domains": domains, "user_location": place});
    let ours = json!({"type": "web_search", "filters": {"allowed_domains": domains}, "user_location": place});
    let messages = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "q"}], "tools": [theirs]});
    let responses = json!({"model": "m", "input": "q", "tools": [ours]});
    let there = sent(MESSAGES, RESPONSES, &messages);
    assert_eq!((&there.body["tools"][0], there.warnings), (&ours, Vec::new()));
    let back = sent(RESPONSES, MESSAGES, &responses);
    assert_eq!((&back.body["tools"][0], back.warnings), (&theirs, Vec::new()));
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "web_search_options": {
        "user_location": {"type": "approximate", "approximate": {"city": "Rome", "country": "IT"}}}});
    assert_eq!(sent(CHAT, MESSAGES, &chat).body["tools"][0]["user_location"], place);
    // How often it may search, or how much it reads, has no place there.
    let mut often = messages.clone();
    often["tools"][0]["max_uses"] = json!(3);
    assert_eq!(sent(MESSAGES, RESPONSES, &often).warnings, ["!tools[0]"]);
    let mut much = chat.clone();
    much["web_search_options"]["search_context_size"] = json!("low");
    assert_eq!(sent(CHAT, MESSAGES, &much).warnings, ["!web_search_options"]);
    // Google's search knows neither.
    assert_eq!(sent(MESSAGES, GEMINI, &messages).warnings, ["!tools[0]"]);
}
