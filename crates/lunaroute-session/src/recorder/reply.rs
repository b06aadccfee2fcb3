//! The answer of one request as the pen sees it pass.

use hdrhistogram::Histogram;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use lunaroute_core::{Answer, Delta, ResponseHead, ResponseReader};

use super::coalesce::{Coalescer, Piece, Stretch};
use super::figures::Counters;
use super::note::Lost;
use super::outlet::contain;
use super::pen::Limits;
use crate::event::GapCause;

/// Content codings that readers undo. The silence of a reader says nothing about an answer in any other.
const CODINGS: [&str; 6] = ["gzip", "x-gzip", "deflate", "br", "zstd", "identity"];

pub(crate) struct Reply {
    /// `None` once it has panicked.
    reader: Option<Box<dyn ResponseReader>>,
    pub(crate) answer: Answer,
    pub(crate) is_event_stream: bool,
    pub(crate) content_encoding: Option<String>,
    coalescer: Coalescer,
    /// Of what is kept.
    hasher: blake3::Hasher,
    /// So many bytes are kept; what follows them is read, and told by its length and hash.
    limit: u64,
    beyond: Option<Box<Beyond>>,
    /// How much of the frames that are being joined was hashed and read already.
    taken_in: usize,
    text_limit: usize,
    /// What is kept.
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) first_frame_us: Option<u64>,
    pub(crate) first_content_us: Option<u64>,
    pub(crate) last_frame_us: Option<u64>,
    /// Microseconds between neighbouring frames; made with the second frame, for most answers have one.
    gaps: Option<Histogram<u32>>,
    deltas: Vec<Delta>,
}

/// What is not kept of an answer because it is too long.
#[derive(Default)]
struct Beyond {
    frames: u64,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Reply {
    pub(crate) fn new(head: &ResponseHead, reader: Option<Box<dyn ResponseReader>>, limits: &Limits) -> Self {
        let content_encoding = head.headers.get(CONTENT_ENCODING);
        let limit = limits.body as u64;
        let declared: Option<u64> =
            head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        // Half of an answer that is known to be too long is of no use to anybody.
        let beyond = declared.filter(|&declared| declared > limit).map(|_| Box::default());
        Self {
            reader,
            answer: Answer::default(),
            is_event_stream: head.is_event_stream(),
            content_encoding: content_encoding
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            coalescer: Coalescer::default(),
            hasher: blake3::Hasher::new(),
            limit,
            beyond,
            taken_in: 0,
            text_limit: limits.text,
            bytes: 0,
            frames: 0,
            first_frame_us: None,
            first_content_us: None,
            last_frame_us: None,
            gaps: None,
            deltas: Vec::new(),
        }
    }

    /// How many bytes of the answer may still be kept.
    pub(crate) fn room(&self) -> usize {
        let left = if self.beyond.is_some() { 0 } else { self.limit - self.bytes };
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Takes a frame in; says whether it is kept. Hashing and reading many small frames at once costs a fraction of one
    /// after the other, so that is left until they are joined; but the first words are looked for at once, for their time
    /// is told, and so is what a coded body says, for its bytes do not tell how much that is.
    pub(crate) fn frame(&mut self, counters: &Counters, piece: Piece) -> bool {
        let offset_us = piece.offset_us;
        self.first_frame_us.get_or_insert(offset_us);
        if let Some(previous) = self.last_frame_us.replace(offset_us) {
            self.count_gaps(offset_us.saturating_sub(previous), 1);
        }
        if piece.count > 1 {
            self.count_gaps(0, piece.count - 1);
        }
        if self.beyond.is_some() || self.bytes + piece.bytes.len() as u64 > self.limit {
            self.pass(counters, &piece);
            return false;
        }
        self.bytes += piece.bytes.len() as u64;
        self.frames += u64::from(piece.count);
        let at_once = self.first_content_us.is_none() || self.content_encoding.is_some();
        let bytes = piece.bytes.clone();
        self.coalescer.add_piece(piece);
        if at_once {
            self.taken_in += bytes.len();
            self.take_in(counters, &bytes, offset_us);
        }
        true
    }

    /// Takes in what is not kept: how an answer ends and what it has cost is told at its end.
    fn pass(&mut self, counters: &Counters, piece: &Piece) {
        self.catch_up(counters);
        let beyond = self.beyond.get_or_insert_default();
        beyond.frames += u64::from(piece.count);
        beyond.bytes += piece.bytes.len() as u64;
        beyond.hasher.update(&piece.bytes);
        self.read(counters, &piece.bytes, piece.offset_us);
    }

    /// Hashes and reads the joined frames as far as that is still to be done.
    fn catch_up(&mut self, counters: &Counters) {
        if self.taken_in < self.coalescer.bytes() {
            let joined = self.coalescer.join();
            let last_us = self.coalescer.last_us();
            self.take_in(counters, &joined[self.taken_in..], last_us);
            self.taken_in = joined.len();
        }
    }

    fn take_in(&mut self, counters: &Counters, bytes: &[u8], offset_us: u64) {
        self.hasher.update(bytes);
        self.read(counters, bytes, offset_us);
    }

    fn read(&mut self, counters: &Counters, bytes: &[u8], offset_us: u64) {
        let mut deltas = std::mem::take(&mut self.deltas);
        if let Some(reader) = &mut self.reader
            && contain(counters, || reader.read(bytes, &mut deltas)).is_none()
        {
            self.reader = None;
        }
        self.absorb(&mut deltas, offset_us);
        self.deltas = deltas;
    }

    /// The body is over: takes what the reader still held.
    pub(crate) fn finish(&mut self, counters: &Counters, offset_us: u64) {
        self.catch_up(counters);
        let mut deltas = std::mem::take(&mut self.deltas);
        if let Some(reader) = &mut self.reader
            && contain(counters, || reader.finish(&mut deltas)).is_none()
        {
            self.reader = None;
        }
        self.absorb(&mut deltas, offset_us);
    }

    fn absorb(&mut self, deltas: &mut Vec<Delta>, offset_us: u64) {
        for delta in deltas.drain(..) {
            self.answer.absorb(&delta, self.text_limit);
            if is_content(&delta) {
                self.first_content_us.get_or_insert(offset_us);
            }
            // What is not kept is not said in other words, either.
            if self.beyond.is_none() {
                self.coalescer.add_part(delta, offset_us);
            }
        }
    }

    fn count_gaps(&mut self, micros: u64, count: u32) {
        if self.gaps.is_none() {
            // Two digits, growing with the largest gap: a few kilobytes for any stream.
            self.gaps = Histogram::new(2).ok();
        }
        if let Some(gaps) = &mut self.gaps {
            gaps.saturating_record_n(micros.max(1), count);
        }
    }

    /// The gap that this share of the gaps does not exceed.
    pub(crate) fn gap_at(&self, quantile: f64) -> Option<u64> {
        self.gaps.as_ref().map(|gaps| gaps.value_at_quantile(quantile))
    }

    /// What is not kept because the answer is too long.
    pub(crate) fn too_long(&self) -> Option<Lost> {
        self.beyond.as_ref().map(|beyond| Lost {
            frames: beyond.frames,
            bytes: beyond.bytes,
            blake3: beyond.hasher.finalize(),
            cause: GapCause::TooLarge,
        })
    }

    /// Of what is kept.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    pub(crate) fn waiting_since(&self) -> Option<u64> {
        (!self.coalescer.is_empty()).then(|| self.coalescer.first_us())
    }

    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.coalescer.is_full(limit)
    }

    pub(crate) fn take_stretch(&mut self, counters: &Counters) -> Option<Stretch> {
        self.catch_up(counters);
        self.taken_in = 0;
        self.coalescer.take()
    }

    /// Whether the reader could follow the answer to its end, so that a missing end means something.
    pub(crate) fn was_readable(&self) -> bool {
        let known_coding = self
            .content_encoding
            .as_ref()
            .is_none_or(|coding| CODINGS.iter().any(|known| coding.trim().eq_ignore_ascii_case(known)));
        self.reader.is_some() && known_coding
    }
}

fn is_content(delta: &Delta) -> bool {
    matches!(
        delta,
        Delta::Text { .. }
            | Delta::Reasoning { .. }
            | Delta::Refusal { .. }
            | Delta::ToolCallStart { .. }
            | Delta::CustomCallStart { .. }
    )
}
