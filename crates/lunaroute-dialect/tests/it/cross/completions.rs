//! Legacy completions at providers that have none.

use lunaroute_core::Dialect;
use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::{Asked, Profile};
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, answered, events, sent, streamed, try_sent};
use crate::fixtures::{GEMINI_TOOLS, MESSAGES_TOOLS, RESPONSES_TOOLS};

fn request(members: &Value) -> Value {
    let mut request = json!({"model": "asked-model", "prompt": "Once upon"});
    request.as_object_mut().expect("members").extend(members.as_object().expect("members").clone());
    request
}

/// What was asked by a streamed request.
fn asked(to: Dialect) -> Asked {
    sent(CHAT, to, &request(&json!({"stream": true, "stream_options": {"include_usage": true}}))).asked
}

#[test]
fn a_prompt_is_what_the_user_says() {
    let members = json!({"max_tokens": 64, "temperature": 0.5, "stop": "END", "echo": false, "suffix": null});
    for prompt in [json!("Once upon"), json!(["Once upon"])] {
        let mut request = request(&members);
        request["prompt"] = prompt;
        let told = |to| sent(CHAT, to, &request);
        assert_eq!(
            told(MESSAGES).body,
            json!({
                "model": "target-model", "max_tokens": 64, "temperature": 0.5, "stop_sequences": ["END"],
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Once upon"}]}],
            })
        );
        let responses = told(RESPONSES);
        let input = &responses.body["input"][0];
        assert_eq!((&input["role"], &responses.body["max_output_tokens"]), (&json!("user"), &json!(64)));
        assert!(input.to_string().contains("Once upon"), "{input}");
        assert_eq!(responses.warnings, ["!stop"]);
        assert_eq!(
            told(GEMINI).body,
            json!({
                "contents": [{"role": "user", "parts": [{"text": "Once upon"}]}],
                "generationConfig": {"maxOutputTokens": 64, "temperature": 0.5, "stopSequences": ["END"]},
            })
        );
        let mut own = request.clone();
        own["model"] = json!("target-model");
        assert_eq!(told(CHAT).body, own, "within the dialect it stays what it was");
    }
}

#[test]
fn what_only_completions_have_is_refused_or_named() {
    for (members, name) in [
        (json!({"echo": true}), "'echo'"),
        (json!({"suffix": "the end"}), "'suffix'"),
        (json!({"n": 2}), "'n'"),
        (json!({"prompt": ["a", "b"]}), "'prompt' holds several"),
        (json!({"prompt": [1, 2]}), "'prompt' holds tokens"),
        (json!({"prompt": [[1, 2]]}), "'prompt' holds tokens"),
        (json!({"prompt": []}), "'prompt' is empty"),
        (json!({"prompt": [null]}), "'prompt' has to be a string"),
        (json!({"prompt": 5}), "'prompt' has to be a string"),
        (json!({"prompt": null}), "says nothing"),
    ] {
        let failure =
            try_sent(CHAT, MESSAGES, &request(&members), &ModelFacts::default(), &Profile::default())
                .map(|sent| sent.body)
                .expect_err(name);
        assert!(failure.to_string().contains(name), "{failure}");
    }
    let members = json!({"best_of": 3, "logprobs": 2, "logit_bias": {"1": 5}, "user": "u"});
    let mut warnings = sent(CHAT, MESSAGES, &request(&members)).warnings;
    warnings.sort_unstable();
    assert_eq!(warnings, ["!best_of", "!logit_bias", "!logprobs"]);
}

#[test]
fn an_answer_is_a_text_completion() {
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": " a time"}, {"type": "text", "text": ", far away"},
    ], "stop_reason": "max_tokens", "usage": {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 9}});
    let told = answered(MESSAGES, CHAT, &answer, &sent(CHAT, MESSAGES, &request(&json!({}))).asked);
    assert_eq!(
        told["choices"],
        json!([{"text": " a time, far away", "index": 0, "logprobs": null, "finish_reason": "length"}])
    );
    assert_eq!(
        (&told["id"], &told["object"], &told["model"]),
        (&json!("cmpl-answer"), &json!("text_completion"), &json!("asked-model"))
    );
    assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["total_tokens"]), (&json!(10), &json!(19)));
}

#[test]
fn a_stream_is_one_of_text_completions() {
    for (from, stream) in [(RESPONSES, RESPONSES_TOOLS), (MESSAGES, MESSAGES_TOOLS), (GEMINI, GEMINI_TOOLS)] {
        let text = streamed(from, CHAT, stream, asked(from));
        assert!(text.ends_with("data: [DONE]\n\n"), "{from}: {text}");
        let mut chunks = events(&text);
        chunks.pop();
        assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{from}: {chunks:#?}");
        let figures = chunks.pop().expect("figures");
        assert!(figures["usage"]["total_tokens"].as_u64() > Some(0) && figures["choices"] == json!([]));
        let pieces: Vec<&str> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
        assert!(pieces.len() == chunks.len() && !pieces.concat().is_empty(), "{from}: {chunks:#?}");
        let ends = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"] == "stop").count();
        assert_eq!(ends, 1, "{from}");

        let plain = streamed(from, CHAT, stream, sent(CHAT, from, &request(&json!({"stream": true}))).asked);
        assert!(!plain.contains("usage"), "{from}: nobody asked for figures: {plain}");
        let broken = &stream[..stream.len() / 2];
        let broken = streamed(from, CHAT, broken, asked(from));
        assert!(broken.contains(r#""error""#) && !broken.contains("[DONE]"), "{from}: {broken}");
    }
}
