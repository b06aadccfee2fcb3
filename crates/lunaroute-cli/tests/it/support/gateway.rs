//! The gateway as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_lunaroute");

/// What a gateway is started with.
#[derive(Default)]
pub(crate) struct GatewayOptions<'a> {
    /// Where all vendors' traffic goes.
    pub(crate) upstream: Option<String>,
    /// Further YAML at the top level of the configuration.
    pub(crate) yaml: &'a str,
    /// Further lines inside `providers.openai`, `.anthropic` and `.gemini`, already indented by four blanks.
    pub(crate) provider_yaml: &'a str,
}

/// A running gateway. Killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Gateway {
    /// Starts `lunaroute serve` with its records in `home` and waits until it says that it listens.
    pub(crate) fn start(home: &Path, options: &GatewayOptions<'_>) -> Self {
        let config = write_config(home, options);
        let mut child = command(home)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log_file(home)))
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout can be read");
        let told: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("no address ({error}) in {line:?}; its log:\n{}", log(home)));
        let url = told["listening"].as_str().expect("an address");
        let address = url.trim_start_matches("http://").parse().expect("an address");
        Self { child, address }
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(self.child.id(), "TERM");
    }

    /// SIGINT, as Ctrl-C sends it.
    pub(crate) fn interrupt(&self) {
        signal(self.child.id(), "INT");
    }

    /// Waits for the end and gives the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("the process is gone").code()
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(self) -> Option<i32> {
        self.terminate();
        self.wait()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; one that ended has reaped the process already.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _gone = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// Runs a command of the binary over the records in `home`.
pub(crate) fn run(home: &Path, arguments: &[&str]) -> Output {
    command(home).args(arguments).output().expect("the binary runs")
}

/// The binary with an environment that holds nothing but `home`.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("LUNAROUTE_HOME", home)
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .current_dir(home);
    command
}

/// What the gateways over `home` have logged.
pub(crate) fn log(home: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = std::fs::File::open(home.join("log.txt")) {
        file.read_to_string(&mut text).expect("the log is text");
    }
    text
}

fn log_file(home: &Path) -> std::fs::File {
    std::fs::OpenOptions::new().create(true).append(true).open(home.join("log.txt")).expect("a log file")
}

fn write_config(home: &Path, options: &GatewayOptions<'_>) -> PathBuf {
    let mut text = String::new();
    if let Some(upstream) = &options.upstream {
        let provider = options.provider_yaml;
        text = format!(
            "providers:\n  openai:\n    base_url: {upstream}\n{provider}  anthropic:\n    base_url: {upstream}\n{provider}  \
             gemini:\n    base_url: {upstream}\n{provider}"
        );
    }
    text.push_str(options.yaml);
    let path = home.join("lunaroute.yaml");
    std::fs::write(&path, text).expect("the configuration is written");
    path
}

/// Sends a signal to a process of the test.
pub(crate) fn signal(process: u32, name: &str) {
    let status =
        Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().expect("kill runs");
    assert!(status.success(), "SIG{name} could not be sent");
}
