//! What a request is answered with: by the simulated model, or byte for byte.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{Call, Desk, Unreadable};
use crate::RawResponse;
use crate::compose::{Composition, Recipe, Said, Scroll, calls, compose};
use crate::request::{Body, DecodeError, Route, Verb, header as header_text};
use crate::script::{Fault, InlineResponse, Script, ScriptError};
use crate::speech::Voice;
use crate::wire;

/// Bytes of one piece of an echoed stream.
const ECHO_PIECE: usize = 512;

impl Desk {
    /// The answer of the simulated model.
    pub(super) fn model_answer(&self, call: &Call<'_>, script: &Script) -> Arc<Composition> {
        match call.route {
            Route::Models(dialect) => return plain(&wire::models(*dialect)),
            Route::Model(dialect, id) => return plain(&wire::model(*dialect, id)),
            Route::Other(_) => return plain(&call.described()),
            _ => {}
        }
        let body = match &call.body {
            Ok(body) => body,
            Err(unreadable) => return call.unreadable(unreadable),
        };
        let Some(model) = call.model() else { return call.refuse("The request names no model.") };
        let test_id = header_text(&call.head.headers, "x-test-id").unwrap_or("");
        let voice = Voice::new(self.config.seed, script.seed, call.head.uri.path(), test_id, call.bytes);
        match call.route {
            Route::CountTokens | Route::Gemini { verb: Verb::CountTokens, .. } => {
                plain(&wire::count_tokens(call.route.dialect(), body))
            }
            Route::Gemini { verb: Verb::Embed, .. } => plain(&wire::gemini_embeddings(body, &voice, false)),
            Route::Gemini { verb: Verb::BatchEmbed, .. } => {
                plain(&wire::gemini_embeddings(body, &voice, true))
            }
            Route::Embeddings => plain(&wire::embeddings(body, &voice, &model)),
            _ if !call.streams() && matches!(script.fault, Some(Fault::ErrorEvent { .. })) => {
                // A plain answer has no events: the same trouble shows as a status.
                call.error(StatusCode::INTERNAL_SERVER_ERROR, None, None)
            }
            route => {
                let recipe = recipe(route, body, model, voice, script);
                Arc::new(compose(&recipe).deliver(script))
            }
        }
    }
}

fn recipe(route: &Route, body: &Body<'_>, model: String, voice: Voice, script: &Script) -> Recipe {
    let dialect = route.dialect();
    let calling = script.tool_calls > 0 && body.tool_turns(dialect) < script.tool_turns;
    let calls =
        if calling { calls(&voice, &body.offered_tools(dialect), script.tool_calls) } else { Vec::new() };
    Recipe {
        voice,
        dialect,
        legacy: *route == Route::Completions,
        model,
        stream: route.streams() || body.stream() || script.endless,
        array: matches!(route, Route::Gemini { verb: Verb::Stream { array: true }, .. }),
        include_usage: body.include_usage(),
        encrypted_reasoning: body.encrypted_reasoning(),
        input_tokens: body.tokens(),
        token_limit: body.token_limit(),
        calls,
        script: script.clone(),
    }
}

impl Call<'_> {
    fn unreadable(&self, unreadable: &Unreadable<'_>) -> Arc<Composition> {
        match unreadable {
            Unreadable::Json(error) => {
                self.refuse(&format!("The request body is not a JSON object: {error}."))
            }
            Unreadable::Coding(error) => {
                let status = match error {
                    DecodeError::Unknown(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    DecodeError::Damaged(_) => StatusCode::BAD_REQUEST,
                    DecodeError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                };
                self.error(status, Some(&error.to_string()), None)
            }
        }
    }

    pub(super) fn echo(&self) -> Composition {
        let mut composition = Composition::from_scroll(StatusCode::OK, scroll([self.bytes.clone()]));
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            if let Some(value) = self.head.headers.get(&name) {
                composition.header(name, value.clone());
            }
        }
        composition.tell_length();
        composition
    }

    pub(super) fn echo_stream(&self) -> Composition {
        let bytes = self.bytes;
        let pieces = (0..bytes.len())
            .step_by(ECHO_PIECE)
            .map(|start| bytes.slice(start..bytes.len().min(start + ECHO_PIECE)));
        let mut composition = Composition::from_scroll(StatusCode::OK, scroll(pieces));
        composition.header(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        composition
    }

    /// What is answered on a path that no dialect owns.
    fn described(&self) -> Value {
        let mut hasher = blake3::Hasher::new();
        for (name, value) in &self.head.headers {
            hasher.update(name.as_str().as_bytes()).update(b": ").update(value.as_bytes()).update(b"\n");
        }
        json!({
            "method": self.head.method.as_str(),
            "path": self.head.uri.path_and_query().map_or("/", |path| path.as_str()),
            "headers_digest": hasher.finalize().to_hex().as_str(),
            "body_bytes": self.bytes.len(),
            "body_digest": blake3::hash(self.bytes).to_hex().as_str(),
        })
    }
}

/// A registered answer.
pub(super) fn raw(raw: &RawResponse) -> Composition {
    let mut composition = Composition::from_scroll(raw.status, scroll(raw.chunks.iter().cloned()));
    composition.headers = raw.headers.clone();
    composition
}

/// The answer that a script carries.
pub(super) fn inline(inline: &InlineResponse) -> Result<Composition, ScriptError> {
    let invalid = |part| ScriptError::Inline { part };
    let status = StatusCode::from_u16(inline.status).map_err(|_| invalid("status"))?;
    let content_type = HeaderValue::from_str(&inline.content_type).map_err(|_| invalid("content_type"))?;
    let body = STANDARD.decode(&inline.body).map_err(|_| invalid("body"))?;
    let mut composition = Composition::from_scroll(status, scroll([Bytes::from(body)]));
    composition.header(header::CONTENT_TYPE, content_type);
    composition.tell_length();
    Ok(composition)
}

fn plain(body: &Value) -> Arc<Composition> {
    Arc::new(Composition::plain(StatusCode::OK, "application/json", Bytes::from(body.to_string())))
}

fn scroll(pieces: impl IntoIterator<Item = Bytes>) -> Scroll {
    let mut scroll = Scroll::default();
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        scroll.say(piece, Said::default());
    }
    scroll
}
