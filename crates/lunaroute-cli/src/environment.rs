//! `lunaroute env`: what sends a client's traffic through the gateway.

use std::net::SocketAddr;

use serde_json::json;

use crate::arguments::{EnvOptions, Settings};
use crate::config::load;
use crate::output::print_json_pretty;

/// The variables that clients read. Anthropic's SDKs and Claude Code add `/v1/...` themselves, and Google's and the Gemini
/// CLI `/v1beta/...`; OpenAI's SDKs do not.
pub(crate) fn variables(address: SocketAddr) -> [(&'static str, String); 3] {
    [
        ("ANTHROPIC_BASE_URL", format!("http://{address}")),
        ("GOOGLE_GEMINI_BASE_URL", format!("http://{address}")),
        ("OPENAI_BASE_URL", format!("http://{address}/v1")),
    ]
}

/// The setting by which Codex is told: it reads no variable for it.
pub(crate) fn codex_override(address: SocketAddr) -> String {
    format!("openai_base_url=\"http://{address}/v1\"")
}

pub(crate) fn print(settings: &Settings, options: &EnvOptions) -> anyhow::Result<()> {
    let address = address(settings, options.listen)?;
    let variables = variables(address);
    if settings.json {
        let variables: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        return print_json_pretty(
            &json!({ "variables": variables, "codex": ["-c", codex_override(address)] }),
        );
    }
    println!(
        "# Claude Code, Gemini CLI, and the Anthropic, Google and OpenAI SDKs: eval \"$(lunaroute env)\""
    );
    for (name, value) in variables {
        println!("export {name}={value}");
    }
    println!("# Codex reads no variable; start it as: codex -c '{}'", codex_override(address));
    Ok(())
}

/// The address that clients are sent to. A gateway that listens on all addresses is reached on the loopback one.
pub(crate) fn address(settings: &Settings, listen: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
    let mut address = match listen {
        Some(address) => address,
        None => load(settings)?.config.listen,
    };
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}
