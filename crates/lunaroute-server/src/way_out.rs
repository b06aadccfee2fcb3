//! The way out: the head of an answer, and answers that are refusals.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use lunaroute_core::{
    Dialect, Ending, Failure, FailureKind, Operation, RequestId, ResponseHead, Retry, Side,
};
use lunaroute_dialect::{EndWatch, error, models};
use lunaroute_egress::Inbound;
use lunaroute_ingress::{Gathered, Reply, cors, request_id};

use crate::foreign;
use crate::gate::{Passage, Transcode};
use crate::guest_book::Entry;
use crate::house::House;
use crate::tap::{Bodiless, EventStream, Tap};
use crate::visitor::Visitor;

/// Largest list of models that is added to.
const MODELS_LIMIT: usize = 8 * 1024 * 1024;

/// Seconds that a caller is asked to wait when the gateway is overloaded.
const OVERLOADED_WAIT: u64 = 1;

/// The provider's answer on its way to the client.
pub(crate) async fn answer(
    house: &House,
    visitor: &Visitor,
    passage: Passage,
    mut entry: Entry,
) -> Response<Reply> {
    let Passage { inbound, provider, transcode } = passage;
    if let Transcode::Cross(back) = transcode {
        // On the heap, so that those who need no translation do not carry the room for one.
        return Box::pin(foreign::answer(house, visitor, inbound, provider, *back, entry)).await;
    }
    if visitor.operation == Operation::Models && house.offers_models() {
        return offered_models(house, visitor, Some(inbound), entry).await;
    }
    let Inbound { status, headers, body, .. } = inbound;
    let head = ResponseHead { status: status.as_u16(), headers: Arc::new(headers) };
    entry.response_started(&head);
    if body.is_end_stream() {
        // Nobody asks a body that has nothing for its end.
        entry.close(Ending::Completed, None);
        let response = with_head(Reply::stream(Bodiless), status, head);
        return finish(house, response, visitor.id, &visitor.headers);
    }
    let readable =
        head.is_event_stream() && status.is_success() && !head.headers.contains_key(header::CONTENT_ENCODING);
    let stream = (readable && visitor.operation.is_generation()).then(|| EventStream {
        watch: EndWatch::new(visitor.dialect, visitor.operation),
        dialect: visitor.dialect,
        id: visitor.id,
        provider,
        sized: head.headers.contains_key(header::CONTENT_LENGTH),
    });
    let body = if stream.is_some() { house.gather(body, visitor) } else { Gathered::new(body) };
    let reply = Reply::gathered(Tap::new(body, entry, stream, &house.streaming));
    finish(house, with_head(reply, status, head), visitor.id, &visitor.headers)
}

fn with_head(reply: Reply, status: StatusCode, head: ResponseHead) -> Response<Reply> {
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    *response.headers_mut() = Arc::unwrap_or_clone(head.headers);
    response
}

/// An answer of the gateway's own, because the request failed before there was another.
pub(crate) async fn refuse(
    house: &House,
    visitor: &Visitor,
    failure: &Failure,
    mut entry: Entry,
) -> Response<Reply> {
    if failure.side == Side::Upstream && visitor.operation == Operation::Models && house.offers_models() {
        return offered_models(house, visitor, None, entry).await;
    }
    let ending = match failure.side {
        Side::Upstream => Ending::UpstreamError,
        Side::Gateway => Ending::GatewayError,
        // The caller's own mistake, and it gets the whole answer to it.
        Side::Client => Ending::Completed,
    };
    let response = refusal(house, visitor.dialect, visitor.id, failure, &visitor.headers);
    entry.response_started(&ResponseHead {
        status: response.status().as_u16(),
        headers: Arc::new(response.headers().clone()),
    });
    entry.close(ending, Some(failure));
    response
}

/// A refusal in the caller's dialect.
pub(crate) fn refusal(
    house: &House,
    dialect: Dialect,
    id: RequestId,
    failure: &Failure,
    asked: &HeaderMap,
) -> Response<Reply> {
    let (status, body) = error::render(dialect, failure, &id.to_string());
    let mut response = json(status, body);
    let wait = match failure.retry {
        Retry::After(wait) => Some(wait.as_secs().max(1)),
        _ if failure.kind == FailureKind::Overloaded => Some(OVERLOADED_WAIT),
        _ => None,
    };
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if failure.kind == FailureKind::UpgradeRequired {
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
    }
    finish(house, response, id, asked)
}

/// A JSON answer of the gateway's own.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What every answer gets: its name, and what lets an allowed web page read it.
pub(crate) fn finish<T>(
    house: &House,
    mut response: Response<T>,
    id: RequestId,
    asked: &HeaderMap,
) -> Response<T> {
    request_id::place(response.headers_mut(), id);
    cors::decorate(response.headers_mut(), asked, &house.ingress);
    response
}

/// The provider's list of models with the configured names behind it; the configured ones alone when the provider gave
/// no list.
async fn offered_models(
    house: &House,
    visitor: &Visitor,
    inbound: Option<Inbound>,
    mut entry: Entry,
) -> Response<Reply> {
    let shape = models::Shape::of(visitor.dialect, &visitor.headers, visitor.uri.query());
    let list = match inbound {
        Some(inbound) if inbound.status.is_success() => {
            Limited::new(inbound.body, MODELS_LIMIT).collect().await.map(|body| body.to_bytes()).ok()
        }
        _ => None,
    };
    let body = models::merge(shape, &list.unwrap_or_default(), &house.models);
    let response = finish(house, json(StatusCode::OK, body.clone()), visitor.id, &visitor.headers);
    entry.response_started(&ResponseHead { status: 200, headers: Arc::new(response.headers().clone()) });
    entry.frame(&body);
    entry.close(Ending::Completed, None);
    response
}
