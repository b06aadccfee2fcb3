//! Responses over WebSocket: each `response.create` takes the same walk as a POST, one after the other, and the events of
//! its answer are messages. A client that hangs up cancels what it asked for.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use http_body_util::BodyExt;
use lunaroute_core::{Dialect, Failure, FailureKind, Operation, RequestId, Retry, Timestamp, headers};
use lunaroute_dialect::coding::StreamDecoder;
use lunaroute_dialect::error;
use lunaroute_dialect::responses::{self, Create};
use lunaroute_dialect::sse::Framer;
use lunaroute_ingress::websocket::{self, Farewell, Gone, Message, Settings, WebSocket};
use lunaroute_ingress::{Reply, Share};

use crate::house::House;
use crate::keeper::Keeper;
use crate::reception;
use crate::response_store::{Chain, Thread, unknown_response};
use crate::visitor::Visitor;
use crate::walk::{self, Served};

/// Messages that may wait for their turn. Clients send one and wait for its answer, or one for each of a few lanes.
const MOST_WAITING: usize = 16;

/// The value of `openai-beta` by which a client asks for WebSocket; a provider that is asked over HTTP need not see it.
const BETA: &str = "responses_websockets";

/// Accepts the handshake of a client that speaks Responses over WebSocket.
///
/// # Errors
/// When it is none; see [`websocket::accept`].
pub(crate) fn open(
    house: &Arc<House>,
    mut head: Parts,
    client_ip: IpAddr,
) -> Result<Response<Reply>, Failure> {
    let settings = Settings {
        message_limit: house.ingress.body_limit_bytes,
        bodies: Arc::clone(&house.limits.bodies),
        idle: house.limits.websocket_idle,
    };
    let headers = Arc::new(request_headers(&head.headers));
    let (uri, house) = (head.uri.clone(), Arc::clone(house));
    websocket::accept(&mut head, settings, move |socket| {
        let (thread, waiting) = (Arc::default(), VecDeque::new());
        Dialogue { house, uri, headers, client_ip, socket, waiting, thread }.hold()
    })
}

/// The handshake's headers as those of a POST with a stream for its answer.
fn request_headers(handshake: &HeaderMap) -> HeaderMap {
    let mut kept = handshake.clone();
    headers::strip_hop_by_hop(&mut kept);
    for name in [
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_VERSION,
        header::SEC_WEBSOCKET_EXTENSIONS,
        header::SEC_WEBSOCKET_PROTOCOL,
        // Whatever the provider packs has to be unpacked here, for messages are text.
        header::ACCEPT_ENCODING,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
    ] {
        kept.remove(name);
    }
    kept.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    kept.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(beta) = kept.remove("openai-beta") {
        let named = beta.to_str().unwrap_or_default().split(',').map(str::trim);
        let others: Vec<&str> = named.filter(|name| !name.starts_with(BETA)).collect();
        if let (false, Ok(others)) = (others.is_empty(), HeaderValue::from_str(&others.join(","))) {
            kept.insert("openai-beta", others);
        }
    }
    kept
}

/// One connection.
struct Dialogue {
    house: Arc<House>,
    uri: Uri,
    headers: Arc<HeaderMap>,
    client_ip: IpAddr,
    socket: WebSocket,
    /// Messages that came while another was answered.
    waiting: VecDeque<Message>,
    thread: Arc<Thread>,
}

impl Dialogue {
    async fn hold(mut self) {
        loop {
            let message = match self.waiting.pop_front() {
                Some(message) => message,
                None => match self.socket.next().await {
                    Some(message) => message,
                    None => return,
                },
            };
            if self.turn(message).await.is_err() {
                return;
            }
        }
    }

    /// Answers one message.
    async fn turn(&mut self, Message { text, held }: Message) -> Result<(), Gone> {
        let frame = responses::read_frame(&text);
        drop(text);
        let lane = frame.stream_id.as_deref();
        let id = RequestId::generate();
        let create = match frame.asked {
            Ok(create) => create,
            Err(failure) => return self.refuse(&failure, id, lane).await,
        };
        if create.is_warm_up {
            return self.warm_up(&create, id, lane).await;
        }
        let Some(place) = self.house.limits.requests.take(1) else {
            return self.refuse(&reception::no_place(), id, lane).await;
        };
        let visitor = self.visitor(id, create, held);
        let house = Arc::clone(&self.house);
        let served = self.meanwhile(Box::pin(walk::serve(&house, visitor, place))).await?;
        self.answer(served, lane).await
    }

    /// The request as if it had come by POST.
    fn visitor(&self, id: RequestId, create: Create, held: Share) -> Visitor {
        Visitor {
            id,
            dialect: Dialect::OpenaiResponses,
            addressed: None,
            operation: Operation::Responses,
            method: Method::POST,
            uri: self.uri.clone(),
            headers: Arc::clone(&self.headers),
            body: create.body,
            _held: held,
            client_ip: self.client_ip,
            received_at: Timestamp::now(),
            started: Instant::now(),
            thread: Some(Arc::clone(&self.thread)),
        }
    }

    /// Nothing is asked of a model: what was sent is remembered under an id, from which the next request goes on.
    async fn warm_up(&mut self, create: &Create, id: RequestId, lane: Option<&str>) -> Result<(), Gone> {
        let before = match previous(&create.body) {
            None => Chain::default(),
            Some(earlier) => match self.house.earlier(&self.headers, Some(&self.thread), &earlier) {
                Some(chain) => chain,
                None => return self.refuse(&unknown_response(&earlier), id, lane).await,
            },
        };
        let name = format!("resp_{}", id.to_string().replace('-', ""));
        let items = responses::input_items(&create.body).unwrap_or_default();
        let Some(chain) = self.house.responses.extend(&before, [items, Vec::new()]) else {
            return self.refuse(&no_memory(), id, lane).await;
        };
        self.thread.keep(name.clone(), chain);
        let created = u64::try_from(Timestamp::now().as_millis() / 1_000).unwrap_or_default();
        self.socket.send(responses::warm_up(&create.body, &name, created, lane)).await
    }

    /// An error of the gateway's own, before the walk. The connection lives on.
    async fn refuse(&mut self, failure: &Failure, id: RequestId, lane: Option<&str>) -> Result<(), Gone> {
        self.house.metrics.refused(failure.kind);
        self.fail(failure, id, lane).await
    }

    async fn fail(&mut self, failure: &Failure, id: RequestId, lane: Option<&str>) -> Result<(), Gone> {
        let (status, body) = error::render(Dialect::OpenaiResponses, failure, &id.to_string());
        self.socket.send([responses::error_frame(status, &HeaderMap::new(), &body, lane)]).await
    }

    /// Sends an answer, event by event.
    async fn answer(&mut self, served: Served, lane: Option<&str>) -> Result<(), Gone> {
        let Served { id, response, keeper } = served;
        let (head, body) = response.into_parts();
        let coding = head.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
        let decoder = match StreamDecoder::with_limit(coding, self.house.limits.decoded_body) {
            Ok(decoder) => decoder,
            Err(error) => return self.fail(&unreadable(&error.to_string()), id, lane).await,
        };
        let form = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let streams = form.is_some_and(|form| form.starts_with(b"text/event-stream"));
        if streams && head.status.is_success() {
            return match self.events(body, decoder, keeper, lane).await? {
                Ok(()) => Ok(()),
                Err(failure) => self.fail(&failure, id, lane).await,
            };
        }
        match self.whole(body, decoder).await? {
            Err(failure) => self.fail(&failure, id, lane).await,
            Ok(_) if head.status.is_success() => {
                let failure = unreadable("it is no stream of events");
                self.fail(&failure, id, lane).await
            }
            Ok(body) => {
                self.socket.send([responses::error_frame(head.status, &head.headers, &body, lane)]).await
            }
        }
    }

    /// The events of a stream as messages. An error of the stream itself is one of them.
    async fn events(
        &mut self,
        mut body: Reply,
        mut decoder: StreamDecoder,
        mut keeper: Option<Keeper>,
        lane: Option<&str>,
    ) -> Result<Result<(), Failure>, Gone> {
        let mut framer = Framer::new();
        while let Some(frame) = self.meanwhile(body.frame()).await? {
            let data = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(broken) => return Ok(Err(broken.failure)),
            };
            let mut texts = Vec::new();
            let read = decoder.each(&data, |piece| {
                framer.push(piece, |event| {
                    keeper = keeper.take().and_then(|keeper| keeper.event(event.data));
                    texts.extend(responses::event_frame(event.data, lane));
                });
            });
            if !texts.is_empty() {
                self.socket.send(texts).await?;
            }
            if let Err(error) = read {
                return Ok(Err(unreadable(&error.to_string())));
            }
        }
        let mut texts = Vec::new();
        framer.finish(|event| {
            keeper = keeper.take().and_then(|keeper| keeper.event(event.data));
            texts.extend(responses::event_frame(event.data, lane));
        });
        self.socket.send(texts).await?;
        Ok(Ok(()))
    }

    /// An answer of one piece, an error as a rule. One beyond the limit is cut: its status says enough.
    async fn whole(
        &mut self,
        mut body: Reply,
        mut decoder: StreamDecoder,
    ) -> Result<Result<BytesMut, Failure>, Gone> {
        let limit = self.house.limits.decoded_body;
        let mut whole = BytesMut::new();
        while let Some(frame) = self.meanwhile(body.frame()).await? {
            let data = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(broken) => return Ok(Err(broken.failure)),
            };
            let room = |whole: &BytesMut| limit.saturating_sub(whole.len());
            let read =
                decoder.each(&data, |piece| whole.extend_from_slice(&piece[..piece.len().min(room(&whole))]));
            if let Err(error) = read {
                return Ok(Err(unreadable(&error.to_string())));
            }
        }
        Ok(Ok(whole))
    }

    /// Does something, and listens to the client at the same time.
    async fn meanwhile<F: Future>(&mut self, work: F) -> Result<F::Output, Gone> {
        let mut work = pin!(work);
        loop {
            let message = tokio::select! {
                biased;
                done = work.as_mut() => return Ok(done),
                message = self.socket.hear() => message.ok_or(Gone)?,
            };
            if self.waiting.len() == MOST_WAITING {
                self.socket.close(Farewell::Overloaded).await;
                return Err(Gone);
            }
            self.waiting.push_back(message);
        }
    }
}

/// The answer that a request goes on from.
fn previous(body: &[u8]) -> Option<String> {
    lunaroute_dialect::peek(Dialect::OpenaiResponses, body).hints.previous_response_id
}

fn no_memory() -> Failure {
    let message = "there is no memory to remember this request now (responses.memory); try again in a moment";
    Failure::gateway(FailureKind::Overloaded, message)
}

fn unreadable(why: &str) -> Failure {
    let message = format!("the provider sent an answer that cannot be read: {why}");
    Failure::upstream(FailureKind::Protocol, Retry::Never, message)
}
