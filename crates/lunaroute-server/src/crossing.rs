//! The dressing room for a target of another dialect: the request is taken apart and put together in the target's words.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use lunaroute_core::conversation::Conversation;
use lunaroute_core::{Addressed, Dialect, Failure, FailureKind, headers};
use lunaroute_dialect::cross::{self, Asked, Crossing, Endpoint, Warnings};
use lunaroute_egress::Outbound;
use lunaroute_ingress::{Share, door};
use lunaroute_routing::Target;

use crate::desk::Desk;
use crate::house::{House, Upstream};
use crate::visitor::Visitor;

/// Headers of the client that speak of its own dialect or of the body that it sent.
const OWN_HEADERS: [HeaderName; 9] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    HeaderName::from_static("originator"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("session_id"),
    HeaderName::from_static("thread-id"),
];

/// Beginnings of header names by which a vendor and its clients talk to each other.
const OWN_PREFIXES: [&str; 8] = [
    "anthropic-",
    "openai-",
    "x-anthropic-",
    "x-claude-",
    "x-codex-",
    "x-goog-",
    "x-openai-",
    "x-stainless-",
];

/// Headers among those that say who pays for what a client's own credential asks. They go where the credential goes.
const ACCOUNT_HEADERS: [&str; 2] = ["openai-organization", "openai-project"];

/// Memory that a request takes beside its body while it is translated, in lengths of the body: once for its text in core
/// words, once for the target's form before that is text.
const TAKEN_APART: usize = 2;

/// A request in a target's own dialect.
pub(crate) struct Crossed {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The memory that `body` takes.
    _held: Share,
    pub(crate) back: WayBack,
}

/// What the way back has to know.
pub(crate) struct WayBack {
    /// The dialect in which the provider answers.
    pub(crate) from: Dialect,
    /// What was asked, as far as the answer depends on it.
    pub(crate) asked: Arc<Asked>,
    /// What could not be carried over.
    pub(crate) warnings: Warnings,
    /// The model that was asked.
    pub(crate) model: String,
    /// Whether the caller's credential was kept back, so that a missing or wrong one is no fault of the caller.
    pub(crate) own_key: bool,
}

/// The request in core words.
fn conversation(visitor: &Visitor, body: &[u8]) -> Result<Conversation, Failure> {
    match &visitor.addressed {
        // A list of pieces is told at once, as a list of one.
        Some(addressed) => {
            let stream = addressed.stream && !visitor.wants_list();
            let asked = Addressed { model: addressed.model.clone(), stream };
            cross::decode_addressed(visitor.dialect, &asked, body)
        }
        None => cross::decode_request(visitor.dialect, body),
    }
}

/// The request in a target's dialect; nothing for one that speaks the client's, unless the body is of another. It is decoded
/// for each attempt anew: nearly all requests need one only, and what is said in them is not copied then.
///
/// # Errors
/// `bad_request` when it is no request of its own dialect, asks for what the target does not have at all, or loses
/// meaning on the way and may not.
pub(crate) fn cross(
    house: &House,
    visitor: &Visitor,
    desk: &Desk,
    target: &Target,
    upstream: &Upstream,
) -> Result<Option<Box<Crossed>>, Failure> {
    let spoken = desk.body_dialect(visitor);
    if target.dialect == visitor.dialect && spoken == visitor.dialect {
        return Ok(None);
    }
    let plain = desk.whole_body(visitor)?;
    let _taken_apart =
        house.limits.bodies.take(plain.len().saturating_mul(TAKEN_APART)).ok_or_else(no_memory)?;
    let conversation = conversation(visitor, plain)?;
    let model = target.upstream_model.clone().unwrap_or_else(|| conversation.model.as_str().into());
    let facts = house.catalog.facts(&model);
    let mut crossing = Crossing::new(&facts, &upstream.profile, &model);
    crossing.asked.provider = target.provider.to_string();
    crossing.asked.answer_id = visitor.id.to_string().replace('-', "");
    crossing.asked.created = u64::try_from(visitor.received_at.as_millis() / 1_000).unwrap_or_default();
    crossing.asked.seed = desk.hint.external_id.clone().unwrap_or_default();
    // A client shortens its conversation by these figures, which some providers tell late and some never.
    crossing.asked.estimated_input = Some(cross::estimate_by_samples(&conversation));
    if let Some(earlier) = &desk.peek.hints.previous_response_id {
        // The conversation stands in its place now, and the answer still has to name it.
        crossing.asked.repeat("previous_response_id", earlier.as_str());
    }
    let mut body = cross::encode_request(target.dialect, conversation, &mut crossing)?;
    if spoken != visitor.dialect {
        // A wish about the chunks of Chat, which are the gateway's to write.
        crossing.asked.include_usage = desk.peek.include_usage == Some(true);
        if target.dialect == spoken
            && let Some(members) = body.as_object_mut()
        {
            members.shift_remove("stream_options");
        }
    }
    let Crossing { asked, warnings, .. } = crossing;
    if house.strict_translation {
        refuse_losses(&warnings, target)?;
    }
    // Dialects say the same in about as many bytes.
    let body = cross::body_of(&body, plain.len() + plain.len() / 8 + 512);
    let held = house.limits.bodies.take(body.len()).ok_or_else(no_memory)?;
    let endpoint = cross::endpoint(target.dialect, &model, asked.stream);
    let own_key = upstream.credential.is_some() || !cross::share_credentials(visitor.dialect, target.dialect);
    let back =
        WayBack { from: target.dialect, asked: Arc::new(asked), warnings, model: model.to_string(), own_key };
    let headers = request_headers(visitor, &back, &endpoint);
    Ok(Some(Box::new(Crossed { endpoint, headers, body, _held: held, back })))
}

impl Crossed {
    /// What the target's path says where the body is silent.
    pub(crate) fn addressed(&self) -> Option<Arc<Addressed>> {
        let path = self.endpoint.path.split('?').next().unwrap_or_default();
        (self.back.from == Dialect::Gemini).then(|| door::addressed(path)).flatten().map(Arc::new)
    }

    /// What goes to the target.
    pub(crate) fn outbound<'a>(&'a self, upstream: &'a Upstream) -> Outbound<'a> {
        Outbound {
            base: &upstream.base,
            method: Method::POST,
            path_and_query: &self.endpoint.path,
            headers: self.headers.clone(),
            body: self.body.clone(),
            credential: upstream.credential.as_ref(),
        }
    }
}

fn no_memory() -> Failure {
    Failure::gateway(
        FailureKind::Overloaded,
        "there is no memory to translate the request body now (limits.bodies); try again in a moment",
    )
}

/// A translation that loses meaning is refused, with the field by its name.
fn refuse_losses(warnings: &Warnings, target: &Target) -> Result<(), Failure> {
    let Some(loss) = warnings.first_loss() else { return Ok(()) };
    Err(Failure::client(
        FailureKind::BadRequest,
        format!(
            "'{}' cannot be carried over to {}, which is asked in {}: {}; leave it out, route the model to a provider of \
             your dialect, or set translation.strict to false",
            loss.path, target.provider, target.dialect, loss.what
        ),
    ))
}

/// The client's headers, as far as another vendor may see and understand them. A credential goes no further than to
/// providers of the vendor whose dialect the client speaks.
fn request_headers(visitor: &Visitor, back: &WayBack, endpoint: &Endpoint) -> HeaderMap {
    let shares = cross::share_credentials(visitor.dialect, back.from);
    let is_kept = |name: &HeaderName| {
        let pays = !back.own_key && ACCOUNT_HEADERS.contains(&name.as_str());
        let is_own =
            OWN_HEADERS.contains(name) || OWN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        (pays || !is_own) && (shares || !headers::is_callers_own(name))
    };
    let mut headers = HeaderMap::with_capacity(visitor.headers.len() + 4);
    for (name, value) in visitor.headers.iter().filter(|(name, _)| is_kept(name)) {
        headers.append(name.clone(), value.clone());
    }
    let accept = if back.asked.stream { "text/event-stream" } else { "application/json" };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in endpoint.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}
