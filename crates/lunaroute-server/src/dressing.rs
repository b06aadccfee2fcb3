//! How a request is dressed for its target. Where the dialects match that is the client's own bytes; a model that the
//! target knows under another name, and the request for token figures, are put in by cutting, never by writing the
//! document anew. Reasoning that the gateway sealed for the client while another vendor answered is cut out: its own
//! vendor would refuse it. A request that goes on from an answer that its provider does not know gets the conversation.

use std::borrow::Cow;

use bytes::Bytes;
use http::header;
use lunaroute_core::{Dialect, Operation};
use lunaroute_dialect::{peek, repair, splice, without_tagged};
use lunaroute_egress::Outbound;
use lunaroute_ingress::door;
use lunaroute_routing::Target;

use crate::desk::Desk;
use crate::house::{House, Upstream};
use crate::visitor::Visitor;

/// Path and query for the provider.
pub(crate) fn path(visitor: &Visitor) -> Cow<'_, str> {
    door::upstream_path(visitor.path_and_query())
}

/// The same for a target, which may know a model that the path names under another name.
pub(crate) fn path_for<'a>(visitor: &Visitor, target: &Target, path_and_query: &'a str) -> Cow<'a, str> {
    match target.upstream_model.as_deref().filter(|_| visitor.addressed.is_some()) {
        Some(model) => door::rename_model(path_and_query, model),
        None => Cow::Borrowed(path_and_query),
    }
}

/// The body with what its model would refuse put right, where the rule says so; `edited` is what was edited already.
fn repaired(
    house: &House,
    visitor: &Visitor,
    desk: &Desk,
    target: &Target,
    edited: Option<Bytes>,
) -> Option<Bytes> {
    if !target.repair {
        return edited;
    }
    let body = edited.as_ref().unwrap_or_else(|| desk.plain_body(visitor));
    let model = target.upstream_model.as_deref().or_else(|| desk.model()).unwrap_or_default();
    let repaired = repair(visitor.dialect, body, &house.catalog.facts(model));
    if repaired.is_some() {
        tracing::info!(request = %visitor.id, model, "the request was repaired for its model");
    }
    repaired.or(edited)
}

/// What goes to the target.
pub(crate) fn dress<'a>(
    house: &'a House,
    visitor: &Visitor,
    desk: &Desk,
    target: &Target,
    upstream: &'a Upstream,
    path_and_query: &'a str,
) -> Outbound<'a> {
    let mut headers = (*visitor.headers).clone();
    let usage = house.streaming.include_usage && visitor.dialect == Dialect::OpenaiChat;
    let completed = desk.completed_body(&target.provider);
    let plain = completed.unwrap_or_else(|| desk.plain_body(visitor));
    let model = target.upstream_model.as_deref();
    // Only a gateway that translates can have sealed anything for its clients.
    let unsealed = house.translates.then(|| without_tagged(visitor.dialect, plain)).flatten();
    let edited = match repaired(house, visitor, desk, target, unsealed.or_else(|| completed.cloned())) {
        None => splice(plain, &desk.peek, model, usage),
        Some(edited) => {
            let peek = peek(visitor.dialect, &edited);
            Some(splice(&edited, &peek, model, usage).unwrap_or(edited))
        }
    };
    let body = match edited {
        Some(edited) => {
            // The edit was made in the plain form, which is what travels now.
            headers.remove(header::CONTENT_ENCODING);
            edited
        }
        None => Bytes::clone(&visitor.body),
    };
    if visitor.operation == Operation::Models && house.offers_models() {
        // The list is read and added to, so it has to come in a form that can be read.
        headers.remove(header::ACCEPT_ENCODING);
    }
    Outbound {
        base: &upstream.base,
        method: visitor.method.clone(),
        path_and_query,
        headers,
        body,
        credential: upstream.credential.as_ref(),
    }
}
