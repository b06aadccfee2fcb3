//! The real binary from outside: started as a user would, spoken to over sockets, killed, and read back.

mod support;
