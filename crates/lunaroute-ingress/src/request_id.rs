//! What a request is called towards the client.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, header};
use lunaroute_core::RequestId;

/// The header by which HTTP software names a request. In an answer it is the provider's when the provider gave one:
/// SDKs show it to people, who hand it to the provider's support.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The gateway's own identifier, the one of the record; in every answer.
pub const X_LUNAROUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-lunaroute-request-id");

/// Longest identifier that is taken from a client.
const LONGEST: usize = 128;

/// The client's own name for the request, if it gave exactly one that is safe to repeat: 1 to 128 characters of
/// `A-Za-z0-9._:-`. The gateway always makes its own identifier besides.
#[must_use]
pub fn inbound(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    ((1..=LONGEST).contains(&value.len()) && value.bytes().all(safe)).then_some(value)
}

/// Puts the gateway's identifier on an answer; `x-request-id` only where the provider set none.
pub fn place(headers: &mut HeaderMap, id: RequestId) {
    let Ok(value) = HeaderValue::from_str(&id.to_string()) else { return };
    if let header::Entry::Vacant(vacant) = headers.entry(X_REQUEST_ID) {
        vacant.insert(value.clone());
    }
    headers.insert(X_LUNAROUTE_REQUEST_ID, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_safe_name_is_taken() {
        for (values, taken) in [
            (&["req_1.a:b-C"][..], Some("req_1.a:b-C")),
            (&[], None),
            (&["a", "a"], None),
            (&[""], None),
            (&["a b"], None),
            (&["a\t"], None),
            (&["<b>"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_REQUEST_ID, HeaderValue::from_static(value));
            }
            assert_eq!(inbound(&headers), taken, "{values:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_str(&"a".repeat(129)).unwrap());
        assert_eq!(inbound(&headers), None);
    }

    #[test]
    fn the_providers_name_is_kept_beside_ours() {
        let id = RequestId::generate();
        let mut headers = HeaderMap::new();
        place(&mut headers, id);
        assert_eq!(headers[X_REQUEST_ID], id.to_string());
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("req_provider"));
        place(&mut headers, id);
        assert_eq!(headers[X_REQUEST_ID], "req_provider");
        assert_eq!(headers[X_LUNAROUTE_REQUEST_ID], id.to_string());
    }
}
