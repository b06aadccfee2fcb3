//! The simulated provider, seen from the network by a client that looks at every byte.

mod client;
mod delivery;
mod faults;
mod ledger;
mod scripts;
mod shapes;
mod tools;
