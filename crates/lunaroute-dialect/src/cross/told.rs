//! Things in words, where a dialect has no other form for them.

use lunaroute_core::conversation::{CallResult, Conversation, Opaque, Part, Sampling};
use lunaroute_core::{Failure, FailureKind};

use super::asked::Crossing;
use super::settle::words;

/// What a result says where only text can say it. A failure says so in front.
pub(crate) fn result_text(result: &CallResult, text: String) -> String {
    match result.is_error {
        Some(true) if text.is_empty() => "Error: (no output)".to_owned(),
        Some(true) if !text.starts_with("Error") => format!("Error: {text}"),
        _ => text,
    }
}

/// Takes out the words of a result; what else is in it stays.
pub(crate) fn result_words(result: &mut CallResult) -> String {
    match &mut result.parts[..] {
        [Part::Text(text)] => std::mem::take(&mut text.text),
        parts => words(parts),
    }
}

/// Whether a result holds more than words.
pub(crate) fn has_media(result: &CallResult) -> bool {
    result.parts.iter().any(|part| matches!(part, Part::Media(_)))
}

impl Crossing<'_> {
    /// What a thing of another vendor says in words; `None`, with a warning, when it says nothing.
    pub(crate) fn gist(&mut self, opaque: &Opaque, path: String) -> Option<String> {
        match opaque.gist.as_ref().filter(|gist| !gist.is_empty()) {
            Some(gist) => {
                self.warnings.changed(path, "told in words; its provider's own form cannot cross");
                Some(gist.clone())
            }
            None => {
                self.warnings.dropped(path, "the provider that serves this model knows no such part");
                None
            }
        }
    }

    /// By which requests of one conversation find each other's cache at providers that ask for such a word: the caller's
    /// own, else one of the conversation.
    pub(crate) fn cache_key(&self, conversation: &Conversation) -> Option<String> {
        let seed = &self.asked.seed;
        let derived = || blake3::hash(seed.as_bytes()).to_hex()[..32].to_owned();
        conversation.cache_key.clone().or_else(|| (!seed.is_empty()).then(derived))
    }

    /// How likely each token was is asked of nobody: what answers are made of has no place for it.
    pub(crate) fn lose_likelihoods(&mut self, sampling: &Sampling) {
        if sampling.alternatives.is_some() {
            self.warnings.dropped("logprobs", "a translated answer does not tell how likely its tokens were");
        }
    }

    /// The most tokens of an answer that the model writes, at most as many as were asked for. None writes more than it reads
    /// and writes together.
    pub(crate) fn output_limit(&mut self, asked: u64) -> u64 {
        let most = self.facts.max_output.or(self.facts.context).unwrap_or(asked);
        if asked > most {
            self.warnings.changed("max_tokens", "more tokens than the model writes; its limit was sent");
        }
        asked.min(most)
    }
}

/// Refuses what a provider of single answers cannot give.
///
/// # Errors
/// `bad_request` when more than one answer is asked for.
pub(crate) fn one_answer(conversation: &Conversation) -> Result<(), Failure> {
    if conversation.sampling.candidates.is_some_and(|candidates| candidates > 1) {
        let advice = "a translated answer is one only; ask once for each";
        let what = format!("'n' or 'candidateCount' cannot be above 1: {advice}");
        return Err(Failure::client(FailureKind::BadRequest, what));
    }
    Ok(())
}

/// Says that the provider does not go on from words of the assistant, which are the request's last.
pub(crate) fn goes_on_from_nothing() -> Failure {
    Failure::client(
        FailureKind::BadRequest,
        "the last message is the assistant's, and the provider that serves this model does not go on from one",
    )
}

/// Says that a request holds nothing that could be answered.
pub(crate) fn says_nothing() -> Failure {
    let what = "the request says nothing: the provider that serves this model needs a message with text";
    Failure::client(FailureKind::BadRequest, what)
}
