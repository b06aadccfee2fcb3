//! Short payloads, compressed.

use std::io;

use bytes::Bytes;
use lunaroute_storage::journal::FRAME_HEADER_BYTES;
use zstd::bulk::Decompressor;

use super::wire::{In, Out};
use super::{COMPRESSED_BY_DICTIONARY, DecodeError, EncodedRun};
use crate::dictionary::DICTIONARY;

/// Payloads of these lengths are compressed: those of plain exchanges. Of shorter ones nothing is to be gained; longer
/// ones (streams, long bodies) would hold up what stands behind them.
const LEAST: usize = 256;
const LONGEST: usize = 4 * 1024;

/// What an entry has beside what the database keeps of it. Part of what the format means, as the dictionary is.
const WORDS: &[u8] = include_bytes!("words.txt");

/// A level that is made for speed: it finds what stands there twice, or in the dictionary.
const LEVEL: i32 = -1;

/// What comes last is found most cheaply.
fn dictionary() -> Vec<u8> {
    [DICTIONARY, WORDS].concat()
}

fn compressor() -> io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, &dictionary())?;
    // The frame's own checksum is that of the compressed form. With other words that form would say something else.
    compressor.include_checksum(true)?;
    Ok(compressor)
}

/// Compresses payloads, one after the other with the same memory.
#[derive(Default)]
pub(crate) struct Compressor {
    /// Made with the first payload; `None` when it cannot be had, and nothing is compressed.
    zstd: Option<zstd::bulk::Compressor<'static>>,
    whole: Vec<u8>,
}

impl Compressor {
    /// Makes the payload of so many events shorter when that can be done. Its frame stays longer than their number, because
    /// events have places within it.
    pub(crate) fn compress(&mut self, run: EncodedRun, events: usize) -> EncodedRun {
        let bytes = run.bytes();
        if !(LEAST..=LONGEST).contains(&bytes) {
            return run;
        }
        if self.zstd.is_none() {
            self.zstd = compressor().ok();
        }
        let Some(zstd) = &mut self.zstd else { return run };
        self.whole.clear();
        // The format itself stays outside.
        run.parts().iter().for_each(|part| self.whole.extend_from_slice(part));
        let mut out = Out(Vec::with_capacity(bytes));
        out.byte(COMPRESSED_BY_DICTIONARY);
        out.length(bytes - 1);
        let head = out.0.len();
        out.0.resize(bytes, 0);
        // No room for the result means that it would not be shorter.
        match zstd.compress_to_buffer(&self.whole[1..], &mut out.0[head..]) {
            Ok(length) if head + length < bytes && FRAME_HEADER_BYTES + head + length > events => {
                out.0.truncate(head + length);
                EncodedRun { head: out.0, bodies: Vec::new(), body_bytes: 0 }
            }
            Ok(_) | Err(_) => run,
        }
    }
}

/// Gives payloads back as they were, one after the other with the same memory.
#[derive(Default)]
pub(crate) struct Expander {
    /// Each made with the first payload of its kind.
    plain: Option<Decompressor<'static>>,
    by_dictionary: Option<Decompressor<'static>>,
}

impl Expander {
    /// The payload behind its format.
    pub(super) fn expand(&mut self, compressed: &[u8]) -> Result<Bytes, DecodeError> {
        expand(&mut self.plain, Decompressor::new, compressed)
    }

    /// The same of one that was compressed against the dictionary.
    pub(super) fn expand_by_dictionary(&mut self, compressed: &[u8]) -> Result<Bytes, DecodeError> {
        expand(&mut self.by_dictionary, || Decompressor::with_dictionary(&dictionary()), compressed)
    }
}

fn expand(
    zstd: &mut Option<Decompressor<'static>>,
    make: impl FnOnce() -> io::Result<Decompressor<'static>>,
    compressed: &[u8],
) -> Result<Bytes, DecodeError> {
    const PART: &str = "compressed form";
    let invalid = |_| DecodeError::Invalid { part: PART };
    let mut input = In::new(compressed);
    let length: usize = input.small(PART)?;
    if length > LONGEST {
        return Err(DecodeError::Invalid { part: PART });
    }
    let zstd = match zstd {
        Some(zstd) => zstd,
        empty => empty.insert(make().map_err(invalid)?),
    };
    let whole = zstd.decompress(&compressed[input.at()..], length).map_err(invalid)?;
    if whole.len() == length { Ok(whole.into()) } else { Err(DecodeError::Invalid { part: PART }) }
}
