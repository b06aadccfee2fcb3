//! Bytes at rest: the append-only journal that the recorder trusts, appending text files, atomic replacement of
//! whole files, compression with a bound, and the one type through which an identifier may become a file name.
//!
//! What this crate never does: it never knows what the bytes mean (no sessions, no JSON), it never starts a thread
//! or needs a runtime (every call is plain blocking I/O on the caller's thread), it never reads a clock or the
//! environment, it never writes again to a segment whose state the disk has put in doubt, and it never deletes what
//! it was not told to delete.

pub mod appending;
pub mod atomic;
pub mod compress;
pub mod journal;
pub mod name;

mod failure;
mod file_system;
mod files;
mod lock;

pub use appending::{AppendingError, AppendingFile};
pub use failure::{FileError, FileOperation};
pub use file_system::{FileSystem, sync_directory};
pub use files::parent_of;
pub use lock::FileLock;
pub use name::{FileName, FileNameError};
