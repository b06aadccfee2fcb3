//! What is refused before a request is believed: heads that two readers could understand differently, and calls that a
//! web page makes behind its user's back.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Method, Uri, Version};
use lunaroute_core::{Failure, FailureKind};

use crate::{Config, cors};

/// Headers that have one meaning only when they come once.
const ONCE: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Refuses a head that is not clear. Ambiguity is never resolved by guessing: another program on the way may guess
/// otherwise.
///
/// # Errors
/// `bad_request` for a repeated `host`, `content-length`, `transfer-encoding` or credential header, a missing or
/// malformed `host`, one that differs from the URI's, a transfer coding other than `chunked`, and path segments `.` or
/// `..`; `method_not_allowed` for `CONNECT` and `TRACE`.
pub fn check_headers(head: &Parts) -> Result<(), Failure> {
    if let Some(name) = ONCE.iter().find(|name| head.headers.get_all(*name).iter().nth(1).is_some()) {
        return Err(bad_request(format!("the header '{name}' came more than once; send it once")));
    }
    if head
        .headers
        .get(header::TRANSFER_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(bad_request("the only transfer coding spoken here is 'chunked'"));
    }
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        let message = format!("the method {} is not served here", head.method);
        return Err(Failure::client(FailureKind::MethodNotAllowed, message));
    }
    if head.uri.path().split('/').any(is_dot_segment) {
        return Err(bad_request("the path has a '.' or '..' segment; send the path that is meant"));
    }
    check_host(head)
}

/// Whether every reader of the request finds the same end of its body. The connection of one that is not clear is closed
/// after the answer, whatever the answer is.
pub(crate) fn is_framing_clear(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Refuses calls that a web page could make against its user's will: under a name that is not the listener's (DNS
/// rebinding), or from an origin that is not allowed.
///
/// `local` is the listener's address.
///
/// # Errors
/// `forbidden`, with what to add to the configuration.
pub fn check_origin(head: &Parts, config: &Config, local: SocketAddr) -> Result<(), Failure> {
    let host = host_of(&head.uri, &head.headers).unwrap_or_default();
    let name = without_port(host);
    if !is_own_name(name, config, local) {
        return Err(Failure::client(
            FailureKind::Forbidden,
            "the Host header names another server; call the gateway by its address, or add the name to the \
             allowed hosts",
        ));
    }
    let Some(origin) = head.headers.get(header::ORIGIN) else { return Ok(()) };
    if is_same_origin(origin.as_bytes(), host) || cors::is_allowed(origin, config) {
        return Ok(());
    }
    Err(Failure::client(
        FailureKind::Forbidden,
        "a web page of another origin made this call; add the origin to the allowed ones if that is wanted",
    ))
}

fn check_host(head: &Parts) -> Result<(), Failure> {
    let in_header = head.headers.get(header::HOST);
    let in_uri = head.uri.authority().map(http::uri::Authority::as_str);
    match (in_header, in_uri) {
        (Some(host), Some(authority)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
            return Err(bad_request("the Host header and the request's URI name different servers"));
        }
        (None, None) if head.version >= Version::HTTP_11 => {
            return Err(bad_request("the Host header is missing"));
        }
        _ => {}
    }
    let given = in_header.map(http::HeaderValue::as_bytes).or(in_uri.map(str::as_bytes));
    if given.is_some_and(|host| !is_host(host)) {
        return Err(bad_request("the Host header is not a name or address with an optional port"));
    }
    Ok(())
}

fn bad_request(message: impl Into<String>) -> Failure {
    Failure::client(FailureKind::BadRequest, message)
}

/// `.` and `..`, also with percent-encoded dots, which some servers decode before they resolve.
fn is_dot_segment(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    let mut dots = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        dots += 1;
    }
    dots == 1 || dots == 2
}

/// A name or IPv4 address, or an IPv6 address in brackets; then perhaps a port.
fn is_host(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = without_port(host);
    let port = &host[name.len()..];
    let port_is_one = port.is_empty() || port[1..].parse::<u16>().is_ok() && !port.starts_with(":+");
    let name_is_one = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        }
    };
    port_is_one && name_is_one
}

/// The host without its port; brackets of an IPv6 address stay.
fn without_port(host: &str) -> &str {
    let after_brackets = host.rfind(']').map_or(0, |end| end + 1);
    host[after_brackets..].find(':').map_or(host, |colon| &host[..after_brackets + colon])
}

/// The server that the request names.
fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let in_header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    in_header.or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

fn is_own_name(name: &str, config: &Config, local: SocketAddr) -> bool {
    let is_loopback = local.ip().to_canonical().is_loopback();
    if !is_loopback && config.allowed_hosts.is_empty() {
        return true;
    }
    ["localhost", "127.0.0.1", "[::1]"]
        .into_iter()
        .chain(config.allowed_hosts.iter().map(String::as_str))
        .any(|allowed| name.eq_ignore_ascii_case(allowed))
        || name.eq_ignore_ascii_case(&address_as_name(local.ip().to_canonical()))
}

/// An address as a URL has it.
fn address_as_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Whether a page that the same server delivered makes the call.
fn is_same_origin(origin: &[u8], host: &str) -> bool {
    [b"http://".as_slice(), b"https://"]
        .into_iter()
        .filter_map(|scheme| origin.strip_prefix(scheme))
        .any(|server| server.eq_ignore_ascii_case(host.as_bytes()))
}
