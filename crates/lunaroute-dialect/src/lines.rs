//! Lines out of bytes that arrive in any pieces. They end at LF, CRLF or CR and nowhere else.

use crate::stretch::{Stretch, WIDTH};

/// Cuts a byte stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The last byte was a CR, so a LF that follows belongs to it.
    after_return: bool,
}

impl Lines {
    /// Tells the pieces of lines that the next bytes hold, in order, and of each whether its line ends behind it. Only
    /// the piece of a line that ends may be empty.
    pub(crate) fn cut<'a>(&mut self, bytes: &'a [u8], mut on_piece: impl FnMut(&'a [u8], bool)) {
        let (mut start, mut position) = (0, 0);
        while let Some(stretch) = Stretch::at(bytes, position) {
            let mut ends = stretch.line_ends();
            while ends != 0 {
                let end = position + ends.trailing_zeros() as usize;
                ends &= ends - 1;
                let is_return = bytes[end] == b'\r';
                if is_return || end > start || !self.after_return {
                    on_piece(&bytes[start..end], true);
                }
                self.after_return = is_return;
                start = end + 1;
            }
            position += WIDTH;
        }
        if start < bytes.len() {
            self.after_return = false;
            on_piece(&bytes[start..], false);
        }
    }
}
