//! Content codings of answers.

use std::io::{self, Write};

use bytes::Bytes;

use super::Frame;
use crate::script::Encoding;

/// The coding's name in `content-encoding`.
pub(crate) const fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gzip => "gzip",
        Encoding::Zstd => "zstd",
    }
}

/// Encodes the frames as one coded stream that is flushed after each: what is decoded at a frame's end is the frame.
pub(crate) fn encode(frames: &mut [Frame], encoding: Encoding) {
    let coded = match encoding {
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            pieces(frames, &mut encoder, |encoder| encoder.get_mut()).and_then(|mut pieces| {
                let rest = encoder.finish()?;
                append(&mut pieces, rest);
                Ok(pieces)
            })
        }
        Encoding::Zstd => zstd::stream::write::Encoder::new(Vec::new(), 1).and_then(|mut encoder| {
            let mut pieces = pieces(frames, &mut encoder, |encoder| encoder.get_mut())?;
            let rest = encoder.finish()?;
            append(&mut pieces, rest);
            Ok(pieces)
        }),
    }
    .expect("writing to memory cannot fail");
    let mut end = 0;
    for (frame, piece) in frames.iter_mut().zip(coded) {
        end += piece.len() as u64;
        frame.bytes = Bytes::from(piece);
        frame.end = end;
    }
}

fn pieces<E: Write>(
    frames: &[Frame],
    encoder: &mut E,
    written: impl Fn(&mut E) -> &mut Vec<u8>,
) -> io::Result<Vec<Vec<u8>>> {
    frames
        .iter()
        .map(|frame| {
            encoder.write_all(&frame.bytes)?;
            encoder.flush()?;
            Ok(std::mem::take(written(encoder)))
        })
        .collect()
}

/// The coding's own end belongs to the last frame.
fn append(pieces: &mut [Vec<u8>], rest: Vec<u8>) {
    if let Some(last) = pieces.last_mut() {
        last.extend(rest);
    }
}
