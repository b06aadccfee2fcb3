//! A place in the journal.

use std::fmt;

/// A place between two frames: the segment's number and a byte offset in it. Later places compare greater. The
/// default is the start of the journal, before every segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The number of the segment; the first segment of a journal is 1.
    pub segment: u64,
    /// Bytes from the start of the segment.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.segment, self.offset)
    }
}
