//! The answer of one request as the pen sees it pass.

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::header::CONTENT_ENCODING;
use lunaroute_core::{Answer, Delta, ResponseHead, ResponseReader};

use super::coalesce::{Coalescer, Stretch};
use super::figures::Counters;
use super::outlet::contain;

/// Content codings that readers undo. The silence of a reader says nothing about an answer in any other.
const CODINGS: [&str; 6] = ["gzip", "x-gzip", "deflate", "br", "zstd", "identity"];

pub(crate) struct Reply {
    /// `None` once it has panicked.
    reader: Option<Box<dyn ResponseReader>>,
    pub(crate) answer: Answer,
    pub(crate) is_event_stream: bool,
    pub(crate) content_encoding: Option<String>,
    coalescer: Coalescer,
    hasher: blake3::Hasher,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) first_frame_us: Option<u64>,
    pub(crate) first_content_us: Option<u64>,
    pub(crate) last_frame_us: Option<u64>,
    /// Microseconds between neighbouring frames; made with the second frame, for most answers have one.
    gaps: Option<Histogram<u32>>,
    deltas: Vec<Delta>,
}

impl Reply {
    pub(crate) fn new(head: &ResponseHead, reader: Option<Box<dyn ResponseReader>>) -> Self {
        let content_encoding = head.headers.get(CONTENT_ENCODING);
        Self {
            reader,
            answer: Answer::default(),
            is_event_stream: head.is_event_stream(),
            content_encoding: content_encoding
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            coalescer: Coalescer::default(),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            frames: 0,
            first_frame_us: None,
            first_content_us: None,
            last_frame_us: None,
            gaps: None,
            deltas: Vec::new(),
        }
    }

    /// Takes a frame in.
    pub(crate) fn frame(&mut self, counters: &Counters, bytes: Bytes, at: (u64, usize), text_limit: usize) {
        let (offset_us, charge) = at;
        self.first_frame_us.get_or_insert(offset_us);
        if let Some(previous) = self.last_frame_us.replace(offset_us) {
            self.count_gap(offset_us.saturating_sub(previous));
        }
        self.hasher.update(&bytes);
        self.bytes += bytes.len() as u64;
        self.frames += 1;
        let mut deltas = std::mem::take(&mut self.deltas);
        if let Some(reader) = &mut self.reader
            && contain(counters, || reader.read(&bytes, &mut deltas)).is_none()
        {
            self.reader = None;
        }
        self.coalescer.add_frame(bytes, offset_us, charge);
        self.absorb(&mut deltas, offset_us, text_limit);
        self.deltas = deltas;
    }

    /// The body is over: takes what the reader still held.
    pub(crate) fn finish(&mut self, counters: &Counters, offset_us: u64, text_limit: usize) {
        let mut deltas = std::mem::take(&mut self.deltas);
        if let Some(reader) = &mut self.reader
            && contain(counters, || reader.finish(&mut deltas)).is_none()
        {
            self.reader = None;
        }
        self.absorb(&mut deltas, offset_us, text_limit);
    }

    fn absorb(&mut self, deltas: &mut Vec<Delta>, offset_us: u64, text_limit: usize) {
        for delta in deltas.drain(..) {
            self.answer.absorb(&delta, text_limit);
            if is_content(&delta) {
                self.first_content_us.get_or_insert(offset_us);
            }
            self.coalescer.add_part(delta, offset_us);
        }
    }

    fn count_gap(&mut self, micros: u64) {
        if self.gaps.is_none() {
            // Two digits, growing with the largest gap: a few kilobytes for any stream.
            self.gaps = Histogram::new(2).ok();
        }
        if let Some(gaps) = &mut self.gaps {
            gaps.saturating_record(micros.max(1));
        }
    }

    /// The gap that this share of the gaps does not exceed.
    pub(crate) fn gap_at(&self, quantile: f64) -> Option<u64> {
        self.gaps.as_ref().map(|gaps| gaps.value_at_quantile(quantile))
    }

    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    pub(crate) fn waiting_since(&self) -> Option<u64> {
        (!self.coalescer.is_empty()).then(|| self.coalescer.first_us())
    }

    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.coalescer.is_full(limit)
    }

    pub(crate) fn take_stretch(&mut self) -> Option<Stretch> {
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
        Delta::Text { .. } | Delta::Reasoning { .. } | Delta::Refusal { .. } | Delta::ToolCallStart { .. }
    )
}
