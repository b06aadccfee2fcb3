//! The only way from an identifier to a file name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most bytes a name may have; what common file systems allow for one path segment.
pub const MAX_NAME_BYTES: usize = 255;

/// One path segment that is safe to join to a directory: 1 to 255 bytes of `A-Z a-z 0-9 . _ -`, the first no dot.
///
/// It can be neither absolute, nor `..`, nor hidden, nor hold a separator, so whatever a client sends as an id stays
/// inside the directory it is joined to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// Checks `name` and takes it over.
    ///
    /// # Errors
    /// [`FileNameError`] says which rule the name breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, FileNameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(FileNameError::Empty);
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(FileNameError::TooLong { bytes: name.len() });
        }
        if name.starts_with('.') {
            return Err(FileNameError::LeadingDot);
        }
        let refused = name
            .bytes()
            .position(|byte| !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        match refused {
            Some(index) => Err(FileNameError::Refused { index }),
            None => Ok(Self(name)),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of this name inside `directory`.
    pub fn inside(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

/// Why a text is no [`FileName`]. The text itself is not repeated: it may come from anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// Nothing was given.
    #[error("a file name needs at least one character")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("a file name has at most {MAX_NAME_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// How long it was.
        bytes: usize,
    },
    /// Hidden files, `.` and `..`.
    #[error("a file name must not start with a dot")]
    LeadingDot,
    /// A byte outside the alphabet.
    #[error("a file name holds only letters, digits, '.', '_' and '-'; byte {index} is none of these")]
    Refused {
        /// Where the first such byte stands.
        index: usize,
    },
}
