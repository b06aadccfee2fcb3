//! Who comes in: what the gateway answers itself goes no further, what is unclear is turned away, and the body is read.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Response};
use lunaroute_core::{Dialect, Failure, FailureKind, RequestId};
use lunaroute_ingress::{Arrival, Reply, Share, cors, door, hygiene, read_body, trace_context::TraceContext};

use crate::house::House;
use crate::lobby;
use crate::socket;
use crate::visitor::Visitor;
use crate::way_out;

/// What reception did with an arrival.
pub(crate) enum Received {
    /// It may walk on, and takes a place among the requests in flight.
    Visitor(Visitor, Share),
    /// It has its answer already.
    Answered(Response<Reply>),
}

/// Checks the head, answers what needs no provider, and reads the body.
pub(crate) async fn receive(house: &Arc<House>, arrival: Arrival) -> Received {
    let Arrival { mut head, body, peer, received_at, started, is_crowded } = arrival;
    if let Some(answer) = cors::preflight(&head, &house.ingress) {
        return Received::Answered(answer);
    }
    let id = RequestId::generate();
    let door = door::classify(&head.method, &head.uri, &head.headers);
    let dialect = door.dialect.unwrap_or(Dialect::OpenaiChat);
    let checked = hygiene::check_headers(&head)
        .and_then(|()| hygiene::check_origin(&head, &house.ingress, house.local));
    TraceContext::take_up(&mut head.headers);
    let turn_away =
        |failure: &Failure| Received::Answered(refused(house, dialect, id, failure, &head.headers));
    if let Err(failure) = checked {
        return turn_away(&failure);
    }
    if let Some(probe) = door.probe {
        return Received::Answered(lobby::answer(house, probe, id, &head.headers));
    }
    let Some(dialect) = door.dialect else {
        return turn_away(&nobodys_path(&head.method, head.uri.path()));
    };
    if door::is_upgrade(&head.headers) {
        let asked = head.headers.clone();
        if is_crowded {
            return turn_away(&no_place());
        }
        return match upgrade(house, head, peer.ip()) {
            Ok(response) => Received::Answered(way_out::finish(house, response, id, &asked)),
            Err(failure) => Received::Answered(refused(house, dialect, id, &failure, &asked)),
        };
    }
    // Whoever finds no place is told so before a byte of the body is read.
    let place = if is_crowded { None } else { house.limits.requests.take(1) };
    let Some(place) = place else {
        return turn_away(&no_place());
    };
    let mut held = house.limits.bodies.begin();
    let body = match read_body(body, &house.ingress, &mut held).await {
        Ok(body) => body,
        Err(failure) => return turn_away(&failure),
    };
    // What is forwarded is what is decided about.
    let addressed = (dialect == Dialect::Gemini)
        .then(|| door::addressed(&door::upstream_path(head.uri.path())))
        .flatten()
        .map(Arc::new);
    let visitor = Visitor {
        id,
        dialect,
        operation: door.operation,
        method: head.method,
        uri: head.uri,
        addressed,
        headers: Arc::new(head.headers),
        body,
        _held: held,
        client_ip: peer.ip(),
        received_at,
        started,
        thread: None,
    };
    Received::Visitor(visitor, place)
}

/// The answer to somebody who goes no further.
fn refused(
    house: &House,
    dialect: Dialect,
    id: RequestId,
    failure: &Failure,
    asked: &HeaderMap,
) -> Response<Reply> {
    house.metrics.refused(failure.kind);
    way_out::refusal(house, dialect, id, failure, asked)
}

/// Somebody wants to speak WebSocket.
fn upgrade(house: &Arc<House>, head: Parts, client_ip: IpAddr) -> Result<Response<Reply>, Failure> {
    if !house.websocket || !door::is_responses_socket(&head.method, &head.uri) {
        return Err(Failure::client(
            FailureKind::UpgradeRequired,
            "WebSocket is not spoken here; send the same request as an HTTP POST",
        ));
    }
    socket::open(house, head, client_ip)
}

pub(crate) fn no_place() -> Failure {
    Failure::gateway(
        FailureKind::Overloaded,
        "the gateway serves as many requests as it may (limits.requests, limits.connections); try again in a moment",
    )
}

fn nobodys_path(method: &http::Method, path: &str) -> Failure {
    let shown: String = path.chars().take(200).collect();
    Failure::client(
        FailureKind::NotFound,
        format!(
            "no provider has {method} {shown}; known are /v1/chat/completions, /v1/responses, /v1/messages, \
             /v1beta/models/MODEL:generateContent and the other paths of OpenAI, Anthropic and Gemini"
        ),
    )
}
