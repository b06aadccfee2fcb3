//! Lines out of bytes that arrive in any pieces. They end at LF, CRLF or CR and nowhere else.

use memchr::memchr2;

/// Cuts a byte stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The last byte was a CR, so a LF that follows belongs to it.
    after_return: bool,
}

impl Lines {
    /// Tells the pieces of lines that the next bytes hold, in order, and of each whether its line ends behind it. Only
    /// the piece of a line that ends may be empty.
    pub(crate) fn cut<'a>(&mut self, mut bytes: &'a [u8], mut on_piece: impl FnMut(&'a [u8], bool)) {
        while let Some(&first) = bytes.first() {
            // Of the blank line behind an event only its end is there: the search would cost more than the look.
            let end = if first == b'\n' { Some(0) } else { memchr2(b'\n', b'\r', bytes) };
            let follows_return = std::mem::take(&mut self.after_return) && first == b'\n';
            let Some(end) = end else {
                on_piece(bytes, false);
                return;
            };
            if !follows_return {
                on_piece(&bytes[..end], true);
                self.after_return = bytes[end] == b'\r';
            }
            bytes = &bytes[end + 1..];
        }
    }
}
