//! The first thing that a newcomer runs.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use lunaroute_session::query::{Page, RequestFilter, SessionFilter, SessionQuery, TokenCounts};
use serde_json::Value;

use crate::support::client::{Call, exchange};
use crate::support::gateway::{command, run, signal};
use crate::support::ledger::assert_sound;
use crate::support::stage::query;

const TIME: Duration = Duration::from_secs(10);

#[test]
fn every_row_is_what_the_provider_counted() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().to_str().expect("a path in UTF-8");
    let began = Instant::now();
    let output = run(home.path(), &["demo", "--json", "--directory", directory]);
    let took = began.elapsed();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(took < TIME, "{took:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let exchanges = told["exchanges"].as_array().expect("exchanges");
    assert!(exchanges.len() >= 24, "{}", exchanges.len());
    for line in exchanges {
        for field in ["outcome", "status", "tokens", "tool_calls"] {
            assert!(!line["provider"][field].is_null(), "{line}");
            assert_eq!(line["recorded"][field], line["provider"][field], "{field} of {}", line["exchange"]);
        }
    }
    assert_eq!(told["differences"], 0);
    assert_something_happened(exchanges);

    let listed = told["sessions"].as_array().expect("sessions");
    let query = query(home.path());
    let sessions = query.sessions(&SessionFilter::default(), Page::new(1_000, 0)).expect("sessions").items;
    assert_eq!(sessions.len(), listed.len());
    let mut counted = 0;
    for session in &sessions {
        let filter = RequestFilter { session: Some(session.id.clone()), ..RequestFilter::default() };
        let requests = query.requests(&filter, Page::new(1_000, 0)).expect("requests").items;
        assert_eq!(session.requests, requests.len() as u64, "{}", session.id);
        assert_eq!(session.tool_calls, requests.iter().filter_map(|request| request.tool_calls).sum::<u64>());
        let tokens = requests.iter().map(|request| request.tokens).fold(TokenCounts::default(), added);
        assert_eq!(session.tokens, tokens, "{}", session.id);
        let shown = listed.iter().find(|shown| shown["id"] == session.id.as_str()).expect("it is listed");
        assert_eq!(shown["tokens"], serde_json::to_value(tokens).expect("JSON"));
        counted += requests.len();
    }
    assert_eq!(counted, exchanges.len());
    assert_sound(home.path());
    println!("demo: {} exchanges in {} sessions, differences 0, {took:?}", exchanges.len(), sessions.len());
}

/// That all is equal says little when all is nothing.
fn assert_something_happened(exchanges: &[Value]) {
    let outcomes: HashSet<&str> =
        exchanges.iter().filter_map(|line| line["recorded"]["outcome"].as_str()).collect();
    assert_eq!(outcomes, HashSet::from(["completed", "error status", "broken", "client gone"]));
    let statuses: HashSet<u64> =
        exchanges.iter().filter_map(|line| line["recorded"]["status"].as_u64()).collect();
    assert!(statuses.is_superset(&HashSet::from([200, 404, 429])), "{statuses:?}");
    let sum =
        |read: fn(&Value) -> &Value| exchanges.iter().filter_map(|line| read(line).as_u64()).sum::<u64>();
    assert!(sum(|line| &line["recorded"]["tool_calls"]) >= 6);
    for class in ["input", "cache_read", "cache_write_5m", "output", "reasoning"] {
        let tokens: u64 =
            exchanges.iter().filter_map(|line| line["recorded"]["tokens"][class].as_u64()).sum();
        assert!(tokens > 0, "{class}");
    }
    let turns =
        exchanges.iter().filter(|line| line["exchange"].as_str().unwrap_or("").starts_with("agent turn"));
    assert_eq!(turns.count(), 5);
}

/// A class that no request knows is unknown in the sum, too.
fn added(one: TokenCounts, other: TokenCounts) -> TokenCounts {
    let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
    };
    TokenCounts {
        input: add(one.input, other.input),
        cache_read: add(one.cache_read, other.cache_read),
        cache_write_5m: add(one.cache_write_5m, other.cache_write_5m),
        cache_write_1h: add(one.cache_write_1h, other.cache_write_1h),
        output: add(one.output, other.output),
        reasoning: add(one.reasoning, other.reasoning),
    }
}

#[test]
fn for_people_it_prints_a_table_and_what_to_type_next() {
    let home = tempfile::tempdir().expect("a directory");
    let output = run(home.path(), &["demo"]);
    assert_eq!(output.status.code(), Some(0));
    let (table, talk) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for head in
        ["session", "client", "model", "requests", "input", "output", "tools", "first token", "outcome"]
    {
        assert!(table.contains(head), "{head} is missing in\n{table}");
    }
    let agent = table.lines().find(|line| line.contains("claude-code")).expect("the agent's session");
    assert!(agent.contains("claude-opus-4-8") && agent.contains("completed"), "{agent}");
    assert!(table.contains("codex") && table.contains("1 failed"), "{table}");
    assert!(table.contains("of each are what the provider counted"), "{table}");
    for next in ["lunaroute demo --keep", "lunaroute serve", "lunaroute run -- claude"] {
        assert!(talk.contains(next), "{next} is missing in\n{talk}");
    }
    // Nobody looks at it: no colour.
    assert!(!table.contains('\u{1b}') && !talk.contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_it_serves_until_ctrl_c() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("kept");
    let mut child = command(home.path())
        .args(["demo", "--keep", "--directory"])
        .arg(&directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let mut address = None;
    for line in lines.by_ref().map_while(Result::ok) {
        if let Some(url) = line.strip_prefix("gateway ") {
            address = url.trim().trim_start_matches("http://").parse().ok();
        }
        if line.contains("/metrics") {
            break;
        }
    }
    let address = address.expect("it says where the gateway is");
    // What it advises to type.
    let call = Call::post(
        "/v1/chat/completions",
        r#"{"model":"sim-text=12","messages":[{"role":"user","content":"hi"}]}"#,
    );
    let answer = exchange(address, &call).await;
    assert_eq!((answer.status(), answer.json()["usage"]["completion_tokens"].as_u64()), (200, Some(12)));
    signal(child.id(), "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let report = assert_sound(&directory);
    assert!(report["requests_in_database"].as_u64() >= Some(25), "{report}");
}
