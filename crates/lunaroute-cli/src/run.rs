//! `lunaroute run -- COMMAND`: a command whose AI traffic goes through the gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use lunaroute_server::Gateway;
use lunaroute_server::config::Environment;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::arguments::{RunOptions, Settings};
use crate::config::load_for;
use crate::environment;
use crate::exit::Code;
use crate::serve::{Signals, Stop, block_on, report_stop, start_log};

/// How long a gateway on this machine may take to say that it is there.
const PROBE_TIME: Duration = Duration::from_secs(1);

pub(crate) fn run(settings: &Settings, options: &RunOptions) -> anyhow::Result<()> {
    let mut config = load_for(settings, options.listen)?;
    if settings.overrides.log_level.is_none() {
        // The command owns the terminal; only what is wrong is told beside it.
        config.log.level = "warn".to_owned();
    }
    start_log(&config)?;
    block_on(async {
        let address = environment::address(settings, Some(config.listen))?;
        let (gateway, address) = if address.port() != 0 && is_gateway(address).await {
            (None, address)
        } else {
            let gateway = Gateway::start(&config, &Environment::of_process()).await?;
            let address = environment::address(settings, Some(gateway.address()))?;
            (Some(gateway), address)
        };
        let result = command(&options.command, address).await;
        if let Some(gateway) = gateway {
            report_stop(&gateway.stop().await);
        }
        match result? {
            0 => Ok(()),
            code => Err(Code(code).into()),
        }
    })
}

/// Runs the command to its end and gives its exit code.
async fn command(words: &[String], address: SocketAddr) -> anyhow::Result<u8> {
    let Some((program, arguments)) = words.split_first() else { return Ok(0) };
    let mut signals = Signals::listen()?;
    let mut command = tokio::process::Command::new(program);
    if Path::new(program).file_name().is_some_and(|name| name == "codex") {
        command.args(["-c", &environment::codex_override(address)]);
    }
    command.args(arguments).envs(environment::variables(address));
    let mut child = command.spawn().with_context(|| format!("cannot run '{program}'"))?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            // Ctrl-C has reached the command as well, which decides what it means; SIGTERM was for us alone.
            signal = signals.next() => if signal == Stop::Terminate { pass_on(&child) },
        }
    }
}

/// Asks the command to end, as this process was asked.
fn pass_on(child: &Child) {
    let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(Err(error)) = process.map(|process| kill_process(process, Signal::TERM)) {
        tracing::warn!(%error, "the command could not be asked to end");
    }
}

/// As shells tell it: 128 and the signal's number for a command that a signal ended.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Whether a gateway of ours answers at the address. The question is one line of HTTP, so no client is needed for it.
async fn is_gateway(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let question = format!("GET /version HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer).await.ok()?;
        Some(answer.contains("\"name\":\"lunaroute\""))
    };
    tokio::time::timeout(PROBE_TIME, ask).await.ok().flatten().unwrap_or(false)
}
