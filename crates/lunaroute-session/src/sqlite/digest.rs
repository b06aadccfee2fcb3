//! A hash over the content of rows, so that `verify` finds a row that was changed by other hands.

use rusqlite::types::Value;

/// Gathers rows into one BLAKE3 hash.
///
/// A NULL counts as absent: a later migration may add a column without touching the rows that are there.
#[derive(Default)]
pub(crate) struct RowDigest(blake3::Hasher);

impl RowDigest {
    /// Takes a row in.
    pub(crate) fn row(&mut self, table: &str, fields: &[(&'static str, Value)]) {
        self.item(b'R', table.as_bytes());
        for (name, value) in fields {
            let (tag, bytes): (u8, &[u8]) = match value {
                Value::Null => continue,
                Value::Integer(number) => (b'i', &number.to_le_bytes()),
                Value::Real(number) => (b'f', &number.to_le_bytes()),
                Value::Text(text) => (b't', text.as_bytes()),
                Value::Blob(blob) => (b'b', blob),
            };
            self.item(b'N', name.as_bytes());
            self.item(tag, bytes);
        }
    }

    /// Takes bytes in, such as another digest.
    pub(crate) fn item(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update(&[tag]);
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The hash of everything taken in.
    pub(crate) fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}
