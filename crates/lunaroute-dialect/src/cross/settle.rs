//! Turns in the order that every dialect takes: instructions first, then user and assistant by turns, each call answered
//! in the very next turn, results before anything else in it.

use std::collections::{BTreeMap, BTreeSet};

use lunaroute_core::conversation::{CallResult, Conversation, Part, Speaker, Text, Turn, Use};

use super::names::legal_id;
use super::told::result_text;
use super::warnings::Warnings;
use crate::dispatch::language;

/// How Claude Code's attribution block begins. It changes from request to request, which would keep other providers from
/// ever finding their cache, and says nothing to a model.
const ATTRIBUTION: &str = "x-anthropic-billing-header:";

/// What stands in for the result of a call that nobody answered.
const NO_RESULT: &str = "no result";

/// What an empty result without its call says.
const NO_OUTPUT: &str = "(no output)";

/// Takes the turns out of a request, in that order and with ids that every dialect takes.
///
/// Turns of the system or the developer keep their places; those before the first other turn are the instructions. A
/// result without its call becomes the user's words, a call without a result gets one that says so, and of two results
/// of one call the first stays.
pub(crate) fn settled(conversation: &mut Conversation, seed: &str, warnings: &mut Warnings) -> Vec<Turn> {
    let turns = std::mem::take(&mut conversation.turns);
    let mut settling = Settling {
        seed,
        list: language(conversation.origin).list_name(),
        warnings,
        turns: Vec::with_capacity(turns.len()),
        open: Vec::new(),
        results: BTreeMap::new(),
        answered: BTreeSet::new(),
        uses: 0,
    };
    for (place, turn) in turns.into_iter().enumerate() {
        settling.take(place, turn);
    }
    settling.answer_open_calls();
    settling.turns
}

struct Settling<'a> {
    seed: &'a str,
    list: &'static str,
    warnings: &'a mut Warnings,
    turns: Vec<Turn>,
    /// Calls of the last assistant turn that wait for their results: the caller's id, the legal one, the name.
    open: Vec<(String, String, String)>,
    /// Results for them, by their place among the calls.
    results: BTreeMap<usize, Part>,
    /// Legal ids of the calls that have their result.
    answered: BTreeSet<String>,
    uses: usize,
}

impl Settling<'_> {
    fn take(&mut self, place: usize, mut turn: Turn) {
        match turn.speaker {
            Speaker::System | Speaker::Developer => {
                // Instructions between a call and its result wait until the result is there.
                turn.parts
                    .retain(|part| !matches!(part, Part::Text(text) if text.text.starts_with(ATTRIBUTION)));
                if !turn.parts.is_empty() {
                    self.turns.push(turn);
                }
            }
            Speaker::Assistant => {
                // A turn may come in pieces, each with a call of its own, before the first result.
                let goes_on = self.turns.last().is_some_and(|last| last.speaker == Speaker::Assistant);
                if !(goes_on && self.results.is_empty()) {
                    self.answer_open_calls();
                }
                self.assistant(turn);
            }
            Speaker::User | Speaker::Tool => self.user(place, turn),
        }
    }

    fn assistant(&mut self, turn: Turn) {
        let has_calls = turn.parts.iter().any(|part| matches!(part, Part::Use(_)));
        let parts: Vec<Part> = turn
            .parts
            .into_iter()
            .filter(|part| match part {
                Part::Text(text) if has_calls => !text.text.trim().is_empty(),
                Part::Text(text) => !text.text.is_empty(),
                _ => true,
            })
            .map(|part| match part {
                Part::Use(call) => Part::Use(self.call(call)),
                part => part,
            })
            .collect();
        self.append(Turn { speaker: Speaker::Assistant, parts, ..turn });
    }

    fn call(&mut self, call: Use) -> Use {
        let id = legal_id(self.seed, &call.id, self.uses, &call.name);
        self.uses += 1;
        self.open.push((call.id, id.clone(), call.name.clone()));
        Use { id, ..call }
    }

    fn user(&mut self, place: usize, turn: Turn) {
        let mut parts = Vec::with_capacity(turn.parts.len());
        for (number, part) in turn.parts.into_iter().enumerate() {
            match part {
                Part::Result(result) => {
                    parts.extend(self.result(result, (place, number)));
                }
                Part::Text(text) if text.text.is_empty() => {}
                part => parts.push(part),
            }
        }
        // Whatever else the user says, the results come first, and with them the end of the step.
        if turn.speaker == Speaker::User || !parts.is_empty() {
            self.answer_open_calls();
        }
        self.append(Turn { speaker: Speaker::User, parts, ..turn });
    }

    /// Takes a result; gives back what is left of one that has no place.
    fn result(&mut self, result: CallResult, (turn, part): (usize, usize)) -> Vec<Part> {
        let list = self.list;
        let path = || format!("{list}[{turn}].content[{part}]");
        let by_id = self.open.iter().position(|(own, _, _)| !own.is_empty() && *own == result.call_id);
        let by_name = || {
            let mut places =
                self.open.iter().enumerate().filter(|(place, _)| !self.results.contains_key(place));
            let named = |name: &String| result.name.as_ref().is_none_or(|wanted| wanted == name);
            places.find(|(_, (_, _, name))| named(name)).map(|(place, _)| place)
        };
        let place = by_id.or_else(|| result.call_id.is_empty().then(by_name).flatten());
        match place {
            Some(place) if self.results.contains_key(&place) => {
                self.warnings.dropped(path(), "a second result of the same call was left out");
                Vec::new()
            }
            Some(place) => {
                let (_, id, name) = &self.open[place];
                let (call_id, name) = (id.clone(), Some(name.clone()));
                self.results.insert(place, Part::Result(CallResult { call_id, name, ..result }));
                Vec::new()
            }
            None if self.answered.contains(&result.call_id) => {
                self.warnings.dropped(path(), "a second result of the same call was left out");
                Vec::new()
            }
            None => {
                self.warnings.changed(path(), "a result without its call became the user's words");
                let text = result_text(&result, words(&result.parts));
                let mut media = result.parts;
                media.retain(|part| matches!(part, Part::Media(_)));
                let text = match text {
                    text if text.is_empty() && media.is_empty() => NO_OUTPUT.to_owned(),
                    text => text,
                };
                let text =
                    Some(text).filter(|text| !text.is_empty()).map(|text| Part::Text(Text::from(text)));
                text.into_iter().chain(media).collect()
            }
        }
    }

    /// Ends a step: every call of the last assistant turn has its result.
    fn answer_open_calls(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let mut results = std::mem::take(&mut self.results);
        let mut parts = Vec::with_capacity(open.len());
        for (place, (_, id, name)) in open.into_iter().enumerate() {
            parts.push(results.remove(&place).unwrap_or_else(|| {
                self.warnings
                    .changed(format!("{}.{id}", self.list), "a call without a result got one that says so");
                Part::Result(CallResult {
                    call_id: id.clone(),
                    name: Some(name),
                    parts: vec![Part::Text(Text::from(NO_RESULT.to_owned()))],
                    is_error: Some(true),
                    ..CallResult::default()
                })
            }));
            self.answered.insert(id);
        }
        // They stand right behind the assistant's turn, before instructions that came meanwhile.
        let last = self.turns.iter().rposition(|turn| turn.speaker == Speaker::Assistant);
        let at = last.map_or(self.turns.len(), |last| last + 1);
        self.turns.insert(at, Turn::new(Speaker::User, parts));
    }

    /// Adds parts to the last turn when the same speaker goes on, else as a turn of their own.
    fn append(&mut self, turn: Turn) {
        if turn.parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.speaker == turn.speaker => {
                last.parts.extend(turn.parts);
                last.is_plain = false;
            }
            _ => self.turns.push(turn),
        }
    }
}

/// The words of parts, on lines of their own.
pub(crate) fn words(parts: &[Part]) -> String {
    let words: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) | Part::Refusal(text) => Some(text.text.as_str()),
            Part::Opaque(opaque) => opaque.gist.as_deref(),
            _ => None,
        })
        .collect();
    words.join("\n")
}
