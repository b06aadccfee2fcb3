//! Requests for no tokens at all, by which clients of Anthropic fill its cache: another vendor would refuse them, so they are
//! answered here.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use lunaroute_core::{Ending, Operation, ResponseHead};
use lunaroute_dialect::cross::{self, Asked};
use lunaroute_ingress::Reply;
use lunaroute_routing::Plan;

use crate::desk::Desk;
use crate::foreign::EVENT_STREAM;
use crate::guest_book::Entry;
use crate::house::House;
use crate::visitor::Visitor;
use crate::way_out;

/// Whether nothing is asked for, of a provider of another dialect.
pub(crate) fn is_one(visitor: &Visitor, desk: &Desk, plan: &Plan) -> bool {
    let is_foreign = plan.targets.first().is_some_and(|target| target.dialect != visitor.dialect);
    is_foreign && visitor.operation == Operation::Messages && desk.peek.wants_nothing
}

/// The answer that has nothing in it.
pub(crate) fn answer(house: &House, visitor: &Visitor, desk: &Desk, mut entry: Entry) -> Response<Reply> {
    let mut asked = Asked::default();
    asked.model = desk.model().unwrap_or_default().to_owned();
    asked.stream = desk.peek.stream == Some(true);
    asked.answer_id = visitor.id.to_string().replace('-', "");
    let body = Bytes::from(cross::told_nothing(visitor.dialect, &asked));
    let mut response = way_out::json(StatusCode::OK, body.clone());
    if asked.stream {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    }
    let response = way_out::finish(house, response, visitor.id, &visitor.headers);
    entry.response_started(&ResponseHead { status: 200, headers: Arc::new(response.headers().clone()) });
    entry.frame(&body);
    entry.close(Ending::Completed, None);
    response
}
