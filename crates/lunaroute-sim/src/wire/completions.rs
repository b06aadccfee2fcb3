//! OpenAI's legacy completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{CREATED, chat, data_event, endless};
use crate::compose::{Plan, Recipe, Said, Scroll};

pub(super) fn plain(recipe: &Recipe, plan: &Plan) -> Value {
    let mut body = object(recipe, &plan.text.concat(), json!(chat::finish_reason(plan.stop)));
    body["usage"] = chat::usage(&plan.usage);
    body
}

pub(super) fn stream(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    for piece in &plan.text {
        scroll.say(data_event(&object(recipe, piece, Value::Null)), Said::text(piece));
    }
    if recipe.script.endless {
        scroll.repeat = Some(endless(|text| data_event(&object(recipe, text, Value::Null))));
        return;
    }
    let finish = data_event(&object(recipe, "", json!(chat::finish_reason(plan.stop))));
    scroll.say(finish, Said { stop: Some(plan.stop), ..Said::default() });
    if recipe.include_usage {
        let mut last = object(recipe, "", Value::Null);
        last["choices"] = json!([]);
        last["usage"] = chat::usage(&plan.usage);
        scroll.say(data_event(&last), Said { usage: Some(plan.usage), ..Said::default() });
    }
    scroll.say(Bytes::from_static(b"data: [DONE]\n\n"), Said::default());
}

fn object(recipe: &Recipe, text: &str, finish_reason: Value) -> Value {
    json!({
        "id": recipe.voice.id("cmpl-", "answer"),
        "object": "text_completion",
        "created": CREATED,
        "model": recipe.model,
        "system_fingerprint": "fp_simulated",
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish_reason}],
    })
}
