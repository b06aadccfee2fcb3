//! What providers refuse is not sent to them.

use lunaroute_core::conversation::{ModelFacts, Sent as Told};
use lunaroute_dialect::cross::Profile;
use serde_json::json;

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, try_sent};

#[test]
fn sealed_reasoning_is_asked_of_models_that_reason() {
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let messages = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]});
    let gemini = json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (from, request) in [(CHAT, &chat), (MESSAGES, &messages), (GEMINI, &gemini)] {
        for (thinking, include) in
            [(Told::Effort, Some(json!(["reasoning.encrypted_content"]))), (Told::Nothing, None)]
        {
            let facts = ModelFacts { thinking, ..ModelFacts::default() };
            let sent = try_sent(from, RESPONSES, request, &facts, &Profile::default()).expect("it crosses");
            assert_eq!(sent.body.get("include"), include.as_ref(), "{from}, {thinking:?}");
            assert_eq!(sent.body["store"], false, "{from}");
        }
    }
}
