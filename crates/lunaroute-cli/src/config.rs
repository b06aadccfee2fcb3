//! `lunaroute config`.

use std::net::SocketAddr;

use lunaroute_server::config::{self, Config, Environment, Loaded, Overrides};

use crate::arguments::{ConfigCommand, Settings};
use crate::output::print_json_pretty;

pub(crate) fn config(settings: &Settings, command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check => {
            let Loaded { config, file } = load(settings)?;
            lunaroute_server::check(&config)?;
            match file {
                Some(file) => println!("{} is good", file.display()),
                None => println!("there is no configuration file, and none is needed"),
            }
            Ok(())
        }
        ConfigCommand::Show => {
            let config = load(settings)?.config;
            // An address with a password in it is refused, so it must not be shown either.
            lunaroute_server::check(&config)?;
            print_json_pretty(&config)
        }
        ConfigCommand::Schema => print_json_pretty(&config::json_schema()),
    }
}

/// The configuration in force for this command line.
pub(crate) fn load(settings: &Settings) -> anyhow::Result<Loaded> {
    Ok(config::load(&settings.overrides, &Environment::of_process())?)
}

/// The same for a gateway at this address, when one is given. It is an override like any other, so that what must not
/// listen there is refused.
pub(crate) fn load_for(settings: &Settings, listen: Option<SocketAddr>) -> anyhow::Result<Config> {
    let overrides = Overrides { listen, ..settings.overrides.clone() };
    Ok(config::load(&overrides, &Environment::of_process())?.config)
}
