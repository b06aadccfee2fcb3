//! The instrument: what a request through the gateway costs, beside the same request sent directly, through a bare
//! proxy and through nginx, and whether the project's limits hold.
//!
//! Every figure of the gateway is taken from outside: CPU time, memory and written bytes from the kernel's account of a
//! process, time from the client's side of a connection. Only the recorder is also driven alone, in this process. The
//! instrument never reaches beyond the loopback, never looks into the gateway other than through its own endpoints and
//! commands, and never leaves a record, a process or a setting behind.

mod account;
mod alone;
mod bare;
mod compare;
mod connection;
mod figures;
mod filled;
mod home;
mod kernel;
mod limits;
mod line;
mod load;
mod measure;
mod probe;
mod process;
mod report;
mod rows;
mod stand;
mod table;
mod workload;

pub use bare::serve as serve_bare_proxy;
pub use compare::{Comparison, compare};
pub use line::Line;
pub use load::{Load, Pool, Tally};
pub use measure::Settings;
pub use report::Report;
pub use rows::{Row, run};
pub use stand::Programs;
pub use table::Style;
pub use workload::{Template, Workload};
