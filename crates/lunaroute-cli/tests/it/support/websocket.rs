//! A client that speaks Responses over WebSocket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longest wait for one message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Events after which an answer is over.
const LAST: [&str; 4] = ["response.completed", "response.incomplete", "response.failed", "error"];

/// An open connection.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    pub(crate) handshake: Response,
}

impl Socket {
    pub(crate) async fn open(address: SocketAddr, headers: &[(&'static str, &str)]) -> Self {
        Self::try_open(address, headers).await.expect("the gateway speaks WebSocket")
    }

    pub(crate) async fn try_open(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/v1/responses").into_client_request()?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a header");
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        let (stream, handshake) = timeout(PATIENCE, client_async(request, stream)).await.expect("in time")?;
        Ok(Self { stream, handshake })
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("the connection is open");
    }

    /// Asks for a response to `input`, with further members.
    pub(crate) async fn ask(&mut self, model: &str, input: Value, further: Value) {
        let mut event = json!({"type": "response.create", "model": model, "input": input});
        for (name, value) in further.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        self.send(Message::text(event.to_string())).await;
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("JSON"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no event, but {other:?}"),
            }
        }
    }

    /// The events up to the one after which the answer is over.
    pub(crate) async fn answer(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let is_last = LAST.iter().any(|last| event["type"] == *last);
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    /// Asks, and gives the response as its last event tells it.
    pub(crate) async fn response(&mut self, model: &str, input: Value, further: Value) -> Value {
        self.ask(model, input, further).await;
        let events = self.answer().await;
        let last = events.last().expect("an event");
        assert_eq!(last["type"], "response.completed", "{last}");
        last["response"].clone()
    }

    /// Asks, and gives the error.
    pub(crate) async fn error(&mut self, model: &str, input: Value, further: Value) -> Value {
        self.ask(model, input, further).await;
        let event = self.event().await;
        assert_eq!(event["type"], "error", "{event}");
        event
    }

    /// The code with which the other side ends the connection.
    pub(crate) async fn end(&mut self) -> u16 {
        loop {
            match self.message().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no goodbye, but {other:?}"),
            }
        }
    }

    async fn message(&mut self) -> Option<Result<Message, Error>> {
        timeout(PATIENCE, self.stream.next()).await.expect("a message in time")
    }
}

/// The text of a response.
pub(crate) fn text(response: &Value) -> String {
    let items = response["output"].as_array().into_iter().flatten();
    let parts = items.flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}
