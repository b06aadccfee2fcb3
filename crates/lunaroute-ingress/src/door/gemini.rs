//! Gemini's paths, which say what others say in the body: `/{version}/models/{model}:{verb}`.

use std::borrow::Cow;
use std::ops::Range;

use http::{HeaderMap, Method};
use lunaroute_core::{Addressed, Operation};
use percent_encoding::percent_decode_str;

/// The versions below which everything is Gemini's; `/v1/` is shared with the other vendors.
const OWN_VERSIONS: [&str; 3] = ["v1beta", "v1alpha", "v1beta1"];

/// What stands before a model: the Gemini API's two collections, and Vertex AI's publisher.
const COLLECTIONS: [&str; 3] = ["models/", "tunedModels/", "publishers/google/models/"];

/// What follows a model, and what it asks for. Any other verb is recorded whole and not read.
const VERBS: [(&str, Operation); 6] = [
    ("generateContent", Operation::GenerateContent),
    (STREAM, Operation::GenerateContent),
    ("countTokens", Operation::CountTokens),
    ("embedContent", Operation::Embeddings),
    ("batchEmbedContents", Operation::Embeddings),
    ("batchGenerateContent", Operation::Other),
];

const STREAM: &str = "streamGenerateContent";

/// What a path asks for when it is Gemini's and nobody else's.
pub(super) fn operation(method: &Method, path: &str) -> Option<Operation> {
    // Files are sent to `/upload/{version}/files`.
    let (version, rest) = versioned(path.strip_prefix("/upload").unwrap_or(path))?;
    let is_own = OWN_VERSIONS.contains(&version);
    if method == Method::POST
        && let Some(place) = Place::of(path)
    {
        let known = VERBS.iter().find(|(verb, _)| *verb == place.verb(path)).map(|(_, operation)| *operation);
        return known.or(is_own.then_some(Operation::Other));
    }
    let lists_models = method == Method::GET && rest == "models" && !path.starts_with("/upload");
    is_own.then_some(if lists_models { Operation::Models } else { Operation::Other })
}

/// Whether the caller of a path that is shared brings a credential as only Google's clients do.
pub(super) fn shows_in(headers: &HeaderMap, query: Option<&str>) -> bool {
    headers.contains_key("x-goog-api-key")
        || query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("key=")))
}

/// What the path of a Gemini request says of it: the model, and whether a stream is asked for. `None` when no model is
/// named there.
#[must_use]
pub fn addressed(path: &str) -> Option<Addressed> {
    let place = Place::of(path)?;
    let model = decoded(&path[place.model.clone()]).into_owned();
    Some(Addressed { model, stream: place.verb(path) == STREAM })
}

/// A path and query with another model; as it was when it names none. What a path cannot hold of the name is written
/// as percent signs and digits.
#[must_use]
pub fn rename_model<'a>(path_and_query: &'a str, model: &str) -> Cow<'a, str> {
    let end = path_and_query.find('?').unwrap_or(path_and_query.len());
    let Some(place) = Place::of(&path_and_query[..end]) else { return Cow::Borrowed(path_and_query) };
    let (before, behind) = (&path_and_query[..place.model.start], &path_and_query[place.model.end..]);
    Cow::Owned(format!("{before}{}{behind}", Addressed::in_path(model)))
}

/// Where a path names its model.
struct Place {
    model: Range<usize>,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let (_, rest) = versioned(path)?;
        // Vertex AI puts project and place before its publisher.
        let rest = match rest.strip_prefix("projects/") {
            Some(scoped) => &scoped[scoped.find("/publishers/")? + 1..],
            None => rest,
        };
        let named = COLLECTIONS.iter().find_map(|collection| rest.strip_prefix(collection))?;
        let (model, verb) = named.rsplit_once(':')?;
        if model.is_empty() || verb.is_empty() || verb.contains('/') {
            return None;
        }
        let start = path.len() - named.len();
        Some(Self { model: start..start + model.len() })
    }

    fn verb<'a>(&self, path: &'a str) -> &'a str {
        &path[self.model.end + 1..]
    }
}

/// The version with which a path begins, and what follows it.
fn versioned(path: &str) -> Option<(&str, &str)> {
    let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
    (version == "v1" || OWN_VERSIONS.contains(&version)).then_some((version, rest))
}

/// The name with its percent signs undone, when that is text.
fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8().unwrap_or(Cow::Borrowed(name))
}
