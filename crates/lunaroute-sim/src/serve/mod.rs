//! The network side: connections in, answers out, and the account of both.

mod accept;
mod book;
mod control;
mod desk;
mod playback;
mod socket;

pub(crate) use accept::accept;
pub(crate) use desk::Desk;
