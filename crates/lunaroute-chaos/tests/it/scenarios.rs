//! Each scenario, small enough for every change: its figures are printed, and every promise has to be kept.

use std::path::Path;
use std::process::Command;

/// Runs a scenario, or a part of one, by the chaos program itself.
#[track_caller]
pub(crate) fn check(scenario: &str) {
    let chaos = Path::new(env!("CARGO_BIN_EXE_lunaroute-chaos"));
    // Cargo names only this crate's programs; the gateway's stands beside them once the workspace is built.
    let gateway = chaos.with_file_name("lunaroute");
    assert!(gateway.is_file(), "{} is missing: run `cargo build -p lunaroute-cli`", gateway.display());
    let mut command = Command::new(chaos);
    command.args(scenario.split(' ')).args(["--short", "--gateway"]).arg(gateway);
    let output = command.output().expect("the chaos program runs");
    let (table, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{table}");
    assert!(output.status.success(), "{table}\n{told}");
}

#[test]
fn a_kill_loses_duplicates_and_leaves_open_nothing() {
    check("kill9");
}

#[test]
fn a_full_broken_or_damaged_disk_conceals_no_loss() {
    check("disk");
}

#[test]
fn a_locked_or_read_only_database_disturbs_no_request() {
    check("database locked read-only");
}

#[test]
fn a_deleted_or_damaged_database_is_rebuilt() {
    check("database deleted damaged");
}
