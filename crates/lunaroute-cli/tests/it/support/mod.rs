//! What the tests start and speak to.

mod gateway;

pub(crate) use gateway::{Gateway, GatewayOptions};
