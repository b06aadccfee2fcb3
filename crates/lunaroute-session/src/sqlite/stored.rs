//! The bytes of a request as the database gives them back.

use rusqlite::Connection;

use super::blobs::{BlobError, read_blob, restore};
use super::content::{Section, StoredContent};
use super::recipe::Recipe;

/// Where the bytes of one request are, its small content read already.
pub(crate) struct StoredBytes {
    pub(crate) content: StoredContent,
    body: Option<Vec<u8>>,
    decoded: Option<Vec<u8>>,
    answer: Option<i64>,
    provider_head: Option<i64>,
    provider_body: Option<Vec<u8>>,
    provider_answer: Option<i64>,
    /// Whether the bytes were removed because they were old.
    pub(crate) are_removed: bool,
}

/// Path and headers of a request in the provider's form, and status and headers of its answer.
pub(crate) type ProviderHead = (String, Vec<(String, String)>, Option<(u16, Vec<(String, String)>)>);

impl StoredBytes {
    /// What there is of a request; `None` when there is no such request.
    pub(crate) fn load(connection: &Connection, request: &str) -> Result<Option<Self>, BlobError> {
        let mut statement = connection.prepare_cached(
            "SELECT content, sections, body, decoded, answer, provider_head, provider_body, provider_answer, \
             bodies_removed_at IS NOT NULL FROM requests WHERE id = ?1",
        )?;
        let mut rows = statement.query([request])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let sections: Option<Vec<u8>> = row.get(1)?;
        Ok(Some(Self {
            content: StoredContent::read(connection, row.get(0)?, sections.as_deref())?,
            body: row.get(2)?,
            decoded: row.get(3)?,
            answer: row.get(4)?,
            provider_head: row.get(5)?,
            provider_body: row.get(6)?,
            provider_answer: row.get(7)?,
            are_removed: row.get(8)?,
        }))
    }

    /// The heads of the provider's form; `None` when the request was not translated.
    pub(crate) fn provider_head(&self, connection: &Connection) -> Result<Option<ProviderHead>, BlobError> {
        let Some(head) = self.provider_head else { return Ok(None) };
        serde_json::from_slice(&read_blob(connection, head)?)
            .map(Some)
            .map_err(|_| BlobError::Malformed { id: head })
    }

    /// The body in the provider's form; `None` when there is none.
    pub(crate) fn provider_body(&self, connection: &Connection) -> Result<Option<Vec<u8>>, BlobError> {
        let recipe = self.provider_body.as_deref();
        recipe.map(|recipe| Ok(restore(connection, recipe, &[])?.0)).transpose()
    }

    /// The answer in the provider's form; `None` when it is empty or was not kept.
    pub(crate) fn provider_answer(&self, connection: &Connection) -> Result<Option<Vec<u8>>, BlobError> {
        self.provider_answer.map(|answer| read_blob(connection, answer)).transpose()
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
