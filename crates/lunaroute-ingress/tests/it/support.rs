//! A listener to talk to, and a client that says exactly the bytes it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use lunaroute_ingress::{
    Arrival, Broken, Budget, Config, DrainReport, Handler, Listener, Reply, Share, read_body,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// No single step of a test takes longer, whatever else the machine does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Room for any body.
pub(crate) fn room() -> Share {
    Budget::new(usize::MAX).begin()
}

/// Awaits a condition that has to come.
#[track_caller]
pub(crate) fn soon<F: Future>(condition: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, condition).await {
            Ok(output) => output,
            Err(_elapsed) => panic!("waited in vain at {caller}"),
        }
    }
}

/// A handler made of a function.
struct Answering<F>(F);

impl<F, R> Handler for Answering<F>
where
    F: Fn(Arrival) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Reply>> + Send + 'static,
{
    fn handle(self: Arc<Self>, arrival: Arrival) -> impl Future<Output = Response<Reply>> + Send + 'static {
        (self.0)(arrival)
    }
}

/// A listener that is being served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinSet<DrainReport>,
}

/// Serves on a free port with a drain of `drain`.
pub(crate) fn serve_draining<F, R>(config: Config, drain: Duration, answer: F) -> Served
where
    F: Fn(Arrival) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Reply>> + Send + 'static,
{
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), config).expect("a free port");
    let (address, stop) = (listener.local_addr(), CancellationToken::new());
    let mut task = JoinSet::new();
    task.spawn(listener.serve(Arc::new(Answering(answer)), stop.clone(), drain));
    Served { address, stop, task }
}

/// Serves on a free port.
pub(crate) fn serve<F, R>(config: Config, answer: F) -> Served
where
    F: Fn(Arrival) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Reply>> + Send + 'static,
{
    serve_draining(config, Duration::ZERO, answer)
}

impl Served {
    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stopped(mut self) -> DrainReport {
        self.stop.cancel();
        soon(self.task.join_next()).await.expect("one task").expect("no panic")
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw { stream: soon(TcpStream::connect(self.address)).await.expect("connected"), seen: Vec::new() }
    }
}

/// A client that says exactly the bytes it is told.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    seen: Vec<u8>,
}

impl Raw {
    /// Says something; a peer that has closed is no failure here, but is seen when reading.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon(self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// Reads until `mark` was seen once more, and returns all up to its end.
    pub(crate) async fn hear(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.seen.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let heard = self.seen.drain(..at + mark.len()).collect::<Vec<u8>>();
                return String::from_utf8_lossy(&heard).into_owned();
            }
            let more = soon(self.stream.read_buf(&mut self.seen)).await.unwrap_or(0);
            assert!(more > 0, "closed before {mark:?}: {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// Reads to the end of the connection, however it comes, and returns all that was left.
    pub(crate) async fn hear_all(&mut self) -> String {
        while soon(self.stream.read_buf(&mut self.seen)).await.unwrap_or(0) > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned()
    }
}

/// Answers with method, path and body; a body that is refused, with the failure's status and kind.
pub(crate) async fn echo(arrival: Arrival, config: &Config) -> Response<Reply> {
    let line = format!("{} {} ", arrival.head.method, arrival.head.uri.path());
    match read_body(arrival.body, config, &mut room()).await {
        Ok(body) => Response::new(Reply::full([line.as_bytes(), &body].concat().into())),
        Err(failure) => Response::builder()
            .status(failure.kind.status())
            .body(Reply::full(failure.kind.as_str().into()))
            .expect("a valid answer"),
    }
}

/// Serves [`echo`].
pub(crate) fn serve_echo(config: Config) -> Served {
    let told = config.clone();
    serve(config, move |arrival| {
        let config = told.clone();
        async move { echo(arrival, &config).await }
    })
}

/// Something that says when it is dropped, and the token by which it is heard.
pub(crate) fn alarm() -> (DropGuard, CancellationToken) {
    let token = CancellationToken::new();
    (token.clone().drop_guard(), token)
}

/// A streamed answer fed by the sender; `held` lives as long as the body.
pub(crate) fn fed<H: Send + 'static>(held: H) -> (mpsc::Sender<Result<Bytes, Broken>>, Reply) {
    let (sender, receiver) = mpsc::channel(64);
    let frames = futures_util::stream::unfold((receiver, held), |(mut receiver, held)| async {
        let piece: Option<Result<Bytes, Broken>> = receiver.recv().await;
        piece.map(|piece| (piece.map(Frame::data), (receiver, held)))
    });
    (sender, Reply::stream(StreamBody::new(frames)))
}

/// An answer without end; `held` lives as long as the body.
pub(crate) fn endless<H: Send + 'static>(held: H) -> Reply {
    let piece = Bytes::from(vec![b'x'; 16 * 1024]);
    let frames = futures_util::stream::unfold(held, move |held| {
        let piece = piece.clone();
        async move { Some((Ok::<_, Broken>(Frame::data(piece)), held)) }
    });
    Reply::stream(StreamBody::new(frames))
}
