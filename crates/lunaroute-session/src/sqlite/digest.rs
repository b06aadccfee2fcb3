//! A hash over the content of rows, so that `verify` finds a row that was changed by other hands.

use rusqlite::types::ValueRef;

/// Bytes of a digest.
pub(crate) const DIGEST: usize = 16;

/// Gathers rows into one BLAKE3 hash.
///
/// A NULL counts as absent: a later migration may add a column without touching the rows that are there.
pub(crate) struct RowDigest(Vec<u8>);

impl Default for RowDigest {
    fn default() -> Self {
        // More than most rows have.
        Self(Vec::with_capacity(2_048))
    }
}

impl RowDigest {
    /// Takes a row in: its columns in the order of its table.
    pub(crate) fn row<'value>(&mut self, table: &str, cells: impl IntoIterator<Item = ValueRef<'value>>) {
        self.item(u16::MAX, b'R', table.as_bytes());
        for (place, cell) in (0_u16..).zip(cells) {
            match cell {
                ValueRef::Null => {}
                ValueRef::Integer(number) => self.item(place, b'i', &number.to_le_bytes()),
                ValueRef::Real(number) => self.item(place, b'f', &number.to_le_bytes()),
                ValueRef::Text(text) => self.item(place, b't', text),
                ValueRef::Blob(blob) => self.item(place, b'b', blob),
            }
        }
    }

    fn item(&mut self, place: u16, tag: u8, bytes: &[u8]) {
        self.0.extend_from_slice(&place.to_le_bytes());
        self.0.push(tag);
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// The hash of everything taken in.
    pub(crate) fn finish(&self) -> [u8; DIGEST] {
        let hash = blake3::hash(&self.0);
        *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}
