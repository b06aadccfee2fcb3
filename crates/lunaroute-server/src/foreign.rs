//! The way out for an answer of another dialect: its head, whole answers and errors in the caller's words, and streams
//! up to their first event, so that an error that comes instead of an answer still has a status.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use lunaroute_core::{Dialect, Ending, Failure, FailureKind, ResponseHead, Retry};
use lunaroute_dialect::coding::StreamDecoder;
use lunaroute_dialect::cross::{self, Meaning, Translation};
use lunaroute_dialect::error::{ProviderError, upstream_error};
use lunaroute_egress::{Inbound, UpstreamBody, retry};
use lunaroute_ingress::{Reply, Share};

use crate::crossing::WayBack;
use crate::guest_book::Entry;
use crate::house::House;
use crate::translated::{Carrier, Translated};
use crate::visitor::Visitor;
use crate::way_out;

/// How long a stream may be silent before its status is told without knowing how it begins.
const STATUS_WAIT: Duration = Duration::from_secs(30);

/// Longest list of warnings in a header, in bytes.
const WARNINGS_LIMIT: usize = 4_096;

/// The fields that could not be carried over, comma separated.
const WARNINGS: HeaderName = HeaderName::from_static("x-lunaroute-warnings");

/// The model that the provider was asked for; the answer itself has the name that the caller used.
const MODEL: HeaderName = HeaderName::from_static("x-lunaroute-model");

/// The provider's own name of the request.
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-lunaroute-upstream-request-id");

/// A provider's answer on its way to a client of another dialect.
struct Foreign<'a> {
    house: &'a House,
    visitor: &'a Visitor,
    provider: Arc<str>,
    back: WayBack,
    status: StatusCode,
    /// The provider's.
    headers: HeaderMap,
    entry: Entry,
}

/// The provider's answer in the caller's dialect.
pub(crate) async fn answer(
    house: &House,
    visitor: &Visitor,
    inbound: Inbound,
    provider: Arc<str>,
    back: WayBack,
    mut entry: Entry,
) -> Response<Reply> {
    let Inbound { status, headers, body, .. } = inbound;
    house.metrics.translated(
        visitor.dialect,
        back.from,
        back.warnings.iter().map(|warning| warning.path.as_str()),
    );
    let head = ResponseHead { status: status.as_u16(), headers: Arc::new(headers) };
    entry.provider_response(&head);
    let streams = back.asked.stream && status.is_success() && head.is_event_stream();
    let headers = Arc::unwrap_or_clone(head.headers);
    let foreign = Foreign { house, visitor, provider, back, status, headers, entry };
    let decoder = match foreign.decoder() {
        Ok(decoder) => decoder,
        Err(failure) => return foreign.refuse(&failure).await,
    };
    if streams { foreign.stream(body, decoder).await } else { foreign.whole(body, decoder).await }
}

/// What came in place of an answer.
enum Instead {
    /// The provider's own error.
    Error(ProviderError),
    /// Nothing, or nothing that can be read.
    Failure(Failure),
}

impl Foreign<'_> {
    fn decoder(&self) -> Result<StreamDecoder, Failure> {
        let coding = self.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
        StreamDecoder::with_limit(coding, self.house.limits.decoded_body)
            .map_err(|error| self.unreadable(&error.to_string()))
    }

    fn unreadable(&self, why: &str) -> Failure {
        let message = format!("the provider '{}' sent an answer that cannot be read: {why}", self.provider);
        Failure::upstream(FailureKind::Protocol, Retry::Never, message)
    }

    async fn refuse(self, failure: &Failure) -> Response<Reply> {
        way_out::refuse(self.house, self.visitor, failure, self.entry).await
    }

    /// An answer of one piece.
    async fn whole(mut self, body: UpstreamBody, decoder: StreamDecoder) -> Response<Reply> {
        let (body, _held) = match self.collect(body, decoder).await {
            Ok(collected) => collected,
            Err(failure) => return self.refuse(&failure).await,
        };
        // It came without its coding.
        if let Some(error) = upstream_error(self.status, &HeaderMap::new(), &body) {
            let status = self.status;
            return self.error(Some(status), &error);
        }
        if self.back.asked.stream {
            let mut translation = self.translation();
            let mut out = Vec::new();
            if translation.whole(&body, &mut out) {
                return match translation.refusal() {
                    Some(error) => self.error(None, &error.clone()),
                    None => self.finished(StatusCode::OK, EVENT_STREAM, out.into()),
                };
            }
        } else if let Some(answer) =
            cross::translate_answer(self.back.from, self.visitor.dialect, &body, &self.back.asked)
        {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => return self.error(None, &error),
            };
            let answer = if self.visitor.wants_list() { vec![answer].into() } else { answer };
            return self.finished(StatusCode::OK, JSON, cross::body_of(&answer, body.len() + 256));
        }
        let failure = self.unreadable(&format!("it is no answer of {}", self.back.from));
        self.refuse(&failure).await
    }

    /// The whole body without its coding, within the bounds of bodies in memory, and the share of that memory: to be held
    /// as long as the body is.
    async fn collect(
        &mut self,
        mut body: UpstreamBody,
        mut decoder: StreamDecoder,
    ) -> Result<(Bytes, Share), Failure> {
        let limit = self.house.limits.decoded_body;
        let mut held = self.house.limits.bodies.begin();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            std::future::poll_fn(|context| self.entry.poll_room(context)).await;
            self.entry.provider_frames(&data, 1);
            let before = whole.len();
            decoder
                .each(&data, |piece| {
                    // One that is too large is not held any further.
                    if whole.len() <= limit {
                        whole.extend_from_slice(piece);
                    }
                })
                .map_err(|error| self.unreadable(&error.to_string()))?;
            if whole.len() > limit {
                return Err(
                    self.unreadable(&format!("it is larger than {limit} bytes (limits.decoded_body)"))
                );
            }
            if !held.grow(whole.len() - before) {
                let message =
                    "there is no memory for the provider's answer now (limits.bodies); try again in a moment";
                return Err(Failure::gateway(FailureKind::Overloaded, message));
            }
        }
        decoder.finish().map_err(|error| self.unreadable(&error.to_string()))?;
        Ok((whole.freeze(), held))
    }

    /// An answer of events. Until the first is there the status waits, for some providers say 200 before they know.
    async fn stream(self, upstream: UpstreamBody, decoder: StreamDecoder) -> Response<Reply> {
        let translation = self.translation();
        let Self { house, visitor, provider, back, status, headers, entry } = self;
        let provider_name = Arc::clone(&provider);
        let upstream = house.gather(upstream, visitor);
        let mut carrier =
            Box::new(Carrier { upstream, decoder, translation, provider, entry, out: Vec::new(), pieces: 0 });
        // Without a first event in time the answer begins without knowing how it goes on.
        let begun = tokio::time::timeout(STATUS_WAIT, begin(&mut carrier)).await.unwrap_or(Ok(()));
        let refusal = carrier.translation.refusal().cloned();
        let told = match (refusal, begun) {
            (Some(error), _) => Err(Instead::Error(error)),
            (None, Err(failure)) => Err(Instead::Failure(failure)),
            (None, Ok(())) => Ok(()),
        };
        if let Err(instead) = told {
            let Carrier { entry, .. } = *carrier;
            let foreign = Self { house, visitor, provider: provider_name, back, status, headers, entry };
            return match instead {
                Instead::Error(error) => foreign.error(None, &error),
                Instead::Failure(failure) => foreign.refuse(&failure).await,
            };
        }
        let response = told_head(house, visitor, &back, &headers, EVENT_STREAM, Response::new(()));
        carrier
            .entry
            .response_started(&ResponseHead { status: 200, headers: Arc::new(response.headers().clone()) });
        response.map(|()| Reply::gathered(Translated::new(carrier, &house.streaming)))
    }

    fn translation(&self) -> Translation {
        Translation::new(self.back.from, self.visitor.dialect, Arc::clone(&self.back.asked))
    }

    /// The provider's error in the caller's words; `status` is `None` for one that came as an event.
    fn error(self, status: Option<StatusCode>, error: &ProviderError) -> Response<Reply> {
        let meaning = Meaning::of(status, error, self.back.own_key);
        let message = match &error.message {
            empty if empty.is_empty() => format!("the provider '{}' answered {}", self.provider, self.status),
            message => message.clone(),
        };
        let id = self.visitor.id.to_string();
        let (status, body) = cross::told_error(self.visitor.dialect, meaning, &message, &id);
        self.told(status, (JSON, error.retry_after), body)
    }

    /// An answer whose end is known.
    fn finished(self, status: StatusCode, form: &'static str, body: Bytes) -> Response<Reply> {
        self.told(status, (form, None), body)
    }

    /// The same; `wait` is how long the body asks to wait, where the headers do not say.
    fn told(
        mut self,
        status: StatusCode,
        (form, wait): (&'static str, Option<Duration>),
        body: Bytes,
    ) -> Response<Reply> {
        let mut response = Response::new(());
        *response.status_mut() = status;
        if let Some(wait) = retry_after(self.back.from, self.status, &self.headers).or(wait) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds(wait));
        }
        let response = told_head(self.house, self.visitor, &self.back, &self.headers, form, response);
        self.entry.response_started(&ResponseHead {
            status: status.as_u16(),
            headers: Arc::new(response.headers().clone()),
        });
        self.entry.frame(&body);
        self.entry.close(Ending::Completed, None);
        response.map(|()| Reply::full(body))
    }
}

/// How long a provider's headers ask to wait: outright, or by limits of which nothing is left.
fn retry_after(from: Dialect, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let now = SystemTime::now();
    let by_limits =
        || (status == StatusCode::TOO_MANY_REQUESTS).then(|| cross::room_after(from, headers, now)).flatten();
    retry::retry_after(headers, now).or_else(by_limits)
}

/// Whole seconds, rounded up: there is no room before.
fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

const JSON: &str = "application/json";
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// Reads on until there is something for the client, or it is known that there will be nothing.
async fn begin(carrier: &mut Carrier) -> Result<(), Failure> {
    while carrier.out.is_empty() && carrier.translation.refusal().is_none() {
        match carrier.upstream.frame().await {
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    carrier.take(&data)?;
                }
            }
            None => return carrier.end(),
        }
    }
    Ok(())
}

/// The head that the client gets: nothing of the provider's but what its dialect has a name for.
fn told_head<T>(
    house: &House,
    visitor: &Visitor,
    back: &WayBack,
    provider: &HeaderMap,
    form: &'static str,
    mut response: Response<T>,
) -> Response<T> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    if form == EVENT_STREAM {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    let mut tell = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    tell(MODEL, &back.model);
    if !back.warnings.is_empty() {
        let warnings = back.warnings.header();
        tell(WARNINGS, &warnings[..warnings.floor_char_boundary(WARNINGS_LIMIT)]);
    }
    tell(HeaderName::from_static(cross::request_id_header(visitor.dialect)), &visitor.id.to_string());
    if let Some(id) = provider.get("request-id").or_else(|| provider.get("x-request-id")) {
        headers.insert(UPSTREAM_REQUEST_ID, id.clone());
    }
    for (name, value) in cross::rate_limits(back.from, visitor.dialect, provider, SystemTime::now()) {
        headers.insert(HeaderName::from_static(name), value);
    }
    way_out::finish(house, response, visitor.id, &visitor.headers)
}
