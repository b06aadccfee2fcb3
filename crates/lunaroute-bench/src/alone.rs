//! The recorder without a gateway around it: requests are reported to it as the gateway reports them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hdrhistogram::Histogram;
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method};
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Dialect, Ending, Exchange, Operation, RequestId, ResponseHead,
    SessionHint, Timestamp,
};
use lunaroute_dialect::Dialects;
use lunaroute_session::jsonl::{JsonlConfig, JsonlWriter};
use lunaroute_session::sqlite::{SqliteConfig, SqliteWriter};
use lunaroute_session::{Recorder, RecorderConfig, RequestStart, SyncPolicy};

use crate::home::{DATABASE, FILES};

/// A recorder is waited for so long, for one report as for its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A recorder in this process, with its writers.
pub(crate) struct Alone {
    recorder: Recorder,
    head: ResponseHead,
    headers: Arc<HeaderMap>,
}

/// Which writers follow the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// The database alone.
    Database,
    /// The database and the JSON Lines files, as in a gateway.
    Both,
}

impl Alone {
    pub(crate) fn start(directory: &Path, sync: SyncPolicy, writers: Writers) -> Result<Self> {
        // A client must not wait for a slow disk; here nothing else is wanted.
        let config = RecorderConfig {
            sync,
            begin_wait: PATIENCE,
            durable_wait: PATIENCE,
            frame_wait: PATIENCE,
            ..RecorderConfig::new(directory, [7; 32])
        };
        let database = SqliteWriter::open(SqliteConfig::new(directory.join(DATABASE)))
            .context("the database cannot be opened")?;
        let mut builder =
            Recorder::builder(config).interpreter(Arc::new(Dialects)).writer(Box::new(database));
        if writers == Writers::Both {
            let files = JsonlWriter::open(JsonlConfig::new(directory.join(FILES)))
                .context("the JSON Lines files cannot be opened")?;
            builder = builder.writer(Box::new(files));
        }
        let typed = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers
        };
        let mut headers = typed("application/json");
        headers.insert(USER_AGENT, HeaderValue::from_static("lunaroute-bench"));
        Ok(Self {
            recorder: builder.start().context("the recorder cannot be started")?,
            head: ResponseHead { status: 200, headers: Arc::new(typed("application/json")) },
            headers: Arc::new(headers),
        })
    }

    /// Events that the slowest writer has taken.
    pub(crate) fn written(&self) -> u64 {
        self.recorder.figures().writers.iter().map(|writer| writer.written).min().unwrap_or(0)
    }

    /// Waits until all that was reported is durable in every writer.
    pub(crate) async fn flush(&self, patience: Duration) -> Result<()> {
        Ok(self.recorder.flush(patience).await?)
    }

    /// Ends the recorder; anything that it lost is an error.
    pub(crate) async fn stop(self) -> Result<()> {
        let report = self.recorder.shutdown(PATIENCE).await;
        anyhow::ensure!(report.lost == 0, "the recorder lost {} events", report.lost);
        Ok(())
    }

    /// Reports one request with a plain answer, waiting where a gateway waits, and notes how long each report took.
    pub(crate) async fn report(
        &self,
        session: u64,
        body: Bytes,
        pieces: &[Bytes],
        times: &mut Histogram<u64>,
    ) -> Result<()> {
        let start = self.start_of(session, body);
        let mut recording = timed(times, || self.recorder.begin(start));
        recording.written().await?;
        timed(times, || recording.attempt_started("openai", Some("gpt-5-mini"), AttemptReason::Primary));
        let outcome = AttemptOutcome {
            status: Some(200),
            latency_us: 1_000,
            failure: None,
            message: None,
            retry_after_ms: None,
        };
        timed(times, || recording.attempt_finished(outcome, Bytes::new()));
        timed(times, || recording.response_started(&self.head));
        recording.durable().await?;
        for piece in pieces {
            std::future::poll_fn(|context| recording.poll_room(context)).await;
            timed(times, || recording.frame(piece.clone()));
        }
        timed(times, || recording.close(Ending::Completed, None));
        Ok(())
    }

    fn start_of(&self, session: u64, body: Bytes) -> RequestStart {
        RequestStart {
            id: RequestId::generate(),
            received_at: Timestamp::now(),
            exchange: Exchange {
                dialect: Dialect::OpenaiChat,
                operation: Operation::Chat,
                headers: Arc::clone(&self.headers),
                addressed: None,
            },
            hint: SessionHint {
                client: "lunaroute-bench".to_owned(),
                external_id: Some(format!("bench-{session}")),
                source: "header:x-lunaroute-session-id".to_owned(),
            },
            listener: "127.0.0.1:0".into(),
            method: Method::POST,
            path: "/v1/chat/completions".to_owned(),
            client_ip: None,
            body,
            overhead_pre_us: 10,
        }
    }
}

/// A histogram of nanoseconds.
pub(crate) fn times() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).context("the bounds are wrong")
}

fn timed<T>(times: &mut Histogram<u64>, report: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let reported = report();
    times.saturating_record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    reported
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use lunaroute_session::SyncPolicy;

    use super::{Alone, Writers, times};
    use crate::home::Home;
    use crate::{Template, Workload};

    #[track_caller]
    fn check(writers: Writers, files: bool) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let alone = Alone::start(folder.path(), SyncPolicy::Group, writers).unwrap();
            let template = Template::new(Workload::Small, 0);
            let pieces = [Bytes::from_static(b"{\"choices\":"), Bytes::from_static(b"[]}")];
            let mut times = times().unwrap();
            for number in 0..20 {
                alone.report(number / 16, template.body(number), &pieces, &mut times).await.unwrap();
            }
            alone.flush(Duration::from_secs(30)).await.unwrap();
            assert_eq!(times.len(), 20 * (5 + 2), "begin, two for the attempt, head, two pieces, end");
            assert!(alone.written() >= 20 * 5, "{} events of 20 requests", alone.written());
            let sizes = Home::existing(folder.path()).sizes().unwrap();
            assert!(sizes.database > 0, "{sizes:?}");
            assert_eq!(sizes.files > 0, files, "{sizes:?}");
            alone.stop().await.unwrap();
        });
    }

    #[test]
    fn every_report_is_timed_and_reaches_every_writer() {
        check(Writers::Both, true);
        check(Writers::Database, false);
    }
}
