//! The recorder and what it keeps, as the configuration wants them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lunaroute_core::{Observer, Timestamp};
use lunaroute_dialect::Dialects;
use lunaroute_session::identity::KnownSession;
use lunaroute_session::jsonl::{self, JsonlConfig, JsonlWriter};
use lunaroute_session::query::{SessionQuery, SqliteQuery};
use lunaroute_session::sqlite::{History, Retention, SessionFiles, SqliteConfig, SqliteWriter};
use lunaroute_session::{Recorder, RecorderConfig, SyncPolicy};
use lunaroute_storage::atomic;

use crate::assemble::StartError;
use crate::config::{Config, Environment, Synchronisation, state_directory};

/// The database's name in the state directory.
pub const DATABASE_FILE: &str = "lunaroute.sqlite";

/// Where the JSON Lines files are in the state directory.
pub const JSONL_DIRECTORY: &str = "sessions";

/// Where the journal is in the state directory.
pub const JOURNAL_DIRECTORY: &str = "journal";

/// The file with the key of the session fingerprints.
const FINGERPRINT_KEY_FILE: &str = "fingerprint.key";

/// Sessions that are taken up again after a restart.
const KNOWN_SESSIONS: usize = 10_000;

/// Where records are kept.
pub(crate) fn directory(config: &Config, environment: &Environment) -> PathBuf {
    config.recording.directory.clone().unwrap_or_else(|| state_directory(environment))
}

/// Starts the recorder; `None` when recording is off.
pub(crate) fn start(
    config: &Config,
    directory: &Path,
    observer: Arc<dyn Observer>,
) -> Result<Option<Recorder>, StartError> {
    let recording = &config.recording;
    if !recording.enabled {
        return Ok(None);
    }
    let key = fingerprint_key(directory)?;
    let settings = RecorderConfig {
        sync: match recording.sync {
            Synchronisation::Group => SyncPolicy::Group,
            Synchronisation::Interval => SyncPolicy::Interval(recording.sync_interval.duration()),
        },
        queue_bytes: recording.queue.bytes(),
        body_limit: config.limits.body.bytes(),
        session_idle: recording.session_idle.duration(),
        ..RecorderConfig::new(directory, key)
    };
    let mut builder = Recorder::builder(settings).interpreter(Arc::new(Dialects)).observer(observer);
    if recording.sqlite {
        let path = directory.join(DATABASE_FILE);
        let database = SqliteConfig {
            retention: Some(retention(config, directory)),
            history: recording.jsonl.then(|| history(directory)),
            ..SqliteConfig::new(&path)
        };
        let writer = SqliteWriter::open(database).map_err(|cause| StartError::Database { cause })?;
        builder = builder
            .writer(Box::new(writer))
            .known_sessions(known_sessions(&path, recording.session_idle.duration())?);
    }
    if recording.jsonl {
        let mut files = JsonlConfig::new(directory.join(JSONL_DIRECTORY));
        files.archive_after_days = recording.archive_after_days;
        let writer =
            JsonlWriter::open(files).map_err(|cause| StartError::Files { message: cause.to_string() })?;
        builder = builder.writer(Box::new(writer));
    }
    Ok(Some(builder.start()?))
}

/// What a database that is lost is filled from, besides the journal: a line that cannot be read is said and passed over.
fn history(directory: &Path) -> History {
    let directory = directory.join(JSONL_DIRECTORY);
    History::new(move || {
        Box::new(jsonl::read(&directory).filter_map(|event| match event {
            Ok(event) => Some(event),
            Err(failure) => {
                tracing::warn!(%failure, "a line of the files is missing from the new database");
                None
            }
        }))
    })
}

/// How long what is recorded stays; the JSON Lines files of a session go with it.
fn retention(config: &Config, directory: &Path) -> Retention {
    let recording = &config.recording.retention;
    let files = SessionFiles::json_lines(directory.join(JSONL_DIRECTORY));
    Retention { bodies_days: recording.bodies_days, rows_days: recording.rows_days, files: Some(files) }
}

/// Sessions that were active when an earlier process ended, so that their next request joins them.
fn known_sessions(path: &Path, idle: Duration) -> Result<Vec<KnownSession>, StartError> {
    let idle = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
    let since = Timestamp::from_micros(Timestamp::now().as_micros().saturating_sub(idle));
    let query = SqliteQuery::open_read_only(path)?;
    Ok(query.known_sessions(since, KNOWN_SESSIONS)?)
}

/// The key by which sessions without a name are found again: made once per state directory, never shown.
fn fingerprint_key(directory: &Path) -> Result<[u8; 32], StartError> {
    let path = directory.join(FINGERPRINT_KEY_FILE);
    let failed = |cause: std::io::Error| StartError::State { path: path.clone(), message: cause.to_string() };
    match fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes).map_err(|bytes| StartError::State {
            path: path.clone(),
            message: format!("it has {} bytes instead of 32; remove it, a new one is made", bytes.len()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            private_directory(directory).map_err(failed)?;
            let key: [u8; 32] = rand::random();
            atomic::write(&path, &key)
                .map_err(|error| StartError::State { path: path.clone(), message: error.to_string() })?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Creates the state directory for this user alone; one that exists keeps its mode.
fn private_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
