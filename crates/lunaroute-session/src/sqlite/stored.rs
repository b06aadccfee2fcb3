//! The bytes of a request as the database gives them back.

use rusqlite::{Connection, OptionalExtension};

use super::blobs::{BlobError, read_blob, restore};
use super::content::{Section, StoredContent};
use super::recipe::Recipe;

/// Where the bytes of one request are, its small content read already.
pub(crate) struct StoredBytes {
    pub(crate) content: StoredContent,
    body: Option<Vec<u8>>,
    decoded: Option<Vec<u8>>,
    answer: Option<i64>,
    /// Whether the bytes were removed because they were old.
    pub(crate) are_removed: bool,
}

/// The columns of one row.
type Columns = (Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>, Option<i64>, bool);

impl StoredBytes {
    /// What there is of a request; `None` when there is no such request.
    pub(crate) fn load(connection: &Connection, request: &str) -> Result<Option<Self>, BlobError> {
        let mut statement = connection.prepare_cached(
            "SELECT body, decoded, content, sections, answer, bodies_removed_at IS NOT NULL FROM requests \
             WHERE id = ?1",
        )?;
        let columns: Option<Columns> = statement
            .query_row([request], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })
            .optional()?;
        let Some((body, decoded, content, sections, answer, are_removed)) = columns else { return Ok(None) };
        let content = StoredContent::read(connection, content, sections.as_deref())?;
        Ok(Some(Self { content, body, decoded, answer, are_removed }))
    }

    /// The body as it arrived.
    pub(crate) fn body(&self, connection: &Connection) -> Result<Vec<u8>, BlobError> {
        Ok(self.make(connection, self.body.as_deref())?.0)
    }

    /// The body without its content coding, where that could be undone, and what it is made of.
    pub(crate) fn readable(&self, connection: &Connection) -> Result<(Vec<u8>, Recipe), BlobError> {
        self.make(connection, self.decoded.as_deref().or(self.body.as_deref()))
    }

    fn make(&self, connection: &Connection, recipe: Option<&[u8]>) -> Result<(Vec<u8>, Recipe), BlobError> {
        let inline = self.content.section(Section::Body).unwrap_or_default();
        recipe.map_or_else(|| Ok(Default::default()), |recipe| restore(connection, recipe, inline))
    }

    /// The body of the answer; `None` when it is empty or was not kept.
    pub(crate) fn answer(&self, connection: &Connection) -> Result<Option<Vec<u8>>, BlobError> {
        match self.answer {
            Some(answer) => read_blob(connection, answer).map(Some),
            None => Ok(self.content.section(Section::Answer).map(<[u8]>::to_vec)),
        }
    }
}
