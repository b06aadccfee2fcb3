//! `lunaroute serve`.

use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;

use lunaroute_server::config::{Config, Environment};
use lunaroute_server::{Gateway, StopReport};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::{ServeOptions, Settings};
use crate::config::load_for;
use crate::exit::Code;
use crate::output::print_json;

/// Exit code of a command that was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

pub(crate) fn serve(settings: &Settings, options: &ServeOptions) -> anyhow::Result<()> {
    let config = load_for(settings, options.listen)?;
    start_log(&config)?;
    lunaroute_server::raise_descriptor_limit();
    let environment = Environment::of_process();
    block_on(async {
        // Before anybody can know that the gateway runs: a signal from now on drains it.
        let mut signals = Signals::listen()?;
        let gateway = Gateway::start(&config, &environment).await?;
        announce(gateway.address())?;
        let signal = signals.next().await;
        tracing::info!(%signal, "stopping: open requests may finish; once more stops at once");
        tokio::select! {
            report = gateway.stop() => {
                report_stop(&report);
                if report.events_lost > 0 { Err(Code(1).into()) } else { Ok(()) }
            }
            signal = signals.next() => {
                tracing::warn!(%signal, "stopping at once; what was accepted is in the journal");
                Err(Code(INTERRUPTED).into())
            }
        }
    })
}

/// One line for a program that waits for the gateway, on standard output; people read the log.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    print_json(&json!({ "listening": format!("http://{address}") }))
}

/// What became of connections and events.
pub(crate) fn report_stop(report: &StopReport) {
    tracing::info!(
        connections_finished = report.connections_finished,
        connections_cut = report.connections_cut,
        events_written = report.events_written,
        events_lost = report.events_lost,
        "stopped"
    );
}

/// The signals by which a process is told to stop. They are held from [`Signals::listen`] on.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM.
    Terminate,
    /// SIGINT, as by Ctrl-C.
    Interrupt,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

impl Signals {
    /// Listens from now on; has to be called within a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}

/// Runs a command's work. What it has not waited for ends with it: a thread that the disk holds up delays nothing.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// The log on standard error, with colours for a terminal that wants them.
pub(crate) fn start_log(config: &Config) -> anyhow::Result<()> {
    let stderr = io::stderr();
    let colour =
        stderr.is_terminal() && anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
    Ok(lunaroute_server::start_log(config, colour)?)
}
