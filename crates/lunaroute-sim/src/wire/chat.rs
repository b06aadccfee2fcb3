//! OpenAI Chat Completions.

use bytes::Bytes;
use lunaroute_core::{StopReason, Usage};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{CREATED, Pattern, data_event, endless, fragments};
use crate::compose::{Plan, PlannedCall, Recipe, Said, Scroll, prompt_tokens};

pub(super) fn plain(recipe: &Recipe, plan: &Plan) -> Value {
    let text = plan.text.concat();
    let mut message = Map::new();
    message.insert("role".into(), json!("assistant"));
    message.insert(
        "content".into(),
        if plan.refused || plan.text.is_empty() { Value::Null } else { json!(text) },
    );
    message.insert("refusal".into(), if plan.refused { json!(text) } else { Value::Null });
    message.insert("annotations".into(), json!([]));
    if !plan.reasoning.is_empty() {
        message.insert("reasoning_content".into(), json!(plan.reasoning.concat()));
    }
    if !plan.calls.is_empty() {
        let calls: Vec<Value> =
            plan.calls.iter().enumerate().map(|(index, call)| whole_call(recipe, index, call)).collect();
        message.insert("tool_calls".into(), json!(calls));
    }
    json!({
        "id": recipe.voice.id("chatcmpl-", "answer"),
        "object": "chat.completion",
        "created": CREATED,
        "model": recipe.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(plan.stop)}],
        "usage": usage(&plan.usage),
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    })
}

pub(super) fn stream(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    let chunk = Chunk::new(recipe);
    scroll.say(chunk.delta(json!({"role": "assistant", "content": "", "refusal": null})), Said::default());
    let pattern = |member: &str| Pattern::of(|text| chunk.delta(json!({ member: text })));
    if !plan.reasoning.is_empty() {
        for (event, piece) in pattern("reasoning_content").events(&plan.reasoning) {
            scroll.say(event, Said::reasoning(piece));
        }
    }
    for (event, piece) in pattern(if plan.refused { "refusal" } else { "content" }).events(&plan.text) {
        let said = if plan.refused { Said::default() } else { Said::text(piece) };
        scroll.say(event, said);
    }
    if recipe.script.endless {
        scroll.repeat = Some(endless(|text| chunk.delta(json!({"content": text}))));
        return;
    }
    for (index, call) in plan.calls.iter().enumerate() {
        stream_call(recipe, &chunk, index, call, scroll);
    }
    let finish = chunk.choice(json!({}), Some(finish_reason(plan.stop)));
    scroll.say(finish, Said { stop: Some(plan.stop), ..Said::default() });
    if recipe.include_usage {
        let bytes = chunk.event([(); 0], usage(&plan.usage));
        scroll.say(bytes, Said { usage: Some(plan.usage), ..Said::default() });
    }
    scroll.say(Bytes::from_static(b"data: [DONE]\n\n"), Said::default());
}

/// What all chunks of one stream share.
struct Chunk<'a> {
    id: String,
    recipe: &'a Recipe,
}

/// One chunk. It is written as it is, without a tree: a burst of them has to cost its provider little.
#[derive(Serialize)]
struct Whole<'a, C> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: C,
    /// Only for who asked for it, and then `null` in all but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct Choice<D> {
    index: u32,
    delta: D,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

impl<'a> Chunk<'a> {
    fn new(recipe: &'a Recipe) -> Self {
        Self { id: recipe.voice.id("chatcmpl-", "answer"), recipe }
    }

    fn delta(&self, delta: impl Serialize) -> Bytes {
        self.choice(delta, None)
    }

    fn choice(&self, delta: impl Serialize, finish_reason: Option<&'static str>) -> Bytes {
        self.event([Choice { index: 0, delta, logprobs: (), finish_reason }], Value::Null)
    }

    fn event(&self, choices: impl Serialize, usage: Value) -> Bytes {
        data_event(&Whole {
            id: &self.id,
            object: "chat.completion.chunk",
            created: CREATED,
            model: &self.recipe.model,
            service_tier: "default",
            system_fingerprint: "fp_simulated",
            choices,
            usage: self.recipe.include_usage.then_some(usage),
        })
    }
}

fn stream_call(recipe: &Recipe, chunk: &Chunk<'_>, index: usize, call: &PlannedCall, scroll: &mut Scroll) {
    let id = call_id(recipe, index);
    let (kind, field) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    let start = json!([{"index": index, "id": id, "type": kind, kind: {"name": call.name, field: ""}}]);
    scroll.say(chunk.delta(json!({"tool_calls": start})), Said::tool_call());
    for fragment in fragments(&call.arguments) {
        let next = json!([{"index": index, kind: {field: fragment}}]);
        scroll.say(chunk.delta(json!({"tool_calls": next})), Said::default());
    }
}

fn whole_call(recipe: &Recipe, index: usize, call: &PlannedCall) -> Value {
    let id = call_id(recipe, index);
    if call.custom {
        json!({"id": id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}})
    } else {
        json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
    }
}

fn call_id(recipe: &Recipe, index: usize) -> String {
    recipe.voice.id("call_", &format!("call {index}"))
}

pub(super) const fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Length => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause | StopReason::Other => "stop",
    }
}

pub(super) fn usage(usage: &Usage) -> Value {
    let (prompt, output) = (prompt_tokens(usage), usage.output.unwrap_or(0));
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
