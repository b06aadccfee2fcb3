//! Damage that knows nothing of what the bytes mean.

use fastrand::Rng;

/// What parsers trip over.
const ODD: [&[u8]; 16] = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\"",
    b"\\",
    b"\\u",
    b"{",
    b"]",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"99999999999999999999",
];

/// The input with one stretch of its bytes changed.
pub(super) fn damaged(rng: &mut Rng, input: &[u8], corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let (from, to) = stretch(rng, bytes.len());
    match rng.u8(0..8) {
        0 => bytes.truncate(from),
        1 => drop(bytes.drain(from..to)),
        2 => {
            let again = bytes[from..to].repeat(rng.usize(1..9));
            drop(bytes.splice(from..from, again));
        }
        3 => {
            let odd = rng.choice(ODD).unwrap_or_default();
            drop(bytes.splice(from..from, odd.iter().copied()));
        }
        4 => {
            let other = rng.choice(corpus).map_or(&[][..], Vec::as_slice);
            let (other_from, other_to) = stretch(rng, other.len());
            drop(bytes.splice(from..to, other[other_from..other_to].iter().copied()));
        }
        5 => bytes[from..to].reverse(),
        _ => {
            for _ in 0..rng.usize(1..5) {
                let place = rng.usize(..bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = if rng.bool() { rng.u8(..) } else { *byte ^ (1 << rng.u8(0..8)) };
                }
            }
        }
    }
    bytes
}

/// Two places in order, mostly near each other.
fn stretch(rng: &mut Rng, length: usize) -> (usize, usize) {
    let from = rng.usize(..=length);
    let most = if rng.u8(..) < 200 { 16 } else { length };
    (from, (from + rng.usize(..=most)).min(length))
}
