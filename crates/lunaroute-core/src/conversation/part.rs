//! What a turn is made of.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Breakpoint, Rest};
use crate::Dialect;

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Words.
    Text(Text),
    /// An image, a document, sound or film.
    Media(Media),
    /// The model's reasoning.
    Thought(Thought),
    /// The model asks for a tool.
    Use(Use),
    /// What a tool gave back.
    Result(CallResult),
    /// The model's refusal in words.
    Refusal(Text),
    /// A thing of one vendor that has no word here.
    Opaque(Opaque),
}

/// Words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Text {
    /// The words.
    pub text: String,
    /// A prompt cache may be cut behind it.
    pub breakpoint: Option<Breakpoint>,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// What kind of media it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A document: PDF, or text that is to be cited as one.
    Document,
    /// Sound.
    Audio,
    /// A film.
    Video,
}

/// Where the bytes of media are.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaSource {
    /// In the request, as base64.
    Bytes {
        /// Media type, such as `image/png`.
        media_type: String,
        /// The bytes in base64.
        data: String,
    },
    /// At an address.
    Url {
        /// The address.
        url: String,
        /// Media type, when it is told.
        media_type: Option<String>,
    },
    /// With the provider, under its own id.
    File {
        /// The id.
        id: String,
    },
    /// In the request, as plain text.
    Text {
        /// The text.
        text: String,
    },
}

/// An image, a document, sound or film.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource,
    /// Its name: a file name or a title.
    pub name: Option<String>,
    /// How closely an image is looked at, in the vendor's word: `low`, `high`, `auto`, `original`.
    pub detail: Option<String>,
    /// A prompt cache may be cut behind it.
    pub breakpoint: Option<Breakpoint>,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

/// What only its maker can read: a signature over reasoning, encrypted reasoning, a thought signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Whose it is. It goes back to a provider of this dialect and to no other.
    pub maker: Dialect,
    /// The configured name of the provider that made it. `None` where that is not told: the record of an answer knows its
    /// provider, and what a client has from its own vendor is that vendor's.
    pub provider: Option<String>,
    /// The bytes as text.
    pub data: String,
    /// The maker's id of the item that it seals, where there is one.
    pub id: Option<String>,
}

/// Reasoning.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thought {
    /// What is shown of it, in the vendor's pieces; empty when nothing is shown.
    pub text: Vec<String>,
    /// What its maker needs to take it up again.
    pub seal: Option<Seal>,
    /// The maker hid the words: only the seal is there.
    pub is_redacted: bool,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

/// How the arguments of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Custom {
    /// As JSON.
    #[default]
    No,
    /// As free text, for a tool that takes such.
    Yes,
}

/// The model asks for a tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Use {
    /// The id by which the result names the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The group of tools that the name belongs to, where a dialect has such.
    pub namespace: Option<String>,
    /// JSON text as the model wrote it, possibly not JSON at all; for a custom tool its free text.
    pub arguments: String,
    /// How they are written.
    pub custom: Custom,
    /// A seal that rides on the call.
    pub seal: Option<Seal>,
    /// A prompt cache may be cut behind it.
    pub breakpoint: Option<Breakpoint>,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallResult {
    /// The call's id; empty where the dialect matches by name and order.
    pub call_id: String,
    /// The tool's name, where the dialect says it.
    pub name: Option<String>,
    /// What it found: text and media.
    pub parts: Vec<Part>,
    /// Whether the dialect held the content as one plain string.
    pub is_plain: bool,
    /// Whether it failed; `None` where nobody says.
    pub is_error: Option<bool>,
    /// Whether it answers a call of a custom tool.
    pub custom: Custom,
    /// A prompt cache may be cut behind it.
    pub breakpoint: Option<Breakpoint>,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

/// A thing of one vendor that has no word here.
#[derive(Debug, Clone, PartialEq)]
pub struct Opaque {
    /// What its vendor calls it: the `type` of the block or item.
    pub kind: String,
    /// The whole object.
    pub value: Value,
    /// What it says to a reader, for dialects that have no such thing; `None` when it says nothing.
    pub gist: Option<String>,
}
