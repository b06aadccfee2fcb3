//! Output items: what a response is made of, whole or streamed.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, Delta, Dialect};

use crate::blocks::Blocks;
use crate::json::Json;

/// A block of an answer: the item's place, and the part inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Text(u64, u64),
    Refusal(u64, u64),
    Thought(u64),
    Call(u64),
}

/// Which words of a reasoning item are told: its summary, or the reasoning itself where a provider shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Summary,
    Content,
}

impl Block {
    const fn item(&self) -> u64 {
        match self {
            Self::Text(item, _) | Self::Refusal(item, _) | Self::Thought(item) | Self::Call(item) => *item,
        }
    }
}

/// The output so far: which parts of which items have been told.
#[derive(Default)]
pub(super) struct Output {
    blocks: Blocks<Block>,
    /// Calls whose arguments have been told.
    argued: Blocks<u64>,
    /// Reasoning items whose seal has been told.
    sealed: Blocks<u64>,
    /// The reasoning item that was told last: its place, which words of it, and their part.
    thought: Option<(u64, Shown, u64)>,
    calls: u32,
}

impl Output {
    /// Whether the model asked the client for a call.
    pub(super) const fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// Appends to a part.
    pub(super) fn append(&mut self, block: Block, text: String, deltas: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        let index = self.blocks.number(block);
        match block {
            Block::Text(..) => deltas.push(Delta::Text { index, text }),
            Block::Refusal(..) => deltas.push(Delta::Refusal { text }),
            Block::Thought(_) => deltas.push(Delta::Reasoning { index, text }),
            Block::Call(item) => {
                self.argued.number(item);
                deltas.push(Delta::ToolCallArguments { index, fragment: text });
            }
        }
    }

    /// Appends to the words of a reasoning item. Its parts are one block, with a blank line between them; a summary and
    /// the reasoning that it sums up say the same, so only the one that came first is told.
    pub(super) fn think(
        &mut self,
        (item, shown, part): (u64, Shown, u64),
        text: String,
        deltas: &mut Vec<Delta>,
    ) {
        if text.is_empty() {
            return;
        }
        let goes_on = match self.thought {
            Some((known, told, _)) if known == item && told != shown => return,
            Some((known, _, last)) => known == item && last != part,
            None => false,
        };
        self.thought = Some((item, shown, part));
        let text = if goes_on { format!("\n\n{text}") } else { text };
        self.append(Block::Thought(item), text, deltas);
    }

    /// Adds a source of a text, with the words that it stands for.
    pub(super) fn cite(&mut self, block: Block, annotation: Json<'_>, deltas: &mut Vec<Delta>) {
        let [url, title, start, end] = annotation.fields(["url", "title", "start_index", "end_index"]);
        let Some(url) = url.and_then(Json::text) else { return };
        let (url, title) = (url.into_owned(), title.and_then(Json::text).map(Into::into));
        let range = start.and_then(Json::count).zip(end.and_then(Json::count));
        deltas
            .push(Delta::Cite { index: self.blocks.number(block), citation: Citation { url, title, range } });
    }

    fn seal(&mut self, place: u64, item: Json<'_>, deltas: &mut Vec<Delta>) {
        let [id, data] = item.fields(["id", "encrypted_content"]);
        let Some(data) = data.and_then(Json::text).filter(|data| !data.is_empty()) else { return };
        if self.sealed.any(|known| *known == place) {
            return;
        }
        self.sealed.number(place);
        let id = id.and_then(Json::text).map(Into::into);
        let seal = Seal { maker: Dialect::OpenaiResponses, provider: None, data: data.into_owned(), id };
        let index = self.blocks.number(Block::Thought(place));
        deltas.push(Delta::Seal { index, seal, is_redacted: false });
    }

    /// Appends the whole of a call's arguments unless some of them have been told.
    pub(super) fn argue(&mut self, item: u64, arguments: String, deltas: &mut Vec<Delta>) {
        if self.knows(item) && !self.argued.any(|known| *known == item) {
            self.append(Block::Call(item), arguments, deltas);
        }
    }

    /// Begins a call when the item is one that the client has to run.
    pub(super) fn open(&mut self, place: u64, item: Json<'_>, deltas: &mut Vec<Delta>) {
        let [kind, call_id, name] = item.fields(["type", "call_id", "name"]);
        let kind = kind.and_then(Json::text).unwrap_or_default();
        if self.knows(place) || !is_client_call(&kind) {
            return;
        }
        self.calls += 1;
        let index = self.blocks.number(Block::Call(place));
        let id = call_id.and_then(Json::text).unwrap_or_default().into_owned();
        // Built-in client tools have no name of their own: `local_shell_call` is the tool `local_shell`.
        let name =
            name.and_then(Json::text).unwrap_or_else(|| kind.trim_end_matches("_call").to_owned().into());
        let name = name.into_owned();
        deltas.push(if kind == "custom_tool_call" {
            Delta::CustomCallStart { index, id, name }
        } else {
            Delta::ToolCallStart { index, id, name }
        });
    }

    /// Takes an item that is whole: tells of it what has not been told.
    pub(super) fn whole(&mut self, place: u64, item: Json<'_>, deltas: &mut Vec<Delta>) {
        let [kind, content, summary] = item.fields(["type", "content", "summary"]);
        let known = self.knows(place);
        match kind.and_then(Json::text).as_deref() {
            Some("message") if !known => {
                for (part, value) in (0..).zip(content.into_iter().flat_map(Json::elements)) {
                    let [text, refusal, annotations] = value.fields(["text", "refusal", "annotations"]);
                    self.append(Block::Text(place, part), word(text), deltas);
                    self.append(Block::Refusal(place, part), word(refusal), deltas);
                    for annotation in annotations.into_iter().flat_map(Json::elements) {
                        self.cite(Block::Text(place, part), annotation, deltas);
                    }
                }
            }
            Some("reasoning") => {
                let pieces = [(Shown::Summary, summary), (Shown::Content, content)];
                for (shown, pieces) in pieces.into_iter().filter(|_| !known) {
                    for (part, value) in (0..).zip(pieces.into_iter().flat_map(Json::elements)) {
                        self.think((place, shown, part), word(value.field("text")), deltas);
                    }
                }
                self.seal(place, item, deltas);
            }
            Some(kind) if is_client_call(kind) => {
                self.open(place, item, deltas);
                self.argue(place, arguments(item), deltas);
            }
            _ => {}
        }
    }

    fn knows(&self, place: u64) -> bool {
        self.blocks.any(|block| block.item() == place)
    }
}

/// Whether the client runs it. Searches, interpreters, MCP and image generation are the provider's own.
fn is_client_call(kind: &str) -> bool {
    matches!(
        kind,
        "function_call"
            | "custom_tool_call"
            | "local_shell_call"
            | "shell_call"
            | "apply_patch_call"
            | "computer_call"
    )
}

/// A function's JSON, a custom tool's text, or the JSON of what a built-in tool shall do.
fn arguments(item: Json<'_>) -> String {
    let [arguments, input, action, operation] = item.fields(["arguments", "input", "action", "operation"]);
    match arguments.or(input).and_then(Json::text) {
        Some(text) => text.into_owned(),
        None => action
            .or(operation)
            .map(|value| String::from_utf8_lossy(value.bytes()).into_owned())
            .unwrap_or_default(),
    }
}

/// The text of a string, empty for anything else.
pub(super) fn word(value: Option<Json<'_>>) -> String {
    value.and_then(Json::text).unwrap_or_default().into_owned()
}
