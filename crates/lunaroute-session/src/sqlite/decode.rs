//! Undoing the content coding of a request body, so that its messages can be kept by reference.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use lunaroute_storage::compress;

/// What a body may unpack to. Larger ones are kept as they arrived and not cut into messages.
const LIMIT: usize = 64 << 20;

/// The body without its content coding; `None` when the coding is unknown, the data broken or the result too large.
pub(crate) fn decoded<'body>(body: &'body [u8], encoding: Option<&str>) -> Option<Cow<'body, [u8]>> {
    match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "identity") => Some(Cow::Borrowed(body)),
        Some("zstd") => compress::decompress(body, LIMIT).ok().map(Cow::Owned),
        Some("gzip" | "x-gzip") => gunzip(body).map(Cow::Owned),
        Some(_) => None,
    }
}

fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    MultiGzDecoder::new(body).take(LIMIT as u64 + 1).read_to_end(&mut output).ok()?;
    (output.len() <= LIMIT).then_some(output)
}
