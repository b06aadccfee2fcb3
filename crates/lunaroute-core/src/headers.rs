//! Header hygiene: what belongs to one connection, what is a credential, what a record may keep.

use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

/// What stands in a record where a credential stood on the wire.
pub const REDACTED: &str = "[redacted]";

/// Headers that carry a credential, in any dialect.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Headers that bind a request to the caller's own account: they contradict a credential that is not the caller's.
const ACCOUNT: [HeaderName; 6] = [
    header::COOKIE,
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("chatgpt-account-id"),
    HeaderName::from_static("anthropic-workspace-id"),
    HeaderName::from_static("x-amz-security-token"),
];

/// Further headers whose values a record never keeps.
const PRIVATE: [HeaderName; 4] = [
    header::COOKIE,
    header::SET_COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-amz-security-token"),
];

/// Headers of one connection (RFC 9110, section 7.6.1), and the framing that each hop makes anew.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

/// Whether the header carries a caller's credential.
#[must_use]
pub fn is_credential(name: &HeaderName) -> bool {
    CREDENTIALS.contains(name)
}

/// Removes what belongs to the connection it arrived on: the hop-by-hop headers and those that `connection` names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes every credential header, and those that bind a request to the caller's account.
pub fn strip_credentials(headers: &mut HeaderMap) {
    for name in CREDENTIALS.into_iter().chain(ACCOUNT) {
        headers.remove(name);
    }
}

/// Whether [`strip_credentials`] removes a header of this name.
#[must_use]
pub fn is_callers_own(name: &HeaderName) -> bool {
    CREDENTIALS.contains(name) || ACCOUNT.contains(name)
}

/// The headers as a record may keep them: repeated ones in order, secrets replaced by [`REDACTED`], bytes that are not
/// UTF-8 replaced by U+FFFD.
#[must_use]
pub fn for_record(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), shown(name, value))).collect()
}

/// How the names of headers end that carry a credential of a provider, a cloud or a gateway that is not known here:
/// `x-portkey-api-key`, `ocp-apim-subscription-key`, `x-functions-key`, `helicone-auth`.
const SECRET_ENDINGS: [&str; 2] = ["key", "auth"];

/// Words that tell of a credential wherever in a name they stand; `tokens` are figures.
const SECRET_WORDS: [&str; 4] = ["token", "secret", "password", "credential"];

/// Headers that are named like a credential and are none.
const NO_SECRETS: [&str; 3] = ["idempotency-key", "sec-websocket-key", "x-stainless-idempotency-key"];

fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    let is_secret = value.is_sensitive()
        || CREDENTIALS.contains(name)
        || PRIVATE.contains(name)
        || is_named_as_secret(name.as_str());
    if is_secret {
        return REDACTED.to_owned();
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
    }
}

fn is_named_as_secret(name: &str) -> bool {
    let ends_so = SECRET_ENDINGS.iter().any(|ending| {
        name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with(['-', '_']))
    });
    if ends_so && !NO_SECRETS.contains(&name) {
        return true;
    }
    SECRET_WORDS.iter().any(|word| holds(name, word)) && !holds(name, "tokens")
}

/// Whether the name holds the word. Names are so short that preparing a search takes longer than looking.
fn holds(name: &str, word: &str) -> bool {
    let (name, word) = (name.as_bytes(), word.as_bytes());
    name.windows(word.len()).any(|window| window[0] == word[0] && window == word)
}

/// The path and query as a record, a log or an error may show them: values of query parameters that carry a credential
/// are replaced by [`REDACTED`].
#[must_use]
pub fn path_for_record(path_and_query: &str) -> String {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return path_and_query.to_owned();
    };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret_parameter(name) => format!("{name}={REDACTED}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", shown.join("&"))
}

/// Whether a query parameter of this name carries a credential.
#[must_use]
pub fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "key"
            | "api_key"
            | "api-key"
            | "apikey"
            | "access_token"
            | "auth_token"
            | "token"
            | "sig"
            | "signature"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a header name");
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        }
        headers
    }

    #[test]
    fn the_connection_keeps_what_is_its_own() {
        let mut headers = map(&[
            ("connection", "close, x-hop"),
            ("connection", "X-Other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-end-to-end", "a"),
            ("x-end-to-end", "b"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(
            for_record(&headers),
            [("x-end-to-end".to_owned(), "a".to_owned()), ("x-end-to-end".to_owned(), "b".to_owned())]
        );
    }

    #[test]
    fn no_credential_reaches_a_record() {
        let headers = map(&[
            ("authorization", "Bearer canary"),
            ("x-api-key", "canary"),
            ("api-key", "canary"),
            ("x-goog-api-key", "canary"),
            ("cookie", "canary"),
            ("x-session-token", "canary"),
            ("x-portkey-api-key", "canary"),
            ("helicone-auth", "Bearer canary"),
            ("ocp-apim-subscription-key", "canary"),
            ("x-functions-key", "canary"),
            ("x_gateway_key", "canary"),
            ("x-client-secret", "canary"),
            ("idempotency-key", "once"),
            ("x-author", "me"),
            ("x-monkey", "banana"),
            ("anthropic-ratelimit-tokens-limit", "5"),
        ]);
        let shown = for_record(&headers);
        assert!(shown.iter().all(|(_, value)| !value.contains("canary")), "{shown:?}");
        let clear: Vec<&str> =
            shown.iter().map(|(_, value)| value.as_str()).filter(|value| *value != REDACTED).collect();
        assert_eq!(clear, ["once", "me", "banana", "5"]);
        assert_eq!(shown.last().map(|(_, value)| value.as_str()), Some("5"), "a figure is not a secret");
        let mut stripped =
            map(&[("authorization", "a"), ("openai-organization", "b"), ("cookie", "c"), ("accept", "d")]);
        strip_credentials(&mut stripped);
        assert_eq!(for_record(&stripped), [("accept".to_owned(), "d".to_owned())]);
        assert_eq!(path_for_record("/v1/x?key=canary&alt=sse&beta"), "/v1/x?key=[redacted]&alt=sse&beta");
    }
}
