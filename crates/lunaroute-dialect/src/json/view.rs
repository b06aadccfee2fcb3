//! A value in JSON bytes, read only where it is asked.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::Visitor;

use super::scan::Scanner;

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

    const fn at(document: &'a [u8], range: &Range<usize>) -> Self {
        Self { document, start: range.start, end: range.end }
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

    /// The members of these names in one pass; the last of equal names counts, and `null` counts as absent.
    pub(crate) fn fields<const N: usize>(self, names: [&str; N]) -> [Option<Self>; N] {
        let mut found = [None; N];
        for (key, value) in self.members() {
            if let Some(place) = names.iter().position(|name| *name == key) {
                found[place] = (!value.is_null()).then_some(value);
            }
        }
        found
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates and the sign is checked; a fraction of a token has no meaning"
)]
fn fraction(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number as u64)
}

/// The text of a JSON string given with its quotes. Lone surrogates and bytes that are not UTF-8 become U+FFFD, because
/// a record shows text and the raw bytes are kept elsewhere; an escape that JSON does not know leaves the raw text.
pub(crate) fn decode_string(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    match serde_json::Deserializer::from_slice(quoted).deserialize_bytes(Unescaped) {
        Ok(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
        }),
        Err(_) => String::from_utf8_lossy(inner),
    }
}

/// Takes a string as bytes: the one way in which `serde_json` accepts lone surrogates.
struct Unescaped;

impl Visitor<'_> for Unescaped {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(bytes.to_vec())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.as_bytes().to_vec())
    }
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
