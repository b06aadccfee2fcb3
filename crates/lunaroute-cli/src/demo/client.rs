//! A client of the demo: sends a request through the gateway and reads the answer as an application would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use lunaroute_core::{Answer, Dialect, Exchange, Interpreter, Operation, ResponseHead};
use lunaroute_dialect::Dialects;
use lunaroute_egress::{BaseUrl, Client, Config, Outbound, Timeouts};
use lunaroute_sim::{SCRIPT_HEADER, Script};
use serde_json::Value;

/// Longest text of an answer that the demo keeps.
const TEXT_LIMIT: usize = 64 * 1024;

/// Names the exchange, so that the gateway's record and the provider's ledger can be laid side by side.
pub(super) const MARK: &str = "x-test-id";

/// What is sent.
pub(super) struct Call {
    pub(super) mark: String,
    pub(super) dialect: Dialect,
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) script: Script,
    /// Hang up after this many pieces of the answer.
    pub(super) hang_up_after: Option<usize>,
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) answer: Answer,
}

/// Sends calls to one gateway.
pub(super) struct Caller {
    client: Client,
    base: BaseUrl,
    timeouts: Timeouts,
}

impl Caller {
    pub(super) fn new(gateway: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(&Config::default())?,
            base: BaseUrl::parse(&format!("http://{gateway}"))?,
            timeouts: Timeouts {
                first_byte: Duration::from_secs(10),
                idle: Duration::from_secs(10),
                total: None,
            },
        })
    }

    /// Sends one call and reads its answer to the end, to the break, or to where it hangs up.
    pub(super) async fn send(&self, call: &Call) -> anyhow::Result<Reply> {
        let headers = headers(call)?;
        let exchange = Exchange {
            dialect: call.dialect,
            operation: call.operation,
            headers: Arc::new(headers.clone()),
            addressed: None,
        };
        let body = if call.body.is_null() { Bytes::new() } else { call.body.to_string().into() };
        let outbound = Outbound {
            base: &self.base,
            method: call.method.clone(),
            path_and_query: call.path,
            headers,
            body,
            credential: None,
        };
        let mut inbound =
            self.client.attempt(outbound, &self.timeouts).await.with_context(|| call.mark.clone())?;
        let head =
            ResponseHead { status: inbound.status.as_u16(), headers: Arc::new(inbound.headers.clone()) };
        let mut reader = Dialects.response(&exchange, &head);
        let mut answer = Answer::default();
        let mut deltas = Vec::new();
        let mut pieces = 0;
        // A body that breaks is what some of the exchanges are about; the record says how it ended.
        while let Some(Ok(frame)) = inbound.body.frame().await {
            if let Some(data) = frame.data_ref() {
                reader.read(data, &mut deltas);
                pieces += 1;
            }
            if call.hang_up_after.is_some_and(|most| pieces >= most) {
                break;
            }
        }
        reader.finish(&mut deltas);
        for delta in &deltas {
            answer.absorb(delta, TEXT_LIMIT);
        }
        Ok(Reply { status: head.status, answer })
    }
}

fn headers(call: &Call) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(MARK, HeaderValue::from_str(&call.mark)?);
    headers.insert(SCRIPT_HEADER, call.script.header_value());
    if call.dialect == Dialect::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        headers.insert("x-api-key", HeaderValue::from_static("demo-key"));
    } else {
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer demo-key"));
    }
    for (name, value) in &call.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    Ok(headers)
}
