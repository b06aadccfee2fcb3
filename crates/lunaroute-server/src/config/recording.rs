//! What is recorded, where, and for how long.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Period, Size};

/// When the journal is brought to the disk's own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Synchronisation {
    /// Before the client gets its first byte; requests that wait at the same time share one synchronisation.
    Group,
    /// Every `sync_interval`, whatever happens.
    Interval,
}

/// What is recorded and where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// Whether anything is recorded.
    pub enabled: bool,
    /// Where; default is `LUNAROUTE_HOME`, else `lunaroute` in the XDG state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Refuse a request with 503 (529 in Anthropic's dialect) when it cannot be recorded. Otherwise it is served, and the gap
    /// is counted.
    pub required: bool,
    /// Keep sessions in a SQLite database, for `sessions` and `verify`.
    pub sqlite: bool,
    /// Keep sessions in JSON Lines files, one per session and day.
    pub jsonl: bool,
    /// Compress JSON Lines files that are older than this many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_after_days: Option<u32>,
    /// When the journal is brought to the disk's own memory.
    pub sync: Synchronisation,
    /// How often with `sync: interval`.
    pub sync_interval: Period,
    /// Memory for what waits to be recorded.
    pub queue: Size,
    /// A client that is silent for this long starts a new session.
    pub session_idle: Period,
    /// How long what is recorded stays.
    pub retention: Retention,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: None,
            required: false,
            sqlite: true,
            jsonl: true,
            archive_after_days: None,
            sync: Synchronisation::Group,
            sync_interval: Period::milliseconds(200),
            queue: Size::mebibytes(64),
            session_idle: Period::seconds(30 * 60),
            retention: Retention::default(),
        }
    }
}

/// How long what is recorded stays in the database and the JSON Lines files, counted from a session's last activity. At most
/// a twentieth of all sessions (or one) goes at a time, and none when more than half are old: then a clock may be wrong. The
/// database tells what is old: with `sqlite: false` nothing is ever removed, and other figures than the defaults are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// After so many days a session's headers, bodies and answers are removed from the database; its figures stay.
    pub bodies_days: u32,
    /// After so many days everything of a session is removed.
    pub rows_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { bodies_days: 30, rows_days: 90 }
    }
}
