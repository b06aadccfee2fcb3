//! A provider's own credential, in the header that the provider reads.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use lunaroute_core::{Secret, headers};

/// Which header carries a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStyle {
    /// `authorization: Bearer ...` (OpenAI and most hosts of its dialects).
    Bearer,
    /// `x-api-key: ...` (Anthropic).
    XApiKey,
    /// `api-key: ...` (Azure).
    ApiKey,
    /// `x-goog-api-key: ...` (Gemini).
    XGoogApiKey,
}

/// A configured credential. It takes the place of whatever the caller sent; its `Debug` never shows it.
#[derive(Clone)]
pub struct Credential {
    name: HeaderName,
    value: HeaderValue,
}

/// A credential that cannot travel in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the provider's key is empty or has a character that a header cannot hold; remove line ends and control characters"
)]
pub struct InvalidCredential;

impl Credential {
    /// Makes the header that carries the secret.
    ///
    /// # Errors
    /// [`InvalidCredential`] when the secret is empty or cannot stand in a header.
    pub fn new(style: CredentialStyle, secret: &Secret) -> Result<Self, InvalidCredential> {
        if secret.expose().is_empty() {
            return Err(InvalidCredential);
        }
        let (name, value) = match style {
            CredentialStyle::Bearer => {
                (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", secret.expose())))
            }
            CredentialStyle::XApiKey => {
                (HeaderName::from_static("x-api-key"), HeaderValue::from_str(secret.expose()))
            }
            CredentialStyle::ApiKey => {
                (HeaderName::from_static("api-key"), HeaderValue::from_str(secret.expose()))
            }
            CredentialStyle::XGoogApiKey => {
                (HeaderName::from_static("x-goog-api-key"), HeaderValue::from_str(secret.expose()))
            }
        };
        let mut value = value.map_err(|_| InvalidCredential)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// Removes every credential of the caller and puts this one in.
    pub(crate) fn replace_in(&self, headers: &mut HeaderMap) {
        headers::strip_credentials(headers);
        headers.insert(self.name.clone(), self.value.clone());
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}: ***)", self.name)
    }
}
