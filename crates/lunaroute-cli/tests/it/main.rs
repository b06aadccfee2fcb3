//! The real binary from outside: started as a user would, spoken to over sockets, killed, and read back.

mod commands;
mod configuration;
mod cuts;
mod demo;
mod drain;
mod edits;
mod endings;
mod front;
mod hang_up;
mod passthrough;
mod previous;
mod providers;
mod retries;
mod sessions;
mod streams;
mod support;
mod translate;
mod translation;
mod translation_agents;
mod translation_oddities;
mod translation_record;
mod translation_tools;
mod translation_troubles;
mod verification;
mod websocket;
mod websocket_ends;
