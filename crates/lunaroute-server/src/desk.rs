//! What is read from a request's bytes before anything is decided: model, stream flag, who the client is.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use lunaroute_core::{Addressed, Dialect, Failure, FailureKind, Operation, SessionHint};
use lunaroute_dialect::coding;
use lunaroute_dialect::{Peek, client, peek, responses};
use lunaroute_ingress::Share;

use crate::house::{House, Limits};
use crate::response_store::{Chain, unknown_response};
use crate::visitor::Visitor;

/// What the desk read.
pub(crate) struct Desk {
    /// What stands in the body.
    pub(crate) peek: Peek,
    /// What the client says about its session.
    pub(crate) hint: SessionHint,
    addressed: Option<Arc<Addressed>>,
    /// The body without its content coding, when it had one, and the memory that it takes.
    decoded: Option<(Bytes, Share)>,
    /// Why the body cannot be read, when it cannot and has to be.
    problem: Option<Failure>,
    /// The answer from which the request goes on.
    earlier: Earlier,
}

/// The answer from which a request goes on.
enum Earlier {
    /// None is named.
    Nothing,
    /// One that the gateway does not know; its provider may.
    Unknown(String),
    /// The conversation up to it, and the request with all of that in it.
    Known(Box<Known>),
}

struct Known {
    chain: Chain,
    whole: Bytes,
    _held: Share,
}

impl Desk {
    /// Reads a request.
    pub(crate) fn read(visitor: &Visitor, house: &House) -> Self {
        let (decoded, mut problem) = match decode(visitor, &house.limits) {
            Ok(decoded) => (decoded, None),
            // Only a generation has to be understood; anything else is the provider's to judge.
            Err(failure) => (None, visitor.operation.is_generation().then_some(failure)),
        };
        let readable = problem.is_none();
        let peek = if readable {
            peek(visitor.dialect, decoded.as_ref().map_or(&visitor.body, |(plain, _)| plain))
        } else {
            Peek::default()
        };
        let hint = client::identify(&visitor.headers, &peek);
        let plain = decoded.as_ref().map_or(&visitor.body, |(plain, _)| plain);
        let earlier = earlier(visitor, house, &peek, plain).unwrap_or_else(|failure| {
            problem = Some(failure);
            Earlier::Nothing
        });
        Self { peek, hint, addressed: visitor.addressed.clone(), decoded, problem, earlier }
    }

    /// Whether the request can go on.
    ///
    /// # Errors
    /// `unsupported_encoding`, `too_large` or `bad_request` for a body whose content coding cannot be undone.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.problem.clone().map_or(Ok(()), Err)
    }

    /// The model that the client names.
    pub(crate) fn model(&self) -> Option<&str> {
        match &self.addressed {
            Some(addressed) => Some(&addressed.model),
            None => self.peek.model.as_ref().map(|model| model.value.as_str()),
        }
    }

    /// The dialect of the body: that of its path, but for a body of Responses at the path of Chat.
    pub(crate) fn body_dialect(&self, visitor: &Visitor) -> Dialect {
        match visitor.operation {
            Operation::Chat if self.peek.is_responses() => Dialect::OpenaiResponses,
            _ => visitor.dialect,
        }
    }

    /// The body that [`Desk::peek`] speaks of: without content coding.
    pub(crate) fn plain_body<'a>(&'a self, visitor: &'a Visitor) -> &'a Bytes {
        self.decoded.as_ref().map_or(&visitor.body, |(plain, _)| plain)
    }

    /// The conversation from which the request goes on, as far as the gateway knows it.
    pub(crate) fn earlier(&self) -> Option<&Chain> {
        match &self.earlier {
            Earlier::Known(known) => Some(&known.chain),
            Earlier::Nothing | Earlier::Unknown(_) => None,
        }
    }

    /// The plain body for a provider that remembers nothing: with all that the client did not send again.
    ///
    /// # Errors
    /// `unknown_response` when it goes on from an answer that is not known.
    pub(crate) fn whole_body<'a>(&'a self, visitor: &'a Visitor) -> Result<&'a Bytes, Failure> {
        match &self.earlier {
            Earlier::Nothing => Ok(self.plain_body(visitor)),
            Earlier::Unknown(id) => Err(unknown_response(id)),
            Earlier::Known(known) => Ok(&known.whole),
        }
    }

    /// The plain body with all that the client did not send again, for a provider of the client's own dialect. `None` when
    /// the client's bytes will do: it names no earlier answer, or one that this provider remembers, or one of which only
    /// the provider can know.
    pub(crate) fn completed_body(&self, provider: &str) -> Option<&Bytes> {
        match &self.earlier {
            Earlier::Known(known) if known.chain.stored_by.as_deref() != Some(provider) => Some(&known.whole),
            _ => None,
        }
    }
}

/// Looks for the answer from which a request goes on.
fn earlier(visitor: &Visitor, house: &House, peek: &Peek, plain: &Bytes) -> Result<Earlier, Failure> {
    let Some(id) = &peek.hints.previous_response_id else { return Ok(Earlier::Nothing) };
    if visitor.operation != Operation::Responses {
        return Ok(Earlier::Nothing);
    }
    let Some(chain) = house.earlier(&visitor.headers, visitor.thread.as_deref(), id) else {
        return Ok(Earlier::Unknown(id.clone()));
    };
    // What is put together counts before it is there. A comma goes before each part of it.
    let held = house.limits.bodies.take(plain.len() + chain.size() + chain.items().count() + 64);
    let Some(held) = held else {
        let message = "there is no memory for the conversation now (limits.bodies); try again in a moment";
        return Err(Failure::gateway(FailureKind::Overloaded, message));
    };
    let whole = responses::expand(plain, chain.items());
    if whole.len() > house.limits.decoded_body {
        let message = format!(
            "the conversation that the request goes on from is larger than {} bytes with it (limits.decoded_body); \
             begin a new one",
            house.limits.decoded_body
        );
        return Err(Failure::client(FailureKind::TooLarge, message));
    }
    Ok(Earlier::Known(Box::new(Known { chain, whole, _held: held })))
}

fn decode(visitor: &Visitor, limits: &Limits) -> Result<Option<(Bytes, Share)>, Failure> {
    let Some(named) = visitor.headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    let coding = named.to_str().unwrap_or("?");
    if coding.eq_ignore_ascii_case("identity") || visitor.body.is_empty() {
        return Ok(None);
    }
    match coding::decode_request(Some(coding), &visitor.body, limits.decoded_body) {
        Ok(decoded) => match limits.bodies.take(decoded.len()) {
            Some(held) => Ok(Some((Bytes::from(decoded.into_owned()), held))),
            None => Err(Failure::gateway(
                FailureKind::Overloaded,
                "there is no memory for the decoded request body now (limits.bodies); try again in a moment",
            )),
        },
        Err(error) => Err(Failure::client(
            error.failure_kind(),
            format!("the request body's content-encoding cannot be undone: {error}"),
        )),
    }
}
