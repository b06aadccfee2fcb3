//! Zstandard with a fixed level and a bound on what comes out.

use std::io::{self, Read};

use zstd::stream::read::Decoder;

/// Level 3: on the JSON that agents send, higher levels cost several times the processor time for a few per cent.
const LEVEL: i32 = 3;

/// Windows beyond 16 MiB are refused: the decoder allocates what the frame claims before it has seen any data.
/// [`LEVEL`] itself never needs more than 2 MiB.
const WINDOW_LOG_MAX: u32 = 24;

/// Compresses `bytes` into one Zstandard frame.
///
/// # Errors
/// [`CompressError::Compress`] when the library has no memory left.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    zstd::stream::encode_all(bytes, LEVEL).map_err(|source| CompressError::Compress { source })
}

/// Decompresses Zstandard `bytes` to at most `limit` bytes. Memory is never held for more than the limit, whatever
/// the data claims about itself.
///
/// # Errors
/// [`CompressError::TooLarge`] when more than `limit` bytes come out, [`CompressError::Decompress`] when the data is
/// damaged, cut short or no Zstandard.
pub fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CompressError> {
    let refuse = |source| CompressError::Decompress { source };
    let mut decoder = Decoder::with_buffer(bytes).map_err(refuse)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(refuse)?;
    let mut output = Vec::new();
    // One byte more than allowed tells "exactly the limit" from "beyond it".
    decoder.take(limit as u64 + 1).read_to_end(&mut output).map_err(refuse)?;
    if output.len() > limit {
        return Err(CompressError::TooLarge { limit });
    }
    Ok(output)
}

/// Why compressing or decompressing failed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// The compressor failed.
    #[error("could not compress: {source}")]
    Compress {
        /// What the library said.
        source: io::Error,
    },
    /// The input is not what [`compress`] wrote.
    #[error("could not decompress, the data is damaged or not Zstandard: {source}")]
    Decompress {
        /// What the library said.
        source: io::Error,
    },
    /// More came out than the caller allows.
    #[error("the data decompresses to more than the {limit} bytes that are allowed here")]
    TooLarge {
        /// The caller's bound in bytes.
        limit: usize,
    },
}
