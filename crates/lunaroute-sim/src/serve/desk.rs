//! One request from its head to its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use lunaroute_core::Dialect;

use super::book::{Book, Pen, Played};
use super::control::control;
use super::playback::Playback;
use super::socket::Line;
use crate::bounded::BoundedMap;
use crate::compose::Composition;
use crate::provider::ProviderError;
use crate::request::{Body, DecodeError, Route, decode, header};
use crate::script::{Fault, Point, SCRIPT_HEADER, Script, ScriptError, ScriptedError, Source};
use crate::{Config, Outcome, RawResponse, wire};

mod answer;

/// Keys by which scripted failures are counted.
const COUNTED_KEYS: usize = 16_384;
/// Raw answers that can be registered.
const REGISTERED_ANSWERS: usize = 4_096;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends without an answer")]
pub(crate) struct Hangup;

type AnswerBody = Either<Playback, Full<Bytes>>;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) book: Arc<Book>,
    config: Config,
    failures: Mutex<BoundedMap<String, u32>>,
    registered: Mutex<BoundedMap<String, Arc<RawResponse>>>,
}

/// A request that was read whole.
struct Call<'a> {
    head: &'a Parts,
    route: &'a Route,
    bytes: &'a Bytes,
    /// The fields of the body without its content coding.
    body: Result<Body<'a>, Unreadable<'a>>,
    pen: &'a Pen,
}

/// Why a body's fields are not known.
enum Unreadable<'a> {
    Coding(&'a DecodeError),
    Json(serde_json::Error),
}

impl Desk {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            book: Arc::new(Book::new(&config)),
            config,
            failures: Mutex::new(BoundedMap::new(COUNTED_KEYS)),
            registered: Mutex::new(BoundedMap::new(REGISTERED_ANSWERS)),
        }
    }

    pub(crate) fn register(&self, name: String, response: RawResponse) -> Result<(), ProviderError> {
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if registered.get(&name).is_none() && registered.len() >= REGISTERED_ANSWERS {
            return Err(ProviderError::RegistryFull { capacity: REGISTERED_ANSWERS });
        }
        let response = Arc::new(response);
        *registered.entry(name, || Arc::clone(&response)) = Arc::clone(&response);
        Ok(())
    }

    pub(crate) fn reset(&self) {
        self.book.reset();
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The answer to one request.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        line: Arc<Line>,
    ) -> Result<Response<AnswerBody>, Hangup> {
        let (head, incoming) = request.into_parts();
        if head.uri.path().starts_with("/sim/") {
            return Ok(control(self, &head).await.map(Either::Right));
        }
        let route = Route::of(&head);
        let mut pen = self.book.open(&head, &route);
        let body = match Limited::new(incoming, self.config.request_body_limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                let refusal = wire::error(route.dialect(), status, &pen.request_id, None, None);
                return Ok(play(Arc::new(refusal), &Script::default(), pen, line, &head, &route));
            }
            Err(_) => return Err(Hangup),
        };
        pen.body(&body);
        let (script, composition) = self.respond(&head, &route, &body, &pen);
        if script.first_byte_delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(script.first_byte_delay_ms)).await;
        }
        if let Some(Fault::Cut { after: Point::Head, reset }) = script.fault
            && composition.outcome != Outcome::ErrorStatus
        {
            line.reset_at_end(reset);
            pen.close(Outcome::Cut, Played::default());
            return Err(Hangup);
        }
        Ok(play(composition, &script, pen, line, &head, &route))
    }

    /// Script and answer of a request.
    fn respond(&self, head: &Parts, route: &Route, bytes: &Bytes, pen: &Pen) -> (Script, Arc<Composition>) {
        let coding = header(&head.headers, "content-encoding");
        let decoded = decode(coding, bytes, self.config.request_body_limit);
        let body = match &decoded {
            Ok(decoded) => Body::read(decoded).map_err(Unreadable::Json),
            Err(error) => Err(Unreadable::Coding(error)),
        };
        let call = Call { head, route, bytes, body, pen };
        pen.asked(call.model(), call.streams());
        let answered = call.script().and_then(|script| {
            let composition = self.composition(&call, &script)?;
            Ok((script, composition))
        });
        answered
            .unwrap_or_else(|error| (Script::default(), call.refuse(&format!("{SCRIPT_HEADER}: {error}"))))
    }

    /// Whether this request is one of those that fail.
    fn fails(&self, call: &Call<'_>, script: &Script) -> bool {
        let Some(error) = &script.error else { return false };
        let Some(times) = error.times else { return true };
        let key = ["idempotency-key", "x-test-id"]
            .iter()
            .find_map(|name| header(&call.head.headers, name).map(|value| format!("{name}: {value}")))
            .or_else(|| script.id.as_ref().map(|id| format!("script: {id}")))
            .unwrap_or_else(|| format!("body: {}", blake3::hash(call.bytes).to_hex()));
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key, || 0);
        let fails = *count < times;
        *count += u32::from(fails);
        fails
    }

    fn composition(&self, call: &Call<'_>, script: &Script) -> Result<Arc<Composition>, ScriptError> {
        if let Some(error) = &script.error
            && self.fails(call, script)
        {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(call.error(status, None, Some(error)));
        }
        let composition = match &script.source {
            Source::Model => return Ok(self.model_answer(call, script)),
            Source::Echo => call.echo(),
            Source::EchoStream => call.echo_stream(),
            Source::Inline(inline) => answer::inline(inline)?,
            Source::Registered(name) => {
                let registered =
                    self.registered.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
                let raw = registered.ok_or_else(|| ScriptError::NotRegistered { name: name.clone() })?;
                answer::raw(&raw)
            }
        };
        Ok(Arc::new(composition.deliver(script)))
    }
}

/// Makes the response that plays a composition.
fn play(
    composition: Arc<Composition>,
    script: &Script,
    pen: Pen,
    line: Arc<Line>,
    head: &Parts,
    route: &Route,
) -> Response<AnswerBody> {
    pen.status(composition.status.as_u16());
    let request_id = HeaderValue::from_str(&pen.request_id).expect("letters, digits and underscores");
    let number = HeaderValue::from(pen.number);
    let mut response = Response::new(());
    *response.status_mut() = composition.status;
    *response.headers_mut() = composition.headers.clone();
    let named = if route.dialect() == Dialect::Anthropic { "request-id" } else { "x-request-id" };
    let headers = response.headers_mut();
    headers.entry(named).or_insert(request_id);
    headers.insert("x-sim-request", number);
    let shared_connection = head.version == Version::HTTP_2;
    if script.close_delimited && !shared_connection {
        // An HTTP/1.0 head without a length: the body ends with the connection.
        *response.version_mut() = Version::HTTP_10;
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
    }
    let composition =
        if head.method == Method::HEAD { Arc::new(composition.without_body()) } else { composition };
    response.map(|()| Either::Left(Playback::new(composition, script, pen, line, shared_connection)))
}

impl Call<'_> {
    fn model(&self) -> Option<String> {
        let in_path = self.route.model().map(str::to_owned);
        in_path.or_else(|| self.body.as_ref().ok().and_then(Body::model))
    }

    fn streams(&self) -> bool {
        self.route.streams() || self.body.as_ref().is_ok_and(Body::stream)
    }

    /// The script that the request chooses.
    fn script(&self) -> Result<Script, ScriptError> {
        match self.head.headers.get(SCRIPT_HEADER) {
            Some(value) => String::from_utf8_lossy(value.as_bytes()).parse(),
            None => Ok(self.model().as_deref().and_then(Script::of_model).unwrap_or_default()),
        }
    }

    fn error(
        &self,
        status: StatusCode,
        text: Option<&str>,
        error: Option<&ScriptedError>,
    ) -> Arc<Composition> {
        Arc::new(wire::error(self.route.dialect(), status, &self.pen.request_id, text, error))
    }

    fn refuse(&self, text: &str) -> Arc<Composition> {
        self.error(StatusCode::BAD_REQUEST, Some(text), None)
    }
}
