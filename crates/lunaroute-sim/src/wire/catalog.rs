//! What is no generation: lists of models, embeddings, token counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lunaroute_core::Dialect;
use serde_json::{Value, json};

use super::CREATED;
use crate::request::Body;
use crate::speech::Voice;

/// The models that are listed; any name is answered.
const MODELS: [&str; 4] = ["claude-sim", "gpt-sim", "sim-agent", "sim-tools"];
const ANTHROPIC_CREATED: &str = "2026-11-21T01:00:00Z";
/// Length of a vector when the request names none.
const DIMENSIONS: usize = 16;
/// Most vectors in one answer of Gemini.
const BATCH_LIMIT: usize = 100;
/// Most numbers in one answer.
const NUMBERS_LIMIT: usize = 1 << 20;

/// The list of models in the dialect's shape.
pub(crate) fn models(dialect: Dialect) -> Value {
    let data: Vec<Value> = MODELS.iter().map(|id| model(dialect, id)).collect();
    match dialect {
        Dialect::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": MODELS.first(), "last_id": MODELS.last()})
        }
        Dialect::Gemini => json!({"models": data}),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => json!({"object": "list", "data": data}),
    }
}

/// One model in the dialect's shape.
pub(crate) fn model(dialect: Dialect, id: &str) -> Value {
    match dialect {
        Dialect::Anthropic => {
            json!({"type": "model", "id": id, "display_name": id, "created_at": ANTHROPIC_CREATED})
        }
        Dialect::Gemini => json!({
            "name": format!("models/{id}"),
            "version": "001",
            "displayName": id,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        }),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            json!({"id": id, "object": "model", "created": CREATED, "owned_by": "lunaroute-sim"})
        }
    }
}

/// The answer of `count_tokens` in the dialect's shape.
pub(crate) fn count_tokens(dialect: Dialect, body: &Body<'_>) -> Value {
    match dialect {
        Dialect::Gemini => json!({"totalTokens": body.tokens()}),
        _ => json!({"input_tokens": body.tokens()}),
    }
}

/// Gemini's embeddings: of one content, or of each request of a batch.
pub(crate) fn gemini_embeddings(body: &Body<'_>, voice: &Voice, batch: bool) -> Value {
    let dimensions = |asked: &Value| {
        let asked = asked["outputDimensionality"].as_u64().and_then(|asked| usize::try_from(asked).ok());
        asked.unwrap_or(DIMENSIONS).clamp(1, 8_192)
    };
    let one = |index: usize, length: usize| json!({"values": vector(voice, index, length)});
    if !batch {
        let length = dimensions(&json!({"outputDimensionality": body.get::<Value>("outputDimensionality")}));
        return json!({"embedding": one(0, length)});
    }
    let requests: Vec<Value> = body.get("requests").unwrap_or_default();
    let embeddings = requests.iter().enumerate().take(BATCH_LIMIT);
    json!({"embeddings": embeddings.map(|(index, asked)| one(index, dimensions(asked))).collect::<Vec<_>>()})
}

fn vector(voice: &Voice, index: usize, length: usize) -> Vec<f32> {
    let bytes = voice.bytes(&format!("embedding {index}"), length);
    bytes.iter().map(|byte| (f32::from(*byte) - 127.5) / 128.0).collect()
}

/// One vector for each input, as numbers or as Base64 of little-endian 32-bit floats.
pub(crate) fn embeddings(body: &Body<'_>, voice: &Voice, model: &str) -> Value {
    let inputs: usize = match body.get::<Value>("input") {
        Some(Value::Array(list)) if list.iter().all(Value::is_number) => 1,
        Some(Value::Array(list)) => list.len(),
        _ => 1,
    };
    let dimensions = body.get::<usize>("dimensions").unwrap_or(DIMENSIONS).clamp(1, 8_192);
    let inputs = inputs.min(NUMBERS_LIMIT / dimensions);
    let as_base64 = body.get::<String>("encoding_format").as_deref() == Some("base64");
    let vector = |index: usize| -> Value {
        let numbers = self::vector(voice, index, dimensions);
        if as_base64 {
            let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(STANDARD.encode(raw))
        } else {
            json!(numbers)
        }
    };
    let data: Vec<Value> = (0..inputs)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector(index)}))
        .collect();
    let tokens = body.tokens();
    json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}
