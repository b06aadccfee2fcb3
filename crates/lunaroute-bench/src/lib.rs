//! The instrument: what a request through the gateway costs, beside the same request sent directly, through a bare
//! proxy and through nginx, and whether the project's limits hold.
//!
//! Every figure is taken from outside: CPU time, memory and written bytes from the kernel's account of a process, time
//! from the client's side of a connection. It never reaches beyond the loopback, never looks into the gateway other than
//! through its own endpoints and commands, and never leaves a record, a process or a setting behind.

mod bare;
mod compare;
mod connection;
mod figures;
mod kernel;
mod limits;
mod load;
mod measure;
mod probe;
mod process;
mod report;
mod rows;
mod stand;
mod workload;

pub use bare::serve as serve_bare_proxy;
pub use compare::{Comparison, compare};
pub use load::{Load, Pool, Tally};
pub use measure::Settings;
pub use report::{Line, Report};
pub use rows::{Row, run};
pub use stand::Programs;
pub use workload::{Template, Workload};
