//! How the recorder works.

use std::path::PathBuf;
use std::time::Duration;

/// When the journal is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// As soon as a request waits for it: all that wait share one sync. The default.
    Group,
    /// After this time at the latest; a loss of power can take that much.
    Interval(Duration),
}

/// How the recorder works. The server fills it; every field has an effect.
#[derive(Clone)]
pub struct RecorderConfig {
    /// The state directory; the journal lives in its sub-directory `journal`.
    pub directory: PathBuf,
    /// When the journal is made durable.
    pub sync: SyncPolicy,
    /// How many bytes may wait between the client's path and the journal.
    pub queue_bytes: usize,
    /// For how long neighbouring frames of one answer are joined before they are written.
    pub coalesce: Duration,
    /// How many bytes of one answer are joined at most.
    pub coalesce_bytes: usize,
    /// For how long a request waits to be written down before it is called not recorded.
    pub begin_wait: Duration,
    /// For how long an answer waits for the journal to be durable.
    pub durable_wait: Duration,
    /// For how long a stream waits for room before its frames are only counted and hashed.
    pub frame_wait: Duration,
    /// The longest request body that is kept, in bytes; of a longer one a gap is. Of an answer so much is kept, and a gap of
    /// what follows; of one that declares a greater length the gap alone.
    pub body_limit: usize,
    /// How many bytes of text of one answer are held to tell what it said; the raw bytes are all kept.
    pub text_limit: usize,
    /// Length of a journal segment in bytes.
    pub segment_bytes: u64,
    /// After how long without a request, everything being written, the journal begins a new segment, so that the old one
    /// goes. It is not short: what is in the journal need not be told again in it.
    pub rest_after: Duration,
    /// Space kept aside for ends and gaps on a full disk, in bytes.
    pub ballast_bytes: u64,
    /// After how long without a request a session is over.
    pub session_idle: Duration,
    /// How many sessions are remembered to find the session of the next request.
    pub session_capacity: usize,
    /// Key of the fingerprints that find the session of clients which name none. A secret.
    pub fingerprint_key: [u8; 32],
}

impl RecorderConfig {
    /// The default values, with the state in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, fingerprint_key: [u8; 32]) -> Self {
        Self {
            directory: directory.into(),
            sync: SyncPolicy::Group,
            queue_bytes: 64 * 1024 * 1024,
            coalesce: Duration::from_millis(50),
            coalesce_bytes: 64 * 1024,
            begin_wait: Duration::from_millis(250),
            durable_wait: Duration::from_secs(10),
            frame_wait: Duration::from_secs(1),
            body_limit: 48 * 1024 * 1024,
            text_limit: 1024 * 1024,
            segment_bytes: 32 * 1024 * 1024,
            rest_after: Duration::from_secs(60),
            ballast_bytes: 16 * 1024 * 1024,
            session_idle: Duration::from_secs(30 * 60),
            session_capacity: 100_000,
            fingerprint_key,
        }
    }
}

impl std::fmt::Debug for RecorderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecorderConfig")
            .field("directory", &self.directory)
            .field("sync", &self.sync)
            .field("queue_bytes", &self.queue_bytes)
            .field("fingerprint_key", &"***")
            .finish_non_exhaustive()
    }
}
