//! `lunaroute run -- COMMAND`: a command whose AI traffic goes through the gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use lunaroute_server::Gateway;
use lunaroute_server::config::Environment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arguments::{RunOptions, Settings};
use crate::config::load;
use crate::environment;
use crate::exit::Code;
use crate::serve::{report_stop, runtime, start_log, stop_signal};

/// How long a gateway on this machine may take to say that it is there.
const PROBE_TIME: Duration = Duration::from_secs(1);

pub(crate) fn run(settings: &Settings, options: &RunOptions) -> anyhow::Result<()> {
    let mut config = load(settings)?.config;
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    if settings.overrides.log_level.is_none() {
        // The command owns the terminal; only what is wrong is told beside it.
        config.log.level = "warn".to_owned();
    }
    start_log(&config)?;
    runtime()?.block_on(async {
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
    // Ctrl-C reaches the command as well, which decides what it means; the gateway waits for the command's end.
    let _held_back = stop_signal()?;
    let mut command = tokio::process::Command::new(program);
    if Path::new(program).file_name().is_some_and(|name| name == "codex") {
        command.args(["-c", &environment::codex_override(address)]);
    }
    command.args(arguments).envs(environment::variables(address));
    let status = command.status().await.with_context(|| format!("cannot run '{program}'"))?;
    Ok(exit_code(status))
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
