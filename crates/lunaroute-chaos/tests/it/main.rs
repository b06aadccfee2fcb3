//! Short runs of the scenarios against the debug build of the gateway.

mod clients;
mod scenarios;
mod upstream;
