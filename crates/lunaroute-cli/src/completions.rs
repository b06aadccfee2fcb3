//! `lunaroute completions`.

use std::io;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::arguments::Arguments;

pub(crate) fn print(shell: Shell) -> anyhow::Result<()> {
    generate(shell, &mut Arguments::command(), "lunaroute", &mut io::stdout());
    Ok(())
}
