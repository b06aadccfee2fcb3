//! What the tests start and speak to.

pub(crate) mod bodies;
pub(crate) mod client;
pub(crate) mod dialogue;
pub(crate) mod events;
pub(crate) mod gateway;
pub(crate) mod ledger;
pub(crate) mod raw_upstream;
pub(crate) mod stage;
pub(crate) mod websocket;

pub(crate) use gateway::{Gateway, GatewayOptions};
