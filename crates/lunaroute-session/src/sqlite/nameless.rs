//! Files without a name, for what is too long to be held in memory until it is in the database. They go with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes that are read back at once.
const PIECE: usize = 64 << 10;

/// A file that is written from its start to its end, and read back as it was written or not at all.
pub(crate) struct Nameless {
    file: File,
    bytes: u64,
    hasher: blake3::Hasher,
}

/// What was written cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("what was put into a file beside the database, because it is long, cannot be read back: {0}")]
pub(crate) struct Unreadable(io::Error);

impl Nameless {
    /// An empty file in `directory`.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(directory)?, bytes: 0, hasher: blake3::Hasher::new() })
    }

    /// How many bytes were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written, as far as it is hashed.
    pub(crate) fn hasher(&self) -> &blake3::Hasher {
        &self.hasher
    }

    /// Appends all pieces or none.
    pub(crate) fn append<'piece>(
        &mut self,
        pieces: impl Iterator<Item = &'piece [u8]> + Clone,
    ) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.bytes))?;
        if let Err(failure) = pieces.clone().try_for_each(|piece| self.file.write_all(piece)) {
            // A disk that is full needs the room; where that fails too, the next try writes over it.
            let _best_effort = self.file.set_len(self.bytes);
            return Err(failure);
        }
        for piece in pieces {
            self.hasher.update(piece);
            self.bytes += piece.len() as u64;
        }
        Ok(())
    }

    /// Hands everything to `take`, piece by piece.
    ///
    /// # Errors
    /// Those of `take`, and [`Unreadable`] when the file gives other bytes than were written: what was taken is not to be
    /// used then.
    pub(crate) fn read<E: From<Unreadable>>(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut file = &self.file;
        file.rewind().map_err(Unreadable)?;
        let (mut buffer, mut left) = (vec![0; PIECE], self.bytes);
        let mut hasher = blake3::Hasher::new();
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            file.read_exact(&mut buffer[..most]).map_err(Unreadable)?;
            hasher.update(&buffer[..most]);
            take(&buffer[..most])?;
            left -= most as u64;
        }
        if hasher.finalize() != self.hasher.finalize() {
            return Err(Unreadable(io::Error::other("it gives other bytes than were written")).into());
        }
        Ok(())
    }
}

impl Write for Nameless {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.append(std::iter::once(buffer))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
impl Nameless {
    /// Cuts the file, or changes a byte of it, as a disk that fails would.
    pub(crate) fn damage(&self, length: Option<u64>) {
        match length {
            Some(length) => self.file.set_len(length).expect("is cut"),
            None => {
                let mut file = &self.file;
                file.rewind().and_then(|()| file.write_all(b"?")).expect("is changed");
            }
        }
    }
}
