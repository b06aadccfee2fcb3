//! Reads the chunks of a streamed chat completion, or of a legacy one.

use lunaroute_core::{Delta, Usage};

use super::response::{Messages, start, stop, usage};
use crate::dispatch::EventReader;
use crate::json::Json;
use crate::sse::Event;

/// Most choices of one answer whose ends are awaited: OpenAI's limit for `n`.
const CHOICE_LIMIT: usize = 128;

/// The state of one stream.
#[derive(Default)]
pub(super) struct Chunks {
    messages: Messages,
    started: bool,
    /// The choices that were seen, and whether each has its finish reason.
    choices: Vec<(u64, bool)>,
    usage: Usage,
    failed: bool,
    ended: bool,
}

impl EventReader for Chunks {
    fn event(&mut self, event: Event<'_>, deltas: &mut Vec<Delta>) {
        if self.ended {
            return;
        }
        if event.data.starts_with(b"[DONE]") {
            self.end(deltas);
            return;
        }
        let names = ["id", "model", "choices", "usage", "error", "type", "object"];
        let Some((chunk, members)) = Json::object(event.data, names, None) else { return };
        let [id, model, choices, figures, error, kind, object] = members;
        if !self.started
            && let Some(start) = start(id, model)
        {
            self.started = true;
            deltas.push(start);
        }
        let mut failure = None;
        for (choice, members) in choices
            .into_iter()
            .flat_map(|choices| choices.objects(["index", "delta", "text", "finish_reason"]))
        {
            failure = failure.or(self.choice(choice, members, deltas));
        }
        if let Some(figures) = figures.map(usage).filter(|figures| *figures != self.usage) {
            self.usage = figures;
            deltas.push(Delta::Usage(figures));
        }
        let is_named = event.name == Some("error");
        if (is_named || crate::error::may_be(error, kind, object))
            && let Some(error) = crate::error::read(chunk, is_named)
        {
            // It says more than the reason of a choice does.
            failure = Some(error.into());
        }
        if let Some(failure) = failure {
            self.failed = true;
            deltas.push(failure);
        }
    }

    fn finish(&mut self, deltas: &mut Vec<Delta>) {
        self.messages.finish(deltas);
        // Some hosts close without `[DONE]`; a finish reason of every choice says as much.
        if !self.choices.is_empty() && self.choices.iter().all(|(_, finished)| *finished) {
            self.end(deltas);
        }
    }
}

impl Chunks {
    /// Takes a piece of a choice; gives what it failed at.
    fn choice(
        &mut self,
        choice: Json<'_>,
        [index, delta, text, finish_reason]: [Option<Json<'_>>; 4],
        deltas: &mut Vec<Delta>,
    ) -> Option<Delta> {
        let index = index.and_then(Json::count).unwrap_or_default();
        let before = deltas.len();
        if let Some(delta) = delta {
            self.messages.take(index, delta, deltas);
        } else if let Some(text) = text.and_then(Json::text) {
            self.messages.text(index, text, deltas);
        }
        let place = self.choices.iter().position(|(known, _)| *known == index).or_else(|| {
            (self.choices.len() < CHOICE_LIMIT).then(|| {
                self.choices.push((index, false));
                self.choices.len() - 1
            })
        });
        let (_, finished) = self.choices.get_mut(place?)?;
        // Some hosts give a reason with every chunk: a choice that goes on is not finished.
        *finished &= !deltas[before..].iter().any(Delta::is_said);
        let stop = stop(choice, finish_reason?)?;
        if std::mem::replace(finished, true) {
            return None;
        }
        self.messages.finish(deltas);
        if matches!(stop, Delta::Error { .. }) {
            return Some(stop);
        }
        deltas.push(stop);
        None
    }

    fn end(&mut self, deltas: &mut Vec<Delta>) {
        self.messages.finish(deltas);
        if !self.failed && !std::mem::replace(&mut self.ended, true) {
            deltas.push(Delta::End);
        }
    }
}
