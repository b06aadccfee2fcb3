//! Request bodies in a content coding.

use std::borrow::Cow;
use std::io::{self, Read};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("Unsupported content-encoding '{0}'.")]
    Unknown(String),
    #[error("The request body is damaged: {0}.")]
    Damaged(#[from] io::Error),
    #[error("The decoded request body is larger than {0} bytes.")]
    TooLarge(usize),
}

/// The body without its content coding, at most `limit` bytes of it.
pub(crate) fn decode<'a>(
    coding: Option<&str>,
    body: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    let decoded = match coding.map(str::trim) {
        None | Some("" | "identity") => return Ok(Cow::Borrowed(body)),
        Some("gzip" | "x-gzip") => read(flate2::read::MultiGzDecoder::new(body), limit)?,
        Some("deflate") => read(flate2::read::ZlibDecoder::new(body), limit)?,
        Some("zstd") => read(zstd::stream::read::Decoder::new(body)?, limit)?,
        Some(other) => return Err(DecodeError::Unknown(other.to_owned())),
    };
    if decoded.len() > limit { Err(DecodeError::TooLarge(limit)) } else { Ok(Cow::Owned(decoded)) }
}

fn read(source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    source.take(limit as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}
