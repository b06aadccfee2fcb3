//! A database that nobody may write: while the gateway runs, and when it is started.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{BEFORE, Stand};
use crate::report::{Promise, Report};

/// Takes the right to pass over file modes from whoever has it, which is the system's administrator.
const OBEY_MODES: [&str; 2] = ["setpriv", "--bounding-set=-dac_override"];

pub(super) async fn run(stand: &mut Stand) -> Result<Report> {
    let mut report = Report::new("read-only");
    let can = Command::new(OBEY_MODES[0]).args(&OBEY_MODES[1..]).arg("true").output();
    if can.is_ok_and(|output| output.status.success()) {
        stand.plan.wrapper = OBEY_MODES.map(str::to_owned).to_vec();
    }
    let gateway = stand.plan.start().await?;
    let load = Stand::load(&gateway, "before");
    tokio::time::sleep(BEFORE).await;
    set_mode(stand.database(), 0o400)?;
    tokio::time::sleep(BEFORE).await;
    stand.finish(load).await;
    gateway.kill()?;

    // Its writer has to read what the kill left, and may not write it down.
    match stand.plan.start().await {
        Ok(gateway) => {
            report.count("refused to start", 0, Promise::Told);
            let load = Stand::load(&gateway, "read-only");
            tokio::time::sleep(BEFORE).await;
            stand.finish(load).await;
            set_mode(stand.database(), 0o600)?;
            gateway.kill()?;
        }
        Err(error) => {
            // Nobody can be served wrongly by a gateway that does not start; it has to say how to go on.
            let told = format!("{error:#}").contains("recording.sqlite");
            report.count("refused to start", 1, Promise::Told);
            report.count("refused without the way out", usize::from(!told), Promise::Exactly(0.0));
            set_mode(stand.database(), 0o600)?;
        }
    }
    let gateway = stand.plan.start().await?;
    stand.close(gateway, &mut report).await?;
    Ok(report)
}

fn set_mode(files: [PathBuf; 3], mode: u32) -> Result<()> {
    for file in files.iter().filter(|file| file.exists()) {
        std::fs::set_permissions(file, Permissions::from_mode(mode))
            .with_context(|| format!("cannot change the mode of {}", file.display()))?;
    }
    Ok(())
}
