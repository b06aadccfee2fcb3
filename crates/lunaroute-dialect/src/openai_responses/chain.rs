//! Conversations that go on from an earlier answer, for providers that do not remember it: which items a request and its
//! answer add, and the request with all earlier ones in it.
//!
//! Items are kept as the bytes that they were, separated by commas.

use bytes::Bytes;
use serde_json::json;

use crate::json::{Json, Scanner, decode_string};

/// Items that are sent back without their id: a provider that did not store them refuses ids that it does not know.
const NAMELESS: [&str; 4] = ["message", "reasoning", "function_call", "custom_tool_call"];

/// The items of a request's `input`; a text is a message of the user. `None` when there is none.
#[must_use]
pub fn input_items(body: &[u8]) -> Option<Vec<u8>> {
    let input = Json::new(body)?.field("input")?;
    if let Some(text) = input.text() {
        let message = json!({"type": "message", "role": "user", "content": text});
        return Some(message.to_string().into_bytes());
    }
    input.is_array().then(|| input.bytes()[1..input.bytes().len() - 1].trim_ascii().to_vec())
}

/// Whether the answer to a request may be remembered beyond the connection: it is unless `store` is `false`.
#[must_use]
pub fn is_stored(body: &[u8]) -> bool {
    Json::new(body).and_then(|json| json.field("store")).and_then(Json::truth).unwrap_or(true)
}

/// The request with the items of earlier requests and answers before its own, and without `previous_response_id`. The
/// body itself when it is no object.
#[must_use]
pub fn expand<'a>(body: &Bytes, earlier: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let Some(mut whole) = without(body, &["previous_response_id", "input"]) else { return body.clone() };
    if whole.len() > 1 {
        whole.push(b',');
    }
    whole.extend_from_slice(b"\"input\":[");
    let own = input_items(body).unwrap_or_default();
    let mut is_first = true;
    let mut add = |items: &[u8]| {
        if !items.is_empty() {
            whole.extend_from_slice(if std::mem::take(&mut is_first) { b"" } else { b"," });
            whole.extend_from_slice(items);
        }
    };
    earlier.into_iter().for_each(&mut add);
    add(&own);
    whole.extend_from_slice(b"]}");
    whole.into()
}

/// The beginning of an object with the members that are not named here, each as it was, up to where another member may
/// follow. `None` for what is no object.
pub(super) fn without(document: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    if !Json::new(document)?.is_object() {
        return None;
    }
    let mut kept = Vec::with_capacity(document.len() + 64);
    kept.push(b'{');
    Scanner::new(document, 0).object(|name, value| {
        if names.contains(&&*decode_string(&document[name.clone()])) {
            return;
        }
        if kept.len() > 1 {
            kept.push(b',');
        }
        kept.extend_from_slice(&document[name]);
        kept.push(b':');
        kept.extend_from_slice(&document[value]);
    })?;
    Some(kept)
}

/// The id and the items of an answer, gathered while it passes.
#[derive(Debug, Default)]
pub struct AnswerItems {
    id: Option<String>,
    items: Vec<u8>,
    is_whole: bool,
    /// Reasoning that nobody could read again is left out.
    sealed_only: bool,
}

impl AnswerItems {
    /// Nothing yet. With `sealed_only` reasoning without `encrypted_content` is left out: its maker knows it by its id alone,
    /// and only where it was stored.
    #[must_use]
    pub fn new(sealed_only: bool) -> Self {
        Self { sealed_only, ..Self::default() }
    }

    /// Takes the data of one event of a stream.
    pub fn event(&mut self, data: &[u8]) {
        let Some(event) = Json::new(data) else { return };
        let [kind, item, response] = event.fields(["type", "item", "response"]);
        let Some(kind) = kind.and_then(Json::text) else { return };
        let id = || response.and_then(|response| response.text_of("id")).map(std::borrow::Cow::into_owned);
        match &*kind {
            "response.created" => self.id = id(),
            "response.output_item.done" => {
                if let Some(item) = item {
                    self.item(item);
                }
            }
            "response.completed" | "response.incomplete" => {
                self.id = id().or_else(|| self.id.take());
                self.is_whole = true;
            }
            _ => {}
        }
    }

    /// Takes an answer of one piece.
    pub fn answer(&mut self, body: &[u8]) {
        let Some(answer) = Json::whole(body) else { return };
        let [id, status, output] = answer.fields(["id", "status", "output"]);
        self.id = id.and_then(Json::text).map(std::borrow::Cow::into_owned);
        for item in output.into_iter().flat_map(Json::elements) {
            self.item(item);
        }
        self.is_whole = status.is_some_and(|status| status.says("completed") || status.says("incomplete"));
    }

    fn item(&mut self, item: Json<'_>) {
        let [kind, seal] = item.fields(["type", "encrypted_content"]);
        let Some(kind) = kind.and_then(Json::text) else { return };
        if self.sealed_only && kind == "reasoning" && seal.is_none() {
            return;
        }
        if !self.items.is_empty() {
            self.items.push(b',');
        }
        match NAMELESS.contains(&&*kind).then(|| without(item.bytes(), &["id", "status"])).flatten() {
            Some(nameless) => {
                self.items.extend_from_slice(&nameless);
                self.items.push(b'}');
            }
            None => self.items.extend_from_slice(item.bytes()),
        }
    }

    /// How many bytes were gathered.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.items.len()
    }

    /// Whether the answer has come to its end, and to one from which a conversation can go on.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The answer's id and its items; `None` when it did not come to its end.
    #[must_use]
    pub fn finish(self) -> Option<(String, Vec<u8>)> {
        self.id.filter(|_| self.is_whole).map(|id| (id, self.items))
    }
}
