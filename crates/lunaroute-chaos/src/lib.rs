//! The chaos bench: the real gateway while it is killed, while its disk is full or broken, while its database is locked,
//! damaged or gone, and under load that lasts; and whether its record keeps what was promised.
//!
//! Every run has a ledger of what the clients and the simulated provider saw and compares it with the journal, the JSON
//! Lines files and the database afterwards. It never reaches beyond the loopback, never changes a gateway that it did not
//! start, and leaves no process, mount or record behind.

mod clients;
mod database;
mod disk;
mod kill9;
mod report;
mod soak;
mod stage;
mod upstream;

pub use report::{Line, Promise, Report};

pub use clients::{ClientPart, Clients};
pub use database::{Database, DatabasePart};
pub use disk::{Disk, with_own_mounts};
pub use kill9::Kill9;
pub use soak::Soak;
pub use upstream::{UpstreamBasics, UpstreamPart};
