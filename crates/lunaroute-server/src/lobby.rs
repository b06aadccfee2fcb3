//! What the gateway answers itself: clients' probes, and questions about its own health.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use lunaroute_core::{Dialect, Failure, FailureKind, RequestId};
use lunaroute_ingress::Reply;
use lunaroute_ingress::door::Probe;
use lunaroute_observability::health::{self, PartState, Readiness};
use lunaroute_observability::{Metrics, RecorderFigures, WriterFigures};
use lunaroute_session::sqlite::sqlite_version;
use lunaroute_session::{Figures, JournalState, WriterState};

use crate::house::House;
use crate::way_out::{finish, json, refusal};

/// Answers a probe.
pub(crate) fn answer(house: &House, probe: Probe, id: RequestId, asked: &HeaderMap) -> Response<Reply> {
    let response = match probe {
        Probe::Reachability => Response::new(Reply::empty()),
        Probe::Telemetry => json(StatusCode::OK, Bytes::from_static(b"{}")),
        Probe::ClientAccount => return refusal(house, Dialect::Anthropic, id, &no_account(), asked),
        Probe::Health => json(StatusCode::OK, Bytes::from_static(health::ALIVE.as_bytes())),
        Probe::Readiness => readiness(house),
        Probe::Metrics => metrics(house),
        Probe::Version => version(),
    };
    finish(house, response, id, asked)
}

fn no_account() -> Failure {
    Failure::client(
        FailureKind::NotFound,
        "this is a gateway, not the vendor's account service; model calls go to /v1/messages",
    )
}

fn version() -> Response<Reply> {
    let body = serde_json::json!({
        "name": "lunaroute", "version": env!("CARGO_PKG_VERSION"), "sqlite": sqlite_version(),
    });
    json(StatusCode::OK, body.to_string().into())
}

fn readiness(house: &House) -> Response<Reply> {
    let figures = house.recorder.as_ref().map(lunaroute_session::Recorder::figures);
    let readiness = Readiness {
        draining: house.stopping.load(Ordering::Relaxed),
        recording_required: house.recording_required,
        recorder_dead: figures.as_ref().is_some_and(|figures| figures.journal == JournalState::Dead),
        journal: figures.as_ref().map(|figures| journal_state(&figures.journal)),
        writers: figures
            .iter()
            .flat_map(|figures| &figures.writers)
            .map(|writer| (writer.name.clone(), writer_state(&writer.state)))
            .collect(),
    };
    json(readiness.status(), readiness.to_json().into())
}

fn journal_state(state: &JournalState) -> PartState {
    match state {
        JournalState::Healthy => PartState::Ready,
        JournalState::Full => {
            PartState::Degraded { reason: "the disk is full; only ends and gaps are kept".to_owned() }
        }
        JournalState::Down { reason } => PartState::Down { reason: reason.clone() },
        JournalState::Stopped => PartState::Down { reason: "the recorder has ended".to_owned() },
        JournalState::Dead => {
            let reason =
                "the recorder's thread has failed; nothing is recorded until the gateway is started again";
            PartState::Down { reason: reason.to_owned() }
        }
    }
}

fn writer_state(state: &WriterState) -> PartState {
    match state {
        WriterState::Healthy => PartState::Ready,
        WriterState::Degraded { reason } => PartState::Degraded { reason: reason.clone() },
        WriterState::Down { reason } => PartState::Down { reason: reason.clone() },
        WriterState::Stopped => PartState::Down { reason: "the writer has ended".to_owned() },
    }
}

fn metrics(house: &House) -> Response<Reply> {
    house.metrics.bodies(house.limits.bodies.used());
    if let Some(recorder) = &house.recorder {
        house.metrics.recorder(&recorder_figures(&recorder.figures()));
    }
    match house.metrics.text() {
        Ok(text) => {
            let mut response = Response::new(Reply::full(text.into()));
            let form = HeaderValue::from_static(Metrics::content_type());
            response.headers_mut().insert(header::CONTENT_TYPE, form);
            response
        }
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            let mut response = Response::new(Reply::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

fn recorder_figures(figures: &Figures) -> RecorderFigures {
    let writers = figures.writers.iter().map(|writer| WriterFigures {
        name: writer.name.clone(),
        written: writer.written,
        failed: writer.failed,
        retried: writer.retried,
        quarantined: writer.quarantined,
        damaged: writer.damaged,
        batches: writer.batches,
        batch_seconds: writer.batch_seconds,
        replaced: writer.upkeep.replaced,
        removed_sessions: writer.upkeep.removed_sessions,
        waiting_events: writer.waiting,
        behind_bytes: writer.behind_bytes,
        oldest_unwritten_seconds: writer.oldest_unwritten.as_secs_f64(),
    });
    RecorderFigures {
        received: figures.received,
        written: figures.written,
        failed: figures.failed,
        retried: figures.retried,
        waiting_events: figures.waiting_notes,
        waiting_bytes: figures.waiting_bytes,
        oldest_unwritten_seconds: figures.oldest_unwritten.as_secs_f64(),
        gaps: figures.gaps,
        left_out: figures.left_out,
        syncs: figures.syncs,
        sync_seconds: figures.sync_seconds,
        refused: figures.refused,
        interrupted: figures.interrupted,
        filtered_out: figures.filtered_out,
        contained_panics: figures.contained_panics,
        open_requests: figures.open_requests,
        journal_bytes: figures.journal_bytes,
        writers: writers.collect(),
    }
}
