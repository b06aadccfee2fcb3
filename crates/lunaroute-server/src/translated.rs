//! The gallery for an answer of another dialect: its pieces are translated as they come, and the record gets both forms.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use lunaroute_core::{Ending, Failure, FailureKind, Retry};
use lunaroute_dialect::coding::StreamDecoder;
use lunaroute_dialect::cross::Translation;
use lunaroute_dialect::sse::EVENT_LIMIT;
use lunaroute_egress::UpstreamBody;
use lunaroute_ingress::{Broken, Gathered};
use tokio::time::Sleep;

use crate::guest_book::Entry;
use crate::house::{Remainder, StreamPolicy};
use crate::silence::Silence;

/// Silence after which a translated stream gets a sign of life, where the configuration names no other time. Translation
/// changes every byte anyhow, and clients give up on providers that are silent while a model thinks.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the figures of an answer may come after it has ended. Some providers never send them.
const FIGURES_WAIT: Duration = Duration::from_secs(5);

/// A provider's stream with its translation, and the book that both go into.
pub(crate) struct Carrier {
    /// A burst is translated and recorded as one.
    pub(crate) upstream: Gathered<UpstreamBody>,
    pub(crate) decoder: StreamDecoder,
    pub(crate) translation: Translation,
    pub(crate) provider: Arc<str>,
    pub(crate) entry: Entry,
    /// What was translated and not handed over yet.
    pub(crate) out: Vec<u8>,
    /// Of how many of the provider's pieces that was made.
    pub(crate) pieces: u32,
}

/// A translated stream on its way to the client.
pub(crate) struct Translated {
    /// Present until the answer is over or given up.
    carrier: Option<Box<Carrier>>,
    silence: Silence,
    /// Runs from the moment on that the model has stopped.
    figures: Option<Pin<Box<Sleep>>>,
    remainder: Option<Remainder>,
}

impl Carrier {
    /// Takes the provider's next bytes.
    ///
    /// # Errors
    /// When they cannot be unpacked, or an event of them is too large to be read.
    pub(crate) fn take(&mut self, bytes: &Bytes) -> Result<(), Failure> {
        self.entry.provider_frames(bytes, self.upstream.count());
        self.pieces = self.pieces.saturating_add(self.upstream.count());
        let Self { decoder, translation, out, .. } = self;
        let unreadable = |why: &str| {
            let message =
                format!("the provider '{}' sent a stream that cannot be read: {why}", self.provider);
            Failure::upstream(FailureKind::Protocol, Retry::Never, message)
        };
        if decoder.is_identity() {
            translation.push(bytes, out);
        } else {
            decoder
                .each(bytes, |piece| translation.push(piece, out))
                .map_err(|error| unreadable(&error.to_string()))?;
        }
        if translation.has_lost() {
            return Err(unreadable(&format!("it has an event of more than {EVENT_LIMIT} bytes")));
        }
        Ok(())
    }

    /// The provider's body is over.
    ///
    /// # Errors
    /// When the answer was not complete.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        self.translation.flush(&mut self.out);
        if self.translation.is_over() || self.translation.has_stopped() {
            self.translation.end(&mut self.out);
            return Ok(());
        }
        Err(self.unfinished())
    }

    /// That the provider stopped in the middle.
    fn unfinished(&self) -> Failure {
        let message = format!("the provider '{}' ended its stream before it was complete", self.provider);
        Failure::upstream(FailureKind::Protocol, Retry::Never, message)
    }

    /// What the client gets next; the record gets it too.
    fn frame(&mut self) -> Option<Frame<Bytes>> {
        if self.out.is_empty() {
            return None;
        }
        let frame = Bytes::from(std::mem::take(&mut self.out));
        self.entry.frames(&frame, std::mem::take(&mut self.pieces).max(1));
        Some(Frame::data(frame))
    }
}

impl Translated {
    pub(crate) fn new(carrier: Box<Carrier>, policy: &StreamPolicy) -> Self {
        Self {
            carrier: Some(carrier),
            silence: Silence::new(policy.keep_alive.unwrap_or(KEEP_ALIVE)),
            figures: None,
            remainder: policy.remainder.clone(),
        }
    }

    fn close(&mut self, ending: Ending, failure: Option<&Failure>) {
        if let Some(mut carrier) = self.carrier.take() {
            carrier.entry.close(ending, failure);
        }
    }

    /// The answer broke: the client gets what was there, and then its dialect's error. The record has the failure itself,
    /// so the event is not recorded as an answer.
    fn fail(&mut self, failure: &Failure) -> Option<Frame<Bytes>> {
        let carrier = self.carrier.as_mut()?;
        let mut bytes = carrier.frame().and_then(|frame| frame.into_data().ok()).unwrap_or_default().to_vec();
        carrier.translation.fail(failure, &mut bytes);
        self.close(Ending::UpstreamError, Some(failure));
        (!bytes.is_empty()).then(|| Frame::data(Bytes::from(bytes)))
    }

    /// The provider has nothing more to say, or is not waited for any longer.
    fn finish(&mut self) -> Option<Frame<Bytes>> {
        let carrier = self.carrier.as_mut()?;
        match carrier.end() {
            Ok(()) => {
                let frame = carrier.frame();
                self.close(Ending::Completed, None);
                frame
            }
            Err(failure) => self.fail(&failure),
        }
    }

    /// Nothing comes at the moment: how long the figures are waited for, and whether a sign of life is due.
    fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let Some(carrier) = &mut self.carrier else { return Poll::Ready(None) };
        if carrier.translation.has_stopped() {
            let figures = self.figures.get_or_insert_with(|| Box::pin(tokio::time::sleep(FIGURES_WAIT)));
            return figures.as_mut().poll(context).map(|()| self.finish());
        }
        self.silence.poll(context).map(|()| {
            let mut bytes = Vec::new();
            carrier.translation.keep_alive(&mut bytes);
            Some(Frame::data(Bytes::from(bytes)))
        })
    }
}

impl Body for Translated {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let Some(carrier) = &mut self.carrier else { return Poll::Ready(None) };
            if carrier.entry.poll_room(context).is_pending() {
                return Poll::Pending;
            }
            if let Some(frame) = carrier.frame() {
                self.silence.end();
                // Whoever says something now has not stopped before.
                self.figures = None;
                return Poll::Ready(Some(Ok(frame)));
            }
            if carrier.translation.is_over() {
                self.close(Ending::Completed, None);
                return Poll::Ready(None);
            }
            match Pin::new(&mut carrier.upstream).poll_frame(context) {
                Poll::Pending => return self.poll_quiet(context).map(|frame| frame.map(Ok)),
                Poll::Ready(Some(Ok(frame))) => {
                    let taken = frame.data_ref().map_or(Ok(()), |data| carrier.take(data));
                    if let Err(failure) = taken {
                        return Poll::Ready(self.fail(&failure).map(Ok));
                    }
                }
                Poll::Ready(Some(Err(failure))) if !carrier.translation.has_stopped() => {
                    return Poll::Ready(self.fail(&failure).map(Ok));
                }
                // A connection that breaks when only figures are missing has brought the whole answer.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(self.finish().map(Ok)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.carrier.is_none()
    }
}

impl Drop for Translated {
    fn drop(&mut self) {
        let Some(mut carrier) = self.carrier.take() else { return };
        // A client that has its whole answer need not wait until the provider closes.
        if carrier.translation.is_over() && carrier.out.is_empty() {
            return carrier.entry.close(Ending::Completed, None);
        }
        if let Some(Remainder { tasks, cut }) = &self.remainder
            && !tasks.is_closed()
        {
            tasks.spawn(cut.clone().run_until_cancelled_owned(drain(carrier)));
        }
    }
}

/// Reads an answer to its end for the record alone. The provider's own time-outs bound it.
async fn drain(mut carrier: Box<Carrier>) {
    let how = loop {
        std::future::poll_fn(|context| carrier.entry.poll_room(context)).await;
        let taken = match carrier.upstream.frame().await {
            Some(Ok(frame)) => frame.data_ref().map_or(Ok(()), |data| carrier.take(data)),
            Some(Err(failure)) => Err(failure),
            None => {
                let ended = carrier.end();
                carrier.frame();
                match ended {
                    Ok(()) => break "the answer was read to its end".to_owned(),
                    Err(failure) => Err(failure),
                }
            }
        };
        // What was made of it needs room of its own.
        std::future::poll_fn(|context| carrier.entry.poll_room(context)).await;
        carrier.frame();
        if let Err(failure) = taken {
            break format!("the answer was read on, until {failure}");
        }
    };
    let message = format!("the client hung up; {how}");
    carrier.entry.close(Ending::Cancelled, Some(&Failure::client(FailureKind::Cancelled, message)));
}
