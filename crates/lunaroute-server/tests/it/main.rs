//! The server's configuration from outside: what is taken, what is refused, and how a mistake is told.

mod configuration;
mod documents;
mod overlay;
