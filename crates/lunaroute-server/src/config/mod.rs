//! The configuration: what can be set, where it comes from, and how a mistake in it is told.
//!
//! Only this module knows files, the environment and serde; every room gets a plain struct. Later sources win:
//! built-in defaults, the file, `LUNAROUTE_*` variables, the command line. Every key has an effect or is refused.

mod check;
mod load;
mod paths;
mod provider;
mod recording;
mod responses;
mod schema;
mod units;

pub use load::{ConfigError, Loaded, Overrides, load};
pub use paths::{Environment, state_directory};
pub use provider::{Authentication, ConfiguredSecret, Difference, Provider, ProviderFamily};
pub use recording::{Recording, Retention, Synchronisation};
pub use responses::Responses;
pub use schema::{
    Access, Catalog, Config, Disconnect, Fallback, Limits, Log, LogFormat, ModelRoute, Network, Retrying,
    Streaming, TimeLimits, Translation,
};
pub use units::{Period, Size};

/// The JSON Schema of the configuration file (draft 2020-12), for editors and checks.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
