//! Gemini `generateContent`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lunaroute_core::{StopReason, Usage};
use serde_json::{Value, json};

use super::endless;
use crate::compose::{Plan, PlannedCall, Recipe, Said, Scroll, prompt_tokens};

pub(super) fn plain(recipe: &Recipe, plan: &Plan) -> Value {
    let mut parts = Vec::new();
    if !plan.reasoning.is_empty() {
        parts.push(json!({"text": plan.reasoning.concat(), "thought": true}));
    }
    if !plan.refused && !plan.text.is_empty() {
        parts.push(json!({"text": plan.text.concat()}));
    }
    parts.extend(plan.calls.iter().enumerate().map(|(index, call)| call_part(recipe, index, call)));
    if plan.calls.is_empty()
        && let Some(text) = parts.last_mut().filter(|_| !plan.reasoning.is_empty())
    {
        text["thoughtSignature"] = json!(signature(recipe));
    }
    let mut answer = chunk(recipe, parts, &plan.usage);
    finish(&mut answer, plan);
    answer
}

/// Events as Google's servers write them: with CRLF, and no mark of the end.
pub(super) fn stream(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    // What was read is told with every chunk, what was written with the last.
    let begun = Usage { output: None, reasoning: None, ..plan.usage };
    let say = |scroll: &mut Scroll, part: Value, said: Said<'_>| {
        let said = Said { usage: Some(begun), ..said };
        scroll.say(event(&chunk(recipe, vec![part], &begun)), said);
    };
    for piece in &plan.reasoning {
        say(scroll, json!({"text": piece, "thought": true}), Said::reasoning(piece));
    }
    if !plan.refused {
        for piece in &plan.text {
            say(scroll, json!({"text": piece}), Said::text(piece));
        }
    }
    if recipe.script.endless {
        scroll.repeat = Some(endless(|text| event(&chunk(recipe, vec![json!({"text": text})], &begun))));
        return;
    }
    for (index, call) in plan.calls.iter().enumerate() {
        say(scroll, call_part(recipe, index, call), Said::tool_call());
    }
    let sealed = !plan.reasoning.is_empty() && plan.calls.is_empty() && !plan.refused;
    let last = sealed.then(|| json!({"text": "", "thoughtSignature": signature(recipe)}));
    let mut chunk = chunk(recipe, last.into_iter().collect(), &plan.usage);
    finish(&mut chunk, plan);
    let said = Said { usage: Some(plan.usage), stop: Some(plan.stop), ..Said::default() };
    scroll.say(event(&chunk), said);
}

/// An event that has data only.
pub(super) fn event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\r\n\r\n"))
}

fn chunk(recipe: &Recipe, parts: Vec<Value>, figures: &Usage) -> Value {
    let mut candidate = json!({"index": 0});
    if !parts.is_empty() {
        candidate["content"] = json!({"parts": parts, "role": "model"});
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage(figures),
        "modelVersion": recipe.model,
        "responseId": recipe.voice.id("", "answer"),
    })
}

fn finish(chunk: &mut Value, plan: &Plan) {
    let candidate = &mut chunk["candidates"][0];
    candidate["finishReason"] = json!(finish_reason(plan.stop));
    if plan.refused {
        candidate["finishMessage"] = json!(plan.text.concat());
    }
}

/// The first call of an answer carries the signature of the thoughts before it.
fn call_part(recipe: &Recipe, index: usize, call: &PlannedCall) -> Value {
    let args: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
    let id = recipe.voice.id("call_", &format!("call {index}"));
    let mut part = json!({"functionCall": {"id": id, "name": call.name, "args": args}});
    if index == 0 {
        part["thoughtSignature"] = json!(signature(recipe));
    }
    part
}

fn signature(recipe: &Recipe) -> String {
    STANDARD.encode(recipe.voice.bytes("signature", 48))
}

const fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Length => "MAX_TOKENS",
        StopReason::Refusal => "SAFETY",
        StopReason::EndTurn
        | StopReason::ToolUse
        | StopReason::StopSequence
        | StopReason::Pause
        | StopReason::Other => "STOP",
    }
}

/// As protocol buffers are written: what is zero or unknown is left out.
fn usage(usage: &Usage) -> Value {
    let prompt = prompt_tokens(usage);
    let (output, thoughts) = (usage.output.unwrap_or(0), usage.reasoning.unwrap_or(0));
    let mut told = json!({"promptTokenCount": prompt, "totalTokenCount": prompt + output});
    if let Some(output) = usage.output {
        told["candidatesTokenCount"] = json!(output - thoughts);
    }
    for (name, figure) in
        [("cachedContentTokenCount", usage.cache_read), ("thoughtsTokenCount", usage.reasoning)]
    {
        if let Some(figure) = figure {
            told[name] = json!(figure);
        }
    }
    told
}
