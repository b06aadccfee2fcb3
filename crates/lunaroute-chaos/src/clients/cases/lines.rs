//! Cases about request lines and hosts, and cases that are too long to be written down.

use super::Case;
use super::Verdict::{self, Any, Refused, RefusedAlone, Served, ServedLast};

/// A whole request line and a host.
pub(crate) const LINES: &[Case] = &[
    ("a question", "GET /v1/first HTTP/1.1", Served("")),
    ("the absolute form", "GET http://localhost/v1/first HTTP/1.1", Served("")),
    ("the absolute form of another host", "GET http://other/v1/first HTTP/1.1", RefusedAlone),
    ("the absolute form with a user", "GET http://user@localhost/v1/first HTTP/1.1", RefusedAlone),
    ("the authority form", "CONNECT localhost:443 HTTP/1.1", RefusedAlone),
    ("the authority form of a question", "GET localhost:443 HTTP/1.1", RefusedAlone),
    ("the asterisk form", "OPTIONS * HTTP/1.1", RefusedAlone),
    ("an asterisk where none may be", "GET * HTTP/1.1", RefusedAlone),
    ("no target", "GET HTTP/1.1", Refused),
    ("an empty target", "GET  HTTP/1.1", Refused),
    ("a target without a slash", "GET v1/first HTTP/1.1", RefusedAlone),
    ("a fragment", "GET /v1/first#part HTTP/1.1", Any("")),
    ("a backslash", "GET /v1\\first HTTP/1.1", RefusedAlone),
    ("a blank in the target", "GET /v1/first one HTTP/1.1", Refused),
    ("a tab in the target", "GET /v1/fi\trst HTTP/1.1", Refused),
    ("a NUL in the target", "GET /v1/fi\0rst HTTP/1.1", Refused),
    ("a bare carriage return in the target", "GET /v1/fi\rrst HTTP/1.1", Refused),
    ("letters beyond ASCII in the target", "GET /v1/first\u{ef} HTTP/1.1", Any("")),
    ("a dot segment", "GET /v1/../v1/first HTTP/1.1", RefusedAlone),
    ("a hidden dot segment", "GET /v1/%2e%2e/v1/first HTTP/1.1", RefusedAlone),
    ("two blanks after the method", "GET  /v1/first HTTP/1.1", Any("")),
    ("two blanks before the version", "GET /v1/first  HTTP/1.1", Any("")),
    ("a tab after the method", "GET\t/v1/first HTTP/1.1", Refused),
    ("a tab before the version", "GET /v1/first\tHTTP/1.1", Refused),
    ("a blank before the method", " GET /v1/first HTTP/1.1", Refused),
    ("a blank after the version", "GET /v1/first HTTP/1.1 ", Refused),
    ("a method in small letters", "get /v1/first HTTP/1.1", Any("")),
    ("a method that nobody knows", "BREW /v1/first HTTP/1.1", Any("")),
    ("a method with a bracket", "G(T /v1/first HTTP/1.1", Refused),
    ("a method with a NUL", "G\0T /v1/first HTTP/1.1", Refused),
    ("an empty method", " /v1/first HTTP/1.1", Refused),
    ("the method TRACE", "TRACE /v1/first HTTP/1.1", RefusedAlone),
    ("a version in small letters", "GET /v1/first http/1.1", Refused),
    ("a version without its number", "GET /v1/first HTTP/", Refused),
    ("a version of three parts", "GET /v1/first HTTP/1.1.1", Refused),
    ("a version with a blank", "GET /v1/first HTTP/1. 1", Refused),
    ("the version 1.2", "GET /v1/first HTTP/1.2", Any("")),
    ("the version 2.0", "GET /v1/first HTTP/2.0", Refused),
    ("the version 0.9 by name", "GET /v1/first HTTP/0.9", Refused),
    ("the version 11", "GET /v1/first HTTP/11", Refused),
    ("another protocol", "GET /v1/first ICY/1.1", Refused),
    ("no version at all", "GET /v1/first", Refused),
];

/// Everything before the harmless request.
pub(crate) const WHOLE: &[Case] = &[
    ("an empty line before the request", "\r\nGET /v1/first HTTP/1.1\r\nhost: localhost\r\n\r\n", Served("")),
    ("a line feed before the request", "\nGET /v1/first HTTP/1.1\r\nhost: localhost\r\n\r\n", Any("")),
    ("line feeds alone", "GET /v1/first HTTP/1.1\nhost: localhost\n\n", Any("")),
    (
        "the line of a request ended by a carriage return",
        "GET /v1/first HTTP/1.1\rhost: localhost\r\n\r\n",
        Refused,
    ),
    ("no host", "GET /v1/first HTTP/1.1\r\n\r\n", RefusedAlone),
    ("an empty host", "GET /v1/first HTTP/1.1\r\nhost:\r\n\r\n", RefusedAlone),
    ("a host with a path", "GET /v1/first HTTP/1.1\r\nhost: localhost/v1\r\n\r\n", RefusedAlone),
    ("a host with a query", "GET /v1/first HTTP/1.1\r\nhost: localhost?a\r\n\r\n", RefusedAlone),
    ("a host with a user", "GET /v1/first HTTP/1.1\r\nhost: a@localhost\r\n\r\n", RefusedAlone),
    ("a host with a blank", "GET /v1/first HTTP/1.1\r\nhost: local host\r\n\r\n", RefusedAlone),
    ("two hosts in one line", "GET /v1/first HTTP/1.1\r\nhost: localhost, other\r\n\r\n", RefusedAlone),
    (
        "a host with a port that is none",
        "GET /v1/first HTTP/1.1\r\nhost: localhost:port\r\n\r\n",
        RefusedAlone,
    ),
    ("a host with a port too large", "GET /v1/first HTTP/1.1\r\nhost: localhost:65536\r\n\r\n", RefusedAlone),
    ("a host with a signed port", "GET /v1/first HTTP/1.1\r\nhost: localhost:+80\r\n\r\n", RefusedAlone),
    ("a host that is another's", "GET /v1/first HTTP/1.1\r\nhost: rebound.example\r\n\r\n", RefusedAlone),
    (
        "a host whose name has a blank before the colon",
        "GET /v1/first HTTP/1.1\r\nhost : localhost\r\n\r\n",
        Refused,
    ),
    (
        "a header before the host that is folded",
        "GET /v1/first HTTP/1.1\r\n x: y\r\nhost: localhost\r\n\r\n",
        Refused,
    ),
    ("the version 1.0", "GET /v1/first HTTP/1.0\r\nhost: localhost\r\n\r\n", ServedLast("")),
    ("the version 1.0 without a host", "GET /v1/first HTTP/1.0\r\n\r\n", Any("")),
    (
        "the version 1.0 with chunks",
        "POST /v1/first HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "the version 1.0 with chunks and a length",
        "POST /v1/first HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "the version 1.0 kept",
        "POST /v1/first HTTP/1.0\r\nhost: localhost\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
        Any("hello"),
    ),
    (
        "a question with a body",
        "GET /v1/first HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello",
        Served("hello"),
    ),
    (
        "a question with chunks",
        "GET /v1/first HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Served("hello"),
    ),
    ("the beginning of TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", Refused),
    (
        "the beginning of HTTP/2 that breaks off",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        Refused,
    ),
    ("the beginning of HTTP/2 without its magic", "PRI * HTTP/2.0\r\n\r\n", Refused),
    ("a text", "Hello, is there anybody?\r\n\r\n", Refused),
];

/// A name, how everything before the harmless request is made, and what may become of it.
type LongCase = (&'static str, fn() -> String, Verdict);

/// Cases that are too long to be written down.
pub(crate) const LONG: &[LongCase] = &[
    (
        "a method of 60,000 letters",
        || format!("{} /v1/first HTTP/1.1\r\nhost: localhost\r\n\r\n", "G".repeat(60_000)),
        Refused,
    ),
    (
        "a target of 60,000 letters",
        || format!("GET /v1/first?{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(60_000)),
        Refused,
    ),
    (
        "a header's name of 60,000 letters",
        || format!("GET /v1/first HTTP/1.1\r\nhost: localhost\r\n{}: a\r\n\r\n", "a".repeat(60_000)),
        Refused,
    ),
    (
        "a value of 60,000 letters",
        || format!("GET /v1/first HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(60_000)),
        Refused,
    ),
    (
        "2,000 headers",
        || format!("GET /v1/first HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: a\r\n".repeat(2_000)),
        Refused,
    ),
    (
        "a chunk size of 60,000 zeros",
        || {
            format!(
                "POST /v1/first HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{}5\r\nhello\r\n0\r\n\r\n",
                "0".repeat(60_000)
            )
        },
        Any("hello"),
    ),
    (
        "a chunk extension of 60,000 letters",
        || {
            format!(
                "POST /v1/first HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5;{}\r\nhello\r\n0\r\n\r\n",
                "a".repeat(60_000)
            )
        },
        Refused,
    ),
    (
        "trailers of 120,000 letters",
        || {
            format!(
                "POST /v1/first HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{}\r\n",
                "x: abcdef\r\n".repeat(12_000)
            )
        },
        Refused,
    ),
];
