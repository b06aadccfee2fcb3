//! `lunaroute sessions`: what was recorded, asked for from a shell.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use lunaroute_core::RequestId;
use lunaroute_sim::Script;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call};
use crate::support::gateway::{command, run, signal};
use crate::support::ledger::jsonl_files;
use crate::support::stage::{CHAT, MESSAGES, RESPONSES, Stage, body, until};

/// Runs `sessions` with these arguments; it has to succeed.
#[track_caller]
fn sessions(stage: &Stage, arguments: &[&str]) -> Vec<u8> {
    let all: Vec<&str> = ["sessions"].iter().chain(arguments).copied().collect();
    let output = run(stage.home.path(), &all);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[track_caller]
fn listed(stage: &Stage, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["list", "--json"].iter().chain(arguments).copied().collect();
    let listing: Value = serde_json::from_slice(&sessions(stage, &all)).expect("JSON");
    listing["items"].as_array().expect("items").clone()
}

async fn send(stage: &Stage, call: &Call) -> (RequestId, Answer) {
    let answer = stage.exchange(call).await;
    let id = answer.head.request_id();
    stage.record(id).await;
    (id, answer)
}

/// Three sessions: a client that names its own, one that fails, and one that says nothing of itself.
async fn three(stage: &Stage) -> [(RequestId, Answer); 3] {
    let named = Call::post(MESSAGES, body(MESSAGES, "claude-x", true))
        .header("user-agent", "claude-cli/2.1.329 (external, cli)")
        .header("x-claude-code-session-id", "6f0d6c1e-2b1f-4a53-9d2e-7a30f3f5c001");
    let failing = Call::post(RESPONSES, body(RESPONSES, "gpt-x", false))
        .header("user-agent", "OpenAI/Python 3.52.0")
        .script(&Script::error(400));
    let silent = Call::post(CHAT, body(CHAT, "other", false));
    [send(stage, &named).await, send(stage, &failing).await, send(stage, &silent).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_found_by_what_is_known_of_them() {
    let stage = Stage::open("").await;
    three(&stage).await;
    let all = listed(&stage, &[]);
    assert_eq!(all.len(), 3);
    let id = |session: &Value| session["id"].as_str().expect("an id").to_owned();
    let of =
        |model: &str| all.iter().find(|session| session["model"] == model).map(id).expect("it is listed");
    let (named, failing) = (of("claude-x"), of("gpt-x"));
    let day = all[0]["started_at"].as_str().expect("a time")[..10].to_owned();
    let started = all[0]["started_at"].as_str().expect("a time").to_owned();
    let cases: [(&[&str], usize); 15] = [
        (&["--id", &named], 1),
        (&["--id", &named[..9]], 1),
        (&["--id", "%"], 0),
        (&["--model", "gpt-x"], 1),
        (&["--model", "nobody's"], 0),
        (&["--status", "completed"], 2),
        (&["--status", "error"], 1),
        (&["--provider", "openai"], 2),
        (&["--provider", "anthropic"], 1),
        (&["--client", "claude-code"], 1),
        (&["--from", &day, "--to", &day], 3),
        (&["--to", "2001-01-01"], 0),
        (&["--from", &started], 1),
        (&["--limit", "2"], 2),
        (&["--limit", "2", "--offset", "2"], 1),
    ];
    for (arguments, count) in cases {
        let found = listed(&stage, arguments);
        assert_eq!(found.len(), count, "{arguments:?}: {found:?}");
    }
    assert_eq!(id(&listed(&stage, &["--status", "error"])[0]), failing);
    // The latest first.
    let times: Vec<&str> = all.iter().filter_map(|session| session["started_at"].as_str()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
    let table = String::from_utf8(sessions(&stage, &["list"])).expect("text");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("error, 1 failed") && table.contains("claude-code"), "{table}");
    for wrong in [["--limit", "0"], ["--limit", "1001"], ["--from", "yesterday"]] {
        let all: Vec<&str> = ["sessions", "list"].iter().chain(&wrong).copied().collect();
        assert_eq!(run(stage.home.path(), &all).status.code(), Some(1), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_is_shown_by_any_of_its_names_and_bodies_are_exact() {
    let stage = Stage::open("").await;
    let [(request, answer), ..] = three(&stage).await;
    let own = "6f0d6c1e-2b1f-4a53-9d2e-7a30f3f5c001";
    let call = Call::post(MESSAGES, body(MESSAGES, "claude-x", true));
    let shown: Value = serde_json::from_slice(&sessions(&stage, &["show", own, "--json"])).expect("JSON");
    let id = shown["id"].as_str().expect("an id").to_owned();
    for name in [&id, &id[..12]] {
        let again: Value =
            serde_json::from_slice(&sessions(&stage, &["show", name, "--json"])).expect("JSON");
        assert_eq!(again, shown, "{name}");
    }
    assert_eq!(shown["request_list"][0]["id"], request.to_string());
    for number in ["1", &request.to_string()] {
        assert_eq!(sessions(&stage, &["show", &id, "--request-body", number]), call.body);
        assert_eq!(sessions(&stage, &["show", &id, "--response-body", number]), answer.body);
    }
    let text = String::from_utf8(sessions(&stage, &["show", &id])).expect("text");
    assert!(text.contains("claude-code") && text.contains("Where does the moon go?"), "{text}");
    for (name, reason) in
        [("nobody's", "no session is called 'nobody's'"), ("", "begins the ids of several sessions")]
    {
        let output = run(stage.home.path(), &["sessions", "show", name]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(reason), "{name:?}: {told}");
    }
    let wrong = run(stage.home.path(), &["sessions", "show", &id, "--request-body", "2"]);
    assert_eq!(wrong.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_prints_what_ended_and_what_ends() {
    let stage = Stage::open("").await;
    three(&stage).await;
    let lines = |arguments: &[&str]| {
        let text = String::from_utf8(sessions(&stage, arguments)).expect("text");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["tail", "--no-follow"]).len(), 3);
    let last = lines(&["tail", "--no-follow", "-n", "1"]);
    assert!(last.len() == 1 && last[0].contains("  other  200  completed  "), "{last:?}");

    let mut child = command(stage.home.path())
        .args(["sessions", "tail", "-n", "1", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut printed = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let mut next = || -> Value {
        let line = printed.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    assert_eq!(next()["model_requested"], "other");
    for model in ["one", "two"] {
        let (id, _) = send(&stage, &Call::post(CHAT, body(CHAT, model, true))).await;
        assert_eq!(next()["id"], id.to_string());
    }
    signal(child.id(), "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_gives_every_body_back() {
    let stage = Stage::open("").await;
    let sent = three(&stage).await;
    let everything = sessions(&stage, &["export"]);
    let file = stage.home.path().join("export.jsonl");
    std::fs::write(&file, "what was there before").expect("the file");
    let path = file.to_str().expect("a path in UTF-8");
    assert!(sessions(&stage, &["export", "--output", path]).is_empty());
    assert_eq!(std::fs::read(&file).expect("the file"), everything);

    let lines: Vec<Value> =
        everything.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parsed).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("session").len(), of("request").len()), (3, 3));
    for (id, answer) in &sent {
        let requests = of("request");
        let line =
            requests.iter().find(|line| line["request"]["id"] == id.to_string()).expect("it is exported");
        assert_eq!(line["request"]["response_body"], answer.text());
        let asked: Value =
            serde_json::from_str(line["request"]["request_body"].as_str().expect("text")).expect("JSON");
        assert!(asked["model"].is_string());
    }
    let one = sessions(&stage, &["export", of("session")[0]["session"]["id"].as_str().expect("an id")]);
    assert_eq!(one.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 2);

    // An export that fails leaves what was there.
    let failed = run(stage.home.path(), &["sessions", "export", "nobody's", "--output", path]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(std::fs::read(&file).expect("the file"), everything);
    let left: Vec<_> = std::fs::read_dir(stage.home.path()).expect("the directory").collect();
    assert!(left.iter().all(|entry| {
        !entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".tmp"))
    }));
}

fn parsed(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("a line of JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_text_cannot_command_the_terminal() {
    let stage = Stage::open("").await;
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m";
    let asked = json!({ "model": format!("m{hostile}"), "messages": [{ "role": "user", "content": format!("hi{hostile}\r\nx") }] });
    let call = Call::post(CHAT, asked.to_string())
        .header("x-session-id", "se\u{9b}ssion".as_bytes())
        .header("user-agent", "agent\u{9b}31m".as_bytes());
    let (id, _) = send(&stage, &call).await;
    let found = listed(&stage, &[]);
    let session = found[0]["id"].as_str().expect("an id");
    for arguments in [&["list"][..], &["show", session], &["tail", "--no-follow"]] {
        let text = String::from_utf8(sessions(&stage, arguments)).expect("text");
        assert!(!text.is_empty());
        let controls: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(controls.is_empty(), "{arguments:?}: {controls:?} in {text:?}");
    }
    // A body is what was sent, wherever it goes.
    assert_eq!(sessions(&stage, &["show", session, "--request-body", &id.to_string()]), call.body);
}

/// How a client names its session: path, headers, members of the body; the client and the id that are expected.
type Naming =
    (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);

const NAMINGS: [Naming; 9] = [
    (
        MESSAGES,
        &[("user-agent", "claude-cli/2.1.329 (external, cli)"), ("x-claude-code-session-id", "claude-1")],
        "{}",
        "claude-code",
        "claude-1",
    ),
    (
        MESSAGES,
        &[("user-agent", "claude-cli/2.0.0 (external, cli)")],
        r#"{"metadata":{"user_id":"user_ab_account_cd_session_claude-2"}}"#,
        "claude-code",
        "claude-2",
    ),
    (RESPONSES, &[("originator", "codex_cli_rs"), ("session-id", "codex-1")], "{}", "codex", "codex-1"),
    (
        RESPONSES,
        &[("user-agent", "codex_exec/0.169.0")],
        r#"{"prompt_cache_key":"codex-2"}"#,
        "codex",
        "codex-2",
    ),
    (CHAT, &[("user-agent", "opencode/1.2.3"), ("x-opencode-session", "ses_1")], "{}", "opencode", "ses_1"),
    (CHAT, &[("user-agent", "opencode/1.2.3"), ("x-session-affinity", "ses_2")], "{}", "opencode", "ses_2"),
    (CHAT, &[("user-agent", "OpenAI/Python 3.52.0"), ("x-session-id", "sdk-1")], "{}", "openai-sdk", "sdk-1"),
    (
        CHAT,
        &[("user-agent", "AsyncOpenAI/Python 3.52.0")],
        r#"{"metadata":{"session_id":"sdk-2"}}"#,
        "openai-sdk",
        "sdk-2",
    ),
    (
        MESSAGES,
        &[("user-agent", "Anthropic/Python 2.11.0"), ("x-lunaroute-session-id", "sdk-3")],
        "{}",
        "anthropic-sdk",
        "sdk-3",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_names_its_session_has_one_session() {
    let stage = Stage::open("").await;
    for (path, headers, members, client, own) in NAMINGS {
        for question in ["one", "two"] {
            let mut asked: Value = serde_json::from_str(&body(path, "a-model", false)).expect("JSON");
            asked[if path == RESPONSES { "input" } else { "system" }] = question.into();
            if path == CHAT {
                asked.as_object_mut().expect("an object").remove("system");
            }
            for (name, value) in
                serde_json::from_str::<Value>(members).expect("JSON").as_object().expect("members")
            {
                asked[name] = value.clone();
            }
            let call = Call::post(path, asked.to_string());
            let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
            send(&stage, &call).await;
        }
        let shown: Value = serde_json::from_slice(&sessions(&stage, &["show", own, "--json"])).expect("JSON");
        assert_eq!((&shown["client"], &shown["external_id"]), (&client.into(), &own.into()), "{shown:#}");
        assert_eq!(
            (&shown["requests"], shown["request_list"].as_array().map(Vec::len)),
            (&2.into(), Some(2)),
            "{own}"
        );
    }
    assert_eq!(listed(&stage, &[]).len(), NAMINGS.len());
    println!("clients that name their session {}, sessions {}", NAMINGS.len(), NAMINGS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_of_one_conversation_are_one_session_and_two_conversations_two() {
    let stage = Stage::open("").await;
    let mut ids = Vec::new();
    for (instruction, question) in [("be brief", "why?"), ("be brief", "how?"), ("be long", "why?")] {
        let mut messages = vec![
            json!({ "role": "system", "content": instruction }),
            json!({ "role": "user", "content": question }),
        ];
        let mut of_conversation = Vec::new();
        for turn in 0..3 {
            let asked = json!({ "model": "a-model", "messages": messages });
            let (id, answer) = send(&stage, &Call::post(CHAT, asked.to_string())).await;
            messages.push(answer.json()["choices"][0]["message"].clone());
            messages.push(json!({ "role": "user", "content": format!("and then {turn}?") }));
            of_conversation.push(stage.record(id).await.request.session_id);
        }
        of_conversation.dedup();
        assert_eq!(of_conversation.len(), 1, "one conversation has several sessions");
        ids.extend(of_conversation);
    }
    ids.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    ids.dedup();
    assert_eq!(ids.len(), 3, "conversations share a session");
    let found = listed(&stage, &[]);
    assert!(
        found.iter().all(|session| session["requests"] == 3 && session["id_source"] == "fingerprint"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_sessions_are_gone_from_the_database_and_the_files() {
    let stage = Stage::open("").await;
    three(&stage).await;
    let ids: Vec<String> =
        listed(&stage, &[]).iter().map(|session| session["id"].as_str().expect("an id").to_owned()).collect();
    let of = |id: &String| {
        jsonl_files(stage.home.path())
            .iter()
            .filter(|file| file.to_string_lossy().contains(id.as_str()))
            .count()
    };
    // That of the last one may still be on its way: whoever removes its session need not wait for it.
    until("one session has its file", async || (of(&ids[1]) == 1).then_some(())).await;
    let unknown = run(stage.home.path(), &["sessions", "delete", &ids[0], "nobody"]);
    assert_eq!(unknown.status.code(), Some(1), "a misspelt name removes nothing");
    assert_eq!(listed(&stage, &[]).len(), 3);
    sessions(&stage, &["delete", &ids[0]]);
    assert_eq!((listed(&stage, &[]).len(), of(&ids[0]), of(&ids[1])), (2, 0, 1));
    let count = String::from_utf8(sessions(&stage, &["prune", "--before", "2999-01-01"])).expect("text");
    assert!(count.starts_with("2 sessions"), "{count}");
    assert_eq!(listed(&stage, &[]).len(), 2);
    sessions(&stage, &["prune", "--before", "2999-01-01", "--yes"]);
    assert_eq!((listed(&stage, &[]).len(), of(&ids[1])), (0, 0));
    // The gateway goes on beside it.
    three(&stage).await;
    assert_eq!(listed(&stage, &[]).len(), 3);
}
