//! The hub between dialects: requests on their way there, answers and streams on their way back.

use fastrand::Rng;
use lunaroute_core::conversation::{Allowed, ModelFacts, Sent};
use lunaroute_core::{Answer, Dialect, Failure, FailureKind};
use lunaroute_dialect::cross::{
    Asked, Crossing, Profile, Translation, check_stream, decode_request, encode_request, translate_answer,
};
use serde_json::Value;

use super::answer::{assembled, read};
use super::{in_proportion, pieces, same};
use crate::corpus::{Corpus, Kind};

/// A translated request is one that its target's own decoder takes and gives back, and has names that every target takes; or
/// it is refused with words.
pub(super) fn request(from: Dialect, to: Dialect) -> impl Fn(&[u8], &mut Rng) -> Result<(), String> {
    move |input, rng| {
        let Ok(decoded) = decode_request(from, input) else { return Ok(()) };
        let (facts, profile) = (facts(rng), profile(rng));
        let mut crossing = Crossing::new(&facts, &profile, "target");
        let encoded = match encode_request(to, decoded, &mut crossing) {
            Ok(encoded) => encoded,
            Err(failure) if failure.kind == FailureKind::BadRequest && !failure.message.is_empty() => {
                return Ok(());
            }
            Err(failure) => return Err(format!("a refusal is no bad request: {failure}")),
        };
        let text = encoded.to_string();
        in_proportion(input.len(), text.len())?;
        if crossing.warnings.header().bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(format!("no header can hold the warnings: {:?}", crossing.warnings.header()));
        }
        if let Some(name) = names(&encoded).find(|name| !is_legal(name)) {
            return Err(format!("no target takes a tool's name: {name:?}"));
        }
        let again = decode_request(to, text.as_bytes()).map_err(|failure| {
            format!("the target's own decoder refuses a translated request: {failure}\n  {text}")
        })?;
        let mut back = Crossing::new(&facts, &profile, "target");
        match encode_request(to, again, &mut back) {
            Ok(other) => same("a translated request does not come back as it was", &encoded, &other),
            Err(failure) => Err(format!("the target refuses a translated request: {failure}\n  {text}")),
        }
    }
}

/// The names of a request's tools, as functions have them.
fn names(request: &Value) -> impl Iterator<Item = &str> {
    let tools = request["tools"].as_array().into_iter().flatten();
    tools.filter_map(|tool| {
        let is_ours = matches!(tool["type"].as_str(), None | Some("function" | "custom"));
        let name =
            tool.get("name").or_else(|| tool["function"].get("name")).or_else(|| tool["custom"].get("name"));
        name.and_then(Value::as_str).filter(|_| is_ours)
    })
}

fn is_legal(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_letter)
}

fn facts(rng: &mut Rng) -> ModelFacts {
    let mut allowed = || if rng.u8(0..4) == 0 { Allowed::No } else { Allowed::Yes };
    let facts = ModelFacts {
        sampling: allowed(),
        temperature_with_top_p: allowed(),
        stop: allowed(),
        thinking_off: allowed(),
        forced_tools: allowed(),
        prefill: allowed(),
        system_turns: allowed(),
        json_schema: allowed(),
        images: allowed(),
        documents: allowed(),
        chat_tools_with_effort: allowed(),
        ..ModelFacts::default()
    };
    let thinking = [Sent::Effort, Sent::Adaptive, Sent::Budget, Sent::Level, Sent::Nothing][rng.usize(0..5)];
    let max_output = [None, Some(1), Some(8_192)][rng.usize(0..3)];
    ModelFacts { thinking, max_output, ..facts }
}

fn profile(rng: &mut Rng) -> Profile {
    let mut chance = || rng.u8(0..4) == 0;
    Profile {
        legacy_max_tokens: chance(),
        takes_reasoning: chance(),
        interleaved_calls: chance(),
        no_stream_options: chance(),
        continues_final_message: chance(),
        no_custom_tools: chance(),
        plain_content: chance(),
        no_cache_hints: chance(),
    }
}

/// What a client may have asked before an answer is translated for it.
pub(super) struct Asking {
    asked: Vec<Asked>,
}

impl Asking {
    /// The requests of the corpus of a client, on their way to a provider.
    pub(super) fn new(corpus: &Corpus, client: Dialect, provider: Dialect) -> Self {
        let (facts, profile) = (ModelFacts::default(), Profile::default());
        let asked = |body: Vec<u8>| {
            let decoded = decode_request(client, &body).ok()?;
            let mut crossing = Crossing::new(&facts, &profile, "target");
            encode_request(provider, decoded, &mut crossing).ok()?;
            Some(crossing.asked)
        };
        Self { asked: corpus.of(client, Kind::Request).into_iter().filter_map(asked).collect() }
    }

    fn one(&self, rng: &mut Rng) -> Asked {
        let mut asked = rng.choice(&self.asked).cloned().unwrap_or_default();
        asked.stream = true;
        asked.include_usage = rng.bool();
        asked.interleaved_calls = rng.bool();
        asked.estimated_input = rng.bool().then_some(42);
        "answer".clone_into(&mut asked.answer_id);
        asked.created = 1_700_000_000;
        "seed".clone_into(&mut asked.seed);
        asked
    }
}

/// A translated answer is one that the client's own reader takes, and says as much as the provider's did.
pub(super) fn answer(
    from: Dialect,
    to: Dialect,
    asking: Asking,
) -> impl Fn(&[u8], &mut Rng) -> Result<(), String> {
    move |input, rng| {
        let asked = asking.one(rng);
        let Some(Ok(translated)) = translate_answer(from, to, input, &asked) else { return Ok(()) };
        let text = translated.to_string();
        in_proportion(input.len(), text.len())?;
        let (said, told) =
            (assembled(&read(from, 200, [input])), assembled(&read(to, 200, [text.as_bytes()])));
        if told.error.is_some() || !told.ended {
            return Err(format!(
                "the client's reader takes no translated answer: {:?}\n  {text}",
                told.error
            ));
        }
        conserved(&said, &told).map_err(|what| format!("{what}\n  {text}"))
    }
}

/// That the client is told the words and the figures of the provider. An answer with an error in it is none, and one that
/// cannot be told becomes an error; where there is
/// a call it may be the structured answer itself; and where the provider tells no figures the client may get an estimate.
fn conserved(said: &Answer, told: &Answer) -> Result<(), String> {
    if said.error.is_some() || told.error.is_some() || !said.ended {
        return Ok(());
    }
    if said.tool_calls.is_empty() && said.refusal.is_empty() {
        same("words of an answer are lost", &said.text, &told.text)?;
    }
    match said.usage.output {
        Some(_) => same("figures of output are not conserved", &said.usage.output, &told.usage.output),
        None => Ok(()),
    }
}

/// A translated stream is one that the client's grammar takes, wherever the provider's bytes were cut, whenever signs of life
/// come between them, and wherever the provider broke off.
pub(super) fn stream(
    from: Dialect,
    to: Dialect,
    asking: Asking,
) -> impl Fn(&[u8], &mut Rng) -> Result<(), String> {
    move |input, rng| {
        let asked = asking.one(rng);
        let whole = translated(from, to, &asked, &[input]);
        in_proportion(input.len(), whole.len())?;
        takes(to, &whole)?;
        let mut said = assembled(&read(from, 200, [input]));
        if to == Dialect::OpenaiChat && !asked.include_usage {
            said.usage.output = None;
        }
        conserved(&said, &assembled(&read(to, 200, [whole.as_slice()])))?;
        let cut = pieces(input, rng);
        let shown = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
        same(
            "a translated stream depends on the cuts",
            &shown(&whole),
            &shown(&translated(from, to, &asked, &cut)),
        )?;
        takes(to, &disturbed(from, to, asked, &cut, rng))
    }
}

fn translated(from: Dialect, to: Dialect, asked: &Asked, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut translation, mut out) = (Translation::new(from, to, asked.clone()), Vec::new());
    pieces.iter().for_each(|piece| translation.push(piece, &mut out));
    translation.end(&mut out);
    out
}

/// The same with signs of life between the pieces, and an end of the connection somewhere.
fn disturbed(from: Dialect, to: Dialect, asked: Asked, pieces: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let (mut translation, mut out) = (Translation::new(from, to, asked), Vec::new());
    let until = rng.usize(..=pieces.len());
    for piece in &pieces[..until] {
        if rng.u8(0..8) == 0 && !translation.is_over() {
            translation.keep_alive(&mut out);
        }
        translation.push(piece, &mut out);
    }
    if rng.bool() {
        translation.flush(&mut out);
    }
    translation.fail(&Failure::gateway(FailureKind::Internal, "the connection broke"), &mut out);
    out
}

fn takes(dialect: Dialect, stream: &[u8]) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(stream).chars().take(4_000).collect::<String>();
    check_stream(dialect, stream).map_err(|error| format!("the client's grammar: {error}\n{}", shown()))
}
