//! The other commands: what they print, what they start, and what they end with.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::client::{Call, exchange};
use crate::support::gateway::{BINARY, command, run};
use crate::support::ledger::assert_sound;
use crate::support::stage::{Stage, provider};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&output.stdout), text(&output.stderr))
}

/// A program of this name in a directory of its own.
fn program(home: &Path, name: &str, script: &str) -> String {
    let path = home.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the mode");
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn env_prints_what_a_shell_evaluates() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("lunaroute.yaml"), "listen: 0.0.0.0:4321\n").expect("the file");
    let script = format!(
        "eval \"$({BINARY} env)\"; echo \"$ANTHROPIC_BASE_URL $OPENAI_BASE_URL $GOOGLE_GEMINI_BASE_URL\""
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(home.path()).output();
    let (printed, told) = text(&output.expect("sh runs"));
    assert_eq!(printed, "http://127.0.0.1:4321 http://127.0.0.1:4321/v1 http://127.0.0.1:4321\n", "{told}");

    let output = run(home.path(), &["env", "--json", "--listen", "127.0.0.1:99"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["variables"]["ANTHROPIC_BASE_URL"], "http://127.0.0.1:99");
    assert_eq!(told["variables"]["OPENAI_BASE_URL"], "http://127.0.0.1:99/v1");
    assert_eq!(told["codex"], serde_json::json!(["-c", "openai_base_url=\"http://127.0.0.1:99/v1\""]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_starts_a_gateway_for_one_command_and_stops_it() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let (port, upstream) = (free_port(), provider.base_url());
    let yaml = format!("listen: 127.0.0.1:{port}\nproviders:\n  openai: {{ base_url: '{upstream}' }}\n");
    std::fs::write(home.path().join("lunaroute.yaml"), yaml).expect("the file");
    // The command speaks to the gateway as any program would.
    let script = "echo $ANTHROPIC_BASE_URL $OPENAI_BASE_URL; python3 -c '\
import os, urllib.request\n\
print(urllib.request.urlopen(os.environ[\"OPENAI_BASE_URL\"] + \"/models\").status)'; exit 7";
    let output = tokio::task::block_in_place(|| run(home.path(), &["run", "--", "sh", "-c", script]));
    let (printed, told) = text(&output);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert_eq!(printed, format!("http://127.0.0.1:{port} http://127.0.0.1:{port}/v1\n200\n"), "{told}");
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "the gateway still listens");
    let report = assert_sound(home.path());
    assert_eq!(report["requests_in_database"], 1);
    assert_eq!(provider.ledger().entries.len(), 1);

    for (script, code) in [("exit 0", 0), ("kill -9 $$", 137)] {
        assert_eq!(run(home.path(), &["run", "sh", "-c", script]).status.code(), Some(code), "{script}");
    }
    let missing = run(home.path(), &["run", "--", "no-such-program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing).1.contains("cannot run 'no-such-program'"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_uses_a_gateway_that_runs_and_leaves_it_alone() {
    let stage = Stage::open("").await;
    let address = stage.gateway.address.to_string();
    let codex = program(stage.home.path(), "codex", "printf '%s|' \"$@\" \"$OPENAI_BASE_URL\"");
    let output = tokio::task::block_in_place(|| {
        // No second gateway could open the records of the first.
        run(stage.home.path(), &["run", "--listen", &address, "--", &codex, "exec", "--model", "m"])
    });
    let (printed, told) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let base = format!("http://{address}/v1");
    assert_eq!(printed, format!("-c|openai_base_url=\"{base}\"|exec|--model|m|{base}|"));
    assert_eq!(exchange(stage.gateway.address, &Call::get("/healthz")).await.status(), 200);
    assert_eq!(tokio::task::block_in_place(|| stage.gateway.stop()), Some(0));
}

#[test]
fn help_names_every_command_and_exit_code() {
    let home = tempfile::tempdir().expect("a directory");
    let output = run(home.path(), &["--help"]);
    let (help, _) = text(&output);
    let commands =
        ["serve", "demo", "env", "run", "sessions", "verify", "translate", "config", "completions"];
    for command in commands {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is not in\n{help}"
        );
        let output = run(home.path(), &[command, "--help"]);
        let (own, _) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(own.contains("Usage: lunaroute") && own.contains("--json"), "{own}");
    }
    for nested in [["sessions", "list"], ["sessions", "show"], ["sessions", "tail"], ["sessions", "export"]] {
        let output = run(home.path(), &[nested[0], nested[1], "--help"]);
        assert_eq!(output.status.code(), Some(0), "{nested:?}");
    }
    assert!(!help.contains("\n  simulate"), "what is only for tests is not offered");
    for code in ["0 done", "1 failed", "2 wrong usage", "69 ", "78 wrong configuration", "130 interrupted"] {
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(code), "{code} is not in\n{help}");
    }
    assert!(!help.contains('\u{1b}'), "nobody looks at it: no colour");
    let version = run(home.path(), &["--version"]);
    assert_eq!(text(&version).0, format!("lunaroute {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2_and_missing_records_are_69() {
    let home = tempfile::tempdir().expect("a directory");
    let wrong: [&[&str]; 6] = [
        &["nonsense"],
        &["serve", "--listen", "here"],
        &["sessions", "list", "--limit", "many"],
        &["run"],
        &["completions", "csh-like"],
        &["sessions", "show", "x", "--request-body", "1", "--response-body", "1"],
    ];
    for arguments in wrong {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && text(&output).1.contains("--help"), "{arguments:?}");
    }
    let output = run(home.path(), &["sessions", "list"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output).1.contains("has a gateway recorded there yet?"));
}

#[test]
fn completions_are_what_each_shell_reads() {
    let home = tempfile::tempdir().expect("a directory");
    for (shell, sign) in
        [("bash", "_lunaroute()"), ("zsh", "#compdef lunaroute"), ("fish", "complete -c lunaroute")]
    {
        let output = run(home.path(), &["completions", shell]);
        let (script, _) = text(&output);
        assert!(output.status.success() && script.contains(sign) && script.contains("sessions"), "{shell}");
    }
    let (script, _) = text(&run(home.path(), &["completions", "bash"]));
    std::fs::write(home.path().join("completions"), script).expect("the file");
    let read = std::process::Command::new("bash").args(["-n"]).arg(home.path().join("completions")).status();
    assert!(read.expect("bash runs").success());
}

#[test]
fn the_configuration_is_checked_shown_and_described() {
    let home = tempfile::tempdir().expect("a directory");
    let none = run(home.path(), &["config", "check"]);
    assert_eq!(none.status.code(), Some(0));
    assert!(text(&none).0.contains("no configuration file, and none is needed"));
    let yaml = "providers:\n  openai:\n    api_key: ${env:KEY}\n";
    std::fs::write(home.path().join("lunaroute.yaml"), yaml).expect("the file");
    let with_key = |arguments: &[&str]| {
        command(home.path()).args(arguments).env("KEY", "sk-canary").output().expect("the binary runs")
    };
    let checked = with_key(&["config", "check"]);
    assert!(checked.status.success() && text(&checked).0.contains("lunaroute.yaml is good"));
    let (shown, told) = text(&with_key(&["config", "show"]));
    assert!(!shown.contains("sk-canary") && !told.contains("sk-canary"), "{shown}");
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["providers"]["openai"]["api_key"], "***");
    let schema: Value =
        serde_json::from_slice(&run(home.path(), &["config", "schema"]).stdout).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let known = schema["properties"].as_object().expect("properties");
    assert!(shown.as_object().expect("sections").keys().all(|section| known.contains_key(section)));
}

#[test]
fn colour_is_only_for_those_who_want_it() {
    let home = tempfile::tempdir().expect("a directory");
    let help = |name: &str, value: &str| {
        let output =
            command(home.path()).args(["--help"]).env(name, value).output().expect("the binary runs");
        text(&output).0.contains('\u{1b}')
    };
    assert!(help("CLICOLOR_FORCE", "1"), "forced colour");
    assert!(!help("NO_COLOR", "1"));
    let both = command(home.path())
        .args(["--help"])
        .envs([("NO_COLOR", "1"), ("CLICOLOR", "1")])
        .output()
        .expect("the binary runs");
    assert!(!text(&both).0.contains('\u{1b}'));
}
