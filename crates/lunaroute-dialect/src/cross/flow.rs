//! An answer's pieces brought into a sequence that every grammar takes: one beginning, blocks one after the other, one end.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::time::Duration;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, Delta, StopReason, Usage};

use super::asked::Asked;
use super::names::CallIds;
use super::open::{Current, Waiting, free_text, is_json};
use super::step::{Block, Step};
use crate::error::ProviderError;

/// Most calls of an answer that are held back because their fragments come mixed, and most bytes of them.
const HELD_CALLS: usize = 256;
const HELD_BYTES: usize = 16 * 1024 * 1024;

/// Most sources of one block that are told.
const CITATIONS: usize = 256;

/// Brings one answer's deltas in order.
pub(crate) struct Flow<A> {
    asked: A,
    has_begun: bool,
    is_over: bool,
    current: Option<Current>,
    closed: BTreeSet<u32>,
    /// Sources that came before the first words of their blocks, by the blocks' numbers.
    early: Vec<(u32, Citation)>,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    usage: Usage,
    /// Why the model stopped, as far as it said.
    stop: Option<(StopReason, String)>,
    /// Nothing was said since it gave the reason.
    has_stopped: bool,
    /// It said something after a reason: another such word may be as early.
    went_on: bool,
    calls: usize,
    ids: CallIds,
    /// The last call's arguments are whole: JSON to its end, or free text that something followed.
    last_call_is_whole: bool,
    had_refusal: bool,
    /// Code points of all that was said, for an estimate where the provider tells no figures.
    said: u64,
}

impl<A: Deref<Target = Asked>> Flow<A> {
    /// The way of one answer to what was asked.
    pub(crate) fn new(asked: A) -> Self {
        Self {
            asked,
            has_begun: false,
            is_over: false,
            current: None,
            closed: BTreeSet::new(),
            early: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            usage: Usage::default(),
            stop: None,
            has_stopped: false,
            went_on: false,
            calls: 0,
            ids: CallIds::default(),
            last_call_is_whole: true,
            had_refusal: false,
            said: 0,
        }
    }

    /// Whether the answer has its end.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the model has said why it stopped: only figures may follow. Some hosts say so in every chunk; the word of
    /// one that went on after it tells nothing.
    pub(crate) const fn has_stopped(&self) -> bool {
        self.has_stopped && !self.went_on
    }

    /// Takes a piece.
    pub(crate) fn take(&mut self, delta: Delta, steps: &mut Vec<Step>) {
        if self.is_over {
            return;
        }
        self.hear(&delta);
        match delta {
            Delta::Start { id, model } => self.begin(id, model, steps),
            Delta::Text { index, text } => self.append(index, &Block::Text, text, steps),
            Delta::Refusal { text } => {
                self.had_refusal = true;
                self.append(u32::MAX, &Block::Refusal, text, steps);
            }
            Delta::Reasoning { index, text } => {
                if self.asked.shows_seals_only {
                    // The block alone: a seal may follow.
                    if !text.is_empty() {
                        self.ensure(index, &Block::Thought, steps);
                    }
                } else {
                    self.append(index, &Block::Thought, text, steps);
                }
            }
            Delta::ToolCallStart { index, id, name } => self.call(index, id, &name, false, steps),
            Delta::CustomCallStart { index, id, name } => self.call(index, id, &name, true, steps),
            Delta::ToolCallArguments { index, fragment } => self.argue(index, fragment, steps),
            Delta::Seal { index, mut seal, is_redacted } => {
                seal.provider = Some(self.asked.provider.clone()).filter(|provider| !provider.is_empty());
                self.seal(index, seal, is_redacted, steps);
            }
            Delta::Cite { index, citation } => self.cite(index, citation),
            Delta::Usage(usage) => self.usage.overlay(&usage),
            Delta::Stop { reason, raw } => {
                if !std::mem::replace(&mut self.has_stopped, true) {
                    self.stop = Some((reason, raw));
                    self.settle(steps);
                }
            }
            Delta::Error { kind, code, message, retry_after_ms } => {
                let retry_after = retry_after_ms.map(Duration::from_millis);
                let error = ProviderError { kind, message, code, retry_after, ..ProviderError::default() };
                self.break_off(error, steps);
            }
            Delta::End => self.finish(steps),
        }
    }

    /// Counts what is said. Whoever says something after a reason to stop had not stopped.
    fn hear(&mut self, delta: &Delta) {
        if let Delta::Text { text, .. }
        | Delta::Reasoning { text, .. }
        | Delta::Refusal { text }
        | Delta::ToolCallArguments { fragment: text, .. } = delta
        {
            self.said += text.chars().count() as u64;
        }
        if delta.is_said() {
            self.went_on |= std::mem::take(&mut self.has_stopped);
        }
    }

    /// The provider's body is over. One that stopped before its end broke, unless the model had said why it stopped.
    pub(crate) fn end(&mut self, steps: &mut Vec<Step>) {
        if self.is_over {
            return;
        }
        if self.has_stopped {
            self.finish(steps);
        } else {
            self.fail("api_error", "the provider ended its answer before it was complete", steps);
        }
    }

    /// The answer broke on its way.
    pub(crate) fn fail(&mut self, kind: &str, message: &str, steps: &mut Vec<Step>) {
        let (kind, message) = (kind.to_owned(), message.to_owned());
        self.break_off(ProviderError { kind, message, ..ProviderError::default() }, steps);
    }

    fn break_off(&mut self, error: ProviderError, steps: &mut Vec<Step>) {
        if !std::mem::replace(&mut self.is_over, true) {
            steps.push(Step::Fail(error));
        }
    }

    fn begin(&mut self, id: Option<String>, model: Option<String>, steps: &mut Vec<Step>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let mut usage = self.usage;
            if usage.total_input().is_none() {
                usage.input = self.asked.estimated_input;
            }
            steps.push(Step::Begin { id, model, usage });
        }
    }

    /// Opens a block unless it is open.
    fn ensure(&mut self, index: u32, block: &Block, steps: &mut Vec<Step>) {
        if self.current.as_ref().is_some_and(|current| current.index == index && current.block == *block) {
            return;
        }
        self.open(index, block.clone(), None, steps);
    }

    fn open(&mut self, index: u32, block: Block, held: Option<String>, steps: &mut Vec<Step>) {
        self.begin(None, None, steps);
        let had_free_text = self.current.as_ref().is_some_and(Current::is_free_text);
        self.close(steps);
        // Something follows it, so it was not cut.
        self.last_call_is_whole |= had_free_text;
        steps.push(Step::Open(block.clone()));
        let early = self.early.extract_if(.., |(of, _)| *of == index);
        let citations = early.map(|(_, citation)| citation).collect();
        self.current = Some(Current::new(index, block, held, citations));
    }

    fn append(&mut self, index: u32, block: &Block, text: String, steps: &mut Vec<Step>) {
        if text.is_empty() {
            return;
        }
        self.ensure(index, block, steps);
        if let Some(current) = &mut self.current {
            current.is_empty = false;
            current.length += text.chars().count() as u64;
        }
        steps.push(Step::Append(text));
    }

    fn call(&mut self, index: u32, id: String, name: &str, is_custom: bool, steps: &mut Vec<Step>) {
        if self.asked.format_tool.as_deref() == Some(name) {
            // Its arguments are the answer itself.
            self.ensure(index, &Block::Text, steps);
            return;
        }
        let place = self.asked.earlier_calls + self.calls;
        self.calls += 1;
        let (namespace, own) = self.asked.names.restored(name);
        let id = self.ids.distinct(&self.asked.seed, &id, place, &own);
        let is_flattened = self.asked.flattened.contains(name) && !is_custom;
        let block = Block::Call { id, namespace, name: own, is_custom: is_custom || is_flattened };
        if self.waits() && self.waiting.len() < HELD_CALLS {
            let (arguments, is_held) = (String::new(), is_flattened);
            self.waiting.push(Waiting { index, block, arguments, is_held });
            return;
        }
        self.open(index, block, is_flattened.then(String::new), steps);
    }

    /// Whether a call that begins now has to wait: the open one is not whole yet, so more of it comes. Free text tells
    /// nothing about its end; there the host's profile does.
    fn waits(&self) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let is_over = current.is_free_text() || current.is_whole_call();
            matches!(current.block, Block::Call { .. }) && (self.asked.interleaved_calls || !is_over)
        })
    }

    fn argue(&mut self, index: u32, fragment: String, steps: &mut Vec<Step>) {
        if fragment.is_empty() {
            return;
        }
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.index == index) {
            self.waiting_bytes += fragment.len();
            if self.waiting_bytes > HELD_BYTES {
                let message = "the provider mixes the fragments of more calls than can be held";
                return self.fail("api_error", message, steps);
            }
            waiting.arguments.push_str(&fragment);
            return;
        }
        match &mut self.current {
            Some(current) if current.index == index => {
                current.is_empty = false;
                match &mut current.held {
                    Some(held) => held.push_str(&fragment),
                    None => {
                        if matches!(current.block, Block::Call { is_custom: false, .. }) {
                            current.arguments.push_str(&fragment);
                        }
                        steps.push(Step::Append(fragment));
                    }
                }
            }
            _ if self.closed.contains(&index) && !fragment.trim().is_empty() => {
                // What was told of the call cannot be taken back, and what is told now would belong to another.
                let message = "the provider went on with a call that was over; its calls are interleaved";
                self.fail("api_error", message, steps);
            }
            _ => {}
        }
    }

    /// Takes a source. Anthropic names those of a block before its words.
    fn cite(&mut self, index: u32, citation: Citation) {
        if let Some(current) = self.current.as_mut().filter(|current| current.index == index) {
            if current.citations.len() < CITATIONS {
                current.citations.push(citation);
            }
        } else if !self.closed.contains(&index) && self.early.len() < CITATIONS {
            self.early.push((index, citation));
        }
    }

    fn seal(&mut self, index: u32, seal: Seal, is_redacted: bool, steps: &mut Vec<Step>) {
        match &self.current {
            Some(current) if current.index == index && current.block == Block::Thought => {}
            // Only reasoning has a seal.
            Some(current) if current.index == index => return,
            _ if self.closed.contains(&index) => return,
            // Reasoning of which nothing is shown but the seal.
            _ => self.open(index, Block::Thought, None, steps),
        }
        if let Some(current) = &mut self.current
            && !std::mem::replace(&mut current.has_seal, true)
        {
            steps.push(Step::Seal(seal, is_redacted));
        }
    }

    fn close(&mut self, steps: &mut Vec<Step>) {
        let Some(current) = self.current.take() else { return };
        if current.is_free_text() {
            // Nothing in it tells where it ends.
            self.last_call_is_whole = false;
        } else if let Some(held) = &current.held {
            self.last_call_is_whole = is_json(held);
            let text = free_text(held);
            if !text.is_empty() {
                steps.push(Step::Append(text));
            }
        } else if let Block::Call { is_custom: false, .. } = current.block {
            if current.is_empty {
                steps.push(Step::Append("{}".to_owned()));
            }
            self.last_call_is_whole = current.is_empty || is_json(&current.arguments);
        }
        // A source without a range stands for the whole block, whose length is known only now.
        for citation in current.citations {
            let range = citation.range.or(Some((0, current.length)));
            steps.push(Step::Cite(Citation { range, ..citation }));
        }
        steps.push(Step::Close);
        self.closed.insert(current.index);
    }

    fn close_all(&mut self, steps: &mut Vec<Step>) {
        self.close(steps);
        for waiting in std::mem::take(&mut self.waiting) {
            self.tell(waiting, steps);
        }
    }

    /// The model gave its reason: calls that are whole are over, so that nobody waits for them until the figures are there.
    /// Words stay open, and so do calls that are not whole, for some hosts give the reason early.
    fn settle(&mut self, steps: &mut Vec<Step>) {
        if self.went_on || !self.current.as_ref().is_some_and(Current::is_whole_call) {
            return;
        }
        self.close(steps);
        let whole = self.waiting.iter().take_while(|waiting| waiting.is_whole_call()).count();
        for waiting in self.waiting.drain(..whole).collect::<Vec<_>>() {
            self.tell(waiting, steps);
        }
    }

    /// Tells a call that waited.
    fn tell(&mut self, Waiting { index, block, arguments, is_held }: Waiting, steps: &mut Vec<Step>) {
        self.open(index, block, is_held.then(String::new), steps);
        self.argue(index, arguments, steps);
        self.close(steps);
    }

    fn finish(&mut self, steps: &mut Vec<Step>) {
        self.begin(None, None, steps);
        self.close_all(steps);
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.estimate();
        let (reason, raw) = self.stop.take().unwrap_or((StopReason::EndTurn, String::new()));
        steps.push(Step::Finish { reason: self.reason(reason), raw, usage: self.usage });
    }

    /// Fills in figures that the provider never told: clients decide by them when to shorten a conversation.
    fn estimate(&mut self) {
        if self.usage.total_input().is_none() {
            self.usage.input = self.asked.estimated_input;
        }
        if self.usage.output.is_none() {
            // About 3.5 characters a token.
            self.usage.output = Some((self.said * 2).div_ceil(7));
        }
    }

    /// The reason that the client has to see: whoever asks for a tool waits for it, whatever the provider calls it.
    fn reason(&self, reason: StopReason) -> StopReason {
        match reason {
            StopReason::EndTurn | StopReason::Other | StopReason::StopSequence if self.calls > 0 => {
                StopReason::ToolUse
            }
            StopReason::Length if self.calls > 0 && self.last_call_is_whole => StopReason::ToolUse,
            StopReason::ToolUse if self.calls == 0 => StopReason::EndTurn,
            StopReason::EndTurn if self.had_refusal => StopReason::Refusal,
            reason => reason,
        }
    }
}
