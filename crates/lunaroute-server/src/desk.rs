//! What is read from a request's bytes before anything is decided: model, stream flag, who the client is.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use lunaroute_core::{Addressed, Failure, FailureKind, SessionHint};
use lunaroute_dialect::coding;
use lunaroute_dialect::{Peek, client, peek};
use lunaroute_ingress::Share;

use crate::house::Limits;
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
}

impl Desk {
    /// Reads a request.
    pub(crate) fn read(visitor: &Visitor, limits: &Limits) -> Self {
        let (decoded, problem) = match decode(visitor, limits) {
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
        Self { peek, hint, addressed: visitor.addressed.clone(), decoded, problem }
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

    /// The body that [`Desk::peek`] speaks of: without content coding.
    pub(crate) fn plain_body<'a>(&'a self, visitor: &'a Visitor) -> &'a Bytes {
        self.decoded.as_ref().map_or(&visitor.body, |(plain, _)| plain)
    }
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
