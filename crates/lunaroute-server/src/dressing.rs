//! How a request is dressed for its target. Where the dialects match that is the client's own bytes; a model that the
//! target knows under another name, and the request for token figures, are put in by cutting, never by writing the
//! document anew.

use std::borrow::Cow;

use bytes::Bytes;
use http::header;
use lunaroute_core::{Dialect, Operation};
use lunaroute_dialect::splice;
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
    let plain = desk.plain_body(visitor);
    let body = match splice(plain, &desk.peek, target.upstream_model.as_deref(), usage) {
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
