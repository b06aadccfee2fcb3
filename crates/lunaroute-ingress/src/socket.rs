//! A connection's bytes, watched: a client that stops reading is given up, and one that is still sending when we close
//! gets to read our last words.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::conduct::Conduct;

/// How long a closed connection still takes what the client sends. Closing at once would make the kernel reset the
/// connection, and the reset would overtake an answer such as 413.
const LINGER: Duration = Duration::from_secs(1);

/// A byte stream with a limit on how long a write may make no progress.
pub(crate) struct Socket<T> {
    inner: T,
    stall_limit: Duration,
    /// Made at the first stall, then used again: most connections never need it.
    stall: Option<Pin<Box<Sleep>>>,
    is_stalled: bool,
    farewell: Option<Pin<Box<Sleep>>>,
    conduct: Arc<Conduct>,
}

impl<T> Socket<T> {
    pub(crate) fn new(inner: T, stall_limit: Duration, conduct: Arc<Conduct>) -> Self {
        Self { inner, stall_limit, stall: None, is_stalled: false, farewell: None, conduct }
    }

    /// Passes the outcome of a write on, with the clock running while there is none.
    fn watch<R>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.is_stalled = false;
            return outcome;
        }
        let limit = self.stall_limit;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.is_stalled {
            self.is_stalled = true;
            stall.as_mut().reset(Instant::now() + limit);
        }
        ready!(stall.as_mut().poll(context));
        let message = format!("the client took nothing of its answer for {} ms", limit.as_millis());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.watch(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.farewell.is_none() {
            let outcome = Pin::new(&mut this.inner).poll_shutdown(context);
            ready!(this.watch(context, outcome))?;
            if !this.conduct.lingers() {
                return Poll::Ready(Ok(()));
            }
        }
        let farewell = this.farewell.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut unwanted = [0; 8 * 1024];
        while farewell.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut unwanted);
            let read = ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
