//! A provider's stream on its way into the caller's dialect.

use std::sync::Arc;

use lunaroute_core::{Delta, Dialect, Failure, FailureKind};

use super::asked::Asked;
use super::flow::Flow;
use super::step::Step;
use crate::dispatch::{AnswerWriter, EventReader, language};
use crate::error::ProviderError;
use crate::json::Json;
use crate::sse::{EVENT_LIMIT, Framer};

/// Translates one stream of events. Nothing is held back beyond what the caller's grammar forces.
pub struct Translation {
    from: Dialect,
    framer: Framer,
    reader: Box<dyn EventReader>,
    flow: Flow<Arc<Asked>>,
    writer: Box<dyn AnswerWriter>,
    deltas: Vec<Delta>,
    steps: Vec<Step>,
    has_begun: bool,
    has_lost: bool,
    refusal: Option<ProviderError>,
}

impl Translation {
    /// A translation of one answer.
    #[must_use]
    pub fn new(from: Dialect, to: Dialect, asked: impl Into<Arc<Asked>>) -> Self {
        let asked = asked.into();
        Self {
            from,
            framer: Framer::default(),
            reader: language(from).events(),
            writer: language(to).writer(Arc::clone(&asked)),
            flow: Flow::new(asked),
            deltas: Vec::new(),
            steps: Vec::new(),
            has_begun: false,
            has_lost: false,
            refusal: None,
        }
    }

    /// Takes the provider's next bytes and appends what the caller gets for them.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        // Dialects say the same in about as many bytes.
        out.reserve(bytes.len());
        let (reader, deltas) = (&mut self.reader, &mut self.deltas);
        self.framer.push(bytes, |event| reader.event(event, deltas));
        self.write_whole(out);
    }

    /// Takes an answer that the provider gave whole although a stream was asked for; `false` when it is no answer.
    pub fn whole(&mut self, body: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(json) = Json::new(body).filter(Json::is_object) else { return false };
        if !language(self.from).answer(json, &mut self.deltas) {
            self.deltas.clear();
            return false;
        }
        self.deltas.push(Delta::End);
        self.write(out);
        true
    }

    /// The provider's body is over: takes what only its end makes whole. [`Translation::end`] or [`Translation::fail`]
    /// follows.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let (reader, deltas) = (&mut self.reader, &mut self.deltas);
        self.framer.finish(|event| reader.event(event, deltas));
        reader.finish(deltas);
        self.write_whole(out);
    }

    /// The provider's body is over: appends the caller's end, or its error when the answer was not whole.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.flush(out);
        self.flow.end(&mut self.steps);
        self.write(out);
    }

    /// The provider's body broke: appends the caller's error.
    pub fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let kind = match failure.kind {
            FailureKind::Timeout => "timeout_error",
            FailureKind::Overloaded => "overloaded_error",
            _ => "api_error",
        };
        self.flow.fail(kind, &failure.message, &mut self.steps);
        self.write(out);
    }

    /// Appends a sign of life.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.writer.keep_alive(out);
    }

    /// Whether the caller has its end: what comes later says nothing to it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.flow.is_over()
    }

    /// Whether the model has said why it stopped, so that only figures may follow; never of a provider that went on after
    /// it had said so, which is waited for until it ends.
    #[must_use]
    pub const fn has_stopped(&self) -> bool {
        self.flow.has_stopped()
    }

    /// The provider's error, when that is all that it said: whoever has not answered yet can still give it a status.
    #[must_use]
    pub const fn refusal(&self) -> Option<&ProviderError> {
        self.refusal.as_ref()
    }

    /// Whether an event was too large to be read: what it said is missing, so the caller got an error.
    #[must_use]
    pub const fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// Writes what was read, unless something was lost: what came behind that may be the end, and is no answer.
    fn write_whole(&mut self, out: &mut Vec<u8>) {
        if self.framer.dropped() > 0 && !self.flow.is_over() {
            self.has_lost = true;
            self.deltas.clear();
            let message = format!("the provider sent an event of more than {EVENT_LIMIT} bytes");
            self.flow.fail("api_error", &message, &mut self.steps);
        }
        self.write(out);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        for delta in self.deltas.drain(..) {
            self.flow.take(delta, &mut self.steps);
        }
        for step in self.steps.drain(..) {
            if let (Step::Fail(error), false) = (&step, self.has_begun) {
                self.refusal = Some(error.clone());
            }
            self.has_begun |= matches!(step, Step::Open(_) | Step::Finish { .. });
            self.writer.write(step, out);
        }
    }
}
