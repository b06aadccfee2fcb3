//! Turns in the order that every dialect takes: instructions first, then user and assistant by turns, each call answered
//! in the very next turn, results before anything else in it.

use std::collections::{BTreeMap, HashSet, VecDeque};

use lunaroute_core::conversation::{CallResult, Conversation, Custom, Part, Speaker, Text, Turn, Use};

use super::leftovers::outside;
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
/// result stands behind its call wherever it came, one without its call becomes the user's words, a call that never got
/// one gets one that says so, and of two results of one call the first stays. Calls that share an id get one each, and the
/// results of that id in their order.
pub(crate) fn settled(conversation: &mut Conversation, seed: &str, warnings: &mut Warnings) -> Vec<Turn> {
    let turns = std::mem::take(&mut conversation.turns);
    let language = language(conversation.origin);
    let mut settling = Settling {
        seed,
        list: language.list_name(),
        content: language.content_name(),
        warnings,
        turns: Vec::with_capacity(turns.len()),
        calls: Vec::new(),
        given: HashSet::new(),
        by_id: BTreeMap::new(),
        step: Step::default(),
    };
    // The caller counts the turns of its list.
    let mut place = 0;
    for turn in turns {
        let is_listed = outside(conversation.origin, &turn).is_none();
        settling.take(place, turn);
        place += usize::from(is_listed);
    }
    settling.finish()
}

struct Settling<'a> {
    seed: &'a str,
    list: &'static str,
    content: &'static str,
    warnings: &'a mut Warnings,
    /// Turns without results: those come behind the turns of their calls when all is known.
    turns: Vec<Turn>,
    /// Every call, in order.
    calls: Vec<Call>,
    /// The ids that they have.
    given: HashSet<String>,
    /// The calls of each of the caller's ids, of the latest step that has such.
    by_id: BTreeMap<String, Waiting>,
    step: Step,
}

/// A call, and its result when that came.
struct Call {
    /// The legal id.
    id: String,
    name: String,
    custom: Custom,
    /// The place of its turn among the settled ones.
    turn: usize,
    result: Option<CallResult>,
}

/// Places of calls, those before the first without a result left out.
type Waiting = VecDeque<usize>;

/// The last turn of the assistant.
#[derive(Default)]
struct Step {
    /// The place of its first call.
    first: usize,
    /// Before this place every call has its result.
    open: usize,
    /// Places of its calls that wait for a result, by the tool's name.
    by_name: BTreeMap<String, Waiting>,
    /// Those of them that came without an id.
    without_id: BTreeMap<String, Waiting>,
    /// Whether one of its calls has a result: what the assistant says then is another turn.
    is_answered: bool,
}

impl Settling<'_> {
    fn take(&mut self, place: usize, mut turn: Turn) {
        match turn.speaker {
            Speaker::System | Speaker::Developer => {
                turn.parts
                    .retain(|part| !matches!(part, Part::Text(text) if text.text.starts_with(ATTRIBUTION)));
                if !turn.parts.is_empty() {
                    self.turns.push(turn);
                }
            }
            Speaker::Assistant => self.assistant(turn),
            Speaker::User | Speaker::Tool => self.user(place, turn),
        }
    }

    fn assistant(&mut self, turn: Turn) {
        let has_calls = turn.parts.iter().any(|part| matches!(part, Part::Use(_)));
        let said = |part: &Part| match part {
            Part::Text(text) if has_calls => !text.text.trim().is_empty(),
            Part::Text(text) => !text.text.is_empty(),
            _ => true,
        };
        if !turn.parts.iter().any(said) {
            return;
        }
        // A turn may come in pieces, each with a call of its own, before the first result.
        let goes_on = self.turns.last().is_some_and(|last| last.speaker == Speaker::Assistant);
        if !goes_on || self.step.is_answered {
            let first = self.calls.len();
            self.step = Step { first, open: first, ..Step::default() };
            self.turns.push(Turn {
                speaker: Speaker::Assistant,
                parts: Vec::new(),
                is_plain: turn.is_plain,
                rest: turn.rest,
            });
        }
        let mut parts = Vec::with_capacity(turn.parts.len());
        for part in turn.parts.into_iter().filter(said) {
            parts.push(match part {
                Part::Use(call) => Part::Use(self.call(call)),
                part => part,
            });
        }
        if let Some(last) = self.turns.last_mut() {
            last.is_plain &= last.parts.is_empty();
            last.parts.extend(parts);
        }
    }

    fn call(&mut self, call: Use) -> Use {
        let place = self.calls.len();
        let id = self.own_id(&call, place);
        if call.id.is_empty() {
            self.step.without_id.entry(call.name.clone()).or_default().push_back(place);
        } else {
            let known = self.by_id.entry(call.id.clone()).or_default();
            if known.front().is_some_and(|known| *known < self.step.first) {
                known.clear();
            }
            known.push_back(place);
        }
        self.step.by_name.entry(call.name.clone()).or_default().push_back(place);
        self.calls.push(Call {
            id: id.clone(),
            name: call.name.clone(),
            custom: call.custom,
            turn: self.turns.len().saturating_sub(1),
            result: None,
        });
        Use { id, ..call }
    }

    /// A legal id that no earlier call has: some programs count from nought in each turn, and providers refuse that.
    fn own_id(&mut self, call: &Use, place: usize) -> String {
        let mut id = legal_id(self.seed, &call.id, place, &call.name);
        while !self.given.insert(id.clone()) {
            // No id has a space in it, so the new one is made of the old one and of the place.
            id = legal_id(self.seed, &format!("{id} {place}"), place, &call.name);
        }
        id
    }

    fn user(&mut self, place: usize, turn: Turn) {
        let mut parts = Vec::with_capacity(turn.parts.len());
        for (number, part) in turn.parts.into_iter().enumerate() {
            match part {
                Part::Result(result) => parts.extend(self.result(result, (place, number))),
                Part::Text(text) if text.text.is_empty() => {}
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.speaker == Speaker::User => {
                last.parts.extend(parts);
                last.is_plain = false;
            }
            _ => self.turns.push(Turn { speaker: Speaker::User, parts, ..turn }),
        }
    }

    /// Takes a result; gives back what is left of one that has no place.
    fn result(&mut self, result: CallResult, (turn, part): (usize, usize)) -> Vec<Part> {
        let (list, content) = (self.list, self.content);
        let path = || format!("{list}[{turn}].{content}[{part}]");
        let place = match result.call_id.as_str() {
            "" => self.unanswered(result.name.as_deref()),
            id => match self.by_id.get_mut(id) {
                Some(known) => first_waiting(known, &self.calls),
                // Gemini CLI gives ids to results whose calls came without.
                None => self.unnamed(result.name.as_deref()),
            },
        };
        match place.map(|place| (place, &mut self.calls[place])) {
            Some((_, call)) if call.result.is_some() => {
                self.warnings.dropped(path(), "a second result of the same call was left out");
                Vec::new()
            }
            Some((place, call)) => {
                // What is said of the result is known of its call: some dialects tell it there alone.
                let (call_id, name, custom) = (call.id.clone(), Some(call.name.clone()), call.custom);
                call.result = Some(CallResult { call_id, name, custom, ..result });
                self.step.is_answered |= place >= self.step.first;
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

    /// The first call of the last step that has no result yet, of this tool if it is named.
    fn unanswered(&mut self, name: Option<&str>) -> Option<usize> {
        let calls = &self.calls;
        let Some(name) = name else {
            while is_answered(calls, self.step.open) {
                self.step.open += 1;
            }
            return (self.step.open < calls.len()).then_some(self.step.open);
        };
        let place = first_waiting(self.step.by_name.get_mut(name)?, calls)?;
        (!is_answered(calls, place)).then_some(place)
    }

    /// The first call of this tool in the last step that has neither an id nor a result.
    fn unnamed(&mut self, name: Option<&str>) -> Option<usize> {
        let place = first_waiting(self.step.without_id.get_mut(name?)?, &self.calls)?;
        (!is_answered(&self.calls, place)).then_some(place)
    }

    /// Puts the results of each turn's calls right behind it, before instructions that came meanwhile and before whatever
    /// else the user says.
    fn finish(self) -> Vec<Turn> {
        let Self { list, warnings, turns, calls, .. } = self;
        let mut calls = calls.into_iter().peekable();
        let mut settled: Vec<Turn> = Vec::with_capacity(turns.len() + calls.len());
        for (place, turn) in turns.into_iter().enumerate() {
            match settled.last_mut() {
                Some(results) if results.speaker == Speaker::User && turn.speaker == Speaker::User => {
                    results.parts.extend(turn.parts);
                }
                _ => settled.push(turn),
            }
            let mut results = Vec::new();
            while let Some(Call { id, name, custom, result, .. }) = calls.next_if(|call| call.turn == place) {
                results.push(Part::Result(result.unwrap_or_else(|| {
                    warnings.changed(format!("{list}.{id}"), "a call without a result got one that says so");
                    CallResult {
                        call_id: id,
                        name: Some(name),
                        parts: vec![Part::Text(Text::from(NO_RESULT.to_owned()))],
                        is_error: Some(true),
                        custom,
                        ..CallResult::default()
                    }
                })));
            }
            if !results.is_empty() {
                settled.push(Turn::new(Speaker::User, results));
            }
        }
        settled
    }
}

fn is_answered(calls: &[Call], place: usize) -> bool {
    calls.get(place).is_some_and(|call| call.result.is_some())
}

/// The first of some calls that has no result yet; the last one when all of them have.
fn first_waiting(places: &mut Waiting, calls: &[Call]) -> Option<usize> {
    while places.len() > 1 && places.front().is_some_and(|place| is_answered(calls, *place)) {
        places.pop_front();
    }
    places.front().copied()
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
