//! The real gateway behind load clients and before a simulated provider, and what each of them wrote down.

pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod load;
pub(crate) mod parity;
pub(crate) mod probe;
pub(crate) mod record;
pub(crate) mod source;
pub(crate) mod vitals;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lunaroute_sim::{BodyPolicy, Config, Provider};

/// Between two looks at something that sends no word of itself.
const LOOK: Duration = Duration::from_millis(20);

/// A simulated provider in this process that remembers as many requests as a run has.
pub(crate) async fn provider() -> Result<Provider> {
    let config = Config { bodies: BodyPolicy::Length, ledger_capacity: 4_000_000, ..Config::default() };
    Provider::start(config).await.context("the simulated provider cannot be started")
}

/// Looks again and again until there is something.
///
/// # Errors
/// When there is nothing within `patience`, or a look fails.
pub(crate) async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if began.elapsed() >= patience {
            bail!("{what}: not within {} s", patience.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}
