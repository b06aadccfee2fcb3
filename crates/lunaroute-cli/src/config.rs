//! `lunaroute config`.

use lunaroute_server::config::{self, Environment, Loaded};

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
        ConfigCommand::Show => print_json_pretty(&load(settings)?.config),
        ConfigCommand::Schema => print_json_pretty(&config::json_schema()),
    }
}

/// The configuration in force for this command line.
pub(crate) fn load(settings: &Settings) -> anyhow::Result<Loaded> {
    Ok(config::load(&settings.overrides, &Environment::of_process())?)
}
