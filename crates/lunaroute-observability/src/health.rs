//! Whether the gateway can do its work, told to load balancers and people.

use http::StatusCode;
use serde::Serialize;

/// The answer of `/healthz`: the process runs and answers. It says nothing of any part, because a restart mends none.
pub const ALIVE: &str = r#"{"status":"ok"}"#;

/// How a part of the gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PartState {
    /// It works.
    Ready,
    /// It works with less than it should.
    Degraded {
        /// What is wrong, in a sentence without secrets.
        reason: String,
    },
    /// It does not work.
    Down {
        /// What is wrong, in a sentence without secrets.
        reason: String,
    },
}

/// How all parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the gateway is stopping: it finishes what runs and should get nothing new.
    pub draining: bool,
    /// Whether a request is refused when it cannot be recorded. When not, a broken journal leaves the gateway degraded.
    pub recording_required: bool,
    /// Whether the recorder's thread has failed: nothing is recorded any more and only a restart helps, so the gateway is
    /// not ready even where recording is not required.
    pub recorder_dead: bool,
    /// The recorder's journal; `None` when recording is switched off.
    pub journal: Option<PartState>,
    /// The recorder's writers by name. A writer that is down falls behind the journal and loses nothing, so it never
    /// makes the gateway unready.
    pub writers: Vec<(String, PartState)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ready,
    Degraded,
    Draining,
    Down,
}

#[derive(Serialize)]
struct Shown<'a> {
    status: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<&'a PartState>,
    writers: Vec<ShownWriter<'a>>,
}

#[derive(Serialize)]
struct ShownWriter<'a> {
    name: &'a str,
    #[serde(flatten)]
    state: &'a PartState,
}

impl Readiness {
    /// The status of `/readyz`: 200 when new requests are welcome, else 503.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.verdict() {
            Verdict::Ready | Verdict::Degraded => StatusCode::OK,
            Verdict::Draining | Verdict::Down => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body of `/readyz`: `{"status": .., "journal": {..}, "writers": [{"name": .., ..}]}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let writers = self.writers.iter().map(|(name, state)| ShownWriter { name, state }).collect();
        let shown = Shown { status: self.verdict(), journal: self.journal.as_ref(), writers };
        serde_json::to_string(&shown).expect("a tree of strings can always be written as JSON")
    }

    fn verdict(&self) -> Verdict {
        if self.draining {
            return Verdict::Draining;
        }
        let journal = self.journal.as_ref().unwrap_or(&PartState::Ready);
        if self.recorder_dead || self.recording_required && matches!(journal, PartState::Down { .. }) {
            return Verdict::Down;
        }
        let mut parts = self.writers.iter().map(|(_, state)| state).chain([journal]);
        if parts.all(|state| *state == PartState::Ready) { Verdict::Ready } else { Verdict::Degraded }
    }
}
