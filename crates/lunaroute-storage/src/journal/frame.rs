//! The form of one frame, to bytes and back.
//!
//! | bytes | content, little-endian |
//! |---|---|
//! | 0..4 | magic |
//! | 4 | format version |
//! | 5 | the record's kind |
//! | 6..8 | flags: 1 = the frame may stand in an earlier segment too |
//! | 8..12 | length of the payload |
//! | 12..20 | sequence number |
//! | 20..24 | CRC-32 of the payload |
//! | 24..28 | CRC-32 of the segment's number, the frame's offset (8 bytes each) and bytes 0..24 |
//! | 28.. | payload |
//!
//! Two checksums rather than one: the header's own lets a search through damage dismiss a false candidate after 28
//! bytes instead of after the 64 MiB it may claim, and a frame is moved to another place without its payload being
//! read again.

use bytes::Bytes;

use super::position::Position;

/// The most bytes one payload may have: 64 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 28;

pub(crate) const HEADER_BYTES: usize = FRAME_HEADER_BYTES;

/// What every frame starts with. The first byte is no ASCII and no lead byte of UTF-8, so that text rarely holds it.
pub(crate) const MAGIC: [u8; 4] = [0x9D, b'L', b'R', b'J'];

const VERSION: u8 = 1;
/// The frame may stand in an earlier segment too.
const REPEATED: u16 = 1;

/// One entry to append. The payload may come in pieces, so that a caller need not join them first.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What the payload is; the journal only carries it.
    pub kind: u8,
    /// The pieces of the payload, in order.
    pub parts: &'a [&'a [u8]],
}

impl Record<'_> {
    pub(crate) fn payload_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// One entry as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where the frame starts.
    pub position: Position,
    /// The place after it: a checkpoint that stores this reads on with the next frame.
    pub next: Position,
    /// Unique in the journal and growing in the order of appending; not without gaps.
    pub sequence: u64,
    /// The record's kind.
    pub kind: u8,
    /// The payload in one piece.
    pub payload: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) repeated: bool,
    pub(crate) length: u32,
    pub(crate) sequence: u64,
    pub(crate) payload_check: u32,
}

/// What 28 bytes at a place turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    Header(Header),
    /// A header beyond doubt, of a version that is not ours.
    UnknownVersion(u8),
    Nothing,
}

impl Header {
    pub(crate) fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.length as usize
    }

    fn encode(&self, at: Position) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.kind;
        bytes[6..8].copy_from_slice(&(if self.repeated { REPEATED } else { 0 }).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.payload_check.to_le_bytes());
        let check = header_check(&bytes, at);
        bytes[24..28].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], at: Position) -> Decoded {
        if bytes[0..4] != MAGIC || u32_at(bytes, 24) != header_check(bytes, at) {
            return Decoded::Nothing;
        }
        if bytes[4] != VERSION {
            return Decoded::UnknownVersion(bytes[4]);
        }
        let length = u32_at(bytes, 8);
        if length as usize > MAX_PAYLOAD_BYTES {
            return Decoded::Nothing;
        }
        Decoded::Header(Self {
            kind: bytes[5],
            repeated: u16::from_le_bytes([bytes[6], bytes[7]]) & REPEATED != 0,
            length,
            sequence: u64_at(bytes, 12),
            payload_check: u32_at(bytes, 20),
        })
    }
}

/// The checksum of a payload, as a header carries it.
pub(crate) fn payload_check(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Appends the frame of `record` to `output`, to stand at `at`. The length of the payload must have been checked.
pub(crate) fn encode(record: &Record<'_>, sequence: u64, at: Position, output: &mut Vec<u8>) {
    let length =
        u32::try_from(record.payload_bytes()).expect("a payload is checked against MAX_PAYLOAD_BYTES first");
    let header = Header {
        kind: record.kind,
        repeated: false,
        length,
        sequence,
        payload_check: payload_check(record.parts),
    };
    output.extend_from_slice(&header.encode(at));
    record.parts.iter().for_each(|part| output.extend_from_slice(part));
}

/// Rewrites the headers of whole `frames` for the place `to`, marks each as repeated, and returns how many they are.
pub(crate) fn relocate(frames: &mut [u8], mut to: Position) -> u64 {
    let mut count = 0;
    let mut rest = frames;
    while let Some((header, tail)) = rest.split_first_chunk_mut::<HEADER_BYTES>() {
        let length = u32_at(header, 8) as usize;
        let moved = Header {
            kind: header[5],
            repeated: true,
            length: u32_at(header, 8),
            sequence: u64_at(header, 12),
            payload_check: u32_at(header, 20),
        };
        *header = moved.encode(to);
        to.offset += (HEADER_BYTES + length) as u64;
        count += 1;
        rest = &mut tail[length..];
    }
    count
}

fn header_check(bytes: &[u8; HEADER_BYTES], at: Position) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&at.segment.to_le_bytes());
    hasher.update(&at.offset.to_le_bytes());
    hasher.update(&bytes[..24]);
    hasher.finalize()
}

fn u32_at(bytes: &[u8; HEADER_BYTES], index: usize) -> u32 {
    u32::from_le_bytes([bytes[index], bytes[index + 1], bytes[index + 2], bytes[index + 3]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], index: usize) -> u64 {
    u64::from(u32_at(bytes, index)) | u64::from(u32_at(bytes, index + 4)) << 32
}
