//! `lunaroute serve`.

use std::io::IsTerminal;
use std::net::SocketAddr;

use lunaroute_server::config::{Config, Environment};
use lunaroute_server::{Gateway, StopReport};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{ServeOptions, Settings};
use crate::config::load;
use crate::exit::Code;
use crate::output::print_json;

pub(crate) fn serve(settings: &Settings, options: &ServeOptions) -> anyhow::Result<()> {
    let mut config = load(settings)?.config;
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    start_log(&config)?;
    let runtime = runtime()?;
    let environment = Environment::of_process();
    let lost = runtime.block_on(async {
        // Before anybody can know that the gateway runs: a signal from now on drains it.
        let stop = stop_signal()?;
        let gateway = Gateway::start(&config, &environment).await?;
        announce(gateway.address())?;
        let signal = stop.await;
        tracing::info!(signal, "stopping: open requests may finish");
        let report = gateway.stop().await;
        report_stop(&report);
        anyhow::Ok(report.events_lost)
    })?;
    if lost > 0 { Err(Code(1).into()) } else { Ok(()) }
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

/// Completes with the signal's name when the process is told to stop. Listens from the call on, not from the first poll.
pub(crate) fn stop_signal() -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// A runtime for a command.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The log on standard error, with colours for a terminal that wants them.
pub(crate) fn start_log(config: &Config) -> anyhow::Result<()> {
    let stderr = std::io::stderr();
    let colour =
        stderr.is_terminal() && anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
    Ok(lunaroute_server::start_log(config, colour)?)
}
