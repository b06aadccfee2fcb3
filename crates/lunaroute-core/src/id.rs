//! Identifiers: what a request and a session are called everywhere.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One client call, whatever happens behind it. A UUIDv7, so that identifiers sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new identifier for a request that arrives now.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identifier as the UUID it is.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The identifier from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A run of work by one client. 1 to 255 characters of `A-Za-z0-9_-`, so that it can name a file, a row and a URL
/// segment without ever being escaped. Copies share the text: every event of a session carries one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);

/// Text that cannot be a [`SessionId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 1 to 255 characters of A-Z, a-z, 0-9, '_' and '-'; this one has {length} bytes{}",
    if *.illegal { " and a character outside that set" } else { "" })]
pub struct InvalidSessionId {
    /// Length in bytes of the text that was refused.
    pub length: usize,
    /// Whether a character outside the allowed set was found.
    pub illegal: bool,
}

impl SessionId {
    /// A new identifier, for a session whose client names none.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().as_hyphenated().to_string().into())
    }

    /// Takes the text as an identifier when it is one.
    ///
    /// # Errors
    /// [`InvalidSessionId`] when it is empty, longer than 255 bytes or has a character outside `A-Za-z0-9_-`.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionId> {
        let illegal = !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if illegal || text.is_empty() || text.len() > 255 {
            return Err(InvalidSessionId { length: text.len(), illegal });
        }
        Ok(Self(text.into()))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidSessionId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_never_hold_what_a_path_could_misread() {
        for good in ["a", "A-b_9", &"x".repeat(255)] {
            assert_eq!(SessionId::parse(good).expect("valid").as_str(), good);
        }
        for bad in ["", "../etc", "a/b", "a b", "ä", "a\0", ".", &"x".repeat(256)] {
            assert!(SessionId::parse(bad).is_err(), "{bad:?} was taken");
            assert!(serde_json::from_value::<SessionId>(serde_json::Value::from(bad)).is_err());
        }
    }

    #[test]
    fn request_ids_sort_by_time_and_survive_text() {
        let first = RequestId::generate();
        let second = RequestId::generate();
        assert!(first < second);
        assert_eq!(first.to_string().parse::<RequestId>().expect("parses"), first);
    }
}
