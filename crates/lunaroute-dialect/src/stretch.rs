//! Sixty-four bytes of JSON at once: where quotes, backslashes and brackets stand, as one bit for each byte.

use wide::u8x16;

/// How many bytes a stretch has.
pub(crate) const WIDTH: usize = 64;

/// One stretch of bytes.
pub(crate) struct Stretch {
    lanes: [u8x16; 4],
}

impl Stretch {
    /// The stretch at `position`, filled up with zeros behind the end; `None` when nothing is there.
    pub(crate) fn at(bytes: &[u8], position: usize) -> Option<Self> {
        let rest = bytes.get(position..).filter(|rest| !rest.is_empty())?;
        let lanes = match rest.first_chunk::<WIDTH>() {
            Some(whole) => lanes(whole),
            None => {
                let mut filled = [0; WIDTH];
                filled[..rest.len()].copy_from_slice(rest);
                lanes(&filled)
            }
        };
        Some(Self { lanes })
    }

    pub(crate) fn quotes(&self) -> u64 {
        marks(&self.lanes, b'"')
    }

    pub(crate) fn backslashes(&self) -> u64 {
        marks(&self.lanes, b'\\')
    }

    /// The opening and the closing brackets, square and curly: one bit tells the two forms apart, and no other byte has
    /// the rest.
    pub(crate) fn brackets(&self) -> (u64, u64) {
        let folded = self.lanes.map(|lane| lane | u8x16::splat(0x20));
        (marks(&folded, b'{'), marks(&folded, b'}'))
    }
}

fn lanes(bytes: &[u8; WIDTH]) -> [u8x16; 4] {
    let (lanes, _) = bytes.as_chunks::<16>();
    [lanes[0], lanes[1], lanes[2], lanes[3]].map(u8x16::new)
}

fn marks(lanes: &[u8x16; 4], wanted: u8) -> u64 {
    let wanted = u8x16::splat(wanted);
    let [a, b, c, d] = lanes.map(|lane| u64::from(lane.simd_eq(wanted).to_bitmask()));
    a | b << 16 | c << 32 | d << 48
}

/// What a run of backslashes escapes. `carried` says that the byte before them was a backslash that escapes, and
/// afterwards the same of their last byte.
///
/// A run that begins at an even place, added to itself, carries into the bit behind it: so one addition finds the
/// parity of all runs.
pub(crate) fn escaped(backslashes: u64, carried: &mut bool) -> u64 {
    const EVEN: u64 = u64::MAX / 3;
    if backslashes == 0 {
        return u64::from(std::mem::take(carried));
    }
    let before = u64::from(*carried);
    let escaping = backslashes & !before;
    let behind = escaping << 1 | before;
    let odd_starts = escaping & !EVEN & !behind;
    let (runs, over) = odd_starts.overflowing_add(escaping);
    *carried = over;
    (EVEN ^ (runs << 1)) & behind
}

/// For each bit whether an odd number of bits is set up to it: from quotes, the bytes inside strings with their opening
/// quotes.
pub(crate) const fn parity(bits: u64) -> u64 {
    let mut parity = bits;
    let mut shift = 1;
    while shift < 64 {
        parity ^= parity << shift;
        shift *= 2;
    }
    parity
}
