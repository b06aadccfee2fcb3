//! Images, documents and sound, as far as every dialect treats them alike.

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

/// OpenAI's word for the format of sound.
pub(crate) fn sound_format(media_type: &str) -> &'static str {
    if matches!(media_type, "audio/mpeg" | "audio/mp3") { "mp3" } else { "wav" }
}

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
    let is_text = matches!(media.source, MediaSource::Text { .. });
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
