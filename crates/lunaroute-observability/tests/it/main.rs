//! Figures and readiness as their readers see them.

use lunaroute_core::{
    AttemptReason, Dialect, Ending, FailureKind, Observer, Operation, Outcome, RequestId, SessionId,
    StopReason, Usage,
};
use lunaroute_observability::health::{Part, PartState, Readiness};
use lunaroute_observability::{Metrics, RecorderFigures, WriterFigures, log};

fn metrics() -> Metrics {
    Metrics::new("1.2.3", ["known".to_owned()], ["openai".to_owned()]).expect("metrics register")
}

fn outcome(model: &str, ending: Ending, status: Option<u16>) -> Outcome {
    Outcome {
        request: RequestId::generate(),
        session: SessionId::generate(),
        dialect: Dialect::OpenaiChat,
        operation: Operation::Chat,
        provider: Some("openai".to_owned()),
        model: Some(model.to_owned()),
        streamed: true,
        ending,
        status,
        failure: None,
        usage: Usage { input: Some(7), output: Some(0), ..Usage::default() },
        stop: Some(StopReason::EndTurn),
        tool_calls: 2,
        attempts: 1,
        total_us: 30_000,
        first_token_us: Some(15_000),
    }
}

#[test]
fn requests_are_counted_by_bounded_labels() {
    let metrics = metrics();
    for (model, ending, status) in [
        ("known", Ending::Completed, Some(200)),
        ("made-up-by-a-scanner", Ending::Completed, Some(429)),
        ("another", Ending::Cancelled, None),
    ] {
        metrics.started();
        metrics.finished(&outcome(model, ending, status));
    }
    metrics.attempt("openai", AttemptReason::Retry, Some(FailureKind::Connect));
    metrics.refused(FailureKind::TooLarge);
    metrics.overhead(80);
    let text = metrics.text(None).expect("text");
    for line in [
        r#"lunaroute_requests_total{dialect="openai_chat",model="known",operation="chat",outcome="completed",provider="openai",status_class="2xx",stream="true"} 1"#,
        r#"lunaroute_requests_total{dialect="openai_chat",model="other",operation="chat",outcome="error",provider="openai",status_class="4xx",stream="true"} 1"#,
        r#"lunaroute_requests_total{dialect="openai_chat",model="other",operation="chat",outcome="cancelled",provider="openai",status_class="none",stream="true"} 1"#,
        r#"lunaroute_tokens_total{type="input"} 21"#,
        r#"lunaroute_tokens_total{type="cache_read"} 0"#,
        "lunaroute_tool_calls_total 6",
        "lunaroute_requests_in_flight 0",
        r#"lunaroute_upstream_attempts_total{failure="connect",provider="openai",reason="retry"} 1"#,
        r#"lunaroute_upstream_attempts_total{failure="none",provider="openai",reason="primary"} 0"#,
        r#"lunaroute_refused_total{reason="too_large"} 1"#,
        "lunaroute_gateway_overhead_seconds_count 1",
        r#"lunaroute_build_info{version="1.2.3"} 1"#,
        r#"lunaroute_request_duration_seconds_bucket{operation="chat",provider="openai",le="0.04"} 3"#,
        r#"lunaroute_request_duration_seconds_bucket{operation="chat",provider="openai",le="0.02"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "missing: {line}\n{text}");
    }
    assert!(!text.contains("scanner"), "a caller's text became a label");
}

#[test]
fn the_recorders_figures_are_those_of_the_moment() {
    let metrics = metrics();
    let writer = WriterFigures {
        name: "sqlite".to_owned(),
        written: 5,
        behind_bytes: 9,
        healthy: true,
        ..Default::default()
    };
    let figures = RecorderFigures {
        received: 8,
        written: 6,
        gaps: 1,
        waiting_events: 1,
        writers: vec![writer],
        ..Default::default()
    };
    metrics.text(Some(&figures)).expect("text");
    let later = RecorderFigures { received: 9, waiting_events: 0, ..figures };
    let text = metrics.text(Some(&later)).expect("text");
    for line in [
        r#"lunaroute_recorder_notes{state="received"} 9"#,
        r#"lunaroute_recorder_notes{state="waiting"} 0"#,
        r#"lunaroute_recorder_notes{state="lost"} 1"#,
        r#"lunaroute_recorder_writer_events{state="written",writer="sqlite"} 5"#,
        r#"lunaroute_recorder_writer{figure="behind_bytes",writer="sqlite"} 9"#,
        r#"lunaroute_recorder_writer{figure="healthy",writer="sqlite"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "missing: {line}\n{text}");
    }
}

#[test]
fn readiness_tells_the_truth_and_only_fails_when_serving_would() {
    let down = || PartState::Down { reason: "disk".to_owned() };
    let cases = [
        (PartState::Ready, PartState::Ready, true, false, 200, "ready"),
        (PartState::Off, PartState::Off, false, false, 200, "ready"),
        (PartState::Ready, down(), true, false, 200, "degraded"),
        (down(), PartState::Ready, false, false, 200, "degraded"),
        (down(), PartState::Ready, true, false, 503, "down"),
        (PartState::Ready, PartState::Ready, false, true, 503, "stopping"),
    ];
    for (journal, writer, recording_required, stopping, status, word) in cases {
        let writers = vec![Part { name: "sqlite".to_owned(), state: writer }];
        let (found, body) = Readiness { journal, writers, recording_required, stopping }.report();
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((found, body["status"].as_str()), (status, Some(word)), "{body}");
        assert_eq!(body["parts"][1]["name"], "sqlite");
    }
}

#[test]
fn a_filter_is_checked_with_a_sentence_that_helps() {
    log::check("info,hyper=warn").expect("a good filter");
    let error = log::check("info,=,loud=").expect_err("a bad filter").to_string();
    assert!(error.contains("log.level") && error.contains("hyper=warn"), "{error}");
}
