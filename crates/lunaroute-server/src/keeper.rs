//! The keeper: remembers the answers that a client may go on from and no provider will know.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Response, header};
use http_body::{Body, Frame, SizeHint};
use lunaroute_core::Operation;
use lunaroute_dialect::responses::{self, AnswerItems};
use lunaroute_dialect::sse::Framer;
use lunaroute_ingress::{Broken, Reply, Share};

use crate::desk::Desk;
use crate::gate::{Passage, Transcode};
use crate::house::House;
use crate::response_store::{CallerId, Chain, ResponseStore, Thread};
use crate::visitor::Visitor;

/// Gathers one answer of Responses and keeps it when it is whole.
pub(crate) struct Keeper {
    store: Arc<ResponseStore>,
    answer: AnswerItems,
    /// The conversation before this request.
    before: Chain,
    /// The request's own items.
    asked: Vec<u8>,
    /// The caller, when it may be asked for beyond the connection.
    caller: Option<CallerId>,
    thread: Option<Arc<Thread>>,
    stored_by: Option<Arc<str>>,
    limit: usize,
    /// The memory that the request's items and the answer take until they are kept.
    held: Share,
}

impl Keeper {
    /// A keeper for the answer to this request. `None` for one that its provider remembers, or that nobody shall.
    pub(crate) fn of(house: &House, visitor: &Visitor, desk: &Desk, passage: &Passage) -> Option<Self> {
        let is_foreign = matches!(passage.transcode, Transcode::Cross(_));
        if visitor.operation != Operation::Responses || !is_foreign && visitor.thread.is_none() {
            return None;
        }
        let body = desk.plain_body(visitor);
        let is_stored = responses::is_stored(body);
        let caller = (is_foreign && is_stored).then(|| house.responses.caller(&visitor.headers));
        if caller.is_none() && visitor.thread.is_none() {
            return None;
        }
        let asked = responses::input_items(body).unwrap_or_default();
        let Some(held) = house.limits.bodies.take(asked.len()) else {
            forget();
            return None;
        };
        Some(Self {
            store: Arc::clone(&house.responses),
            answer: AnswerItems::new(!is_foreign),
            before: desk.earlier().cloned().unwrap_or_default(),
            asked,
            caller,
            thread: visitor.thread.clone(),
            stored_by: (!is_foreign && is_stored).then(|| Arc::clone(&passage.provider)),
            limit: house.limits.decoded_body,
            held,
        })
    }

    /// Takes the data of one event; `None` once there is nothing more to do.
    pub(crate) fn event(mut self, data: &[u8]) -> Option<Self> {
        let before = self.answer.size();
        self.answer.event(data);
        if !self.held.grow(self.answer.size().saturating_sub(before)) {
            forget();
            return None;
        }
        if self.answer.is_whole() {
            self.keep();
            return None;
        }
        (self.answer.size() <= self.limit).then_some(self)
    }

    /// Takes an answer of one piece.
    fn whole(mut self, body: &[u8]) {
        self.answer.answer(body);
        self.keep();
    }

    fn keep(self) {
        let Some((id, items)) = self.answer.finish() else { return };
        let Some(mut chain) = self.store.extend(&self.before, [self.asked, items]) else {
            return forget();
        };
        chain.stored_by = self.stored_by;
        if let Some(caller) = self.caller {
            self.store.keep(caller, id.clone(), chain.clone(), Instant::now());
        }
        if let Some(thread) = self.thread {
            thread.keep(id, chain);
        }
    }

    /// Looks at an answer on its way to the client, which is not changed.
    pub(crate) fn watch(self, response: Response<Reply>) -> Response<Reply> {
        if !response.status().is_success() {
            return response;
        }
        let form = response.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        let framer = form.is_some_and(|form| form.starts_with(b"text/event-stream")).then(Framer::new);
        response.map(|reply| Reply::gathered(Watched { reply, framer, keeper: Some(self) }))
    }
}

fn forget() {
    tracing::debug!("no memory to remember an answer; the client will have to send its conversation");
}

/// An answer that a keeper looks at. It is kept before its last piece is handed over, so that a client can go on from it at
/// once.
struct Watched {
    reply: Reply,
    /// Absent for an answer of one piece.
    framer: Option<Framer>,
    keeper: Option<Keeper>,
}

impl Watched {
    fn see(&mut self, data: &Bytes) {
        let Some(framer) = &mut self.framer else {
            if let Some(keeper) = self.keeper.take() {
                keeper.whole(data);
            }
            return;
        };
        let keeper = &mut self.keeper;
        framer.push(data, |event| {
            *keeper = keeper.take().and_then(|keeper| keeper.event(event.data));
        });
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(Pin::new(&mut self.reply).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && self.keeper.is_some()
        {
            self.see(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}
