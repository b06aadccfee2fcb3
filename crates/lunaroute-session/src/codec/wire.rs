//! Numbers, texts and words as bytes, and back.

use lunaroute_core::{RequestId, Usage};
use serde::Deserialize;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::DecodeError;

/// Writes values one after the other.
#[derive(Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits in a byte, the lowest first; the top bit says that more follow.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Small numbers of either sign are short.
    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.byte(flag.into());
    }

    pub(super) fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    pub(super) fn maybe_number(&mut self, number: Option<u64>) {
        self.maybe(number, Self::number);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        self.length(text.map_or(0, |text| text.len() + 1));
        self.bytes(text.unwrap_or_default().as_bytes());
    }

    pub(super) fn pairs(&mut self, pairs: &[(String, String)]) {
        self.length(pairs.len());
        for (name, value) in pairs {
            self.text(name);
            self.text(value);
        }
    }

    pub(super) fn request(&mut self, request: RequestId) {
        self.bytes(request.as_uuid().as_bytes());
    }

    /// A hash in lower-case hex takes half its length; any other text is kept as it is.
    pub(super) fn hash(&mut self, hex: &str) {
        let hash = blake3::Hash::from_hex(hex).ok().filter(|hash| hash.to_hex().as_str() == hex);
        self.flag(hash.is_some());
        match hash {
            Some(hash) => self.bytes(hash.as_bytes()),
            None => self.text(hex),
        }
    }

    pub(super) fn usage(&mut self, usage: &Usage) {
        let classes = classes(usage);
        let known = (0..).zip(classes).map(|(bit, class)| u8::from(class.is_some()) << bit).sum();
        self.byte(known);
        classes.into_iter().flatten().for_each(|tokens| self.number(tokens));
    }
}

const fn classes(usage: &Usage) -> [Option<u64>; 6] {
    let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = *usage;
    [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning]
}

/// Reads values one after the other.
pub(super) struct In<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> In<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn short(&self, part: &'static str) -> DecodeError {
        DecodeError::Short { bytes: self.bytes.len(), part }
    }

    pub(super) fn take(&mut self, count: usize, part: &'static str) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(count).ok_or_else(|| self.short(part))?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.short(part))?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N, part)?;
        taken.try_into().map_err(|_| self.short(part))
    }

    pub(super) fn byte(&mut self, part: &'static str) -> Result<u8, DecodeError> {
        self.array(part).map(|[byte]| byte)
    }

    pub(super) fn number(&mut self, part: &'static str) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(part)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Invalid { part })
    }

    pub(super) fn signed(&mut self, part: &'static str) -> Result<i64, DecodeError> {
        let number = self.number(part)?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number that has to fit its type.
    pub(super) fn small<T: TryFrom<u64>>(&mut self, part: &'static str) -> Result<T, DecodeError> {
        T::try_from(self.number(part)?).map_err(|_| DecodeError::Invalid { part })
    }

    /// How many items follow; each of them has a byte at least, so a damaged number asks for no memory.
    pub(super) fn count(&mut self, part: &'static str) -> Result<usize, DecodeError> {
        let count = self.small(part)?;
        if count > self.bytes.len() - self.at { Err(self.short(part)) } else { Ok(count) }
    }

    pub(super) fn flag(&mut self, part: &'static str) -> Result<bool, DecodeError> {
        match self.byte(part)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid { part }),
        }
    }

    pub(super) fn maybe<T>(
        &mut self,
        part: &'static str,
        take: impl FnOnce(&mut Self, &'static str) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.flag(part)? { take(self, part).map(Some) } else { Ok(None) }
    }

    fn str(&mut self, length: usize, part: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.take(length, part)?).map_err(|_| DecodeError::Invalid { part })
    }

    pub(super) fn text(&mut self, part: &'static str) -> Result<String, DecodeError> {
        let length = self.small(part)?;
        self.str(length, part).map(str::to_owned)
    }

    pub(super) fn maybe_text(&mut self, part: &'static str) -> Result<Option<String>, DecodeError> {
        let length: usize = self.small(part)?;
        length.checked_sub(1).map(|length| self.str(length, part).map(str::to_owned)).transpose()
    }

    /// A word of a closed list, by the name that it has in records.
    pub(super) fn word<T: Deserialize<'a>>(&mut self, part: &'static str) -> Result<T, DecodeError> {
        let length = self.small(part)?;
        let word = StrDeserializer::<WordError>::new(self.str(length, part)?);
        T::deserialize(word).map_err(|_| DecodeError::Invalid { part })
    }

    pub(super) fn pairs(&mut self, part: &'static str) -> Result<Vec<(String, String)>, DecodeError> {
        (0..self.count(part)?).map(|_| Ok((self.text(part)?, self.text(part)?))).collect()
    }

    pub(super) fn request(&mut self, part: &'static str) -> Result<RequestId, DecodeError> {
        self.array(part).map(RequestId::from_bytes)
    }

    pub(super) fn hash(&mut self, part: &'static str) -> Result<String, DecodeError> {
        if !self.flag(part)? {
            return self.text(part);
        }
        Ok(blake3::Hash::from_bytes(self.array(part)?).to_hex().to_string())
    }

    pub(super) fn usage(&mut self, part: &'static str) -> Result<Usage, DecodeError> {
        let known = self.byte(part)?;
        let mut classes = [None; 6];
        for (bit, class) in classes.iter_mut().enumerate().filter(|(bit, _)| known >> bit & 1 == 1) {
            debug_assert!(bit < 6, "six classes");
            *class = Some(self.number(part)?);
        }
        let [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning] = classes;
        Ok(Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning })
    }
}
