//! Reads the chunks of a streamed answer, be they events or the elements of an array.

use lunaroute_core::{Delta, Usage};

use super::answer::{Candidates, start};
use crate::dispatch::EventReader;
use crate::json::Json;
use crate::sse::Event;

/// The state of one stream.
#[derive(Default)]
pub(super) struct Chunks {
    candidates: Candidates,
    started: bool,
    usage: Usage,
    failed: bool,
}

impl EventReader for Chunks {
    fn event(&mut self, event: Event<'_>, deltas: &mut Vec<Delta>) {
        let names = [
            "responseId",
            "modelVersion",
            "candidates",
            "promptFeedback",
            "usageMetadata",
            "error",
            "type",
            "object",
        ];
        let Some((chunk, members)) = Json::object(event.data, names, None).filter(|_| !self.failed) else {
            return;
        };
        let [id, model, candidates, feedback, figures, error, kind, object] = members;
        if crate::error::may_be(error, kind, object)
            && let Some(error) = crate::error::read(chunk, false)
        {
            self.failed = true;
            deltas.push(error.into());
            return;
        }
        if !self.started && (id.is_some() || model.is_some()) {
            self.started = true;
            deltas.push(start(id, model));
        }
        self.candidates.take(candidates, feedback, deltas);
        if let Some(figures) = figures.map(super::usage::read).filter(|figures| *figures != self.usage) {
            self.usage = figures;
            deltas.push(Delta::Usage(figures));
        }
    }

    /// There is no mark of the end: a stream is over when it ends behind the last finish reason.
    fn finish(&mut self, deltas: &mut Vec<Delta>) {
        if !self.failed && self.candidates.are_finished() {
            deltas.push(Delta::End);
        }
    }
}
