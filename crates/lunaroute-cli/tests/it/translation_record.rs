//! What is recorded of translated requests: both forms of request and answer, with the provider's own figures.

use lunaroute_core::Dialect;
use lunaroute_session::query::SessionQuery;

use crate::support::client::{Call, exchange};
use crate::support::dialogue::{body, go_on, pairs, path, post, question, read, turns};
use crate::support::gateway::run;
use crate::support::stage::{query, record};
use crate::translation::{Foreign, model};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_forms_of_request_and_answer_are_kept_byte_for_byte() {
    let stage = Foreign::open("").await;
    // The provider says nothing about itself in its answers, so a second one with the same request says what it sent.
    for (from, to) in pairs() {
        for stream in [false, true] {
            let what = format!("{from} to {to}, stream {stream}");
            let request = question(from, &model(to), stream);
            let call = post(from, &request).short("text=9,reasoning=3,cached=40,one_write");
            let answer = stage.exchange(&call).await;
            read(from, &answer, stream);
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            let id = answer.head.request_id();
            let kept = record(stage.home.path(), id).await;
            let query = query(stage.home.path());
            assert_eq!(query.request_body(id).expect("kept"), body(from, &request).as_bytes(), "{what}");
            assert_eq!(query.response_body(id).expect("kept"), answer.body, "{what}");
            let sent = query.provider_request_body(id).expect("kept");
            assert_eq!(Some(sent.as_slice()), entry.body.as_deref(), "{what}");
            let got = query.provider_response_body(id).expect("kept");
            assert_eq!(got.len() as u64, entry.bytes_sent, "{what}");
            let there = path(to, "m", stream);
            let direct = Call::post(&there, sent).short("text=9,reasoning=3,cached=40,one_write");
            let direct = exchange(stage.provider.address(), &direct).await;
            assert_eq!(read(to, &direct, stream).text, entry.text, "{what}");
            assert_eq!(shape(&direct.body), shape(&got), "{what}: the provider's own bytes");
            assert_eq!(kept.request.provider_dialect.as_deref(), Some(to.as_str()), "{what}");
            assert_eq!(kept.request.dialect.as_deref(), Some(from.as_str()), "{what}");
            let form = kept.provider_form.expect("the heads are kept");
            assert_eq!((form.path, form.status), (there, Some(200)), "{what}");
            let tokens = kept.request.tokens;
            let told = (tokens.input, tokens.cache_read, tokens.output, tokens.reasoning);
            let theirs = entry.usage;
            assert_eq!(told, (theirs.input, theirs.cache_read, theirs.output, theirs.reasoning), "{what}");
        }
    }
    stage.gateway.terminate();
    assert_eq!(stage.gateway.wait(), Some(0));
    let verified = run(stage.home.path(), &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// A body without what differs from answer to answer: figures and ids.
fn shape(body: &[u8]) -> Vec<u8> {
    body.iter().copied().filter(|byte| !byte.is_ascii_alphanumeric()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_counts_by_its_frames_however_it_is_handed_on() {
    const WORDS: u64 = 60;
    let stage = Foreign::open("").await;
    for from in [Dialect::OpenaiChat, Dialect::Anthropic] {
        let call = post(from, &question(from, &model(Dialect::OpenaiChat), true)).short("text=60");
        let answer = stage.exchange(&call).await;
        let frames = record(stage.home.path(), answer.head.request_id())
            .await
            .stream_figures
            .expect("a stream")
            .chunks;
        assert!((WORDS..WORDS + 10).contains(&frames), "{from}: {frames} frames");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_loop_is_shown_with_both_forms_and_what_was_lost() {
    let stage = Foreign::open("").await;
    let (from, to) = (Dialect::OpenaiChat, Dialect::Anthropic);
    let mut request = question(from, &model(to), true);
    request["logit_bias"] = serde_json::json!({ "50256": -100 });
    let ask = async |request: &serde_json::Value| {
        let call = post(from, request).short("agent=1,text=4");
        stage.exchange(&call.header("x-lunaroute-session-id", "shown")).await
    };
    let first = ask(&request).await;
    let second = ask(&go_on(from, request, &read(from, &first, true))).await;
    let kept = record(stage.home.path(), second.head.request_id()).await;
    let warning = &kept.request.warnings[0];
    assert_eq!((warning.path.as_str(), warning.loses_meaning), ("logit_bias", true));
    let show = |arguments: &[&str]| {
        let output = run(stage.home.path(), &[&["sessions", "show", "shown"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let shown = String::from_utf8_lossy(&show(&[])).into_owned();
    assert!(shown.contains("openai_chat") && shown.contains("logit_bias"), "{shown}");
    assert!(shown.contains("weather") && shown.contains("completed"), "the call has its result: {shown}");
    let sent: serde_json::Value =
        serde_json::from_slice(&show(&["--request-body", "2", "--provider-form"])).expect("JSON");
    assert_eq!(sent["messages"][2]["content"][0]["type"], "tool_result", "{sent}");
    let got = show(&["--response-body", "2", "--provider-form"]);
    assert!(got.starts_with(b"event: message_start"), "{}", String::from_utf8_lossy(&got));
    let exported = run(stage.home.path(), &["sessions", "export", "shown"]);
    let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
    assert!(exported.contains("provider_request_body"), "{exported}");
    // What is removed takes its bytes along, in both forms.
    stage.gateway.terminate();
    assert_eq!(stage.gateway.wait(), Some(0));
    let removed = run(stage.home.path(), &["sessions", "delete", "shown"]);
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    let database = rusqlite::Connection::open(stage.home.path().join("lunaroute.sqlite")).expect("opens");
    let left: i64 = database.query_row("SELECT count(*) FROM blobs", [], |row| row.get(0)).expect("a count");
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_filled_again_with_both_forms() {
    let stage = Foreign::open("").await;
    let mut ids = Vec::new();
    for (from, to) in pairs() {
        // Long enough that the files tell only what is new of it.
        let mut request = question(from, &model(to), true);
        let list = turns(from);
        let turn = request[list].as_array().expect("turns").last().expect("a turn").clone();
        for _ in 0..2 {
            let turns = request[list].as_array_mut().expect("turns");
            turns.extend(std::iter::repeat_n(turn.clone(), 40));
            let call = post(from, &request).short("text=6");
            let answer = stage.exchange(&call.header("x-lunaroute-session-id", from.as_str())).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            ids.push(answer.head.request_id());
        }
    }
    for id in &ids {
        record(stage.home.path(), *id).await;
    }
    let forms = |home: &std::path::Path| -> Vec<(Vec<u8>, Vec<u8>)> {
        let query = query(home);
        let both = |id: &_| {
            let answer = query.provider_response_body(*id).expect("kept");
            (query.provider_request_body(*id).expect("kept"), answer)
        };
        ids.iter().map(both).collect()
    };
    let before = forms(stage.home.path());
    let Foreign { gateway, home, provider } = stage;
    gateway.terminate();
    assert_eq!(gateway.wait(), Some(0));
    drop(provider);
    for name in ["lunaroute.sqlite", "lunaroute.sqlite-wal", "lunaroute.sqlite-shm"] {
        match std::fs::remove_file(home.path().join(name)) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    }
    std::fs::remove_dir_all(home.path().join("journal")).expect("it was there");
    let gateway = crate::support::Gateway::start(home.path(), &crate::support::GatewayOptions::default());
    for id in &ids {
        record(home.path(), *id).await;
    }
    assert_eq!(forms(home.path()), before);
    assert_eq!(gateway.stop(), Some(0));
}
