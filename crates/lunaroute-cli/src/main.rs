//! The operator's command.

mod arguments;
mod completions;
mod config;
mod demo;
mod environment;
mod exit;
mod output;
mod run;
mod serve;
mod sessions;
mod simulate;
mod translate;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = arguments.settings();
    let result = match arguments.command.unwrap_or_default() {
        Command::Serve(options) => serve::serve(&settings, &options),
        Command::Demo(options) => demo::demo(&settings, &options),
        Command::Env(options) => environment::print(&settings, &options),
        Command::Run(options) => run::run(&settings, &options),
        Command::Sessions(command) => sessions::sessions(&settings, &command),
        Command::Verify => verify::verify(&settings),
        Command::Translate(options) => translate::translate(&settings, &options),
        Command::Config(command) => config::config(&settings, &command),
        Command::Completions { shell } => completions::print(shell),
        Command::Simulate(options) => simulate::simulate(&options),
    };
    exit::code(result)
}
