//! Requests as no library would write them, and what RFC 9110 and RFC 9112 let a server make of each.

mod lines;

use Verdict::{Any, Refused, RefusedAlone, Served, ServedLast};

pub(crate) use lines::{LINES, LONG, WHOLE};

/// What may become of a case's request and of the harmless one that follows it on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody can say where it ends: an error or a closed connection, and what follows is never believed.
    Refused,
    /// An error; what follows may be served or not.
    RefusedAlone,
    /// Forwarded as one request with this body, and what follows too.
    Served(&'static str),
    /// Forwarded as one request with this body, and nothing after it.
    ServedLast(&'static str),
    /// The standard leaves it open: an error, or forwarded as one request with this body.
    Any(&'static str),
}

/// One case: its name, what stands where, and what may become of it.
pub(crate) type Case = (&'static str, &'static str, Verdict);

/// Header lines after the request line and the host, the empty line, and a body. The request line is that of a POST.
pub(crate) const AFTER_HOST: &[Case] = &[
    ("a length", "content-length: 5\r\n\r\nhello", Served("hello")),
    ("no length and no coding", "\r\n", Served("")),
    ("a length of zero", "content-length: 0\r\n\r\n", Served("")),
    ("a length with zeros before it", "content-length: 0005\r\n\r\nhello", Any("hello")),
    ("a length with blanks around it", "content-length: \t 5 \t\r\n\r\nhello", Served("hello")),
    ("a length without a blank", "content-length:5\r\n\r\nhello", Served("hello")),
    ("two lengths that differ", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello", Refused),
    ("two lengths that agree", "content-length: 5\r\ncontent-length: 5\r\n\r\nhello", Any("hello")),
    ("a list of lengths that differ", "content-length: 5, 6\r\n\r\nhello", Refused),
    ("a list of lengths that agree", "content-length: 5, 5\r\n\r\nhello", Any("hello")),
    ("a length with a plus", "content-length: +5\r\n\r\nhello", Refused),
    ("a negative length", "content-length: -5\r\n\r\nhello", Refused),
    ("a negative zero", "content-length: -0\r\n\r\n", Refused),
    ("a length in hexadecimal", "content-length: 0x5\r\n\r\nhello", Refused),
    ("a length in octal letters", "content-length: 0o5\r\n\r\nhello", Refused),
    ("a length with a fraction", "content-length: 5.0\r\n\r\nhello", Refused),
    ("a length with an exponent", "content-length: 5e0\r\n\r\nhello", Refused),
    ("a length with a separator", "content-length: 0_5\r\n\r\nhello", Refused),
    ("a length with a blank inside", "content-length: 1 5\r\n\r\nhello", Refused),
    ("a length past 64 bits", "content-length: 18446744073709551621\r\n\r\nhello", Refused),
    ("a length past all numbers", "content-length: 99999999999999999999999999\r\n\r\nhello", Refused),
    ("an empty length", "content-length:\r\n\r\nhello", Refused),
    ("a length that is a word", "content-length: five\r\n\r\nhello", Refused),
    ("a length in other digits", "content-length: \u{0665}\r\n\r\nhello", Refused),
    ("a length with a comma behind", "content-length: 5,\r\n\r\nhello", Refused),
    ("chunks", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Served("hello")),
    ("chunks in capitals", "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Served("hello")),
    (
        "chunks of several sizes",
        "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        Served("hello"),
    ),
    (
        "a chunk size in capitals",
        "transfer-encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        Served("0123456789"),
    ),
    (
        "a chunk size with zeros before it",
        "transfer-encoding: chunked\r\n\r\n005\r\nhello\r\n0\r\n\r\n",
        Served("hello"),
    ),
    (
        "a last chunk of many zeros",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0000\r\n\r\n",
        Served("hello"),
    ),
    (
        "a chunk extension",
        "transfer-encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n",
        Served("hello"),
    ),
    ("a trailer", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n", Served("hello")),
    (
        "a trailer that names a length",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ncontent-length: 99\r\n\r\n",
        Any("hello"),
    ),
    (
        "a trailer that names a coding",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
        Any("hello"),
    ),
    (
        "a trailer that names a host",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nhost: other\r\n\r\n",
        Any("hello"),
    ),
    (
        "a length beside chunks",
        "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ServedLast("hello"),
    ),
    (
        "chunks beside a length",
        "transfer-encoding: chunked\r\ncontent-length: 60\r\n\r\n0\r\n\r\n",
        ServedLast(""),
    ),
    (
        "a bad length beside chunks",
        "transfer-encoding: chunked\r\ncontent-length: -1\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ServedLast("hello"),
    ),
    ("chunked with a vertical tab", "transfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", Refused),
    ("chunked with a form feed", "transfer-encoding: chunked\u{c}\r\n\r\n0\r\n\r\n", Refused),
    ("chunked in quotes", "transfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused),
    ("chunked with a prefix", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", Refused),
    ("chunked with a suffix", "transfer-encoding: chunked-x\r\n\r\n0\r\n\r\n", Refused),
    ("chunked with a parameter", "transfer-encoding: chunked;a=b\r\n\r\n0\r\n\r\n", Refused),
    ("chunked with a comma before", "transfer-encoding: ,chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Refused),
    ("chunked with a comma behind", "transfer-encoding: chunked,\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Refused),
    ("chunked twice in one line", "transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refused),
    (
        "chunked twice in two lines",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused,
    ),
    ("chunked before another", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused),
    ("chunked after gzip", "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused),
    (
        "chunked hidden in a second line",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused,
    ),
    ("identity", "transfer-encoding: identity\r\ncontent-length: 5\r\n\r\nhello", Refused),
    ("an empty coding", "transfer-encoding:\r\ncontent-length: 5\r\n\r\nhello", Refused),
    ("gzip alone", "transfer-encoding: gzip\r\n\r\nhello", Refused),
    ("a coding with a NUL", "transfer-encoding: chunked\0\r\n\r\n0\r\n\r\n", Refused),
    (
        "a coding's name with an underscore",
        "transfer_encoding: chunked\r\ncontent-length: 5\r\n\r\nhello",
        Any("hello"),
    ),
    ("a blank before the colon of a coding", "transfer-encoding : chunked\r\n\r\n0\r\n\r\n", Refused),
    ("a tab before the colon of a coding", "transfer-encoding\t: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("a blank before the colon of a length", "content-length : 5\r\n\r\nhello", Refused),
    ("a blank inside a header's name", "x name: a\r\n\r\n", Refused),
    ("a header without a name", ": a\r\n\r\n", Refused),
    ("a header without a colon", "x-name\r\n\r\n", Refused),
    ("a header's name with a bracket", "x(name): a\r\n\r\n", Refused),
    ("a header's name with a NUL", "x\0name: a\r\n\r\n", Refused),
    ("a header's name beyond ASCII", "x-n\u{e4}me: a\r\n\r\n", Refused),
    ("a NUL in a value", "x-name: a\0b\r\n\r\n", Refused),
    ("a bell in a value", "x-name: a\u{7}b\r\n\r\n", Refused),
    ("a delete in a value", "x-name: a\u{7f}b\r\n\r\n", Refused),
    ("a bare carriage return in a value", "x-name: a\rtransfer-encoding: chunked\r\n\r\n", Refused),
    ("a folded value", "x-name: a\r\n b\r\n\r\n", Refused),
    ("a folded coding", "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused),
    ("a blank line with a blank", "x-name: a\r\n \r\n\r\n", Refused),
    ("letters beyond ASCII in a value", "x-name: \u{e4}\u{2764}\r\n\r\n", Any("")),
    ("an empty value", "x-name:\r\n\r\n", Served("")),
    ("line feeds alone after the headers", "x-name: a\n\n", Any("")),
    ("a line feed alone after one header", "x-name: a\ncontent-length: 5\r\n\r\nhello", Any("hello")),
    ("a chunk size that is none", "transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", Refused),
    ("a chunk size with a prefix", "transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", Refused),
    ("a chunk size with a plus", "transfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", Refused),
    ("a negative chunk size", "transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", Refused),
    ("a chunk size with a separator", "transfer-encoding: chunked\r\n\r\n0_5\r\nhello\r\n0\r\n\r\n", Refused),
    (
        "a chunk size with a blank before it",
        "transfer-encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n",
        Refused,
    ),
    ("an empty chunk size", "transfer-encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", Refused),
    (
        "a chunk extension without a size",
        "transfer-encoding: chunked\r\n\r\n;a\r\nhello\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "a chunk size past 64 bits",
        "transfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
        Refused,
    ),
    ("a chunk longer than it says", "transfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", Refused),
    (
        "a chunk that two characters end, of any kind",
        "transfer-encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        Refused,
    ),
    ("a chunk without its line end", "transfer-encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", Refused),
    ("a chunk size ended by a line feed", "transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", Refused),
    ("a chunk ended by a line feed", "transfer-encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", Refused),
    (
        "a chunk ended by a carriage return",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r0\r\n\r\n",
        Refused,
    ),
    (
        "a chunk extension with a line feed",
        "transfer-encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "a chunk extension with a NUL",
        "transfer-encoding: chunked\r\n\r\n5;a\0\r\nhello\r\n0\r\n\r\n",
        Any("hello"),
    ),
    (
        "a chunk extension with a carriage return",
        "transfer-encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n",
        Refused,
    ),
    ("expectation of a hundred", "expect: 100-continue\r\ncontent-length: 5\r\n\r\nhello", Served("hello")),
    ("an expectation that nobody knows", "expect: a-miracle\r\ncontent-length: 5\r\n\r\nhello", Any("hello")),
    (
        "an upgrade to HTTP/2",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
        Served(""),
    ),
    ("an upgrade to a WebSocket", "connection: upgrade\r\nupgrade: websocket\r\n\r\n", RefusedAlone),
    ("a second host", "host: localhost\r\n\r\n", RefusedAlone),
    ("a second host that differs", "host: other\r\n\r\n", RefusedAlone),
    ("two credentials", "authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n", RefusedAlone),
    ("two keys", "x-api-key: a\r\nx-api-key: b\r\n\r\n", RefusedAlone),
    (
        "a header named by connection",
        "connection: x-mine\r\nx-mine: 1\r\ncontent-length: 5\r\n\r\nhello",
        Served("hello"),
    ),
    (
        "a length named by connection",
        "connection: content-length\r\ncontent-length: 5\r\n\r\nhello",
        Served("hello"),
    ),
    (
        "the end named by connection",
        "connection: close\r\ncontent-length: 5\r\n\r\nhello",
        ServedLast("hello"),
    ),
    (
        "a request in a body",
        "content-length: 46\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
        Served("GET /v1/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ),
];
