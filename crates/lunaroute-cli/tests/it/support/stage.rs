//! A simulated provider with the real gateway in front of it, and what each of them wrote down.

use std::path::Path;
use std::time::{Duration, Instant};

use lunaroute_core::RequestId;
use lunaroute_session::query::{Page, QueryError, RequestDetail, RequestFilter, SessionQuery, SqliteQuery};
use lunaroute_sim::{BodyPolicy, Config, Entry, Ledger, Provider};
use tempfile::TempDir;

use super::client::{Answer, Call, Connection, exchange};
use super::{Gateway, GatewayOptions};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
/// Gemini's stream of events of the model `m`.
pub(crate) const GEMINI: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
pub(crate) const GENERATIONS: [&str; 4] = [CHAT, RESPONSES, MESSAGES, GEMINI];

/// Longest wait for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks at something that sends no word of itself.
const LOOK: Duration = Duration::from_millis(20);

/// Both, running.
pub(crate) struct Stage {
    pub(crate) provider: Provider,
    pub(crate) gateway: Gateway,
    pub(crate) home: TempDir,
}

impl Stage {
    /// The gateway with further YAML at the top level of its configuration.
    pub(crate) async fn open(yaml: &str) -> Self {
        Self::with_provider_settings(yaml, "").await
    }

    /// The same with further settings of both providers.
    pub(crate) async fn with_provider_settings(yaml: &str, provider_yaml: &str) -> Self {
        let provider = provider().await;
        let home = tempfile::tempdir().expect("a directory");
        let options = GatewayOptions { upstream: Some(provider.base_url()), yaml, provider_yaml };
        let gateway = Gateway::start(home.path(), &options);
        Self { provider, gateway, home }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.gateway.address).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn exchange(&self, call: &Call) -> Answer {
        exchange(self.gateway.address, call).await
    }

    /// The ledger at the first moment at which it fulfils the condition.
    pub(crate) async fn ledger_when(&self, condition: impl FnMut(&Ledger) -> bool) -> Ledger {
        let ledger = tokio::time::timeout(PATIENCE, self.provider.ledger_when(condition)).await;
        ledger.expect("the provider sees it in time")
    }

    /// The provider's entry of a request that carried this `x-test-id`, once it has ended.
    pub(crate) async fn entry(&self, test_id: &str) -> Entry {
        let ended = |entry: &Entry| entry.outcome.is_some();
        let ledger = self.ledger_when(|ledger| ledger.of_test(test_id).any(ended)).await;
        ledger.of_test(test_id).find(|entry| ended(entry)).expect("it was there").clone()
    }

    /// The gateway's record, once the request in it is over.
    pub(crate) async fn record(&self, id: RequestId) -> RequestDetail {
        record(self.home.path(), id).await
    }

    pub(crate) fn query(&self) -> SqliteQuery {
        query(self.home.path())
    }
}

pub(crate) async fn provider() -> Provider {
    let config = Config { bodies: BodyPolicy::Whole, ..Config::default() };
    Provider::start(config).await.expect("a free port on loopback")
}

/// The record in `home`.
pub(crate) fn query(home: &Path) -> SqliteQuery {
    SqliteQuery::open_read_only(&home.join("lunaroute.sqlite")).expect("the gateway made its database")
}

/// The record of a request, once it is over.
pub(crate) async fn record(home: &Path, id: RequestId) -> RequestDetail {
    let query = query(home);
    until(&format!("the record of {id}"), async || match query.request(id) {
        Ok(detail) if detail.request.ending.is_some() => Some(detail),
        Ok(_) | Err(QueryError::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    })
    .await
}

/// How many requests the record in `home` has.
pub(crate) fn recorded(home: &Path) -> usize {
    let listing = query(home).requests(&RequestFilter::default(), Page::new(1_000, 0));
    listing.expect("the record can be read").items.len()
}

/// Looks again and again until there is something, for a bounded time.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A generation that every provider answers. Gemini is told in the path what others are told in the body.
pub(crate) fn ask(path: &str, model: &str, stream: bool) -> Call {
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    match path {
        GEMINI => Call::post(&format!("/v1beta/models/{model}:{verb}"), body(path, model, stream)),
        _ => Call::post(path, body(path, model, stream)),
    }
}

/// A request body that every generation path accepts.
pub(crate) fn body(path: &str, model: &str, stream: bool) -> String {
    if path == GEMINI {
        let asked = r#"{"role":"user","parts":[{"text":"Where does the moon go?"}]}"#;
        return format!(r#"{{"contents":[{asked}],"generationConfig":{{"maxOutputTokens":200000}}}}"#);
    }
    let asked = match path {
        RESPONSES => r#""input":"Where does the moon go?""#,
        _ => r#""messages":[{"role":"user","content":"Where does the moon go?"}]"#,
    };
    let usage = if path == CHAT && stream { r#","stream_options":{"include_usage":true}"# } else { "" };
    format!(r#"{{"model":"{model}","stream":{stream},"max_tokens":200000,{asked}{usage}}}"#)
}
