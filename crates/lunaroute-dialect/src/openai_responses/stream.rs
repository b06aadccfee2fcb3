//! Reads the events of a streamed response.

use lunaroute_core::Delta;

use super::items::{Block, Output, Shown, word};
use super::places::Places;
use super::response::{close, start};
use crate::dispatch::EventReader;
use crate::json::Json;
use crate::sse::Event;

/// What is read of an event: its kind, a whole response, and the parts of one.
const MEMBERS: [&str; 11] = [
    "type",
    "response",
    "output_index",
    "item_id",
    "content_index",
    "summary_index",
    "item",
    "delta",
    "arguments",
    "input",
    "annotation",
];

/// The state of one stream.
#[derive(Default)]
pub(super) struct Events {
    output: Output,
    places: Places,
    started: bool,
    ended: bool,
}

impl EventReader for Events {
    fn event(&mut self, event: Event<'_>, deltas: &mut Vec<Delta>) {
        let Some((data, members)) = Json::object(event.data, MEMBERS, None).filter(|_| !self.ended) else {
            return;
        };
        let [kind, response, parts @ ..] = members;
        // The two names are the same; hosts exist that leave the line out.
        let kind = kind.and_then(Json::text).or(event.name.map(Into::into)).unwrap_or_default();
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => self.start(response, deltas),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.start(response, deltas);
                self.ended = true;
                let whole =
                    response.is_none_or(|last| close(last, &mut self.output, &mut self.places, deltas));
                if whole && kind == "response.failed" {
                    // It failed, whatever the response says of itself.
                    deltas.extend(crate::error::read(response.unwrap_or(data), true).map(Delta::from));
                } else if whole {
                    deltas.push(Delta::End);
                }
            }
            "error" => {
                self.ended = true;
                if let Some(error) = crate::error::read(data, true) {
                    deltas.push(error.into());
                }
            }
            kind => self.part(kind, parts, deltas),
        }
    }

    fn finish(&mut self, _deltas: &mut Vec<Delta>) {
        // Only the last event says that a response is whole.
    }
}

impl Events {
    fn start(&mut self, response: Option<Json<'_>>, deltas: &mut Vec<Delta>) {
        if let Some(response) = response
            && !std::mem::replace(&mut self.started, true)
        {
            deltas.push(start(response));
        }
    }

    fn part(
        &mut self,
        kind: &str,
        [index, item_id, content, summary, item, delta, arguments, input, annotation]: [Option<Json<'_>>; 9],
        deltas: &mut Vec<Delta>,
    ) {
        let number = |value: Option<Json<'_>>| value.and_then(Json::count).unwrap_or_default();
        let (index, content, summary) = (index.and_then(Json::count), number(content), number(summary));
        match (kind, item) {
            ("response.output_item.added", Some(item)) => {
                let place = self.places.begin(index, item);
                return self.output.open(place, item, deltas);
            }
            ("response.output_item.done", Some(item)) => {
                let place = self.places.end(index, item);
                return self.output.whole(place, item, deltas);
            }
            _ => {}
        }
        let place = self.places.of(index, item_id);
        let block = match kind {
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                self.output.argue(place, word(arguments.or(input)), deltas);
                return;
            }
            "response.output_text.delta" => Block::Text(place, content),
            "response.refusal.delta" => Block::Refusal(place, content),
            "response.output_text.annotation.added" => {
                if let Some(annotation) = annotation {
                    self.output.cite(Block::Text(place, content), annotation, deltas);
                }
                return;
            }
            "response.reasoning_summary_text.delta" => {
                self.output.think((place, Shown::Summary, summary), word(delta), deltas);
                return;
            }
            "response.reasoning_text.delta" => {
                self.output.think((place, Shown::Content, content), word(delta), deltas);
                return;
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                Block::Call(place)
            }
            _ => return,
        };
        self.output.append(block, word(delta), deltas);
    }
}
