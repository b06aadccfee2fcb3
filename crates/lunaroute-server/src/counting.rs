//! How long a request is, for a client whose question its provider does not know: estimated here, and said to be.

use http::header::HeaderName;
use http::{HeaderValue, Response, StatusCode};
use lunaroute_core::{Ending, Failure, FailureKind, Operation, ResponseHead};
use lunaroute_dialect::cross;
use lunaroute_ingress::Reply;
use lunaroute_routing::Plan;
use std::sync::Arc;

use crate::desk::Desk;
use crate::guest_book::Entry;
use crate::house::House;
use crate::visitor::Visitor;
use crate::way_out;

/// Names the figure of an answer that was estimated instead of counted.
const ESTIMATED: HeaderName = HeaderName::from_static("x-lunaroute-estimated");

/// Tokens of the request, when its length is asked and its provider is one of another dialect.
///
/// # Errors
/// `bad_request` when the request cannot be read, `overloaded` when there is no memory to take it apart.
pub(crate) fn estimate(
    house: &House,
    visitor: &Visitor,
    desk: &Desk,
    plan: &Plan,
) -> Result<Option<u64>, Failure> {
    let is_foreign = plan.targets.first().is_some_and(|target| target.dialect != visitor.dialect);
    if visitor.operation != Operation::CountTokens || !is_foreign {
        return Ok(None);
    }
    let plain = desk.plain_body(visitor);
    let _taken_apart = house.limits.bodies.take(plain.len()).ok_or_else(|| {
        let message =
            "there is no memory to count the request body now (limits.bodies); try again in a moment";
        Failure::gateway(FailureKind::Overloaded, message)
    })?;
    let conversation = cross::decode_request(visitor.dialect, plain)?;
    Ok(Some(cross::estimate(&conversation)))
}

/// The estimate in the caller's dialect.
pub(crate) fn answer(house: &House, visitor: &Visitor, tokens: u64, mut entry: Entry) -> Response<Reply> {
    let body = cross::told_tokens(visitor.dialect, tokens).unwrap_or_default();
    let mut response = way_out::json(StatusCode::OK, body.clone());
    response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("input_tokens"));
    let response = way_out::finish(house, response, visitor.id, &visitor.headers);
    entry.response_started(&ResponseHead { status: 200, headers: Arc::new(response.headers().clone()) });
    entry.frame(&body);
    entry.close(Ending::Completed, None);
    response
}
