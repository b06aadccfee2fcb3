//! What `/metrics` says.

use lunaroute_core::{
    AttemptReason, Dialect, Ending, FailureKind, Observer, Operation, Outcome, RequestId, SessionId, Usage,
};
use lunaroute_observability::{Labels, Metrics, RecorderFigures, WriterFigures};

fn metrics() -> Metrics {
    let labels = Labels {
        providers: vec![("openai".to_owned(), vec![Dialect::OpenaiChat, Dialect::OpenaiResponses])],
        models: (0..300).map(|number| format!("model-{number}")).collect(),
    };
    Metrics::new("1.2.3", &labels).expect("definitions are valid")
}

fn outcome() -> Outcome {
    Outcome {
        request: RequestId::generate(),
        session: SessionId::generate(),
        dialect: Dialect::OpenaiChat,
        operation: Operation::Chat,
        provider: Some("openai".to_owned()),
        model: Some("model-7".to_owned()),
        streamed: true,
        ending: Ending::Completed,
        status: Some(200),
        failure: None,
        usage: Usage { input: Some(10), output: Some(5), reasoning: Some(2), ..Usage::default() },
        stop: None,
        tool_calls: 3,
        attempts: 1,
        total_us: 1_500_000,
        first_token_us: Some(30_000),
    }
}

/// The value of a series, written as in the text: `name{labels}`.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))
        .unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[track_caller]
fn check(metrics: &Metrics, expected: &[(&str, f64)]) {
    let text = metrics.text().expect("text");
    for (series, wanted) in expected {
        let found = value(&text, series);
        assert!((found - wanted).abs() < 1e-9, "{series} is {found}, not {wanted}");
    }
}

#[test]
fn an_outcome_reaches_every_family() {
    let metrics = metrics();
    metrics.started();
    metrics.started();
    metrics.finished(&outcome());
    metrics.attempt("openai", AttemptReason::Retry, Some(FailureKind::Timeout));
    check(
        &metrics,
        &[
            ("lunaroute_requests_in_flight", 1.0),
            (
                "lunaroute_requests_total{dialect=\"openai_chat\",model=\"model-7\",operation=\"chat\",outcome=\"completed\",\
                 provider=\"openai\",status_class=\"2xx\",stream=\"true\"}",
                1.0,
            ),
            (
                "lunaroute_request_duration_seconds_sum{dialect=\"openai_chat\",provider=\"openai\",stream=\"true\"}",
                1.5,
            ),
            (
                "lunaroute_time_to_first_token_seconds_bucket{dialect=\"openai_chat\",provider=\"openai\",le=\"0.04\"}",
                1.0,
            ),
            (
                "lunaroute_time_to_first_token_seconds_bucket{dialect=\"openai_chat\",provider=\"openai\",le=\"0.02\"}",
                0.0,
            ),
            ("lunaroute_tokens_total{model=\"model-7\",provider=\"openai\",type=\"input\"}", 10.0),
            ("lunaroute_tokens_total{model=\"model-7\",provider=\"openai\",type=\"output\"}", 5.0),
            ("lunaroute_tokens_total{model=\"model-7\",provider=\"openai\",type=\"reasoning\"}", 2.0),
            ("lunaroute_tool_calls_total{provider=\"openai\"}", 3.0),
            (
                "lunaroute_upstream_attempts_total{failure=\"timeout\",provider=\"openai\",reason=\"retry\"}",
                1.0,
            ),
        ],
    );
}

#[test]
fn what_has_not_happened_is_zero_and_not_absent() {
    check(
        &metrics(),
        &[
            ("lunaroute_build_info{version=\"1.2.3\"}", 1.0),
            ("lunaroute_requests_in_flight", 0.0),
            (
                "lunaroute_requests_total{dialect=\"openai_responses\",model=\"other\",operation=\"responses\",\
                 outcome=\"upstream_error\",provider=\"openai\",status_class=\"5xx\",stream=\"false\"}",
                0.0,
            ),
            (
                "lunaroute_request_duration_seconds_count{dialect=\"openai_chat\",provider=\"openai\",stream=\"false\"}",
                0.0,
            ),
            ("lunaroute_tokens_total{model=\"other\",provider=\"openai\",type=\"cache_read\"}", 0.0),
            ("lunaroute_tool_calls_total{provider=\"openai\"}", 0.0),
            (
                "lunaroute_upstream_attempts_total{failure=\"none\",provider=\"openai\",reason=\"fallback\"}",
                0.0,
            ),
            ("lunaroute_recorder_received_total", 0.0),
            ("lunaroute_recorder_gaps_total", 0.0),
            ("lunaroute_recorder_oldest_unwritten_seconds", 0.0),
        ],
    );
}

#[test]
fn names_from_outside_make_no_series() {
    let metrics = metrics();
    metrics.finished(&outcome());
    let lines = |metrics: &Metrics| metrics.text().expect("text").lines().count();
    metrics.finished(&Outcome { model: Some("model-299".to_owned()), ..outcome() });
    metrics.finished(&Outcome { provider: Some("stranger".to_owned()), ..outcome() });
    metrics.attempt("stranger", AttemptReason::Primary, None);
    let before = lines(&metrics);
    for number in 0..1_000 {
        let model = format!("scan-{number}");
        metrics.finished(&Outcome { model: Some(model.clone()), ..outcome() });
        metrics.finished(&Outcome { provider: Some(model.clone()), ..outcome() });
        metrics.attempt(&model, AttemptReason::Primary, None);
    }
    assert_eq!(lines(&metrics), before);
    check(
        &metrics,
        &[
            ("lunaroute_tokens_total{model=\"other\",provider=\"openai\",type=\"output\"}", 5.0 * 1_001.0),
            ("lunaroute_tool_calls_total{provider=\"other\"}", 3.0 * 1_001.0),
        ],
    );
}

#[test]
fn endings_and_statuses_are_told_apart() {
    let metrics = metrics();
    for (ending, status, provider, class) in [
        (Ending::Completed, Some(429), Some("openai"), "4xx"),
        (Ending::UpstreamError, Some(302), Some("openai"), "3xx"),
        (Ending::GatewayError, Some(503), None, "5xx"),
        (Ending::Cancelled, None, Some("openai"), "none"),
        (Ending::Interrupted, Some(700), Some("openai"), "other"),
    ] {
        let provider = provider.map(str::to_owned);
        metrics.finished(&Outcome { ending, status, provider: provider.clone(), ..outcome() });
        let series = format!(
            "lunaroute_requests_total{{dialect=\"openai_chat\",model=\"model-7\",operation=\"chat\",outcome=\"{}\",\
             provider=\"{}\",status_class=\"{class}\",stream=\"true\"}}",
            ending.as_str(),
            provider.as_deref().unwrap_or("none"),
        );
        check(&metrics, &[(&series, 1.0)]);
    }
}

#[test]
fn the_recorders_totals_are_taken_over_and_counters_never_fall() {
    let metrics = metrics();
    let figures = RecorderFigures {
        received: 10,
        written: 8,
        left_out: 3,
        failed: 1,
        retried: 2,
        waiting_events: 1,
        waiting_bytes: 512,
        oldest_unwritten_seconds: 0.25,
        gaps: 1,
        syncs: 4,
        sync_seconds: 0.5,
        refused: 6,
        interrupted: 7,
        filtered_out: 8,
        contained_panics: 9,
        open_requests: 10,
        journal_bytes: 11,
        writers: vec![WriterFigures {
            name: "sqlite".to_owned(),
            written: 7,
            failed: 0,
            retried: 3,
            quarantined: 2,
            damaged: 1,
            batches: 5,
            batch_seconds: 0.75,
            replaced: 2,
            removed_sessions: 4,
            waiting_events: 6,
            behind_bytes: 99,
            oldest_unwritten_seconds: 1.5,
        }],
    };
    metrics.recorder(&figures);
    metrics.recorder(&figures);
    metrics.recorder(&RecorderFigures {
        received: 12,
        waiting_bytes: 3,
        open_requests: 2,
        journal_bytes: 4_096,
        ..RecorderFigures::default()
    });
    check(
        &metrics,
        &[
            ("lunaroute_recorder_received_total", 12.0),
            ("lunaroute_recorder_written_total", 8.0),
            ("lunaroute_recorder_failed_total", 1.0),
            ("lunaroute_recorder_retried_total", 2.0),
            ("lunaroute_recorder_gaps_total", 1.0),
            ("lunaroute_recorder_left_out_total", 3.0),
            ("lunaroute_recorder_refused_total", 6.0),
            ("lunaroute_recorder_interrupted_total", 7.0),
            ("lunaroute_recorder_filtered_out_total", 8.0),
            ("lunaroute_recorder_contained_panics_total", 9.0),
            ("lunaroute_recorder_open_requests", 2.0),
            ("lunaroute_recorder_journal_bytes", 4_096.0),
            ("lunaroute_recorder_waiting_events", 0.0),
            ("lunaroute_recorder_waiting_bytes", 3.0),
            ("lunaroute_recorder_oldest_unwritten_seconds", 0.0),
            ("lunaroute_recorder_writer_written_total{writer=\"sqlite\"}", 7.0),
            ("lunaroute_recorder_writer_failed_total{writer=\"sqlite\"}", 0.0),
            ("lunaroute_recorder_writer_replaced_total{writer=\"sqlite\"}", 2.0),
            ("lunaroute_recorder_writer_removed_sessions_total{writer=\"sqlite\"}", 4.0),
            ("lunaroute_recorder_syncs_total", 4.0),
            ("lunaroute_recorder_sync_seconds_total", 0.5),
            ("lunaroute_recorder_writer_retried_total{writer=\"sqlite\"}", 3.0),
            ("lunaroute_recorder_writer_quarantined_total{writer=\"sqlite\"}", 2.0),
            ("lunaroute_recorder_writer_damaged_total{writer=\"sqlite\"}", 1.0),
            ("lunaroute_recorder_writer_batches_total{writer=\"sqlite\"}", 5.0),
            ("lunaroute_recorder_writer_batch_seconds_total{writer=\"sqlite\"}", 0.75),
            ("lunaroute_recorder_writer_waiting_events{writer=\"sqlite\"}", 6.0),
            ("lunaroute_recorder_writer_behind_bytes{writer=\"sqlite\"}", 99.0),
            ("lunaroute_recorder_writer_oldest_unwritten_seconds{writer=\"sqlite\"}", 1.5),
        ],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_told_of() {
    let text = metrics().text().expect("text");
    assert!(value(&text, "process_resident_memory_bytes") > 0.0);
    assert!(value(&text, "process_open_fds") > 0.0);
}
