//! Choosing a script, and that the same request has the same answer.

use lunaroute_sim::{Config, Fault, InlineResponse, Point, Provider, SCRIPT_HEADER, Script, Source};
use proptest::prelude::*;
use serde_json::json;

use crate::client::{CHAT, GENERATIONS, body, exchange, post, provider, short};

fn script() -> impl Strategy<Value = Script> {
    let source = prop_oneof![
        Just(Source::Model),
        Just(Source::Echo),
        "[a-z]{0,9}".prop_map(Source::Registered),
        (any::<u16>(), ".{0,20}", "[A-Za-z0-9+/]{0,40}").prop_map(|(status, content_type, body)| {
            Source::Inline(InlineResponse { status, content_type, body })
        }),
    ];
    let point = prop_oneof![
        Just(Point::Head),
        any::<u64>().prop_map(Point::Bytes),
        any::<u32>().prop_map(Point::Events)
    ];
    let fault =
        proptest::option::of((point, any::<bool>()).prop_map(|(after, reset)| Fault::Cut { after, reset }));
    (source, fault, proptest::option::of(".{0,60}"), 0..200_000u32, any::<u64>()).prop_map(
        |(source, fault, text, tokens, seed)| Script {
            source,
            fault,
            text,
            tokens,
            seed,
            ..Script::default()
        },
    )
}

proptest! {
    #[test]
    fn a_script_survives_its_header(script in script()) {
        let value = script.header_value();
        let text = value.to_str().expect("visible ASCII");
        prop_assert_eq!(text.parse::<Script>(), Ok(script.clone()), "{}", text);
    }

    #[test]
    fn words_never_panic(text in "[a-z0-9_=,-]{0,40}") {
        let _ = text.parse::<Script>();
    }
}

#[test]
fn both_forms_mean_the_same() {
    let pairs = [
        ("", "{}"),
        ("tools=2,delay=5", r#"{"tool_calls":2,"event_delay_ms":5}"#),
        ("agent", r#"{"tool_calls":1,"tool_turns":4}"#),
        ("429,fail_times=2,retry_after_ms=10", r#"{"error":{"status":429,"times":2,"retry_after_ms":10}}"#),
        ("cut_bytes=7,reset", r#"{"fault":{"cut":{"after":{"bytes":7},"reset":true}}}"#),
        ("cut_head", r#"{"fault":{"cut":{"after":"head","reset":false}}}"#),
        ("error_event=2", r#"{"fault":{"error_event":{"after":2}}}"#),
        ("raw=a,separate_writes", r#"{"source":{"registered":"a"},"delivery":"separate_writes"}"#),
        ("echo-sse,close", r#"{"source":"echo_stream","close_delimited":true}"#),
        ("endless,first_byte=3", r#"{"endless":true,"first_byte_delay_ms":3}"#),
    ];
    for (words, json) in pairs {
        assert_eq!(words.parse::<Script>(), json.parse::<Script>(), "{words}");
        assert!(words.parse::<Script>().is_ok(), "{words}");
    }
    for wrong in [
        "tool",
        "text=many",
        "delay",
        "fail_times=2",
        "reset",
        "error=200",
        "endless,gzip",
        "text=999999",
        "{",
    ] {
        assert!(wrong.parse::<Script>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn the_header_wins_over_the_model_name() {
    let provider = provider().await;
    let status = async |headers: &[(&str, &str)], model: &str| {
        let body = body(CHAT, model, false).to_string();
        exchange(&provider, "POST", CHAT, headers, body.as_bytes()).await.status
    };
    assert_eq!(status(&[], "gpt-sim").await, 200);
    assert_eq!(status(&[], "sim-429").await, 429);
    assert_eq!(status(&[], "sim-large").await, 200, "a name that only begins alike");
    assert_eq!(status(&[(SCRIPT_HEADER, "error=503")], "sim-429").await, 503);
    assert_eq!(status(&[(SCRIPT_HEADER, "text=3")], "sim-429").await, 200);
    let refused = short(&provider, CHAT, "no-such-word", &body(CHAT, "m", false)).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("no-such-word"), "{}", refused.text());
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_and_a_seed_changes_it() {
    let (first, second) = (provider().await, provider().await);
    let seeded = Provider::start(Config { seed: 1, ..Config::default() }).await.expect("a free port");
    for path in GENERATIONS {
        for stream in [true, false] {
            let body = body(path, "m", stream);
            let script = Script { reasoning_tokens: 4, ..Script::text(40) };
            let answer = post(&first, path, &script, &body).await;
            assert_eq!(answer.body, post(&first, path, &script, &body).await.body, "asked twice");
            assert_eq!(answer.body, post(&second, path, &script, &body).await.body, "another provider");
            assert_ne!(answer.body, post(&seeded, path, &script, &body).await.body, "another seed");
            let own_seed = Script { seed: 9, ..script.clone() };
            assert_ne!(
                answer.body,
                post(&first, path, &own_seed, &body).await.body,
                "another seed of the script"
            );
            let mut other = body.clone();
            other["user"] = json!("b");
            assert_ne!(answer.body, post(&first, path, &script, &other).await.body, "another request");
        }
    }
}
