//! One failed operation on one file: the shape every error of this crate ends in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file operation that the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {}: {source}; check that the disk is healthy and that this user may write there", path.display())]
pub struct FileError {
    /// What was tried.
    pub operation: FileOperation,
    /// The file or directory it was tried on.
    pub path: PathBuf,
    /// What the operating system answered.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(operation: FileOperation, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }

    /// Whether the disk, or the user's share of it, had no room left.
    pub fn is_storage_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The operations a [`FileError`] can speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOperation {
    /// Creating a directory or a file.
    Create,
    /// Listing a directory.
    List,
    /// Taking the lock of a directory.
    Lock,
    /// Opening a file that exists, or asking for its length.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Making written bytes durable.
    Sync,
    /// Cutting a file to a length.
    Truncate,
    /// Putting a finished file in the place of an older one.
    Replace,
    /// Deleting.
    Remove,
}

impl fmt::Display for FileOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Lock => "lock",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write to",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Replace => "replace",
            Self::Remove => "remove",
        })
    }
}
