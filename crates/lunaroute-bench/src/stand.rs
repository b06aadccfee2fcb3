//! What stands side by side while it is measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::filled::{self, Filled};
use crate::home::{Home, Keeping};
use crate::kernel::{self, Memory};
use crate::probe;
use crate::process::Process;

/// For a gateway to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `lunaroute`: the gateway, and the simulated provider.
    pub gateway: PathBuf,
    /// An earlier `lunaroute` to compare with.
    pub earlier: Option<PathBuf>,
    /// This crate's own program, which is the bare proxy too.
    pub bare_proxy: PathBuf,
}

/// The ways from the client to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// No proxy at all.
    Direct,
    /// The bare proxy.
    Bare,
    /// nginx, when it is installed.
    Nginx,
    /// The gateway with recording off.
    Off,
    /// The same, with one model that only a provider of Chat Completions has.
    OffForeign,
    /// The gateway with recording on as it is by default: journal, SQLite, JSON Lines, group synchronisation.
    On,
    /// The same with interval synchronisation.
    OnInterval,
    /// The gateway with recording on, beside a database that is large already.
    OnFilled,
    /// The earlier gateway with recording off.
    EarlierOff,
    /// The earlier gateway with recording on.
    EarlierOn,
}

impl Place {
    pub(crate) const fn records(self) -> bool {
        !matches!(self.keeping(), Keeping::Nothing)
    }

    const fn keeping(self) -> Keeping {
        match self {
            Self::On | Self::OnFilled | Self::EarlierOn => Keeping::Group,
            Self::OnInterval => Keeping::Interval,
            Self::Direct | Self::Bare | Self::Nginx | Self::Off | Self::OffForeign | Self::EarlierOff => {
                Keeping::Nothing
            }
        }
    }

    const fn is_gateway(self) -> bool {
        !matches!(self, Self::Direct | Self::Bare | Self::Nginx)
    }
}

/// The provider, the proxies and the gateways, each a process of its own.
pub(crate) struct Stand {
    programs: Programs,
    // Before the folder: what runs in it ends before it is removed.
    gateways: BTreeMap<Place, Gateway>,
    proxies: BTreeMap<Place, Process>,
    provider: Process,
    filled: Option<Filled>,
    folder: TempDir,
    runtime: Runtime,
    lives: Vec<(Place, Life)>,
}

struct Gateway {
    process: Process,
    home: Home,
    idle: Memory,
    cold_start: Duration,
}

/// What was seen of one gateway from its start to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// Resident memory in bytes when it had just become ready.
    pub(crate) idle: u64,
    /// The most that it ever had.
    pub(crate) peak: u64,
    /// From the start of the process until it said that it can serve.
    pub(crate) cold_start: Duration,
}

impl Stand {
    /// Starts the provider, the bare proxy, and nginx when it is installed.
    pub(crate) fn start(programs: &Programs) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("lunaroute-bench-").tempdir().context("no temporary folder")?;
        let provider =
            Process::start(Command::new(&programs.gateway).args(["simulate", "--bodies", "length"]))?;
        let upstream = provider.address();
        let mut proxies = BTreeMap::new();
        let mut bare = Command::new(&programs.bare_proxy);
        bare.args(["bare-proxy", "--upstream", &upstream.to_string()]);
        proxies.insert(Place::Bare, Process::start(&mut bare)?);
        if let Some(nginx) = Process::start_nginx(folder.path(), upstream)? {
            proxies.insert(Place::Nginx, nginx);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            programs: programs.clone(),
            gateways: BTreeMap::new(),
            proxies,
            provider,
            filled: None,
            folder,
            runtime,
            lives: Vec::new(),
        })
    }

    /// The runtime of the client's side. It has one thread, so that the load leaves the other processors alone.
    pub(crate) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A folder that is removed with this value.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the gateways that run and starts others in their stead, each with an empty home but [`Place::OnFilled`].
    pub(crate) fn renew(&mut self, places: &[Place]) -> Result<()> {
        self.dismiss()?;
        if places.contains(&Place::OnFilled) {
            self.fill()?;
        }
        for place in places.iter().copied().filter(|place| place.is_gateway()) {
            let gateway = self.gateway(place)?;
            self.gateways.insert(place, gateway);
        }
        Ok(())
    }

    /// Ends the gateways and notes what was seen of them.
    pub(crate) fn dismiss(&mut self) -> Result<()> {
        let places: Vec<Place> = self.gateways.keys().copied().collect();
        places.into_iter().try_for_each(|place| self.retire(place).map(drop))
    }

    /// Ends the gateway of this place and hands over its home.
    pub(crate) fn retire(&mut self, place: Place) -> Result<Home> {
        let mut gateway = self.gateways.remove(&place).with_context(|| format!("{place:?} does not run"))?;
        self.lives.push((place, gateway.life()?));
        gateway.process.stop()?;
        Ok(gateway.home)
    }

    /// Ends the gateway of this place at once: what its recorder still has to do would disturb the other ways.
    pub(crate) fn give_up(&mut self, place: Place) -> Result<()> {
        if let Some(mut gateway) = self.gateways.remove(&place) {
            self.lives.push((place, gateway.life()?));
            gateway.process.kill()?;
        }
        Ok(())
    }

    /// What was seen of the gateways that have ended.
    pub(crate) fn lives(&self, place: Place) -> Vec<Life> {
        self.lives.iter().filter(|(of, _)| *of == place).map(|(_, life)| *life).collect()
    }

    /// Whether requests can be sent this way: nginx may be missing.
    pub(crate) fn has(&self, place: Place) -> bool {
        self.process(place).is_some()
    }

    pub(crate) fn address(&self, place: Place) -> Result<SocketAddr> {
        Ok(self.running(place)?.address())
    }

    /// The process whose cost is counted; the provider's own when nothing stands before it.
    pub(crate) fn id(&self, place: Place) -> Result<u32> {
        Ok(self.running(place)?.id())
    }

    /// The home of a gateway that runs.
    pub(crate) fn home(&self, place: Place) -> Result<&Home> {
        let gateway = self.gateways.get(&place).with_context(|| format!("{place:?} does not run"))?;
        Ok(&gateway.home)
    }

    /// CPU time of everything that is part of the bench.
    pub(crate) fn own_cpu(&self) -> Result<Duration> {
        kernel::cpu_of_tree(std::process::id())
    }

    /// The program that runs at a place.
    pub(crate) fn program(&self, place: Place) -> &Path {
        match (place, &self.programs.earlier) {
            (Place::EarlierOff | Place::EarlierOn, Some(earlier)) => earlier,
            _ => &self.programs.gateway,
        }
    }

    /// The large database, made when it is first asked for; it takes a minute at most.
    pub(crate) fn fill(&mut self) -> Result<&Filled> {
        if self.filled.is_none() {
            eprintln!("filling a database");
            let filled = filled::fill(self.folder.path(), &self.runtime)?;
            eprintln!("{}", filled.words());
            self.filled = Some(filled);
        }
        self.filled.as_ref().context("a database was filled just now")
    }

    fn running(&self, place: Place) -> Result<&Process> {
        self.process(place).with_context(|| format!("{place:?} does not run"))
    }

    fn process(&self, place: Place) -> Option<&Process> {
        match place {
            Place::Direct => Some(&self.provider),
            Place::Bare | Place::Nginx => self.proxies.get(&place),
            _ => self.gateways.get(&place).map(|gateway| &gateway.process),
        }
    }

    fn gateway(&self, place: Place) -> Result<Gateway> {
        let home = match (place, &self.filled) {
            (Place::OnFilled, Some(filled)) => Home::existing(filled.path()),
            _ => Home::empty(self.folder.path())?,
        };
        home.configure(place.keeping(), self.provider.address(), place == Place::OffForeign)?;
        let process = Process::start(home.command(self.program(place)).arg("serve"))?;
        self.runtime.block_on(probe::ready(process.address(), PATIENCE))?;
        let cold_start = process.started().elapsed();
        let idle = kernel::memory(process.id())?;
        Ok(Gateway { process, home, idle, cold_start })
    }
}

impl Gateway {
    /// What was seen of it until now.
    fn life(&self) -> Result<Life> {
        let peak = kernel::memory(self.process.id())?.peak;
        Ok(Life { idle: self.idle.resident, peak, cold_start: self.cold_start })
    }
}
