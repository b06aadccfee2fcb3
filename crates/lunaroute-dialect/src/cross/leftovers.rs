//! Members of a request that have no word: refused, left behind in silence, or left behind with a warning.

use lunaroute_core::conversation::{Conversation, Part};
use lunaroute_core::{Failure, FailureKind};

use super::asked::Crossing;
use crate::dispatch::language;

/// What becomes of a member that cannot cross.
pub(crate) struct Leftovers {
    /// Members whose loss means nothing to the answer.
    pub(crate) silent: &'static [&'static str],
    /// Members, and kinds of parts, without which the request is another one, and what to do about them.
    pub(crate) refused: &'static [(&'static str, &'static str)],
    /// Members with a value that asks for nothing that is not had everywhere.
    pub(crate) harmless: &'static [(&'static str, &'static str)],
}

/// Judges what is left of a request that goes to another dialect.
///
/// # Errors
/// `bad_request` when a member cannot be left behind.
pub(crate) fn leave_behind(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Result<(), Failure> {
    let Leftovers { silent, refused, harmless } = language(conversation.origin).leftovers();
    for (name, value) in &conversation.rest {
        let is_empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        let is_harmless = |(member, word): &(&str, &str)| *member == name.as_str() && value == word;
        if is_empty || silent.contains(&name.as_str()) || harmless.iter().any(is_harmless) {
            continue;
        }
        if let Some((_, advice)) = refused.iter().find(|(member, _)| *member == name.as_str()) {
            return Err(refused_member(name, advice));
        }
        crossing.warnings.dropped(name.as_str(), "the provider that serves this model has no such field");
    }
    for part in conversation.turns.iter().flat_map(|turn| &turn.parts) {
        if let Part::Opaque(opaque) = part
            && let Some((kind, advice)) = refused.iter().find(|(kind, _)| *kind == opaque.kind)
        {
            return Err(refused_member(kind, advice));
        }
    }
    Ok(())
}

fn refused_member(name: &str, advice: &str) -> Failure {
    Failure::client(
        FailureKind::BadRequest,
        format!("'{name}' cannot be honoured by the provider that serves this model; {advice}"),
    )
}
