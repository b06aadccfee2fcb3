//! Reads candidates, whole or in chunks: the two have the same members.

use std::borrow::Cow;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Delta, Dialect, StopReason};

use super::grounding::Sources;
use crate::json::Json;

/// Candidates that are told apart; Gemini gives eight at most.
const CANDIDATE_LIMIT: usize = 64;

/// Blocks that get a number of their own; what comes later shares the last one.
const BLOCK_LIMIT: u32 = 4096;

/// Reasons of an end that is a failure.
const FAILURES: [&str; 4] =
    ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"];

/// What is being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    Text,
    Thought,
}

/// One candidate as far as it came.
#[derive(Debug)]
struct Candidate {
    index: u64,
    /// The block that text is added to; a call or the other kind of text ends it.
    open: Option<(Speech, u32)>,
    /// A signature that stands behind words: told when they have their sources, which come with the end.
    held: Option<String>,
    has_calls: bool,
    finished: bool,
    sources: Sources,
}

/// The candidates of one answer.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    known: Vec<Candidate>,
    blocks: u32,
    /// The prompt was blocked, so there will be no candidate.
    blocked: bool,
    /// A candidate ended in an error, so the answer is none.
    failed: bool,
}

impl Candidates {
    /// Takes what a chunk or a whole answer has of candidates.
    pub(super) fn take(
        &mut self,
        candidates: Option<Json<'_>>,
        prompt_feedback: Option<Json<'_>>,
        deltas: &mut Vec<Delta>,
    ) {
        const MEMBERS: [&str; 5] = ["index", "content", "groundingMetadata", "finishReason", "finishMessage"];
        let candidates = candidates.into_iter().flat_map(|candidates| candidates.objects(MEMBERS));
        for (_, [index, content, grounding, finish_reason, message]) in candidates {
            // The first candidate's index is left out, as protocol buffers leave out zeros.
            let Some(place) = self.place(index.and_then(Json::count).unwrap_or_default()) else { continue };
            let before = deltas.len();
            if let Some(parts) = content.and_then(|content| content.field("parts")) {
                self.parts(place, parts, finish_reason.is_some(), deltas);
            }
            let candidate = &mut self.known[place];
            // Some hosts give a reason with every chunk: a candidate that goes on is not finished.
            candidate.finished &= !deltas[before..].iter().any(Delta::is_said);
            if let (Some(grounding), Some((Speech::Text, block))) = (grounding, candidate.open) {
                candidate.sources.take(block, grounding, deltas);
            }
            if finish_reason.is_some() {
                self.release(place, deltas);
            }
            if let Some(raw) = finish_reason.and_then(Json::text) {
                let candidate = &mut self.known[place];
                if !std::mem::replace(&mut candidate.finished, true) {
                    let stop = stop(&raw, candidate.has_calls, message.and_then(Json::text));
                    self.failed |= matches!(stop, Delta::Error { .. });
                    deltas.push(stop);
                }
            }
        }
        if let Some(raw) = prompt_feedback.and_then(|feedback| feedback.text_of("blockReason"))
            && !std::mem::replace(&mut self.blocked, true)
        {
            deltas.push(Delta::Stop { reason: StopReason::Refusal, raw: raw.into_owned() });
        }
    }

    /// Whether every candidate has said why it ended, and none in an error, or the prompt was blocked.
    pub(super) fn are_finished(&self) -> bool {
        self.blocked
            || !self.failed && !self.known.is_empty() && self.known.iter().all(|candidate| candidate.finished)
    }

    fn place(&mut self, index: u64) -> Option<usize> {
        self.known.iter().position(|known| known.index == index).or_else(|| {
            (self.known.len() < CANDIDATE_LIMIT).then(|| {
                let sources = Sources::default();
                self.known.push(Candidate {
                    index,
                    open: None,
                    held: None,
                    has_calls: false,
                    finished: false,
                    sources,
                });
                self.known.len() - 1
            })
        })
    }

    /// Takes the parts of a chunk, or of a whole answer; `are_last` when the candidate ends with them.
    fn parts(&mut self, place: usize, parts: Json<'_>, are_last: bool, deltas: &mut Vec<Delta>) {
        let names = ["text", "thought", "functionCall", "thoughtSignature"];
        let mut parts = parts.objects(names).peekable();
        while let Some((_, [text, thought, call, signature])) = parts.next() {
            let signature = signature.and_then(Json::text).filter(|signature| !signature.is_empty());
            let signature = signature.map(Cow::into_owned);
            if let Some(call) = call {
                self.release(place, deltas);
                self.seal(place, signature, deltas);
                self.call(place, call, deltas);
                continue;
            }
            let is_thought = thought.and_then(Json::truth).unwrap_or_default();
            let speech = if is_thought { Speech::Thought } else { Speech::Text };
            let text = text.and_then(Json::text).filter(|text| !text.is_empty());
            if text.is_some() || signature.is_some() {
                self.release(place, deltas);
            }
            // On words that are said, a seal comes before them, as it does on a call; on thoughts it comes behind. At the
            // end of words it must not part them from their sources.
            let goes_on = !is_thought && matches!(self.known[place].open, Some((Speech::Text, _)));
            let is_end = text.is_none() || are_last && parts.peek().is_none();
            let behind = if is_thought {
                signature
            } else if goes_on && is_end && signature.is_some() {
                self.known[place].held = signature;
                None
            } else {
                self.seal(place, signature, deltas);
                None
            };
            let Some(text) = text else {
                self.seal(place, behind, deltas);
                continue;
            };
            let index = match self.known[place].open {
                Some((open, block)) if open == speech => block,
                _ => self.open(place, speech),
            };
            let text = text.into_owned();
            if speech == Speech::Text {
                self.known[place].sources.add(&text);
            }
            deltas.push(match speech {
                Speech::Text => Delta::Text { index, text },
                Speech::Thought => Delta::Reasoning { index, text },
            });
            self.seal(place, behind, deltas);
        }
    }

    /// Tells the signature that was held.
    fn release(&mut self, place: usize, deltas: &mut Vec<Delta>) {
        let held = self.known[place].held.take();
        self.seal(place, held, deltas);
    }

    /// A signature seals the reasoning that led to what it stands on, which may be one of which nothing was shown. Text
    /// behind it is a block of its own.
    fn seal(&mut self, place: usize, signature: Option<String>, deltas: &mut Vec<Delta>) {
        let Some(data) = signature else { return };
        let index = match self.known[place].open {
            Some((Speech::Thought, block)) => block,
            _ => self.number(),
        };
        self.known[place].open = None;
        let seal = Seal { maker: Dialect::Gemini, provider: None, data, id: None };
        deltas.push(Delta::Seal { index, seal, is_redacted: false });
    }

    /// A call comes whole. What came before it is over: text behind it is a block of its own.
    fn call(&mut self, place: usize, call: Json<'_>, deltas: &mut Vec<Delta>) {
        let index = self.number();
        let candidate = &mut self.known[place];
        candidate.open = None;
        candidate.has_calls = true;
        let [id, name, args] = call.fields(["id", "name", "args"]);
        let word = |value: Option<Json<'_>>| value.and_then(Json::text).unwrap_or_default().into_owned();
        deltas.push(Delta::ToolCallStart { index, id: word(id), name: word(name) });
        let fragment = args.map_or("{}".into(), |args| String::from_utf8_lossy(args.bytes()));
        deltas.push(Delta::ToolCallArguments { index, fragment: fragment.into_owned() });
    }

    fn open(&mut self, place: usize, speech: Speech) -> u32 {
        let block = self.number();
        let candidate = &mut self.known[place];
        candidate.open = Some((speech, block));
        if speech == Speech::Text {
            candidate.sources.begin();
        }
        block
    }

    fn number(&mut self) -> u32 {
        let number = self.blocks;
        self.blocks = (self.blocks + 1).min(BLOCK_LIMIT - 1);
        number
    }
}

/// Reads an answer; tells whether the body is one, which has a candidate or says why there is none.
pub(super) fn read(body: Json<'_>, deltas: &mut Vec<Delta>) -> bool {
    let [id, model, candidates, feedback, figures] =
        body.fields(["responseId", "modelVersion", "candidates", "promptFeedback", "usageMetadata"]);
    deltas.push(start(id, model));
    let mut told = Candidates::default();
    told.take(candidates, feedback, deltas);
    let figures = figures.map(super::usage::read);
    deltas.extend(figures.filter(|usage| !usage.is_unknown()).map(Delta::Usage));
    told.blocked || !told.known.is_empty()
}

/// The answer's beginning, with what is known of it.
pub(super) fn start(id: Option<Json<'_>>, model: Option<Json<'_>>) -> Delta {
    let word = |value: Option<Json<'_>>| Some(value?.text()?.into_owned()).filter(|text| !text.is_empty());
    Delta::Start { id: word(id), model: word(model) }
}

/// Gemini stops in the same way whether it asks for tools or not. An answer that the model failed to make ends like any
/// other, but has nothing in it that a client could go on with.
fn stop(raw: &str, has_calls: bool, message: Option<Cow<'_, str>>) -> Delta {
    if FAILURES.contains(&raw) {
        let message = message.map_or_else(|| format!("the model failed to answer: {raw}"), Cow::into_owned);
        return Delta::Error { kind: raw.to_owned(), code: None, message, retry_after_ms: None };
    }
    let reason = match raw {
        "STOP" if has_calls => StopReason::ToolUse,
        "STOP" => StopReason::EndTurn,
        "MAX_TOKENS" => StopReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" => {
            StopReason::Refusal
        }
        _ if raw.starts_with("IMAGE_") => StopReason::Refusal,
        _ => StopReason::Other,
    };
    Delta::Stop { reason, raw: raw.to_owned() }
}
