//! Thought signatures: Google's own go back to it as they are, others ride in their place through Gemini's clients.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lunaroute_core::Dialect;
use lunaroute_core::conversation::Seal;

use crate::cross::{from_base64, open_seal, tag_seal};
use crate::tagged::Ridden;

/// What Google documents for calls whose signature nobody has, such as those of another model.
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Seals on parts. The start is that of the gateway's tag in base64, which is the same in both alphabets.
pub(super) static RIDDEN: Ridden = Ridden {
    start: "bHIxL",
    names: ["thoughtSignature", "thought_signature"],
    calls: ["functionCall", "function_call"],
    stand_in: NO_SIGNATURE,
};

/// A seal as a client of this dialect carries it.
pub(super) fn signature_of(seal: &Seal, is_redacted: bool) -> String {
    match seal.maker {
        Dialect::Gemini => seal.data.clone(),
        _ => STANDARD.encode(tag_seal(seal, is_redacted)),
    }
}

/// The seal that a client brings back, and whether it hides words. The member is bytes: clients decode it and encode it anew.
pub(super) fn seal_of(signature: &str) -> (Seal, bool) {
    let tagged = from_base64(signature).and_then(|bytes| open_seal(std::str::from_utf8(&bytes).ok()?));
    tagged.unwrap_or_else(|| {
        (Seal { maker: Dialect::Gemini, provider: None, data: signature.to_owned(), id: None }, false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_seals_come_back_in_either_alphabet_and_own_ones_as_they_are() {
        let seal = Seal { maker: Dialect::Anthropic, provider: None, data: "Eq~?>QB".to_owned(), id: None };
        let signature = signature_of(&seal, true);
        let for_addresses = signature.replace('+', "-").replace('/', "_").replace('=', "");
        for signature in [signature, for_addresses] {
            assert!(signature.starts_with(RIDDEN.start), "{signature}");
            assert_eq!(seal_of(&signature), (seal.clone(), true), "{signature}");
        }
        let (own, _) = seal_of("EqQB+/==");
        assert_eq!((own.maker, signature_of(&own, false).as_str()), (Dialect::Gemini, "EqQB+/=="));
    }
}
