//! A value in JSON bytes, read only where it is asked.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{Known, Scanner};
use super::text::{decode_start, decode_string, says, which};

/// One value inside a document. Copying it copies a reference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    document: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Json<'a> {
    /// The whole document as a value.
    pub(crate) fn new(document: &'a [u8]) -> Option<Self> {
        let range = Scanner::new(document, 0).value()?;
        Some(Self::at(document, &range))
    }

    /// The whole document as a value, when nothing but white space stands behind it.
    pub(crate) fn whole(document: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(document, 0);
        let range = scanner.value()?;
        scanner.next_byte().is_none().then(|| Self::at(document, &range))
    }

    /// The value at a range at which one is known to stand. The range is within the document.
    pub(crate) const fn at(document: &'a [u8], range: &Range<usize>) -> Self {
        Self { document, start: range.start, end: range.end }
    }

    /// The object that a document begins with, and its members of these names as [`fields`](Self::fields) gives them;
    /// `None` when it is no whole object. What is `known` of an array is not looked at again.
    pub(crate) fn object<const N: usize>(
        document: &'a [u8],
        names: [&str; N],
        known: Option<Known>,
    ) -> Option<(Self, [Option<Self>; N])> {
        let mut scanner = Scanner::knowing(document, known);
        (scanner.next_byte()? == b'{').then_some(())?;
        Self::next_object(document, &mut scanner, names)
    }

    /// The next value, and its members of these names when it is an object.
    fn next_object<const N: usize>(
        document: &'a [u8],
        scanner: &mut Scanner<'a>,
        names: [&str; N],
    ) -> Option<(Self, [Option<Self>; N])> {
        let mut found = [None; N];
        let range = scanner.object(|name, value| {
            if let Some(place) = which(&document[name], &names) {
                let value = Self::at(document, &value);
                found[place] = (!value.is_null()).then_some(value);
            }
        })?;
        Some((Self::at(document, &range), found))
    }

    /// Where the value stands in the document.
    pub(crate) const fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The value's own bytes.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.document[self.start..self.end]
    }

    pub(crate) fn is_null(&self) -> bool {
        self.bytes() == b"null"
    }

    pub(crate) fn is_object(&self) -> bool {
        self.bytes().first() == Some(&b'{')
    }

    pub(crate) fn is_array(&self) -> bool {
        self.bytes().first() == Some(&b'[')
    }

    pub(crate) fn is_string(&self) -> bool {
        self.bytes().first() == Some(&b'"')
    }

    /// The members of an object in order; none when the value is no object.
    pub(crate) fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut scanner = Scanner::new(&self.document[..self.end], self.start);
        let mut open = self.is_object() && scanner.take(b'{');
        std::iter::from_fn(move || {
            open.then_some(())?;
            let key = scanner.string();
            let value = scanner.take(b':').then(|| scanner.value()).flatten();
            open = scanner.take(b',');
            Some((decode_string(&self.document[key?]), Self::at(self.document, &value?)))
        })
        .fuse()
    }

    /// The elements of an array in order; none when the value is no array.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let mut scanner = Scanner::new(&self.document[..self.end], self.start);
        let mut open = self.is_array() && scanner.take(b'[');
        std::iter::from_fn(move || {
            open.then_some(())?;
            let value = scanner.value();
            open = scanner.take(b',');
            Some(Self::at(self.document, &value?))
        })
        .fuse()
    }

    /// The elements of an array in order, each with its members of these names, in one pass; none when the value is no
    /// array.
    pub(crate) fn objects<const N: usize>(self, names: [&'static str; N]) -> Objects<'a, N> {
        let mut scanner = Scanner::new(&self.document[..self.end], self.start);
        let open = self.is_array() && scanner.take(b'[');
        Objects { array: self, scanner, names, open }
    }

    /// The same from behind an element of the array that ends at `end`.
    pub(crate) fn objects_behind<const N: usize>(
        self,
        end: usize,
        names: [&'static str; N],
    ) -> Objects<'a, N> {
        let mut scanner = Scanner::new(&self.document[..self.end], end);
        let open = scanner.take(b',');
        Objects { array: self, scanner, names, open }
    }

    /// The members of these names in one pass; the last of equal names counts, and `null` counts as absent.
    pub(crate) fn fields<const N: usize>(self, names: [&str; N]) -> [Option<Self>; N] {
        let mut scanner = Scanner::new(&self.document[..self.end], self.start);
        Self::next_object(self.document, &mut scanner, names).map_or([None; N], |(_, found)| found)
    }

    /// One member; `null` counts as absent.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        let [value] = self.fields([name]);
        value
    }

    /// The text of a string; `None` for any other value.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        self.is_string().then(|| decode_string(self.bytes()))
    }

    /// The text of a string as far as its first `limit` bytes, and more where that is no work.
    pub(crate) fn text_start(self, limit: usize) -> Option<Cow<'a, str>> {
        self.is_string().then(|| decode_start(self.bytes(), limit))
    }

    /// Whether it is a string that says this word.
    pub(crate) fn says(self, word: &str) -> bool {
        self.is_string() && says(self.bytes(), word)
    }

    /// The text of a string member.
    pub(crate) fn text_of(self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name)?.text()
    }

    /// A count: a number that is not negative. A fraction is cut off.
    pub(crate) fn count(self) -> Option<u64> {
        let text = std::str::from_utf8(self.bytes()).ok()?;
        text.parse().ok().or_else(|| fraction(text))
    }

    /// A count that is a member.
    pub(crate) fn count_of(self, name: &str) -> Option<u64> {
        self.field(name)?.count()
    }

    /// A truth value.
    pub(crate) fn truth(self) -> Option<bool> {
        match self.bytes() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }
}

/// The elements of an array with their members; see [`Json::objects`].
pub(crate) struct Objects<'a, const N: usize> {
    array: Json<'a>,
    scanner: Scanner<'a>,
    names: [&'static str; N],
    open: bool,
}

impl<const N: usize> Objects<'_, N> {
    /// Whether the elements led to the bracket with which the array ends.
    pub(crate) fn is_at_end(&mut self) -> bool {
        !self.open && self.scanner.take(b']') && self.scanner.position() == self.array.end
    }
}

impl<'a, const N: usize> Iterator for Objects<'a, N> {
    type Item = (Json<'a>, [Option<Json<'a>>; N]);

    fn next(&mut self) -> Option<Self::Item> {
        self.open.then_some(())?;
        let next = Json::next_object(self.array.document, &mut self.scanner, self.names);
        self.open = next.is_some() && self.scanner.take(b',');
        next
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates and the sign is checked; a fraction of a token has no meaning"
)]
fn fraction(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_found_and_the_rest_is_skipped() {
        let text =
            br#" {"a":1, "b":{"c":[true,"x\ny",{}]}, "n":null, "\u0061":2.0, "a":7, "last":"\ud800!"} "#;
        let json = Json::new(text).expect("a value");
        let [a, b, n, last, none] = json.fields(["a", "b", "n", "last", "none"]);
        assert_eq!(a.and_then(Json::count), Some(7), "the last of equal names, escaped or not");
        let elements: Vec<_> = b.and_then(|b| b.field("c")).expect("an array").elements().collect();
        assert_eq!(elements.len(), 3);
        assert_eq!(elements[0].truth(), Some(true));
        assert_eq!(elements[1].text().as_deref(), Some("x\ny"));
        assert!(n.is_none() && none.is_none(), "null counts as absent");
        assert!(last.and_then(Json::text).expect("text").ends_with('!'), "a lone surrogate is no obstacle");
    }

    #[test]
    fn broken_documents_give_what_they_have() {
        for text in ["{", "{\"a\"", "{\"a\":", "{\"a\":1", "[1,", "[", "{,}", "{1:2}", "[,]", "\"", "{]"] {
            let Some(json) = Json::new(text.as_bytes()) else { continue };
            assert!(json.members().count() + json.elements().count() == 0, "{text}");
        }
        assert!(Json::new(b"").is_none());
        assert_eq!(Json::new(b"-4").and_then(Json::count), None);
        assert_eq!(Json::new(b"1e400").and_then(Json::count), None);
        assert_eq!(Json::new(b"18446744073709551616").and_then(Json::count), Some(u64::MAX));
    }
}
