//! WebSocket (RFC 6455) on connections that began with HTTP/1.1: the handshake, and messages of text in both directions.
//!
//! What the messages say is not known here. Extensions, compression among them, are not spoken.

mod counted;
mod handshake;
mod socket;

pub use handshake::accept;
pub use socket::{Farewell, Gone, Message, Settings, WebSocket};

pub(crate) use handshake::Takeover;
