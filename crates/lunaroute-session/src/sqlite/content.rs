//! What is small of one request, packed together: it compresses better so, and costs one row.

use rusqlite::Connection;

use super::blobs::{BlobError, read_blob};
use super::recipe;

/// A stretch of a request's content; the order is that of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// The request's headers, as JSON.
    RequestHeaders,
    /// The answer's headers, as JSON.
    ResponseHeaders,
    /// The last user text, shortened.
    Preview,
    /// The answer's text, shortened.
    TextPreview,
    /// Sampled pieces of the answer, as JSON.
    Samples,
    /// A small body.
    Body,
    /// A small answer.
    Answer,
}

const SECTIONS: usize = 7;

/// Content that is being put together.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    lengths: [Option<usize>; SECTIONS],
}

impl Content {
    /// Nothing yet, with room for what most requests have.
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::with_capacity(4_096), lengths: [None; SECTIONS] }
    }

    /// Adds a section; to be called in their order. `write` appends its bytes.
    pub(crate) fn add(&mut self, section: Section, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.lengths[section as usize] = Some(self.bytes.len() - start);
    }

    /// Where a section begins, when it is there.
    pub(crate) fn start(&self, section: Section) -> Option<usize> {
        let (before, from) = self.lengths.split_at(section as usize);
        from[0].map(|_| before.iter().flatten().sum())
    }

    /// The lengths of the sections, each one higher than it is; 0 for one that is not there.
    pub(crate) fn sections(&self) -> Vec<u8> {
        let mut sections = Vec::with_capacity(SECTIONS * 2);
        for length in self.lengths {
            recipe::push(&mut sections, length.map_or(0, |length| length as u64 + 1));
        }
        sections
    }
}

/// The content of a request as it is kept.
pub(crate) struct StoredContent {
    bytes: Vec<u8>,
    starts: [Option<(usize, usize)>; SECTIONS],
}

impl StoredContent {
    /// Reads it; without a blob there is none of it.
    pub(crate) fn read(
        connection: &Connection,
        blob: Option<i64>,
        sections: Option<&[u8]>,
    ) -> Result<Self, BlobError> {
        let bytes = blob.map(|blob| read_blob(connection, blob)).transpose()?.unwrap_or_default();
        let mut starts = [None; SECTIONS];
        let mut rest = sections.unwrap_or_default();
        let mut start = 0_usize;
        for place in starts.iter_mut().take(if rest.is_empty() { 0 } else { SECTIONS }) {
            let number = recipe::take(&mut rest).ok_or(BlobError::Recipe)?;
            if let Some(length) = number.checked_sub(1) {
                let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
                let end = end.filter(|end| *end <= bytes.len()).ok_or(BlobError::Recipe)?;
                *place = Some((start, end));
                start = end;
            }
        }
        Ok(Self { bytes, starts })
    }

    /// The bytes of a section; `None` when it is not there.
    pub(crate) fn section(&self, section: Section) -> Option<&[u8]> {
        self.starts[section as usize].map(|(start, end)| &self.bytes[start..end])
    }

    /// The text of a section.
    pub(crate) fn text(&self, section: Section) -> Option<String> {
        self.section(section).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}
