//! The gateway as a process of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::probe;

/// A gateway may take this long to be ready, and to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// What gateways are started with.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The program.
    pub(crate) program: PathBuf,
    /// Their state directory; configuration and log are in it too.
    pub(crate) home: PathBuf,
    /// Where both vendors' traffic goes, as `http://ADDRESS`.
    pub(crate) upstream: String,
    /// Keys of the configuration beside those that every gateway here has; `recording` is merged.
    pub(crate) settings: Value,
    /// Words before the program, such as a program that takes rights away and starts another.
    pub(crate) wrapper: Vec<String>,
}

impl Plan {
    pub(crate) fn new(program: &Path, home: &Path, upstream: String) -> Self {
        Self {
            program: program.to_owned(),
            home: home.to_owned(),
            upstream,
            settings: json!({}),
            wrapper: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    /// Starts a gateway and waits until it says that it is ready.
    pub(crate) async fn start(&self) -> Result<Gateway> {
        let started = Instant::now();
        let mut gateway = self.spawn()?;
        probe::ready(gateway.address, PATIENCE).await.with_context(|| self.log_tail())?;
        gateway.ready_after = started.elapsed();
        Ok(gateway)
    }

    /// Runs a command of the program over the same configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Output> {
        let file = self.configure()?;
        let mut command = self.command(&[]);
        command.arg("--config").arg(file).args(arguments);
        command.output().with_context(|| format!("cannot run {}", self.program.display()))
    }

    fn spawn(&self) -> Result<Gateway> {
        let file = self.configure()?;
        let mut child = self
            .command(&self.wrapper)
            .arg("--config")
            .arg(file)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(self.log_file()?))
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let output = child.stdout.take().context("the output was not piped")?;
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gateway = Gateway { child, address, ready_after: Duration::ZERO, plan: self.clone() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("cannot read what the gateway says")?;
        let told: Option<Value> = serde_json::from_str(&line).ok();
        let address =
            told.as_ref().and_then(|told| told["listening"].as_str()?.strip_prefix("http://")?.parse().ok());
        let Some(address) = address else { bail!("the gateway did not start; {}", self.log_tail()) };
        gateway.address = address;
        Ok(gateway)
    }

    /// The program with an environment that holds nothing but its home.
    fn command(&self, wrapper: &[String]) -> Command {
        let mut words = wrapper.iter().map(String::as_str);
        let mut command = match words.next() {
            None => Command::new(&self.program),
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&self.program);
                command
            }
        };
        let path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        command.env_clear().env("LUNAROUTE_HOME", &self.home).env("HOME", &self.home).env("PATH", path);
        command
    }

    fn configure(&self) -> Result<PathBuf> {
        let mut settings = json!({
            "listen": "127.0.0.1:0",
            "providers": {
                "openai": {"base_url": self.upstream},
                "anthropic": {"base_url": self.upstream},
            },
            "network": {"proxy_from_environment": false},
        });
        merge(&mut settings, &self.settings);
        let file = self.outside("json");
        std::fs::write(&file, settings.to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// Beside the home and not in it: the disk that the home is on may be full.
    fn outside(&self, extension: &str) -> PathBuf {
        self.home.with_extension(extension)
    }

    fn log_file(&self) -> Result<File> {
        let path = self.outside("log");
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// What its gateways have logged.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.outside("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of that.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        format!("the end of its log:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

/// A running gateway. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start until it said that it is ready.
    pub(crate) ready_after: Duration,
    plan: Plan,
}

impl Gateway {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until the process is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill the gateway")?;
        self.child.wait().context("cannot wait for the gateway")?;
        Ok(())
    }

    /// Tells the gateway to end and waits until it has.
    ///
    /// # Errors
    /// Also when it says by its exit code that something of its record is lost.
    pub(crate) async fn stop(self) -> Result<()> {
        let tail = self.plan.clone();
        if !self.end().await?.success() {
            bail!("the gateway ended with an error; {}", tail.log_tail());
        }
        Ok(())
    }

    /// The same for a gateway that has to tell of gaps.
    pub(crate) async fn end(mut self) -> Result<ExitStatus> {
        // The standard library can only kill.
        let told = Command::new("kill").arg("-TERM").arg(self.id().to_string()).status();
        if !told.context("cannot run kill")?.success() {
            bail!("the gateway ended by itself before it was told to");
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("cannot wait for the gateway")? {
                return Ok(status);
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("the gateway did not end within {} s", PATIENCE.as_secs())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // A run that failed leaves nothing behind; there is nobody left to tell an error.
            drop(self.child.kill().and_then(|()| self.child.wait()));
        }
    }
}

/// Lays the keys of `with` over those of `base`, object by object.
fn merge(base: &mut Value, with: &Value) {
    match (base, with) {
        (Value::Object(base), Value::Object(with)) => {
            for (key, value) in with {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, with) => *base = with.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn settings_are_laid_over_key_by_key() {
        let mut base = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut base, &json!({"a": {"c": 4, "e": 5}, "d": [6]}));
        assert_eq!(base, json!({"a": {"b": 1, "c": 4, "e": 5}, "d": [6]}));
    }
}
