//! Tool calls out of the fragments in which hosts send them.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Delta, Dialect};

use super::response::Block;
use crate::json::Json;

/// How many calls one answer may have here; further ones are not told apart.
const LIMIT: usize = 4096;

/// One call as far as it is known.
struct Call {
    choice: u64,
    /// The vendor's number in its choice; some hosts give none.
    vendor_index: Option<u64>,
    id: String,
    name: String,
    block: u32,
    /// Whether its argument is free text.
    is_custom: bool,
    told: bool,
}

/// The calls of one answer.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// They come whole: each element is a call of its own, whatever its id is.
    are_whole: bool,
}

impl Calls {
    /// The calls of an answer that is told at once.
    pub(super) fn whole() -> Self {
        Self { are_whole: true, ..Self::default() }
    }

    /// Takes one element of a `tool_calls` array. `position` is its place in the array, `block` gives a number for a call
    /// that is new.
    pub(super) fn fragment(
        &mut self,
        choice: u64,
        position: usize,
        fragment: Json<'_>,
        mut block: impl FnMut(Block) -> u32,
        deltas: &mut Vec<Delta>,
    ) {
        let [index, id, function, custom, extra] =
            fragment.fields(["index", "id", "function", "custom", "extra_content"]);
        let vendor_index = index.and_then(Json::count);
        let id = id.and_then(Json::text).unwrap_or_default();
        let place = if self.are_whole { None } else { self.find(choice, vendor_index, &id, position) };
        let number = place.unwrap_or(self.calls.len());
        let is_told = self.calls.get(number).is_some_and(|call| call.told);
        if let Some(data) = extra.and_then(signature).filter(|_| !is_told && number < LIMIT) {
            let seal = Seal { maker: Dialect::Gemini, provider: None, data, id: None };
            deltas.push(Delta::Seal { index: block(Block::Seal(number)), seal, is_redacted: false });
        }
        let Some(call) = self.at(place, choice, vendor_index, block) else { return };
        if call.id.is_empty() {
            call.id = id.into_owned();
        }
        // A custom tool's text stands in `input`, a function's JSON in `arguments`.
        call.is_custom |= function.is_none() && custom.is_some();
        if let Some(body) = function.or(custom) {
            call.take(body, deltas);
        }
    }

    /// Takes a `function_call`, the deprecated form: one call per choice, without an id.
    pub(super) fn legacy(
        &mut self,
        choice: u64,
        function_call: Json<'_>,
        block: impl FnMut(Block) -> u32,
        deltas: &mut Vec<Delta>,
    ) {
        let place = self.calls.iter().position(|call| call.choice == choice);
        if let Some(call) = self.at(place, choice, None, block) {
            call.take(function_call, deltas);
        }
    }

    /// The call at a place, or a new one; `None` when there are too many.
    fn at(
        &mut self,
        place: Option<usize>,
        choice: u64,
        vendor_index: Option<u64>,
        mut block: impl FnMut(Block) -> u32,
    ) -> Option<&mut Call> {
        let place = match place {
            Some(place) => place,
            None if self.calls.len() < LIMIT => {
                let block = block(Block::Call(self.calls.len()));
                let (id, name) = (String::new(), String::new());
                self.calls.push(Call {
                    choice,
                    vendor_index,
                    id,
                    name,
                    block,
                    is_custom: false,
                    told: false,
                });
                self.calls.len() - 1
            }
            None => return None,
        };
        self.calls.get_mut(place)
    }

    /// Which known call a fragment belongs to: the one of its number (unless it bears another id, which begins a new
    /// call), without a number the one of its id, without both the one at its place or the newest.
    fn find(&self, choice: u64, vendor_index: Option<u64>, id: &str, position: usize) -> Option<usize> {
        let same_id = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id;
        let mut own = self.calls.iter().enumerate().filter(|(_, call)| call.choice == choice);
        match vendor_index {
            Some(_) => own.rfind(|(_, call)| call.vendor_index == vendor_index && same_id(call)),
            None if !id.is_empty() => own.rfind(|(_, call)| call.id == id),
            None => own.clone().nth(position).or_else(|| own.next_back()),
        }
        .map(|(place, _)| place)
    }

    /// Tells the calls that were held back for a name that never came.
    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        for call in &mut self.calls {
            call.tell(deltas);
        }
    }
}

impl Call {
    /// Takes the members of a call, or a fragment of them.
    fn take(&mut self, body: Json<'_>, deltas: &mut Vec<Delta>) {
        let [name, arguments, input] = body.fields(["name", "arguments", "input"]);
        if self.name.is_empty() {
            self.name = name.and_then(Json::text).unwrap_or_default().into_owned();
        }
        let text = arguments.or(input).map(argument_text).unwrap_or_default();
        if !self.name.is_empty() || !text.is_empty() {
            self.tell(deltas);
        }
        if !text.is_empty() {
            deltas.push(Delta::ToolCallArguments { index: self.block, fragment: text.into_owned() });
        }
    }

    fn tell(&mut self, deltas: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.told, true) {
            let (index, id, name) = (self.block, self.id.clone(), self.name.clone());
            deltas.push(if self.is_custom {
                Delta::CustomCallStart { index, id, name }
            } else {
                Delta::ToolCallStart { index, id, name }
            });
        }
    }
}

/// What Gemini behind its endpoint of this dialect wants back with a call, and refuses the next request without; see Google's
/// page on OpenAI compatibility.
fn signature(extra: Json<'_>) -> Option<String> {
    let signature = extra.field("google")?.text_of("thought_signature")?;
    Some(signature.into_owned()).filter(|signature| !signature.is_empty())
}

/// Arguments are JSON in a string; some hosts send the JSON itself.
fn argument_text(arguments: Json<'_>) -> std::borrow::Cow<'_, str> {
    arguments.text().unwrap_or_else(|| String::from_utf8_lossy(arguments.bytes()))
}
