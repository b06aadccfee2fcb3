//! Stretches of bytes in the database: what is new is appended, what is known is named again.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use lunaroute_storage::compress::{self, CompressError};
use rusqlite::blob::ZeroBlob;
use rusqlite::{Connection, MAIN_DB, OptionalExtension};
use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::answer::AnswerBytes;
use super::failure::StepError;
use super::nameless::{Nameless, Unreadable};
use super::recipe::{Ingredient, Recipe};
use crate::dictionary::DICTIONARY;

/// Zstandard level of parts of bodies: they are kept once and named often.
const LEVEL: i32 = 3;
/// Zstandard level of what belongs to one request alone.
const QUICK_LEVEL: i32 = 1;
/// Shorter content is stored as it is: a frame's head eats what could be won.
const COMPRESS_FROM: usize = 512;
/// Windows beyond 16 MiB are refused: none that is written here needs more.
const WINDOW_LOG_MAX: u32 = 24;
/// Parts from this length on are looked for in other sessions.
const SHARE_FROM: usize = 256;

/// How a blob's data is stored.
const RAW: i64 = 0;
const ZSTD: i64 = 1;
const ZSTD_DICTIONARY: i64 = 2;

/// Small content from this length on is compressed.
const COMPRESS_SMALL_FROM: usize = 64;

/// A blob that is to be inserted with the row that names it.
pub(crate) struct NewBlob {
    pub(crate) id: i64,
    codec: i64,
    raw_len: usize,
    key: Option<i64>,
    hash: blake3::Hash,
    data: Data,
}

/// A blob as it will be stored.
enum Data {
    Held(Vec<u8>),
    InFile(Box<Nameless>),
}

/// Why a long answer could not be packed beside the database.
enum Unpacked {
    /// There is no room for it.
    Refused(io::Error),
    Unreadable(Unreadable),
}

impl From<io::Error> for Unpacked {
    fn from(failure: io::Error) -> Self {
        Self::Refused(failure)
    }
}

impl From<Unreadable> for Unpacked {
    fn from(failure: Unreadable) -> Self {
        Self::Unreadable(failure)
    }
}

/// Gathers what a request needs of blobs before its row is written. Nothing is in the database until [`store`](Self::store).
pub(crate) struct BlobStore {
    compressor: Compressor<'static>,
    quick: Compressor<'static>,
    /// Where files without a name are made.
    directory: PathBuf,
    /// The id of the next blob; `None` when the database has to be asked.
    next: Option<i64>,
    new: Vec<NewBlob>,
    /// Blobs of other sessions that the request takes over.
    taken: Vec<i64>,
}

impl BlobStore {
    pub(crate) fn new(directory: &Path) -> std::io::Result<Self> {
        Ok(Self {
            directory: directory.to_owned(),
            compressor: Compressor::new(LEVEL)?,
            quick: Compressor::with_dictionary(QUICK_LEVEL, DICTIONARY)?,
            next: None,
            new: Vec::new(),
            taken: Vec::new(),
        })
    }

    /// Forgets which ids are free: a transaction was rolled back, or somebody else has written.
    pub(crate) fn forget(&mut self) {
        self.next = None;
        self.drop_gathered();
    }

    /// Lets go of what was gathered and not stored.
    pub(crate) fn drop_gathered(&mut self) {
        if let Some(first) = self.new.first() {
            self.next = Some(first.id);
        }
        self.new.clear();
        self.taken.clear();
    }

    /// Content that belongs to one request alone. `raw` is not empty.
    pub(crate) fn hold(&mut self, connection: &Connection, raw: &[u8]) -> Result<i64, StepError> {
        self.add(connection, raw, blake3::hash(raw), false)
    }

    /// An answer, at whatever length. It is not empty; `hash` is that of what is kept of it, where that is known.
    pub(crate) fn hold_answer(
        &mut self,
        connection: &Connection,
        answer: &AnswerBytes,
        hash: Option<blake3::Hash>,
    ) -> Result<i64, StepError> {
        let packed = if answer.is_spilled() { Some(self.pack(answer)) } else { None };
        let data = match packed {
            Some(Ok(file)) => Data::InFile(Box::new(file)),
            Some(Err(Unpacked::Unreadable(failure))) => return Err(failure.into()),
            refused => {
                if let Some(Err(Unpacked::Refused(failure))) = refused {
                    // The database is asked all the same: it says whether there is room.
                    tracing::warn!(%failure, "a long answer is packed in memory, because it cannot be beside the database");
                }
                let raw = answer.whole()?;
                return self.add(connection, &raw, hash.unwrap_or_else(|| blake3::hash(&raw)), false);
            }
        };
        let id = self.id(connection)?;
        let (raw_len, hash) = (answer.kept(), answer.hash());
        self.new.push(NewBlob { id, codec: ZSTD_DICTIONARY, raw_len, key: None, hash, data });
        self.next = Some(id + 1);
        Ok(id)
    }

    fn pack(&self, answer: &AnswerBytes) -> Result<Nameless, Unpacked> {
        let mut encoder = Encoder::with_dictionary(Nameless::new(&self.directory)?, QUICK_LEVEL, DICTIONARY)?;
        answer.each(|piece| encoder.write_all(piece).map_err(Unpacked::Refused))?;
        Ok(encoder.finish()?)
    }

    /// Part of a body of `session`, found or to be stored. `raw` is not empty.
    pub(crate) fn share(
        &mut self,
        connection: &Connection,
        session: i64,
        raw: &[u8],
    ) -> Result<i64, StepError> {
        let hash = blake3::hash(raw);
        if raw.len() >= SHARE_FROM
            && let Some((blob, owner)) = self.find(connection, &hash, raw.len())?
        {
            if owner.is_some_and(|owner| owner != session) {
                self.taken.push(blob);
            }
            return Ok(blob);
        }
        self.add(connection, raw, hash, true)
    }

    /// A blob with these bytes, and its owner when it is in the database already.
    fn find(
        &self,
        connection: &Connection,
        hash: &blake3::Hash,
        length: usize,
    ) -> Result<Option<(i64, Option<i64>)>, StepError> {
        let key = Some(key(hash));
        if let Some(new) = self.new.iter().find(|new| new.key == key && new.hash == *hash) {
            return Ok(Some((new.id, None)));
        }
        // One that its own session lets go of is not taken up again, so that nobody needs to look out for it.
        let mut statement = connection.prepare_cached(
            "SELECT id, session FROM blobs b WHERE key = ?1 AND hash = ?2 AND raw_len = ?3 \
             AND NOT EXISTS (SELECT 1 FROM released_blobs r WHERE r.session = b.session AND r.blob = b.id) LIMIT 1",
        )?;
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let found = statement
            .query_row((key, hash.as_bytes(), length), |row| Ok((row.get(0)?, Some(row.get(1)?))))
            .optional()?;
        Ok(found)
    }

    fn add(
        &mut self,
        connection: &Connection,
        raw: &[u8],
        hash: blake3::Hash,
        is_part: bool,
    ) -> Result<i64, StepError> {
        let id = self.id(connection)?;
        let (compressor, from, codec) = if is_part {
            (&mut self.compressor, COMPRESS_FROM, ZSTD)
        } else {
            (&mut self.quick, COMPRESS_SMALL_FROM, ZSTD_DICTIONARY)
        };
        let packed = if raw.len() >= from { compressor.compress(raw).ok() } else { None };
        let (codec, data) = match packed.filter(|packed| packed.len() < raw.len()) {
            Some(packed) => (codec, packed),
            None => (RAW, raw.to_vec()),
        };
        let key = (is_part && raw.len() >= SHARE_FROM).then(|| key(&hash));
        self.new.push(NewBlob { id, codec, raw_len: raw.len(), key, hash, data: Data::Held(data) });
        self.next = Some(id + 1);
        Ok(id)
    }

    /// The id of the next blob.
    fn id(&self, connection: &Connection) -> Result<i64, StepError> {
        Ok(match self.next {
            Some(next) => next,
            None => {
                let sql = "SELECT coalesce(max(id), 0) + 1 FROM blobs";
                connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?
            }
        })
    }

    /// Stores what was gathered as that of `session`.
    pub(crate) fn store(&mut self, connection: &Connection, session: i64) -> Result<(), StepError> {
        if !self.new.is_empty() {
            let mut insert = connection.prepare_cached(
                "INSERT INTO blobs (id, session, codec, raw_len, key, hash, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?;
            for blob in self.new.drain(..) {
                let raw_len = i64::try_from(blob.raw_len).unwrap_or(i64::MAX);
                let hash = blob.hash.as_bytes();
                match blob.data {
                    Data::Held(data) => {
                        insert.execute((blob.id, session, blob.codec, raw_len, blob.key, hash, data))?;
                    }
                    Data::InFile(file) => {
                        let length = ZeroBlob(file.bytes());
                        insert.execute((blob.id, session, blob.codec, raw_len, blob.key, hash, length))?;
                        fill(connection, blob.id, &file)?;
                    }
                }
            }
        }
        for blob in self.taken.drain(..) {
            // A session that let go of it and comes back to it holds it again.
            connection
                .prepare_cached("DELETE FROM released_blobs WHERE session = ?1 AND blob = ?2")?
                .execute((session, blob))?;
            connection
                .prepare_cached("INSERT OR IGNORE INTO blob_holders (blob, session) VALUES (?1, ?2)")?
                .execute((blob, session))?;
        }
        Ok(())
    }
}

/// Writes the file into the blob that was made with its length.
fn fill(connection: &Connection, id: i64, file: &Nameless) -> Result<(), StepError> {
    let mut blob = connection.blob_open(MAIN_DB, "blobs", "data", id, false)?;
    let mut place = 0;
    file.read(|piece| {
        blob.write_at(piece, place)?;
        place += piece.len();
        Ok::<(), StepError>(())
    })?;
    Ok(blob.close()?)
}

fn key(hash: &blake3::Hash) -> i64 {
    i64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// Why bytes cannot be given back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("blob {id} is not in the database")]
    Missing { id: i64 },
    #[error("blob {id} is stored in a way that this build does not know")]
    Malformed { id: i64 },
    #[error("blob {id} cannot be decompressed: {source}")]
    Compressed { id: i64, source: CompressError },
    #[error("blob {id} cannot be decompressed: {source}")]
    Unpacked { id: i64, source: std::io::Error },
    #[error("blob {id} gives {found} bytes, {expected} were stored")]
    Length { id: i64, found: usize, expected: usize },
    #[error("a list of what is kept is malformed")]
    Recipe,
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The bytes of a blob.
pub(crate) fn read_blob(connection: &Connection, id: i64) -> Result<Vec<u8>, BlobError> {
    let row = connection
        .prepare_cached("SELECT codec, raw_len, data FROM blobs WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?)))
        .optional()?;
    let (codec, raw_len, data) = row.ok_or(BlobError::Missing { id })?;
    let expected = usize::try_from(raw_len).map_err(|_| BlobError::Malformed { id })?;
    let raw = match codec {
        RAW => data,
        ZSTD => {
            compress::decompress(&data, expected).map_err(|source| BlobError::Compressed { id, source })?
        }
        ZSTD_DICTIONARY => unpack(&data, expected).map_err(|source| BlobError::Unpacked { id, source })?,
        _ => return Err(BlobError::Malformed { id }),
    };
    if raw.len() == expected { Ok(raw) } else { Err(BlobError::Length { id, found: raw.len(), expected }) }
}

/// Undoes a compression against the dictionary. Memory is never held for more than the expected length, whatever the data
/// claims about itself.
fn unpack(data: &[u8], expected: usize) -> std::io::Result<Vec<u8>> {
    let mut decoder = Decoder::with_dictionary(data, DICTIONARY)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut raw = Vec::new();
    decoder.take(expected as u64 + 1).read_to_end(&mut raw)?;
    Ok(raw)
}

/// Makes a body and fills in the lengths of its recipe. `inline` is what the request keeps with its small content.
pub(crate) fn restore(
    connection: &Connection,
    recipe: &[u8],
    inline: &[u8],
) -> Result<(Vec<u8>, Recipe), BlobError> {
    let mut recipe = Recipe::decode(recipe).ok_or(BlobError::Recipe)?;
    if recipe.is_inline {
        let body = match &recipe.lean {
            None => inline.to_vec(),
            Some(lean) => {
                lean.whole(&read_blob(connection, lean.content)?, inline).ok_or(BlobError::Recipe)?
            }
        };
        return Ok((body, recipe));
    }
    let mut body = Vec::new();
    for part in &mut recipe.parts {
        let bytes = read_blob(connection, part.blob)?;
        part.length = bytes.len();
        body.extend(bytes);
    }
    Ok((body, recipe))
}

/// A recipe with the lengths of its parts; `None` when a part is not there.
pub(crate) fn measured(connection: &Connection, recipe: &[u8]) -> Result<Option<Recipe>, StepError> {
    let Some(mut recipe) = Recipe::decode(recipe).filter(|recipe| !recipe.is_inline) else { return Ok(None) };
    let mut statement = connection.prepare_cached("SELECT raw_len FROM blobs WHERE id = ?1")?;
    for Ingredient { blob, length, .. } in &mut recipe.parts {
        let Some(raw_len) = statement.query_row([*blob], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(None);
        };
        *length = usize::try_from(raw_len).unwrap_or(0);
    }
    Ok(Some(recipe))
}
