//! Undoing the content coding of a request body, so that its messages can be kept by reference.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use zstd::stream::read::Decoder;

use crate::event::Body;

/// What a body may unpack to. Larger ones are kept as they arrived and not cut into messages.
const LIMIT: usize = 64 << 20;

/// The largest window of a zstd frame, as a power of two: 8 MiB, the most that RFC 9659 lets a sender use on the web.
const WINDOW_LOG_MAX: u32 = 23;

/// The body without its content coding; `None` when the coding is unknown, the data broken or the result too large.
pub(crate) fn decoded(body: &Body, encoding: Option<&str>) -> Option<Body> {
    match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "identity") => Some(body.clone()),
        Some("zstd") => {
            let body = body.whole();
            unpacked(|| zstd_decoder(&body)).map(Body::from)
        }
        Some("gzip" | "x-gzip") => {
            let body = body.whole();
            unpacked(|| Some(MultiGzDecoder::new(&body[..]))).map(Body::from)
        }
        Some(_) => None,
    }
}

/// What comes out of a decoder, when it is no more than the limit. A bomb is found out by counting, before it takes memory.
fn unpacked<R: Read>(open: impl Fn() -> Option<R>) -> Option<Vec<u8>> {
    let length = io::copy(&mut open()?.take(LIMIT as u64 + 1), &mut io::sink()).ok()?;
    let length = usize::try_from(length).ok().filter(|length| *length <= LIMIT)?;
    let mut output = Vec::with_capacity(length);
    open()?.read_to_end(&mut output).ok()?;
    Some(output)
}

/// A decoder that refuses what asks for a large window before it has given anything.
fn zstd_decoder(body: &[u8]) -> Option<Decoder<'_, &[u8]>> {
    let mut decoder = Decoder::with_buffer(body).ok()?;
    decoder.window_log_max(WINDOW_LOG_MAX).ok()?;
    Some(decoder)
}
