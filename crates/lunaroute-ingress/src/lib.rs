//! The way in: a listener that speaks HTTP/1.1 and HTTP/2, what is checked before a request is believed, and the bytes
//! of an answer on their way back. A request arrives as its head and an unread body; what becomes of it is the
//! [`Handler`]'s business.
//!
//! This crate never parses a body, never knows a provider or a key's worth, never contacts anybody, and never changes a
//! byte of what an answer says. Rendering a [`lunaroute_core::Failure`] in a caller's dialect is done elsewhere.
//!
//! In reading order: [`door`] says what a path asks for, [`hygiene`] and [`cors`] refuse what must not come in,
//! [`read_body`] takes the body within a [`Budget`], [`Listener`] serves connections, [`Reply`] goes out;
//! [`websocket`] is for the connections that leave HTTP.

mod budget;
mod config;
pub mod cors;
pub mod door;
pub mod hygiene;
pub mod request_id;
pub mod trace_context;
pub mod websocket;

mod gathered;
mod reception;
mod reply;

mod accept;
mod conduct;
mod connection;
mod listener;
mod socket;
mod streams;

pub use budget::{Budget, Share};
pub use config::{Config, Cors};
pub use connection::{Arrival, Handler};
pub use gathered::Gathered;
pub use listener::{BindError, DrainReport, Listener};
pub use reception::read_body;
pub use reply::{Broken, Reply};
