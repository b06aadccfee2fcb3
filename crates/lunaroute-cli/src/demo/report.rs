//! What the demo prints: the recorded sessions, and what to type next.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use lunaroute_session::query::{Page, SessionFilter, SessionQuery};
use serde_json::json;

use super::account::Account;
use crate::output::print_json;
use crate::sessions::print_sessions;

/// The recorded sessions, and whether the provider's ledger agrees with them.
pub(super) fn print(
    query: &dyn SessionQuery,
    account: &Account,
    elapsed: Duration,
    json: bool,
) -> anyhow::Result<()> {
    let mut sessions = query.sessions(&SessionFilter::default(), Page::new(1_000, 0))?.items;
    sessions.reverse();
    if json {
        return print_json(&json!({
            "sessions": sessions, "exchanges": account.lines, "differences": account.differences(),
        }));
    }
    println!();
    print_sessions(&sessions)?;
    println!();
    let (exchanges, differences) = (account.lines.len(), account.differences());
    if differences == 0 {
        println!(
            "{exchanges} exchanges in {:.1} s; tokens, tool calls and outcomes of each are what the provider counted.",
            elapsed.as_secs_f64()
        );
    } else {
        println!("{differences} of {exchanges} exchanges differ from what the provider counted:");
        for disagreement in account.disagreements() {
            println!("  {disagreement}");
        }
    }
    Ok(())
}

/// What to type next when everything has stopped.
pub(super) fn next_steps(kept: Option<&Path>) {
    anstream::eprintln!("\nNext:");
    if let Some(directory) = kept {
        let directory = directory.display();
        anstream::eprintln!("  LUNAROUTE_HOME={directory} lunaroute sessions list   what was just recorded");
    }
    anstream::eprintln!("  lunaroute demo --keep          the same, and the gateway goes on serving");
    anstream::eprintln!(
        "  lunaroute serve                your own traffic, with the keys your tools already have"
    );
    anstream::eprintln!("  lunaroute run -- claude        one command through the gateway");
}

/// What to type next while the gateway goes on.
pub(super) fn next_steps_kept(gateway: SocketAddr, directory: &Path) {
    let directory = directory.display();
    anstream::eprintln!("\nThe gateway goes on until Ctrl-C. In another terminal:");
    anstream::eprintln!("  export LUNAROUTE_HOME={directory}");
    anstream::eprintln!("  lunaroute sessions list        then: sessions show ID, sessions tail, verify");
    anstream::eprintln!(
        "  curl http://{gateway}/v1/chat/completions -H 'content-type: application/json' \\\n       \
         -d '{{\"model\":\"sim-text=12\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'"
    );
    anstream::eprintln!("  curl http://{gateway}/metrics");
}
