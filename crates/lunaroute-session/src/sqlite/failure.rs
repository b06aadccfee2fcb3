//! What SQLite's errors mean to the writer: this item, this moment, or this database.

use rusqlite::ErrorCode;

use super::nameless::Unreadable;

/// Why one step of a batch failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A figure that no column can hold.
    #[error("{what} is {value}, more than the database can hold")]
    TooLarge { what: &'static str, value: u64 },
    /// The database was set aside and no new one is there yet.
    #[error("no database is open")]
    Closed,
    /// Some of what memory would hold is gone.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// SQLite refused.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// How far a failure reaches.
pub(crate) enum Reach {
    /// Only the item: it is put aside and the rest goes on.
    Item,
    /// The moment: the same batch may succeed later.
    Moment,
    /// What memory holds: everything since the checkpoint is to come again.
    Memory,
    /// The database is damaged: it is set aside and made again.
    Damage,
    /// The database: trying again does not help; `advice` says what does.
    Database { advice: &'static str },
}

impl StepError {
    /// How far this failure reaches.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::TooLarge { .. } => Reach::Item,
            Self::Closed => Reach::Moment,
            Self::Unreadable(_) => Reach::Memory,
            Self::Sqlite(error) => reach(error),
        }
    }
}

/// How far an error of SQLite reaches.
fn reach(error: &rusqlite::Error) -> Reach {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        // Conversions and parameters: the item does not fit its columns.
        return Reach::Item;
    };
    match failure.code {
        ErrorCode::ConstraintViolation
        | ErrorCode::TooBig
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange => Reach::Item,
        _ if is_damage(error) => Reach::Damage,
        ErrorCode::PermissionDenied | ErrorCode::ReadOnly => Reach::Database {
            advice: "give the gateway's user write access to the database file and its directory",
        },
        // Busy, locked, disk full, input or output error, cannot open, out of memory: a matter of time.
        _ => Reach::Moment,
    }
}

/// Whether the error says that the database itself is damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
        // SQLITE_ERROR: a table or column that the migrations made is gone.
        ErrorCode::Unknown => failure.extended_code == rusqlite::ffi::SQLITE_ERROR,
        _ => false,
    }
}
