//! OpenAI Responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lunaroute_core::{StopReason, Usage};
use serde_json::{Value, json};

use super::{CREATED, fragments, named_event};
use crate::compose::{Plan, PlannedCall, Recipe, Repeat, Said, Scroll, prompt_tokens};

pub(super) fn plain(recipe: &Recipe, plan: &Plan) -> Value {
    finished(recipe, plan, output(recipe, plan))
}

pub(super) fn stream(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    for name in ["response.created", "response.in_progress"] {
        let response = response(recipe, "in_progress", Vec::new(), Value::Null);
        say(scroll, name, json!({"response": response}), Said::default());
    }
    let mut place = 0;
    if !plan.reasoning.is_empty() {
        stream_reasoning(recipe, plan, scroll);
        place += 1;
    }
    if !plan.text.is_empty() || recipe.script.endless {
        stream_message(recipe, plan, place, scroll);
        place += 1;
    }
    if recipe.script.endless {
        return;
    }
    for (number, call) in plan.calls.iter().enumerate() {
        stream_call(recipe, number, place + number, call, scroll);
    }
    let name = if plan.stop == StopReason::Length { "response.incomplete" } else { "response.completed" };
    let said = Said { usage: Some(plan.usage), stop: Some(plan.stop), ..Said::default() };
    say(scroll, name, json!({"response": finished(recipe, plan, output(recipe, plan))}), said);
}

fn stream_reasoning(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    let id = recipe.voice.id("rs_", "reasoning");
    let at = |fields: Value| with(json!({"item_id": id, "output_index": 0, "summary_index": 0}), fields);
    let whole = reasoning_item(recipe, plan);
    let mut opened = whole.clone();
    opened["summary"] = json!([]);
    opened["encrypted_content"] = Value::Null;
    say(scroll, "response.output_item.added", json!({"output_index": 0, "item": opened}), Said::default());
    let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
    say(scroll, "response.reasoning_summary_part.added", at(part("")), Said::default());
    for piece in &plan.reasoning {
        let fields = at(json!({"delta": piece}));
        say(scroll, "response.reasoning_summary_text.delta", fields, Said::reasoning(piece));
    }
    let text = plan.reasoning.concat();
    say(scroll, "response.reasoning_summary_text.done", at(json!({"text": text})), Said::default());
    say(scroll, "response.reasoning_summary_part.done", at(part(&text)), Said::default());
    say(scroll, "response.output_item.done", json!({"output_index": 0, "item": whole}), Said::default());
}

fn stream_message(recipe: &Recipe, plan: &Plan, place: usize, scroll: &mut Scroll) {
    let id = recipe.voice.id("msg_", "message");
    let at = |fields: Value| with(json!({"item_id": id, "output_index": place, "content_index": 0}), fields);
    let (event, field) = if plan.refused { ("refusal", "refusal") } else { ("output_text", "text") };
    let opened = message_item(recipe, "in_progress", Vec::new());
    say(
        scroll,
        "response.output_item.added",
        json!({"output_index": place, "item": opened}),
        Said::default(),
    );
    say(scroll, "response.content_part.added", at(json!({"part": part(plan, "")})), Said::default());
    for piece in &plan.text {
        let mut fields = at(json!({"delta": piece}));
        if !plan.refused {
            fields["logprobs"] = json!([]);
        }
        let said = if plan.refused { Said::default() } else { Said::text(piece) };
        say(scroll, &format!("response.{event}.delta"), fields, said);
    }
    if recipe.script.endless {
        scroll.repeat =
            Some(endless(at(json!({"delta": " on", "logprobs": []})), scroll.frames.len() as u64));
        return;
    }
    let text = plan.text.concat();
    let mut done = at(json!({field: text}));
    if !plan.refused {
        done["logprobs"] = json!([]);
    }
    say(scroll, &format!("response.{event}.done"), done, Said::default());
    say(scroll, "response.content_part.done", at(json!({"part": part(plan, &text)})), Said::default());
    let whole = message_item(recipe, item_status(plan), vec![part(plan, &text)]);
    say(scroll, "response.output_item.done", json!({"output_index": place, "item": whole}), Said::default());
}

/// The delta event with its sequence number last, so that only that differs from one to the next.
fn endless(fields: Value, number: u64) -> Repeat {
    let name = "response.output_text.delta";
    let data = with(json!({"type": name}), fields).to_string();
    let before = format!("event: {name}\ndata: {},\"sequence_number\":", data.trim_end_matches('}'));
    Repeat::Numbered { before, number, after: "}\n\n".to_owned(), text: " on".to_owned() }
}

fn stream_call(recipe: &Recipe, number: usize, place: usize, call: &PlannedCall, scroll: &mut Scroll) {
    let (event, field) = if call.custom {
        ("custom_tool_call_input", "input")
    } else {
        ("function_call_arguments", "arguments")
    };
    let whole = call_item(recipe, number, call);
    let mut opened = whole.clone();
    opened["status"] = json!("in_progress");
    opened[field] = json!("");
    let id = whole["id"].clone();
    let at = |fields: Value| with(json!({"item_id": id, "output_index": place}), fields);
    say(
        scroll,
        "response.output_item.added",
        json!({"output_index": place, "item": opened}),
        Said::tool_call(),
    );
    for fragment in fragments(&call.arguments) {
        say(scroll, &format!("response.{event}.delta"), at(json!({"delta": fragment})), Said::default());
    }
    let mut done = at(json!({field: call.arguments}));
    if !call.custom {
        done["name"] = json!(call.name);
    }
    say(scroll, &format!("response.{event}.done"), done, Said::default());
    say(scroll, "response.output_item.done", json!({"output_index": place, "item": whole}), Said::default());
}

/// One event: type and sequence number stand before its fields.
fn say(scroll: &mut Scroll, name: &str, fields: Value, said: Said<'_>) {
    let data = with(json!({"type": name, "sequence_number": scroll.frames.len()}), fields);
    scroll.say(named_event(name, &data), said);
}

/// The fields of both objects, the first one's first.
fn with(mut first: Value, mut second: Value) -> Value {
    if let (Some(first), Some(second)) = (first.as_object_mut(), second.as_object_mut()) {
        first.append(second);
    }
    first
}

fn output(recipe: &Recipe, plan: &Plan) -> Vec<Value> {
    let mut output = Vec::new();
    if !plan.reasoning.is_empty() {
        output.push(reasoning_item(recipe, plan));
    }
    if !plan.text.is_empty() {
        output.push(message_item(recipe, item_status(plan), vec![part(plan, &plan.text.concat())]));
    }
    output.extend(plan.calls.iter().enumerate().map(|(number, call)| call_item(recipe, number, call)));
    output
}

fn finished(recipe: &Recipe, plan: &Plan, output: Vec<Value>) -> Value {
    if plan.stop == StopReason::Length {
        let mut response = response(recipe, "incomplete", output, usage(&plan.usage));
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        return response;
    }
    let mut response = response(recipe, "completed", output, usage(&plan.usage));
    response["completed_at"] = json!(CREATED);
    response
}

/// The response object. The request's own settings are not echoed; their places hold the defaults.
fn response(recipe: &Recipe, status: &str, output: Vec<Value>, usage: Value) -> Value {
    json!({
        "id": recipe.voice.id("resp_", "answer"),
        "object": "response",
        "created_at": CREATED,
        "completed_at": null,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": recipe.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": true,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "metadata": {},
    })
}

fn reasoning_item(recipe: &Recipe, plan: &Plan) -> Value {
    let sealed =
        recipe.encrypted_reasoning.then(|| STANDARD.encode(recipe.voice.bytes("reasoning seal", 96)));
    json!({
        "id": recipe.voice.id("rs_", "reasoning"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": plan.reasoning.concat()}],
        "encrypted_content": sealed,
    })
}

fn message_item(recipe: &Recipe, status: &str, content: Vec<Value>) -> Value {
    let id = recipe.voice.id("msg_", "message");
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

fn call_item(recipe: &Recipe, number: usize, call: &PlannedCall) -> Value {
    let label = format!("call {number}");
    let (prefix, kind, field) = if call.custom {
        ("ctc_", "custom_tool_call", "input")
    } else {
        ("fc_", "function_call", "arguments")
    };
    json!({
        "id": recipe.voice.id(prefix, &label),
        "type": kind,
        "status": "completed",
        "call_id": recipe.voice.id("call_", &label),
        "name": call.name,
        field: call.arguments,
    })
}

fn part(plan: &Plan, text: &str) -> Value {
    if plan.refused {
        json!({"type": "refusal", "refusal": text})
    } else {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    }
}

fn item_status(plan: &Plan) -> &'static str {
    if plan.stop == StopReason::Length { "incomplete" } else { "completed" }
}

fn usage(usage: &Usage) -> Value {
    let (input, output) = (prompt_tokens(usage), usage.output.unwrap_or(0));
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write_5m},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": input + output,
    })
}
