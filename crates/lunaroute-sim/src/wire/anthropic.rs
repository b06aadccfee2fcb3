//! Anthropic Messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lunaroute_core::{StopReason, Usage};
use serde_json::{Value, json};

use super::{Pattern, endless, fragments, named_event};
use crate::compose::{Plan, PlannedCall, Recipe, Said, Scroll};

pub(super) fn plain(recipe: &Recipe, plan: &Plan) -> Value {
    let mut content = Vec::new();
    if !plan.reasoning.is_empty() {
        let thinking = plan.reasoning.concat();
        content.push(json!({"type": "thinking", "thinking": thinking, "signature": signature(recipe)}));
    }
    if !plan.refused && !plan.text.is_empty() {
        content.push(json!({"type": "text", "text": plan.text.concat()}));
    }
    for (index, call) in plan.calls.iter().enumerate() {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        content.push(
            json!({"type": "tool_use", "id": call_id(recipe, index), "name": call.name, "input": input}),
        );
    }
    let mut message = message(recipe, content, usage(&plan.usage));
    message["stop_reason"] = json!(stop_reason(plan.stop));
    if let Some(details) = stop_details(plan) {
        message["stop_details"] = details;
    }
    message
}

pub(super) fn stream(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    let begun = Usage { output: Some(1), reasoning: Some(0), ..plan.usage };
    let start = json!({"message": message(recipe, Vec::new(), usage(&begun))});
    say(scroll, "message_start", start, Said { usage: Some(begun), ..Said::default() });
    let mut index = 0;
    if !plan.reasoning.is_empty() {
        open_block(
            scroll,
            index,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            Said::default(),
        );
        say(scroll, "ping", json!({}), Said::default());
        for piece in &plan.reasoning {
            delta(
                scroll,
                index,
                json!({"type": "thinking_delta", "thinking": piece}),
                Said::reasoning(piece),
            );
        }
        let signature = json!({"type": "signature_delta", "signature": signature(recipe)});
        delta(scroll, index, signature, Said::default());
        close_block(scroll, index);
        index += 1;
    }
    if !plan.refused && (!plan.text.is_empty() || recipe.script.endless) {
        open_block(scroll, index, json!({"type": "text", "text": ""}), Said::default());
        if index == 0 {
            say(scroll, "ping", json!({}), Said::default());
        }
        let event = |text: &str| {
            let delta = json!({"type": "text_delta", "text": text});
            let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
            named_event("content_block_delta", &data)
        };
        for (event, piece) in Pattern::of(event).events(&plan.text) {
            scroll.say(event, Said::text(piece));
        }
        if recipe.script.endless {
            scroll.repeat = Some(endless(event));
            return;
        }
        close_block(scroll, index);
        index += 1;
    }
    for (number, call) in plan.calls.iter().enumerate() {
        stream_call(recipe, number, index + number, call, scroll);
    }
    finish(plan, scroll);
}

fn finish(plan: &Plan, scroll: &mut Scroll) {
    let mut delta = json!({"stop_reason": stop_reason(plan.stop), "stop_sequence": null});
    if let Some(details) = stop_details(plan) {
        delta["stop_details"] = details;
    }
    let said = Said { usage: Some(plan.usage), stop: Some(plan.stop), ..Said::default() };
    say(scroll, "message_delta", json!({"delta": delta, "usage": usage(&plan.usage)}), said);
    say(scroll, "message_stop", json!({}), Said::default());
}

fn stream_call(recipe: &Recipe, number: usize, index: usize, call: &PlannedCall, scroll: &mut Scroll) {
    let block = json!({"type": "tool_use", "id": call_id(recipe, number), "name": call.name, "input": {}});
    open_block(scroll, index, block, Said::tool_call());
    for fragment in std::iter::once("").chain(fragments(&call.arguments)) {
        delta(scroll, index, json!({"type": "input_json_delta", "partial_json": fragment}), Said::default());
    }
    close_block(scroll, index);
}

fn open_block(scroll: &mut Scroll, index: usize, block: Value, said: Said<'_>) {
    say(scroll, "content_block_start", json!({"index": index, "content_block": block}), said);
}

fn delta(scroll: &mut Scroll, index: usize, delta: Value, said: Said<'_>) {
    say(scroll, "content_block_delta", json!({"index": index, "delta": delta}), said);
}

fn close_block(scroll: &mut Scroll, index: usize) {
    say(scroll, "content_block_stop", json!({"index": index}), Said::default());
}

/// One event: its name is also the first field of its data.
fn say(scroll: &mut Scroll, name: &str, mut fields: Value, said: Said<'_>) {
    let mut data = json!({"type": name});
    if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object_mut()) {
        data.append(fields);
    }
    scroll.say(named_event(name, &data), said);
}

fn message(recipe: &Recipe, content: Vec<Value>, usage: Value) -> Value {
    json!({
        "id": recipe.voice.id("msg_", "answer"),
        "type": "message",
        "role": "assistant",
        "model": recipe.model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "stop_details": null,
        "container": null,
        "usage": usage,
    })
}

fn stop_details(plan: &Plan) -> Option<Value> {
    plan.refused
        .then(|| json!({"type": "refusal", "category": "general_harms", "explanation": plan.text.concat()}))
}

fn call_id(recipe: &Recipe, number: usize) -> String {
    recipe.voice.id("toolu_", &format!("call {number}"))
}

fn signature(recipe: &Recipe) -> String {
    STANDARD.encode(recipe.voice.bytes("signature", 48))
}

const fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Length => "max_tokens",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal => "refusal",
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause | StopReason::Other => "end_turn",
    }
}

fn usage(usage: &Usage) -> Value {
    let (short, long) = (usage.cache_write_5m.unwrap_or(0), usage.cache_write_1h.unwrap_or(0));
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    })
}
