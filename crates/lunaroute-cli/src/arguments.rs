//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lunaroute_server::config::Overrides;

use crate::translate::Spoken;

/// A gateway between AI applications and model providers: forwards byte for byte, records every session.
#[derive(Debug, Parser)]
#[command(name = "lunaroute", version, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Configuration file (YAML, TOML or JSON). Default: $LUNAROUTE_CONFIG, ./lunaroute.yaml, then the usual places.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged on standard error: error, warn, info, debug, trace, or a list such as `info,hyper=warn`.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Print data as JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 69 address, provider or database unavailable, \
                          78 wrong configuration, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway (what happens without a command, too).
    Serve(ServeOptions),
    /// Show what it does: a gateway, a simulated provider and two dozen exchanges, then the recorded sessions.
    Demo(DemoOptions),
    /// Print the variables that send Claude Code, Gemini CLI and SDKs through the gateway, and the option for Codex.
    Env(EnvOptions),
    /// Run a command whose AI traffic goes through the gateway, which is started when none runs.
    Run(RunOptions),
    /// Look at recorded sessions.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Compare the journal, the files and the database, and every row with its own checksum.
    Verify,
    /// Show what a request becomes at a provider of another dialect; nothing is sent.
    Translate(TranslateOptions),
    /// Check, show or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Run the simulated provider alone, for tests.
    #[command(hide = true)]
    Simulate(SimulateOptions),
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(ServeOptions::default())
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct ServeOptions {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Go on serving afterwards, until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Keep the records here instead of in a directory of their own that is removed at the end (with --keep: that stays).
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EnvOptions {
    /// The gateway's address, when it is not the configured one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The gateway's address, when it is not the configured one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// The command and its arguments, such as `claude` or `python agent.py`.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// Reads a request on standard input; prints it in the other dialect on standard output, and on standard error each field
/// that could not be carried over.
#[derive(Debug, Args)]
pub(crate) struct TranslateOptions {
    /// The dialect of the request.
    #[arg(long, value_enum)]
    pub(crate) from: Spoken,
    /// The dialect of the provider.
    #[arg(long, value_enum)]
    pub(crate) to: Spoken,
    /// The model at the provider; its name decides what it is sent. Default: that of the request.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// A configured provider, whose `differences` are respected. Default: the vendor of the dialect.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// End with code 1 when meaning is lost, as translation.strict refuses such a request.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List sessions, the latest first.
    List(ListOptions),
    /// Show one session with its requests.
    Show {
        /// The session's id, the beginning of it, or the client's own id.
        session: String,
        /// Print the body of one of its requests, byte for byte.
        #[arg(long, value_name = "REQUEST", conflicts_with = "response_body", group = "body")]
        request_body: Option<String>,
        /// Print the body of the answer to one of its requests, byte for byte.
        #[arg(long, value_name = "REQUEST", group = "body")]
        response_body: Option<String>,
        /// With one of the above: the body as the provider got or sent it, of a request that was translated.
        #[arg(long, requires = "body")]
        provider_form: bool,
    },
    /// Print requests as they end, until Ctrl-C.
    Tail {
        /// Print this many that ended before, first.
        #[arg(long, short = 'n', default_value_t = 10)]
        lines: u32,
        /// Print those and stop.
        #[arg(long)]
        no_follow: bool,
    },
    /// Write sessions as JSON lines, bodies included.
    Export {
        /// Which sessions; none means all.
        sessions: Vec<String>,
        /// Where to; standard output unless given. An existing file is replaced when the export is complete.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove sessions with all that only they use, from the database and the files.
    Delete {
        /// Their ids, or how these begin.
        #[arg(required = true)]
        sessions: Vec<String>,
    },
    /// Remove the sessions that have had no activity since a day.
    Prune {
        /// A day like 2026-11-21, or a moment like 2026-11-21T08:00:00Z.
        #[arg(long, value_name = "TIME")]
        before: String,
        /// Remove them; without it they are only counted.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only this session: its id, or the beginning of it.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Only sessions in which this model was asked for or answered.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Only sessions with this status: running, completed, error, cancelled.
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only sessions in which this provider answered.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Only sessions of this client, such as claude-code or codex.
    #[arg(long)]
    pub(crate) client: Option<String>,
    /// Only sessions that began at this time or later: a day (2026-11-21) or a moment (2026-11-21T08:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Only sessions that began at this time or earlier; a day counts whole.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// How many, 1 to 1000.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u32,
    /// How many to skip.
    #[arg(long, default_value_t = 0)]
    pub(crate) offset: u64,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the configuration is good.
    Check,
    /// Print the configuration as it is in force, secrets hidden.
    Show,
    /// Print the JSON Schema of the configuration file.
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Mixed into everything that is said.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// What its ledger keeps of request bodies.
    #[arg(long, value_enum, default_value_t = KeptBodies::Digest)]
    pub(crate) bodies: KeptBodies,
}

/// What the simulated provider's ledger keeps of request bodies.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeptBodies {
    /// Their length: the cheapest, for benchmarks.
    Length,
    /// Their length and digest.
    Digest,
}

/// What every command knows.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) overrides: Overrides,
    pub(crate) json: bool,
}

impl Arguments {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            overrides: Overrides {
                file: self.config.clone(),
                listen: None,
                log_level: self.log_level.clone(),
            },
            json: self.json,
        }
    }
}
