//! `lunaroute simulate`: the simulated provider alone.

use lunaroute_sim::{BodyPolicy, Config, Provider};
use serde_json::json;

use crate::arguments::{KeptBodies, SimulateOptions};
use crate::output::print_json;
use crate::serve::{Signals, block_on};

pub(crate) fn simulate(options: &SimulateOptions) -> anyhow::Result<()> {
    block_on(async {
        let mut signals = Signals::listen()?;
        let bodies = match options.bodies {
            KeptBodies::Length => BodyPolicy::Length,
            KeptBodies::Digest => BodyPolicy::Digest,
        };
        let config = Config { address: options.listen, seed: options.seed, bodies, ..Config::default() };
        let provider = Provider::start(config).await?;
        print_json(&json!({ "listening": provider.base_url() }))?;
        signals.next().await;
        provider.shutdown().await;
        Ok(())
    })
}
