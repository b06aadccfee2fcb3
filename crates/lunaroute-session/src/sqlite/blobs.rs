//! Content by its hash: each content is stored once and counts who names it.

use std::collections::BTreeMap;

use blake3::Hash;
use lunaroute_storage::compress::{self, CompressError};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use zstd::bulk::Compressor;

use super::cut::{Cut, Leaf};
use super::failure::StepError;

/// The key of a blob.
pub(crate) type BlobHash = [u8; 32];

/// Zstandard level of stored content.
const LEVEL: i32 = 3;
/// Shorter content is stored as it is: a frame's head eats what could be won.
const COMPRESS_FROM: usize = 256;
/// Parts of parts: a body, its groups, their messages. Deeper means damage.
const DEEPEST: u8 = 4;

/// How a blob's data is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Raw,
    Zstd,
    Parts,
}

impl Codec {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Zstd => "zstd",
            Self::Parts => "parts",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Raw, Self::Zstd, Self::Parts].into_iter().find(|codec| codec.as_str() == text)
    }
}

/// Stores content.
pub(crate) struct BlobStore {
    compressor: Compressor<'static>,
}

impl BlobStore {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { compressor: Compressor::new(LEVEL)? })
    }

    /// Stores `raw` unless it is there, and counts one more name for it. Empty content is no blob.
    pub(crate) fn hold(&mut self, connection: &Connection, raw: &[u8]) -> Result<Option<Hash>, StepError> {
        if raw.is_empty() {
            return Ok(None);
        }
        let hash = blake3::hash(raw);
        self.hold_hashed(connection, raw, &hash, 1)?;
        Ok(Some(hash))
    }

    /// Stores a body in its parts, or in one piece when it has none.
    pub(crate) fn hold_cut(
        &mut self,
        connection: &Connection,
        body: &[u8],
        cut: &Cut,
    ) -> Result<Option<Hash>, StepError> {
        if body.is_empty() {
            return Ok(None);
        }
        if cut.parts.is_empty() {
            self.hold_hashed(connection, body, &cut.hash, 1)?;
        } else if count(connection, &cut.hash, 1)? {
            if !is_in_parts(connection, &cut.hash, cut.parts.iter().map(|part| &part.whole))? {
                self.hold_uncounted(connection, body, cut)?;
            }
        } else {
            insert_parts(connection, &cut.hash, body.len(), cut.parts.iter().map(|part| &part.whole))?;
            // The same part may stand in a body many times (a comma between messages).
            let mut times = BTreeMap::<[u8; 32], (usize, i64)>::new();
            for (place, part) in cut.parts.iter().enumerate() {
                times.entry(*part.whole.hash.as_bytes()).or_insert((place, 0)).1 += 1;
            }
            for (place, times) in times.into_values() {
                let part = &cut.parts[place];
                if part.leaves.is_empty() {
                    self.hold_hashed(connection, &body[part.whole.range.clone()], &part.whole.hash, times)?;
                } else {
                    self.hold_group(connection, body, &part.whole, &part.leaves, times)?;
                }
            }
        }
        Ok(Some(cut.hash))
    }

    /// Stores the parts of a body that is there already in another form: the same bytes came before on a path that cuts
    /// them elsewhere, or not at all. No content names these parts, so they count no names; the request's messages do.
    fn hold_uncounted(&mut self, connection: &Connection, body: &[u8], cut: &Cut) -> Result<(), StepError> {
        for part in &cut.parts {
            if part.leaves.is_empty() {
                self.hold_hashed(connection, &body[part.whole.range.clone()], &part.whole.hash, 0)?;
            } else {
                self.hold_group(connection, body, &part.whole, &part.leaves, 0)?;
            }
        }
        Ok(())
    }

    fn hold_group(
        &mut self,
        connection: &Connection,
        body: &[u8],
        group: &Leaf,
        leaves: &[Leaf],
        times: i64,
    ) -> Result<(), StepError> {
        if count(connection, &group.hash, times)? {
            if !is_in_parts(connection, &group.hash, leaves.iter())? {
                for leaf in leaves {
                    self.hold_hashed(connection, &body[leaf.range.clone()], &leaf.hash, 0)?;
                }
            }
            return Ok(());
        }
        insert_parts(connection, &group.hash, group.range.len(), leaves.iter())?;
        count(connection, &group.hash, times - 1)?;
        for leaf in leaves {
            self.hold_hashed(connection, &body[leaf.range.clone()], &leaf.hash, 1)?;
        }
        Ok(())
    }

    fn hold_hashed(
        &mut self,
        connection: &Connection,
        raw: &[u8],
        hash: &Hash,
        times: i64,
    ) -> Result<(), StepError> {
        // Known content costs no compression.
        if count(connection, hash, times)? {
            return Ok(());
        }
        let packed = if raw.len() > COMPRESS_FROM { self.compressor.compress(raw).ok() } else { None };
        match packed.filter(|packed| packed.len() < raw.len()) {
            Some(packed) => insert(connection, hash, Codec::Zstd, raw.len(), times, packed),
            None => insert(connection, hash, Codec::Raw, raw.len(), times, raw.to_vec()),
        }
    }
}

/// Counts `times` more names for a blob; tells whether it is there.
pub(crate) fn count(connection: &Connection, hash: &Hash, times: i64) -> Result<bool, StepError> {
    let mut statement =
        connection.prepare_cached("UPDATE blobs SET refcount = refcount + ?2 WHERE hash = ?1")?;
    Ok(statement.execute((hash.as_bytes().as_slice(), times))? == 1)
}

fn insert_parts<'leaf>(
    connection: &Connection,
    hash: &Hash,
    raw_len: usize,
    parts: impl Iterator<Item = &'leaf Leaf>,
) -> Result<(), StepError> {
    insert(connection, hash, Codec::Parts, raw_len, 1, names(parts))
}

/// Whether a blob is stored in just these parts, so that all of them are there.
fn is_in_parts<'leaf>(
    connection: &Connection,
    hash: &Hash,
    parts: impl Iterator<Item = &'leaf Leaf>,
) -> Result<bool, StepError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM blobs WHERE hash = ?1 AND codec = 'parts' AND data = ?2")?;
    Ok(statement.exists((hash.as_bytes().as_slice(), names(parts)))?)
}

/// The hashes of parts, one behind the other.
fn names<'leaf>(parts: impl Iterator<Item = &'leaf Leaf>) -> Vec<u8> {
    parts.flat_map(|part| *part.hash.as_bytes()).collect()
}

fn insert(
    connection: &Connection,
    hash: &Hash,
    codec: Codec,
    raw_len: usize,
    refcount: i64,
    data: Vec<u8>,
) -> Result<(), StepError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO blobs (hash, codec, raw_len, refcount, data) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.execute((
        hash.as_bytes().as_slice(),
        codec.as_str(),
        i64::try_from(raw_len).unwrap_or(i64::MAX),
        refcount,
        Value::Blob(data),
    ))?;
    Ok(())
}

/// Why a blob cannot be given back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("blob {hash} is not in the database")]
    Missing { hash: Hash },
    #[error("blob {hash} is stored in a way that this build does not know, or its parts are damaged")]
    Malformed { hash: Hash },
    #[error("blob {hash} cannot be decompressed: {source}")]
    Compressed { hash: Hash, source: CompressError },
    #[error("blob {hash} gives {found} bytes, {expected} were stored")]
    Length { hash: Hash, found: usize, expected: usize },
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The content of a blob, put together from its parts.
pub(crate) fn read_blob(connection: &Connection, hash: &BlobHash) -> Result<Vec<u8>, BlobError> {
    read_within(connection, Hash::from_bytes(*hash), DEEPEST)
}

fn read_within(connection: &Connection, hash: Hash, depth: u8) -> Result<Vec<u8>, BlobError> {
    let row = connection
        .prepare_cached("SELECT codec, raw_len, data FROM blobs WHERE hash = ?1")?
        .query_row([hash.as_bytes().as_slice()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    let (codec, raw_len, data) = row.ok_or(BlobError::Missing { hash })?;
    let expected = usize::try_from(raw_len).map_err(|_| BlobError::Malformed { hash })?;
    let codec = Codec::parse(&codec).ok_or(BlobError::Malformed { hash })?;
    if codec != Codec::Parts {
        return decode_blob(hash, codec, expected, data);
    }
    let (parts, rest) = data.as_chunks::<32>();
    if depth == 0 || !rest.is_empty() {
        return Err(BlobError::Malformed { hash });
    }
    let mut whole = Vec::new();
    for part in parts {
        whole.extend(read_within(connection, Hash::from_bytes(*part), depth - 1)?);
        if whole.len() > expected {
            break;
        }
    }
    of_length(hash, whole, expected)
}

/// The content of a blob that is stored in one piece.
pub(crate) fn decode_blob(
    hash: Hash,
    codec: Codec,
    expected: usize,
    data: Vec<u8>,
) -> Result<Vec<u8>, BlobError> {
    let raw = match codec {
        Codec::Raw => data,
        Codec::Zstd => {
            compress::decompress(&data, expected).map_err(|source| BlobError::Compressed { hash, source })?
        }
        Codec::Parts => return Err(BlobError::Malformed { hash }),
    };
    of_length(hash, raw, expected)
}

fn of_length(hash: Hash, raw: Vec<u8>, expected: usize) -> Result<Vec<u8>, BlobError> {
    if raw.len() == expected { Ok(raw) } else { Err(BlobError::Length { hash, found: raw.len(), expected }) }
}
