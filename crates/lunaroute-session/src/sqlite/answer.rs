//! The bytes of an answer as they come, until the row of its request is written.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::nameless::{Nameless, Unreadable};

/// More bytes of one answer are not held in memory: they go to a file without a name beside the database.
const HELD: usize = 1 << 20;

/// So many pieces are joined, so that what they cost beside their bytes stays small.
const PIECES: usize = 256;

/// So much is kept of the start of an answer that has too many bytes to keep.
const PREFIX: usize = 1 << 20;

/// The answer's bytes as far as they came.
#[derive(Clone, Default)]
pub(crate) struct AnswerBytes {
    spilled: Option<Box<Spilled>>,
    /// What came after that, or the start of everything when there was too much to keep.
    pieces: Vec<Bytes>,
    /// Bytes in `pieces`.
    in_pieces: usize,
    /// With how many of them a file that refused some is tried again.
    next_try: usize,
    length: u64,
    /// Hash of what came, from the moment on that not all bytes are kept.
    hasher: Option<Box<blake3::Hasher>>,
}

/// The first bytes of a long answer.
#[derive(Clone)]
struct Spilled {
    file: Arc<Nameless>,
    start: Bytes,
}

impl AnswerBytes {
    /// How many bytes came.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that are in memory.
    pub(crate) fn held(&self) -> usize {
        self.in_pieces + self.spilled.as_ref().map_or(0, |spilled| spilled.start.len())
    }

    /// Bytes that can be read again.
    pub(crate) fn kept(&self) -> usize {
        let in_file = self.spilled.as_ref().map_or(0, |spilled| spilled.file.bytes());
        self.in_pieces + usize::try_from(in_file).unwrap_or(usize::MAX)
    }

    /// Whether there were too many bytes to keep.
    pub(crate) fn is_cut(&self) -> bool {
        self.hasher.is_some()
    }

    /// Whether some of it is not in memory.
    pub(crate) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// Takes in what comes next. `room` is how many bytes it may still grow by; `directory` is where a long one goes, unless
    /// too many are there already.
    pub(crate) fn append(&mut self, addition: &Bytes, room: usize, directory: Option<&Path>) {
        self.length += addition.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(addition);
            return;
        }
        if addition.len() > room {
            self.cut(addition, room);
            return;
        }
        self.in_pieces += addition.len();
        self.pieces.push(addition.clone());
        if self.in_pieces > HELD.max(self.next_try)
            && let Some(directory) = directory
            && let Err(failure) = self.spill(directory)
        {
            // A disk that takes nothing costs memory instead.
            self.next_try = self.in_pieces * 2;
            tracing::warn!(%failure, "a long answer is held in memory, because it cannot be put beside the database");
        }
        if self.pieces.len() > PIECES {
            let joined = self.join(self.in_pieces);
            self.pieces = vec![joined];
        }
    }

    fn cut(&mut self, addition: &[u8], room: usize) {
        let (start, mut hasher) = match self.spilled.take() {
            Some(spilled) => (spilled.start, spilled.file.hasher().clone()),
            None => {
                let mut start = BytesMut::from(self.join(PREFIX));
                let missing = PREFIX.saturating_sub(start.len()).min(room).min(addition.len());
                start.extend_from_slice(&addition[..missing]);
                (start.freeze(), blake3::Hasher::new())
            }
        };
        self.pieces.iter().for_each(|piece| {
            hasher.update(piece);
        });
        hasher.update(addition);
        self.hasher = Some(Box::new(hasher));
        self.in_pieces = start.len();
        self.pieces = vec![start];
    }

    /// Moves what is in memory to the file.
    fn spill(&mut self, directory: &Path) -> io::Result<()> {
        let mut spilled = match self.spilled.take() {
            Some(spilled) => spilled,
            None => Box::new(Spilled { file: Arc::new(Nameless::new(directory)?), start: Bytes::new() }),
        };
        let shared = || io::Error::other("it is being read");
        let moved =
            Arc::get_mut(&mut spilled.file).ok_or_else(shared).and_then(|file| file.append(self.pieces()));
        if moved.is_ok() && spilled.start.is_empty() {
            spilled.start = self.join(PREFIX);
        }
        if spilled.file.bytes() > 0 {
            self.spilled = Some(spilled);
        }
        moved?;
        self.pieces.clear();
        (self.in_pieces, self.next_try) = (0, 0);
        Ok(())
    }

    /// The first bytes in memory, `most` of them, in memory of their own.
    fn join(&self, most: usize) -> Bytes {
        let mut joined = BytesMut::with_capacity(most.min(self.in_pieces));
        for piece in &self.pieces {
            let length = piece.len().min(most - joined.len());
            joined.extend_from_slice(&piece[..length]);
        }
        joined.freeze()
    }

    /// What is in memory: everything that is kept, unless it is [spilled](Self::is_spilled).
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.pieces.iter().map(Bytes::as_ref)
    }

    /// Hands everything that is kept to `take`, piece by piece.
    ///
    /// # Errors
    /// Those of `take`, and [`Unreadable`]: what was taken is not to be used then.
    pub(crate) fn each<E: From<Unreadable>>(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(spilled) = &self.spilled {
            spilled.file.read(&mut take)?;
        }
        self.pieces().try_for_each(take)
    }

    /// Everything that is kept, in one piece.
    ///
    /// # Errors
    /// [`Unreadable`] for some that is not in memory.
    pub(crate) fn whole(&self) -> Result<Cow<'_, [u8]>, Unreadable> {
        if let ([piece], None) = (&self.pieces[..], &self.spilled) {
            return Ok(Cow::Borrowed(piece));
        }
        let mut whole = Vec::with_capacity(self.kept());
        self.each(|piece| {
            whole.extend_from_slice(piece);
            Ok::<(), Unreadable>(())
        })?;
        Ok(Cow::Owned(whole))
    }

    /// BLAKE3 of all that came.
    pub(crate) fn hash(&self) -> blake3::Hash {
        if let Some(hasher) = &self.hasher {
            return hasher.finalize();
        }
        let spilled = self.spilled.as_ref().map(|spilled| spilled.file.hasher().clone());
        let mut hasher = spilled.unwrap_or_default();
        self.pieces.iter().for_each(|piece| {
            hasher.update(piece);
        });
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of which each stretch differs.
    fn bytes(length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        Bytes::from(bytes)
    }

    fn gathered(all: &Bytes, piece: usize, directory: &Path) -> AnswerBytes {
        let mut answer = AnswerBytes::default();
        for start in (0..all.len()).step_by(piece) {
            answer.append(&all.slice(start..all.len().min(start + piece)), usize::MAX, Some(directory));
        }
        answer
    }

    #[test]
    fn in_memory_or_in_a_file_the_bytes_are_the_same() {
        let place = tempfile::tempdir().expect("a directory");
        // Many pieces are joined; more than is held goes to a file, again and again.
        for (length, piece, is_long) in
            [(0, 1, false), (9_000, 10, false), (HELD, 4_000, false), (11 << 20, 70_000, true)]
        {
            let all = bytes(length);
            let answer = gathered(&all, piece, place.path());
            assert_eq!(answer.is_spilled(), is_long);
            assert_eq!((answer.kept(), answer.length()), (length, length as u64));
            assert!(answer.held() <= HELD + PREFIX && answer.pieces.len() <= PIECES + 1);
            assert!(*answer.whole().expect("readable") == all[..]);
            assert_eq!(answer.hash(), blake3::hash(&all));
        }
    }

    #[test]
    fn of_one_that_is_cut_the_start_and_the_hash_stay() {
        let place = tempfile::tempdir().expect("a directory");
        for kept in [1_000, 2 << 20, 9 << 20] {
            let all = bytes(kept + 70_000);
            let mut answer = gathered(&all.slice(..kept), 1_000, place.path());
            answer.append(&all.slice(kept..kept + 60_000), 50, Some(place.path()));
            answer.append(&all.slice(kept + 60_000..), 50, Some(place.path()));
            assert!(answer.is_cut() && !answer.is_spilled());
            assert_eq!(answer.length(), all.len() as u64);
            assert_eq!(answer.hash(), blake3::hash(&all));
            let start = answer.whole().expect("in memory");
            assert!(*start == all[..PREFIX.min(kept + 50)]);
            assert_eq!((answer.held(), answer.kept()), (start.len(), start.len()));
        }
    }

    #[test]
    fn without_a_place_for_a_file_it_stays_in_memory() {
        let all = bytes(HELD * 5);
        let answer = gathered(&all, 70_000, Path::new("/there/is/no/such/place"));
        assert!(!answer.is_spilled() && answer.held() == all.len());
        assert!(answer.next_try > all.len(), "it is not tried with every piece");
        assert!(*answer.whole().expect("in memory") == all[..]);
        let mut answer = AnswerBytes::default();
        answer.append(&all, usize::MAX, None);
        assert!(!answer.is_spilled());
    }

    #[test]
    fn a_file_that_gives_other_bytes_is_an_error() {
        let place = tempfile::tempdir().expect("a directory");
        for length in [Some(9), None] {
            let answer = gathered(&bytes(HELD * 2), 70_000, place.path());
            answer.spilled.as_ref().expect("in a file").file.damage(length);
            assert!(answer.whole().is_err(), "{length:?}");
        }
    }
}
