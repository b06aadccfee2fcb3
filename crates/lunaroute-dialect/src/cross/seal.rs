//! Seals on their way through a foreign client: tagged with their maker, so that they are known when they come back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lunaroute_core::Dialect;
use lunaroute_core::conversation::Seal;
use serde::{Deserialize, Serialize};

use super::asked::Crossing;
use crate::dispatch::language;

/// How every tagged seal begins. The number is the form's version.
pub(crate) const TAG: &str = "lr1.";

#[derive(Serialize, Deserialize)]
struct Content {
    /// The configured name of the provider that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    data: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
}

/// The seal as a foreign client carries it.
pub(crate) fn tag_seal(seal: &Seal, is_redacted: bool) -> String {
    let Seal { provider, data, id, .. } = seal.clone();
    let content = Content { provider, id, data, redacted: is_redacted };
    let json = serde_json::to_vec(&content).expect("strings and a flag are JSON");
    format!("{TAG}{}.{}", language(seal.maker).maker(), URL_SAFE_NO_PAD.encode(json))
}

/// The seal that a client brings back, and whether it hides words; `None` when the text is no tagged seal. One that is
/// damaged is none either: its maker would refuse it.
pub(crate) fn open_seal(text: &str) -> Option<(Seal, bool)> {
    let (maker, content) = text.strip_prefix(TAG)?.split_once('.')?;
    // Of dialects with one maker the later one carries seals.
    let maker = Dialect::ALL.into_iter().rev().find(|dialect| language(*dialect).maker() == maker)?;
    let content: Content = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(content).ok()?).ok()?;
    let Content { provider, id, data, redacted } = content;
    Some((Seal { maker, provider, data, id }, redacted))
}

impl Crossing<'_> {
    /// Whether the target made the seal: a provider that speaks its maker's dialect refuses another one's.
    pub(crate) fn made(&self, seal: &Seal, maker: Dialect) -> bool {
        let provider = seal.provider.as_deref().unwrap_or_default();
        seal.maker == maker && provider == self.asked.provider && !seal.data.is_empty()
    }
}
