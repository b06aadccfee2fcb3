//! The listener as a client meets it, over real sockets on the loopback interface; the checks as tables.

#![expect(clippy::unwrap_used, reason = "a test that meets an unexpected value has to panic")]

mod closing;
mod door;
mod forwarding;
mod http2;
mod hygiene;
mod limits;
mod reception;
mod smuggling;
mod support;
