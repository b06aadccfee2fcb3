//! Programs that run beside this one, on the loopback, and end with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A program may take this long to start, and to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// A running program that listens on an address.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    /// When it was started, and how long it took to say where it listens.
    started: Instant,
}

impl Process {
    /// Starts a program that prints `{"listening": "http://ADDRESS"}` once it listens.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let started = Instant::now();
        let shown = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let output = child.stdout.take().context("the output was not piped")?;
        let line = first_line(output).unwrap_or_default();
        let told = serde_json::from_str::<Value>(&line).ok();
        let address =
            told.as_ref().and_then(|told| told["listening"].as_str()?.strip_prefix("http://")?.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{shown} ended, or did not say within {PATIENCE:?} where it listens: {line:?}");
        };
        Ok(Self { child, address, started })
    }

    /// Starts nginx as a proxy with a configuration in this folder; `None` when it is not installed.
    pub(crate) fn start_nginx(folder: &Path, upstream: SocketAddr) -> Result<Option<Self>> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = free.local_addr()?;
        drop(free);
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(folder, address, upstream))
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        let started = Instant::now();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-e").arg(folder.join("error.log")).arg("-c").arg(&configuration);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("cannot start nginx"),
        };
        let mut process = Self { child, address, started };
        while TcpStream::connect(address).is_err() {
            let ended = process.child.try_wait().context("cannot wait for nginx")?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                bail!("nginx does not start; it says why in {}", folder.join("error.log").display());
            }
            std::thread::park_timeout(PAUSE);
        }
        Ok(Some(process))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Tells the program to end and waits until it has; one that does not is killed.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.child.try_wait().context("cannot wait for a program")?.is_some() {
            return Ok(());
        }
        // The standard library can only kill, and a killed nginx leaves its workers behind.
        let told = Command::new("kill").arg("-TERM").arg(self.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE;
        while told.as_ref().is_ok_and(|status| status.success()) && Instant::now() < deadline {
            if self.child.try_wait().context("cannot wait for a program")?.is_some() {
                return Ok(());
            }
            std::thread::park_timeout(PAUSE);
        }
        self.kill()?;
        bail!("a program did not end within {} s and was killed", PATIENCE.as_secs())
    }

    /// Ends the program at once.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot end a program")?;
        self.child.wait().context("cannot wait for a program")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// What a program says first; `None` when it says nothing in time.
fn first_line(output: ChildStdout) -> Option<String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // It ends with the program, which is killed when it was waited for in vain.
    thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(output).read_line(&mut line).is_ok() {
            // Whoever does not wait any more has killed the program.
            drop(sender.send(line));
        }
    });
    receiver.recv_timeout(PATIENCE).ok()
}

fn nginx_configuration(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    client_max_body_size 64m;
    client_body_buffer_size 1m;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream provider {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}
