//! What a request is called towards the client.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, header};
use lunaroute_core::RequestId;

/// The header by which HTTP software names a request. In an answer it is the provider's when the provider gave one:
/// SDKs show it to people, who hand it to the provider's support.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The gateway's own identifier, the one of the record; in every answer.
pub const X_LUNAROUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-lunaroute-request-id");

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
