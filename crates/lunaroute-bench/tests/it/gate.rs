//! What the program's exit code says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// In place of a gateway: it says where it listens, as the simulated provider does, and waits to be ended. Its size is
/// the only thing about it that is measured.
fn gateway(folder: &Path, bytes: usize) -> PathBuf {
    let path = folder.join(format!("gateway-{bytes}"));
    let mut text = "#!/bin/sh\necho '{\"listening\": \"http://127.0.0.1:1\"}'\nexec sleep 600\n".to_owned();
    text.push_str(&"#".repeat(bytes.saturating_sub(text.len())));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn bench(gateway: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lunaroute-bench"))
        .args(["run", "size", "--quick", "--gateway"])
        .arg(gateway)
        .args(more)
        .output()
        .unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, words: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}\n{errors}");
    assert!(text.contains(words), "{words} is missing in\n{text}\n{errors}");
}

#[test]
fn a_limit_that_does_not_hold_is_exit_code_1_unless_it_is_only_printed() {
    let folder = tempfile::tempdir().unwrap();
    let large = gateway(folder.path(), 26 << 20);
    check(&bench(&large, &[]), 1, "1 limits do not hold");
    check(&bench(&large, &["--no-gate"]), 0, "1 limits do not hold");
    check(&bench(&gateway(folder.path(), 1_000), &[]), 0, "0 limits do not hold");
}

#[test]
fn a_kept_report_gives_the_next_one_its_figures_before() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("last.json");
    let keep = ["--json", "--keep", kept.to_str().unwrap()];
    let first = bench(&gateway(folder.path(), 2 << 20), &keep);
    check(&first, 0, "\"value\": 2.0");
    assert!(!String::from_utf8_lossy(&first.stderr).contains("before -> after"));
    let second = bench(&gateway(folder.path(), 4 << 20), &keep);
    check(&second, 0, "\"value\": 4.0");
    let errors = String::from_utf8_lossy(&second.stderr);
    assert!(errors.contains("size of the program (MiB): 2.00 -> 4.00 (2.00 x)"), "{errors}");
    assert_eq!(fs::read(&kept).unwrap().trim_ascii(), second.stdout.trim_ascii());
}

#[test]
fn a_gateway_that_does_not_start_is_an_error_and_no_finding() {
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("silent");
    fs::write(&silent, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o755)).unwrap();
    let output = bench(&silent, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: "), "{output:?}");
}
