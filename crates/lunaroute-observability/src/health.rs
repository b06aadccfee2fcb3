//! Whether the gateway is ready, told as it is.

use serde::Serialize;

const OK: u16 = 200;
const SERVICE_UNAVAILABLE: u16 = 503;

/// State of one part of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PartState {
    /// It works.
    Ready,
    /// It works, but not as it should; nothing is lost.
    Degraded {
        /// Why, for people.
        reason: String,
    },
    /// It does not work.
    Down {
        /// Why, for people.
        reason: String,
    },
    /// The configuration switches it off.
    Off,
}

/// One part by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `journal`, or a writer's name.
    pub name: String,
    /// How it is.
    #[serde(flatten)]
    pub state: PartState,
}

/// Whether the gateway can serve, and how its parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The journal: the recorder's truth.
    pub journal: PartState,
    /// The writers that follow it.
    pub writers: Vec<Part>,
    /// Whether a request that cannot be recorded is refused: then a journal that is down makes the gateway useless.
    pub recording_required: bool,
    /// Whether the gateway is stopping: a balancer should send nobody new.
    pub stopping: bool,
}

impl Readiness {
    /// The HTTP status of `/readyz` and its JSON body. A gateway that serves but records badly answers 200 and says
    /// `degraded`: taking it out of service would lose the traffic as well.
    #[must_use]
    pub fn report(&self) -> (u16, String) {
        let journal_down = matches!(self.journal, PartState::Down { .. });
        let unable = self.stopping || (journal_down && self.recording_required);
        let whole = matches!(self.journal, PartState::Ready | PartState::Off)
            && self.writers.iter().all(|part| matches!(part.state, PartState::Ready | PartState::Off));
        let status = match (unable, whole) {
            (true, _) if self.stopping => "stopping",
            (true, _) => "down",
            (false, true) => "ready",
            (false, false) => "degraded",
        };
        let mut parts = vec![Part { name: "journal".to_owned(), state: self.journal.clone() }];
        parts.extend(self.writers.iter().cloned());
        let body = serde_json::json!({ "status": status, "parts": parts });
        (if unable { SERVICE_UNAVAILABLE } else { OK }, body.to_string())
    }
}
