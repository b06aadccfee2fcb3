//! `lunaroute demo`: everything once, on loopback alone.

mod account;
mod agent;
mod client;
mod exchanges;
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lunaroute_server::config::{Config, Environment, Provider, ProviderFamily};
use lunaroute_server::{DATABASE_FILE, Gateway};
use lunaroute_session::query::SqliteQuery;
use lunaroute_sim::Provider as Simulated;

use crate::arguments::{DemoOptions, Settings};
use crate::exit::Code;
use crate::serve::{Signals, block_on, report_stop, start_log};

/// How long the record may take to show what has happened.
const PROJECTION_TIME: Duration = Duration::from_secs(10);

pub(crate) fn demo(settings: &Settings, options: &DemoOptions) -> anyhow::Result<()> {
    let records = Records::open(options)?;
    let mut config = configuration(records.path());
    config.log.level = settings.overrides.log_level.clone().unwrap_or_else(|| "error".to_owned());
    start_log(&config)?;
    block_on(show(settings, options, config, records))
}

async fn show(
    settings: &Settings,
    options: &DemoOptions,
    mut config: Config,
    records: Records,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut signals = Signals::listen()?;
    let provider = Simulated::start(lunaroute_sim::Config::default()).await?;
    send_to(&mut config, &provider.base_url());
    let gateway = Gateway::start(&config, &Environment::default()).await?;
    anstream::eprintln!("simulated provider  {}", provider.base_url());
    anstream::eprintln!("gateway             http://{}", gateway.address());
    let sent = exchanges::send_all(gateway.address()).await?;
    let ledger = provider.ledger_when(|ledger| ledger.finished() == ledger.entries.len()).await;
    let query = SqliteQuery::open_read_only(&records.path().join(DATABASE_FILE))?;
    let account = account::settle(&query, &ledger, &sent, PROJECTION_TIME).await?;
    report::print(&query, &account, began.elapsed(), settings.json)?;
    if options.keep {
        report::next_steps_kept(gateway.address(), records.path());
        signals.next().await;
    }
    let stopped = gateway.stop().await;
    report_stop(&stopped);
    provider.shutdown().await;
    if !options.keep {
        report::next_steps(records.kept());
    }
    if account.differences() > 0 || stopped.events_lost > 0 { Err(Code(1).into()) } else { Ok(()) }
}

/// Where the demo's records are.
enum Records {
    /// Removed at the end.
    Temporary(tempfile::TempDir),
    /// Left where the user wants them.
    Kept(PathBuf),
}

impl Records {
    fn open(options: &DemoOptions) -> std::io::Result<Self> {
        match &options.directory {
            Some(path) => Ok(Self::Kept(path.clone())),
            None => {
                let mut directory = tempfile::Builder::new().prefix("lunaroute-demo-").tempdir()?;
                if options.keep {
                    directory.disable_cleanup(true);
                }
                Ok(Self::Temporary(directory))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }

    /// The directory, when it is there after the demo.
    fn kept(&self) -> Option<&Path> {
        match self {
            Self::Temporary(_) => None,
            Self::Kept(path) => Some(path),
        }
    }
}

/// The built-in defaults on a free port, with records of the demo's own.
fn configuration(directory: &Path) -> Config {
    let mut config = Config::default();
    config.listen.set_port(0);
    config.recording.directory = Some(directory.to_owned());
    config
}

/// Sends both vendors' traffic to the simulated provider.
fn send_to(config: &mut Config, base_url: &str) {
    for (name, family) in [("openai", ProviderFamily::Openai), ("anthropic", ProviderFamily::Anthropic)] {
        config.providers.insert(
            name.to_owned(),
            Provider {
                dialect: Some(family),
                dialects: None,
                differences: Vec::new(),
                base_url: Some(base_url.to_owned()),
                api_key: None,
                api_key_file: None,
                authentication: None,
                default: false,
            },
        );
    }
}
