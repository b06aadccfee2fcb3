//! The configuration as the binary meets it: what it starts with, what it refuses, and what a refusal costs.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use rusqlite::Connection;
use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::client::{Call, exchange};
use crate::support::gateway::{command, log, run};
use crate::support::ledger::{MARK, jsonl_files, verify};
use crate::support::stage::{CHAT, Stage, body, provider, query, record};
use crate::support::{Gateway, GatewayOptions};

/// Runs `serve` with this configuration, which has to be refused.
fn serve(home: &Path, yaml: &str) -> Output {
    std::fs::write(home.join("c.yaml"), yaml).expect("the configuration");
    refusal(home, &["serve", "--listen", "127.0.0.1:0", "--config", "c.yaml"])
}

/// Runs a gateway that has to refuse to start; one that starts is ended.
fn refusal(home: &Path, arguments: &[&str]) -> Output {
    let mut child = command(home)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut line).expect("stdout can be read");
    if !line.is_empty() {
        child.kill().expect("SIGKILL can be sent");
    }
    let output = child.wait_with_output().expect("it ends");
    Output { stdout: line.into_bytes(), ..output }
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, reason: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(reason), "{told}");
    assert!(output.stdout.is_empty(), "it said that it listens");
}

#[test]
fn a_wrong_configuration_does_not_start() {
    let home = tempfile::tempdir().expect("a directory");
    let cases = [
        ("providers:\n  openai:\n    base_ulr: x\n", "did you mean 'base_url'?"),
        ("providers:\n  openai:\n    api_key: ${env:NOT_SET}\n", "variable NOT_SET is not set"),
        ("providers:\n  openai:\n    base_url: ftp://example.test\n", "providers.openai.base_url"),
        ("models:\n  - { model: '[', provider: openai }\n", "models"),
        ("network:\n  extra_ca_file: /nowhere.pem\n", "/nowhere.pem"),
        ("log:\n  level: 'a=b=c'\n", "a=b=c"),
    ];
    for (yaml, reason) in cases {
        assert_refused(&serve(home.path(), yaml), 78, reason);
        let checked = run(home.path(), &["config", "check", "--config", "c.yaml"]);
        assert_refused(&checked, 78, reason);
    }
    let missing = refusal(home.path(), &["serve", "--config", "nowhere.yaml"]);
    assert_refused(&missing, 78, "nowhere.yaml");
    assert!(!home.path().join("journal").exists(), "a gateway that does not start records nothing");
    println!("wrong configurations {}, started 0", cases.len() + 1);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let key = home.path().join("key");
    std::fs::write(&key, "sk-canary\n").expect("the key");
    let yaml = format!("providers:\n  openai:\n    api_key_file: {}\n", key.display());
    for (mode, code) in [(0o644, Some(78)), (0o640, Some(78)), (0o604, Some(78)), (0o600, Some(0))] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("the mode");
        std::fs::write(home.path().join("c.yaml"), &yaml).expect("the configuration");
        let output = run(home.path(), &["config", "check", "--config", "c.yaml"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), code, "{mode:o}: {told}");
        assert!(!told.contains("sk-canary"));
        assert!(code == Some(0) || told.contains("chmod 600"), "{told}");
    }
    assert_refused(
        &refusal(home.path(), &["serve", "--listen", "0.0.0.0:0", "--config", "c.yaml"]),
        78,
        "everybody who reaches that address could use the key",
    );
}

#[test]
fn what_is_taken_or_broken_is_unavailable() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = tempfile::tempdir().expect("a directory");
    assert_refused(&refusal(home.path(), &["serve", "--listen", &address]), 69, &address);
    let database = Connection::open(home.path().join("lunaroute.sqlite")).expect("the database");
    database.execute_batch("CREATE TABLE theirs (x)").expect("another program's table");
    assert_refused(&serve(home.path(), ""), 69, "recording.sqlite: false");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_database_is_refused_and_the_journal_alone_serves() {
    let Stage { provider, gateway, home } = Stage::open("").await;
    let first = exchange(gateway.address, &Call::post(CHAT, body(CHAT, "a-model", false))).await;
    record(home.path(), first.head.request_id()).await;
    assert_eq!(block_in_place(|| gateway.stop()), Some(0));
    let database = home.path().join("lunaroute.sqlite");
    let connection = Connection::open(&database).expect("the database");
    connection
        .execute("INSERT INTO schema_version VALUES (999, '0999_from_the_future', 'x', 0)", [])
        .expect("a row");
    drop(connection);
    let before = dump(&database);

    let refused = serve(home.path(), "");
    assert_refused(&refused, 69, "schema 999 is newer than this build's");
    assert_refused(&refused, 69, "recording.sqlite: false");

    let yaml = "recording:\n  sqlite: false\n";
    let options = GatewayOptions { upstream: Some(provider.base_url()), yaml, ..GatewayOptions::default() };
    let gateway = Gateway::start(home.path(), &options);
    assert_eq!(exchange(gateway.address, &Call::get("/readyz")).await.status(), 200);
    let call = Call::post(CHAT, body(CHAT, "a-model", false)).header(MARK, "without a database");
    let answer = exchange(gateway.address, &call).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(block_in_place(|| gateway.stop()), Some(0));
    let id = answer.head.request_id().to_string();
    let ends = jsonl_files(home.path()).iter().any(|file| {
        let lines = std::fs::read_to_string(file).expect("lines");
        lines.lines().any(|line| line.contains(&id) && line.contains(r#""kind":"completed""#))
    });
    assert!(ends, "the files have the request");
    let report = journal_of(home.path());
    assert_eq!(report["requests_in_journal"], report["requests_in_jsonl"], "{report:#}");
    assert_eq!(dump(&database), before, "the newer database was touched");

    // With the database back, what only the journal and the files have comes in.
    let connection = Connection::open(&database).expect("the database");
    connection.execute("DELETE FROM schema_version WHERE version = 999", []).expect("the row goes");
    drop(connection);
    let options = GatewayOptions { upstream: Some(provider.base_url()), ..GatewayOptions::default() };
    let gateway = Gateway::start(home.path(), &options);
    let detail = record(home.path(), answer.head.request_id()).await;
    assert_eq!(detail.request.ending.as_deref(), Some("completed"));
    assert_eq!(block_in_place(|| gateway.stop()), Some(0));
}

/// What `verify` says of the journal and the files alone.
fn journal_of(home: &Path) -> Value {
    let copy = tempfile::tempdir().expect("a directory");
    for directory in ["journal", "sessions"] {
        std::os::unix::fs::symlink(home.join(directory), copy.path().join(directory)).expect("a link");
    }
    std::fs::write(copy.path().join("lunaroute.yaml"), "recording:\n  sqlite: false\n").expect("the file");
    let (code, report) = verify(copy.path());
    assert_eq!(code, Some(0), "{report:#}");
    report
}

/// Every row count and the version: a cheap look at whether somebody wrote.
fn dump(database: &Path) -> Vec<(String, i64)> {
    let connection = Connection::open(database).expect("the database");
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("SQL");
    let names = statement.query_map([], |row| row.get::<_, String>(0)).expect("tables");
    let names: Vec<String> = names.map(|name| name.expect("a name")).collect();
    let count = |name: &String| {
        connection
            .query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))
            .expect("a count")
    };
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_reaches_the_running_gateway() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let elsewhere = home.path().join("elsewhere");
    let options = GatewayOptions { upstream: Some(provider.base_url()), ..GatewayOptions::default() };
    drop(Gateway::start(home.path(), &options));
    let shown = command(home.path())
        .args(["config", "show"])
        .env("LUNAROUTE_RECORDING__DIRECTORY", &elsewhere)
        .env("LUNAROUTE_RECORDING__SYNC", "interval")
        .output()
        .expect("the binary runs");
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["recording"]["sync"], "interval");
    assert_eq!(shown["recording"]["directory"], elsewhere.display().to_string());
    assert_eq!(shown["providers"]["openai"]["base_url"], provider.base_url());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_recording_off_nothing_is_written() {
    let Stage { provider: _provider, gateway, home } = Stage::open("recording:\n  enabled: false\n").await;
    let answer = exchange(gateway.address, &Call::post(CHAT, body(CHAT, "a-model", true))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(block_in_place(|| gateway.stop()), Some(0));
    for name in ["journal", "sessions", "lunaroute.sqlite", "fingerprint.key"] {
        assert!(!home.path().join(name).exists(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_in_no_file_and_no_output() {
    let yaml = "log:\n  level: trace\n";
    let key = "    api_key: sk-canary-0123456789\n";
    let Stage { provider, gateway, home } = Stage::with_provider_settings(yaml, key).await;
    let call =
        Call::post(CHAT, body(CHAT, "a-model", true)).header("authorization", "Bearer sk-canary-client");
    let answer = exchange(gateway.address, &call).await;
    assert_eq!(answer.status(), 200);
    record(home.path(), answer.head.request_id()).await;
    assert_eq!(provider.ledger().entries.len(), 1);
    assert_eq!(block_in_place(|| gateway.stop()), Some(0));
    let shown = run(home.path(), &["config", "show"]);
    let mut looked_at = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(looked_at.contains("\"api_key\": \"***\""), "{looked_at}");
    looked_at.push_str(&log(home.path()));
    for file in jsonl_files(home.path()) {
        looked_at.push_str(&std::fs::read_to_string(file).expect("lines"));
    }
    let detail = query(home.path());
    let detail =
        lunaroute_session::query::SessionQuery::request(&detail, answer.head.request_id()).expect("it");
    looked_at.push_str(&serde_json::to_string(&detail).expect("JSON"));
    for file in ["lunaroute.sqlite", "lunaroute.sqlite-wal", "journal/00000000000000000001.journal"] {
        let bytes = std::fs::read(home.path().join(file)).unwrap_or_default();
        looked_at.push_str(&String::from_utf8_lossy(&bytes));
    }
    let hits = looked_at.matches("sk-canary").count();
    println!("bytes looked at {}, secrets found {hits}", looked_at.len());
    assert_eq!(hits, 0);
}
