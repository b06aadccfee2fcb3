//! Asking the record: sessions, requests, their bodies and totals.
//!
//! Nothing here writes. Every call is blocking; an asynchronous caller gives it a thread for blocking work.

mod export;
mod filter;
mod record;
mod rows;
mod sqlite;

use lunaroute_core::{RequestId, SessionId, Timestamp};

pub use export::{ExportError, export};
pub use filter::{Page, Period, RequestFilter, SessionFilter};
pub use record::{
    AttemptRecord, ErrorRecord, Listing, MessageRecord, ProviderFormRecord, RequestDetail, RequestRecord,
    SessionDetail, SessionRecord, StreamFigures, StreamPiece, TokenCounts, ToolCallRecord, Totals,
};
pub use sqlite::SqliteQuery;

use crate::identity::KnownSession;
use crate::sqlite::OpenError;

/// Why the record could not answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Nothing has that name.
    #[error("no {what} is called '{name}'")]
    NotFound {
        /// `session` or `request`.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// A shortened id fits several.
    #[error("'{name}' begins the ids of several {what}s, among them {}; give more of it", .some.join(", "))]
    Ambiguous {
        /// `session` or `request`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Two of those it fits.
        some: Vec<String>,
    },
    /// The body was too large to be kept, or was lost; its hash is in the request's record.
    #[error("the {what} body of request {request} was not kept ({cause})")]
    NotKept {
        /// `request` or `response`.
        what: &'static str,
        /// The request.
        request: RequestId,
        /// Why.
        cause: String,
    },
    /// A body is damaged.
    #[error("a body of request {request} is damaged: {reason}; run `lunaroute verify`")]
    Damaged {
        /// The request.
        request: RequestId,
        /// What is wrong with it.
        reason: String,
    },
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite could not answer.
    #[error("the database could not be read: {source}")]
    Sqlite {
        /// What SQLite said.
        #[from]
        source: rusqlite::Error,
    },
}

/// What can be asked of a record, whatever keeps it.
pub trait SessionQuery: Send {
    /// Sessions that pass the filter, the latest first.
    ///
    /// # Errors
    /// [`QueryError`] when the record cannot be read.
    fn sessions(&self, filter: &SessionFilter, page: Page) -> Result<Listing<SessionRecord>, QueryError>;

    /// Sessions with a request that is not over, the latest first.
    ///
    /// # Errors
    /// [`QueryError`] when the record cannot be read.
    fn active_sessions(&self, page: Page) -> Result<Listing<SessionRecord>, QueryError>;

    /// One session with its requests and tool calls, named by its id, the beginning of its id, or the client's own id
    /// (then the latest session of that name). At most 1,000 requests and tool calls; [`requests`](Self::requests) pages
    /// through more.
    ///
    /// # Errors
    /// [`QueryError::NotFound`], [`QueryError::Ambiguous`], or that the record cannot be read.
    fn session_detail(&self, name: &str) -> Result<SessionDetail, QueryError>;

    /// Requests that pass the filter, the latest first.
    ///
    /// # Errors
    /// [`QueryError`] when the record cannot be read.
    fn requests(&self, filter: &RequestFilter, page: Page) -> Result<Listing<RequestRecord>, QueryError>;

    /// One request with all that hangs on it, bodies excepted.
    ///
    /// # Errors
    /// [`QueryError::NotFound`], or that the record cannot be read.
    fn request(&self, id: RequestId) -> Result<RequestDetail, QueryError>;

    /// The body of a request, byte for byte as it arrived.
    ///
    /// # Errors
    /// [`QueryError::NotFound`], [`QueryError::Damaged`], or that the record cannot be read.
    fn request_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError>;

    /// The body of an answer, byte for byte as the client got it.
    ///
    /// # Errors
    /// [`QueryError::NotFound`], [`QueryError::NotKept`], [`QueryError::Damaged`], or that the record cannot be read.
    fn response_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError>;

    /// The body of a translated request as it went to the provider, byte for byte.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when it was not translated, [`QueryError::NotKept`], [`QueryError::Damaged`], or that the
    /// record cannot be read.
    fn provider_request_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError>;

    /// The body of the answer to a translated request as the provider sent it, byte for byte.
    ///
    /// # Errors
    /// As [`provider_request_body`](Self::provider_request_body).
    fn provider_response_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError>;

    /// What the requests of a period add up to.
    ///
    /// # Errors
    /// [`QueryError`] when the record cannot be read.
    fn summary(&self, period: Period) -> Result<Totals, QueryError>;

    /// The sessions that were active at or after `since`, the latest first, at most `limit` of them: what a recorder goes on
    /// with after a restart.
    ///
    /// # Errors
    /// [`QueryError`] when the record cannot be read.
    fn known_sessions(&self, since: Timestamp, limit: usize) -> Result<Vec<KnownSession>, QueryError>;

    /// The requests of a session in the order in which they began, at most `limit` after `after`.
    ///
    /// # Errors
    /// [`QueryError`] when the record cannot be read.
    fn requests_of(
        &self,
        session: &SessionId,
        after: Option<RequestId>,
        limit: usize,
    ) -> Result<Vec<RequestRecord>, QueryError>;
}
