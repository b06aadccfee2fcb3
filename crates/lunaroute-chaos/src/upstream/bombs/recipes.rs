//! How bombs are made.

use std::io::Write;

use anyhow::{Context, Result};

/// Bytes that are packed at once.
const PIECE: usize = 1 << 20;

/// Names the one that unpacks to nothing.
pub(super) const SKIPPED: &str = "zstd with frames to skip";

/// Bytes, and what they pretend to be.
pub(super) struct Bomb {
    pub(super) name: &'static str,
    /// The value of `content-encoding`.
    pub(super) coding: &'static str,
    pub(super) bytes: Vec<u8>,
    /// What they unpack to, in bytes.
    pub(super) unpacked: usize,
}

/// One of every kind, each of which unpacks to about so many bytes.
pub(super) fn bombs(unpacked: usize) -> Result<Vec<Bomb>> {
    let (gzip, zstd) = (gzip(unpacked)?, zstd(unpacked)?);
    let bomb = |name, coding, bytes| Bomb { name, coding, bytes, unpacked };
    Ok(vec![
        bomb("gzip in gzip", "gzip, gzip", packed_by_gzip(&gzip)?),
        bomb("zstd in gzip", "zstd, gzip", packed_by_gzip(&zstd)?),
        bomb("gzip", "gzip", gzip),
        bomb("deflate", "deflate", deflate(unpacked)?),
        bomb("br", "br", brotli(unpacked)?),
        bomb("zstd", "zstd", zstd),
        Bomb { name: SKIPPED, coding: "zstd", bytes: skippable(), unpacked: 0 },
        Bomb {
            name: "a zstd frame to skip that is not there",
            coding: "zstd",
            bytes: claim(),
            unpacked: 4 << 30,
        },
        Bomb {
            name: "five codings",
            coding: "gzip, gzip, gzip, gzip, gzip",
            bytes: vec![0; 100],
            unpacked: 0,
        },
    ])
}

/// Blanks inside a document: they look like JSON to whoever reads on.
fn feed(unpacked: usize, mut into: impl Write) -> Result<()> {
    let piece = vec![b' '; PIECE];
    into.write_all(b"{\"model\":\"m\",")?;
    for _ in 0..unpacked / PIECE {
        into.write_all(&piece)?;
    }
    into.write_all(b"\"messages\":[]}")?;
    Ok(())
}

fn gzip(unpacked: usize) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    feed(unpacked, &mut encoder)?;
    encoder.finish().context("gzip")
}

fn packed_by_gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish().context("gzip")
}

fn deflate(unpacked: usize) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    feed(unpacked, &mut encoder)?;
    encoder.finish().context("deflate")
}

fn brotli(unpacked: usize) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut packed, PIECE, 1, 22);
    feed(unpacked, &mut encoder)?;
    drop(encoder);
    Ok(packed)
}

fn zstd(unpacked: usize) -> Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
    feed(unpacked, &mut encoder)?;
    encoder.finish().context("zstd")
}

/// The head of a frame that is skipped: its magic number and its length.
fn skipped(length: u32) -> Vec<u8> {
    [0x184D_2A50_u32.to_le_bytes(), length.to_le_bytes()].concat()
}

/// A hundred thousand frames of nothing, and no frame of something.
fn skippable() -> Vec<u8> {
    skipped(0).repeat(100_000)
}

/// A frame that claims 4 GiB.
fn claim() -> Vec<u8> {
    skipped(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::bombs;

    #[test]
    fn they_are_small_and_unpack_to_what_they_say() {
        let bombs = bombs(3 << 20).expect("they can be made");
        let gzip = bombs.iter().find(|bomb| bomb.name == "gzip").expect("it is there");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&gzip.bytes[..]).read_to_end(&mut unpacked).expect("it is gzip");
        assert!(unpacked.len() >= gzip.unpacked && unpacked.len() < gzip.unpacked + 100);
        assert!(unpacked.starts_with(b"{\"model\"") && unpacked.ends_with(b"]}"));
        let packed = bombs.iter().filter(|bomb| bomb.unpacked == 3 << 20);
        for bomb in packed {
            assert!(bomb.bytes.len() < 32 << 10, "{}: {}", bomb.name, bomb.bytes.len());
        }
    }
}
