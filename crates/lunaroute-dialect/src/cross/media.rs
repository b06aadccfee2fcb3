//! Images, documents and sound, as far as every dialect treats them alike.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lunaroute_core::conversation::{Media, MediaKind, MediaSource};
use lunaroute_core::{Failure, FailureKind};

use super::asked::Crossing;
use super::members::wrong;

/// Where media are: `data:` addresses hold them.
pub(crate) fn source_of(url: String) -> MediaSource {
    let held = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match held {
        Some((media_type, data)) => {
            MediaSource::Bytes { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => MediaSource::Url { url, media_type: None },
    }
}

/// A document that has to be in its address.
///
/// # Errors
/// `bad_request` when the text is no `data:` address in base64.
pub(crate) fn held_source(data: String, path: impl FnOnce() -> String) -> Result<MediaSource, Failure> {
    match source_of(data) {
        MediaSource::Url { .. } => Err(wrong(&path(), "a data: address in base64")),
        source => Ok(source),
    }
}

/// Media as an address, its type as it is registered.
pub(crate) fn address(source: &MediaSource) -> String {
    match source {
        MediaSource::Bytes { media_type, data } => format!("data:{};base64,{data}", proper(media_type)),
        source => own_address(source),
    }
}

/// Media as the address that they were decoded from.
pub(crate) fn own_address(source: &MediaSource) -> String {
    match source {
        MediaSource::Bytes { media_type, data } => format!("data:{media_type};base64,{data}"),
        MediaSource::Url { url, .. } => url.clone(),
        MediaSource::File { id } => id.clone(),
        MediaSource::Text { text } => text.clone(),
    }
}

/// A media type as it is registered: `image/jpg` is a common slip.
pub(crate) fn proper(media_type: &str) -> &str {
    if media_type == "image/jpg" { "image/jpeg" } else { media_type }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// OpenAI's word for the format of sound; `None` for one that it does not take.
pub(crate) fn sound_format(media_type: &str) -> Option<&'static str> {
    match essence(media_type) {
        "audio/mpeg" | "audio/mp3" => Some("mp3"),
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Some("wav"),
        _ => None,
    }
}

/// Base64 as clients write it: with its padding or without, some in the alphabet for addresses.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const FOR_ADDRESSES: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The bytes of base64 in either alphabet; `None` for anything else.
pub(crate) fn from_base64(data: &str) -> Option<Vec<u8>> {
    PLAIN.decode(data).or_else(|_| FOR_ADDRESSES.decode(data)).ok()
}

/// What a document in base64 says that is text, whatever its form; `None` for anything else.
pub(crate) fn text_of(media: &Media) -> Option<String> {
    match &media.source {
        MediaSource::Bytes { media_type, data }
            if media.kind == MediaKind::Document && is_text(media_type) =>
        {
            String::from_utf8(from_base64(data)?).ok()
        }
        _ => None,
    }
}

fn is_text(media_type: &str) -> bool {
    let kind = essence(media_type);
    kind.starts_with("text/") || matches!(kind, "application/json" | "application/xml")
}

/// Whether it is a document that everybody reads who reads documents.
pub(crate) fn is_pdf(media_type: &str) -> bool {
    essence(media_type) == "application/pdf"
}

/// What a document is called that has no name: providers go by what stands behind the dot.
pub(crate) fn document_name(media_type: &str) -> String {
    match essence(media_type).split('/').nth(1).unwrap_or_default() {
        "" => "document".to_owned(),
        "plain" => "document.txt".to_owned(),
        // Long ones are no endings.
        kind if kind.len() > 5 || !kind.chars().all(char::is_alphanumeric) => "document".to_owned(),
        kind => format!("document.{kind}"),
    }
}

/// What OpenAI takes no sound but.
pub(crate) const OTHER_SOUND: &str = "sound other than WAV and MP3";

/// A document's text under its name.
pub(crate) fn titled(media: &Media, text: &str) -> String {
    media.name.as_ref().map_or_else(|| text.to_owned(), |name| format!("{name}\n\n{text}"))
}

/// Says that a provider takes no such thing.
pub(crate) fn refused_media(path: &str, what: &str) -> Failure {
    Failure::client(
        FailureKind::BadRequest,
        format!(
            "'{path}': the provider that serves this model takes no {what}; leave it out or choose another model"
        ),
    )
}

/// What stands in the place of media that the model does not take; `None` when it takes them. An agent that shows a
/// picture to a model without eyes goes on, and knows of it by the warning.
pub(crate) fn unseen(media: &Media, path: &str, crossing: &mut Crossing<'_>) -> Option<String> {
    let is_text = match &media.source {
        MediaSource::Text { .. } => true,
        MediaSource::Bytes { media_type, .. } => media.kind == MediaKind::Document && is_text(media_type),
        _ => false,
    };
    let (is_taken, what) = match media.kind {
        MediaKind::Image => (crossing.facts.images, "[an image was left out: the model takes none]"),
        MediaKind::Document => (crossing.facts.documents, "[a document was left out: the model takes none]"),
        MediaKind::Audio => (crossing.facts.audio, "[sound was left out: the model takes none]"),
        MediaKind::Video => return None,
    };
    if is_taken.is_yes() || is_text {
        return None;
    }
    crossing.warnings.dropped(path, "the model takes no such media; a note stands in its place");
    Some(what.to_owned())
}
