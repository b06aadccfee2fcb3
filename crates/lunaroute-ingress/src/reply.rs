//! The bytes of an answer on their way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lunaroute_core::Failure;

use crate::gathered::Gathered;
use crate::websocket::Takeover;

/// The answer cannot be completed. The connection (over HTTP/2: the stream) is then cut, so that the client sees a
/// truncated body and never a normal end that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer was cut short: {failure}")]
pub struct Broken {
    /// What went wrong.
    #[from]
    pub failure: Failure,
}

/// The body of an answer: nothing, one piece, pieces as they come, or the end of HTTP on this connection.
///
/// A streamed body whose head declares a `content-length` is dropped as soon as that many bytes were taken from it,
/// without being asked for its end: whoever observes the end of a stream has to count bytes or look at
/// [`Body::is_end_stream`], too.
#[derive(Default)]
pub struct Reply(Content);

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Full(Bytes),
    Switch(Takeover),
    Stream(Gathered<Pin<Box<dyn Body<Data = Bytes, Error = Broken> + Send>>>),
}

impl Reply {
    /// No body at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Content::Empty)
    }

    /// One piece, whose length is declared to the client.
    #[must_use]
    pub const fn full(bytes: Bytes) -> Self {
        Self(Content::Full(bytes))
    }

    /// No body; after the head somebody else goes on with the connection.
    pub(crate) const fn switch(takeover: Takeover) -> Self {
        Self(Content::Switch(takeover))
    }

    /// Who goes on with the connection, if this is the answer after which it is no longer HTTP.
    pub(crate) fn take_over(&mut self) -> Option<Takeover> {
        match std::mem::take(&mut self.0) {
            Content::Switch(takeover) => Some(takeover),
            other => {
                self.0 = other;
                None
            }
        }
    }

    /// Pieces as they come. Small pieces that are ready at once travel as one; none waits for another.
    #[must_use]
    pub fn stream(body: impl Body<Data = Bytes, Error = Broken> + Send + 'static) -> Self {
        Self(Content::Stream(Gathered::new(Box::pin(body))))
    }

    /// As [`stream`](Self::stream), of a body that takes its pieces from [`Gathered`] and joins no more.
    #[must_use]
    pub fn gathered(body: impl Body<Data = Bytes, Error = Broken> + Send + 'static) -> Self {
        Self(Content::Stream(Gathered::already(Box::pin(body))))
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, size) = match &self.0 {
            Content::Empty => ("empty", Some(0)),
            Content::Switch(_) => ("switch", Some(0)),
            Content::Full(bytes) => ("full", Some(bytes.len() as u64)),
            Content::Stream(body) => ("stream", body.size_hint().exact()),
        };
        f.debug_struct("Reply").field("kind", &kind).field("bytes", &size).finish()
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Content::Empty | Content::Switch(_) => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Empty | Content::Switch(_) => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Empty | Content::Switch(_) => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use lunaroute_core::{FailureKind, Retry};

    use super::*;

    #[tokio::test]
    async fn each_kind_says_its_length_and_its_bytes() {
        assert_eq!(Reply::empty().size_hint().exact(), Some(0));
        assert!(Reply::full(Bytes::new()).is_end_stream());
        let full = Reply::full(Bytes::from_static(b"four"));
        assert_eq!(full.size_hint().exact(), Some(4));
        assert_eq!(full.collect().await.unwrap().to_bytes(), "four");
    }

    #[tokio::test]
    async fn a_broken_stream_stays_broken() {
        let failure = Failure::upstream(FailureKind::Protocol, Retry::Never, "cut");
        let frames = [Ok(Frame::data(Bytes::from_static(b"a"))), Err(Broken::from(failure.clone()))];
        let mut reply = Reply::stream(StreamBody::new(futures_util::stream::iter(frames)));
        assert_eq!(reply.size_hint().exact(), None);
        assert_eq!(reply.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(reply.frame().await.unwrap().unwrap_err(), Broken { failure });
    }
}
