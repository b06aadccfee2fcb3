//! Times and sizes as people write them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written as `250ms`, `10s`, `5m`, `1h 30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The time as the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let duration: SignedDuration = text.parse().map_err(|_| {
            de::Error::custom(format_args!("'{text}' is no length of time; write it like 250ms, 10s or 5m"))
        })?;
        Duration::try_from(duration).map(Self).map_err(|_| {
            de::Error::custom(format_args!("'{text}' is negative; a length of time is 0s or more"))
        })
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A length of time such as 250ms, 10s, 5m or 1h 30m." })
    }
}

/// A number of bytes, written as `4096`, `64KiB` or `32MiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(ByteSize);

impl Size {
    /// So many KiB.
    #[must_use]
    pub const fn kibibytes(count: u64) -> Self {
        Self(ByteSize::kib(count))
    }

    /// So many MiB.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(ByteSize::mib(count))
    }

    /// The number of bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0.as_u64()).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_u64();
        match bytes {
            _ if bytes > 0 && bytes.is_multiple_of(1 << 20) => write!(f, "{}MiB", bytes >> 20),
            _ if bytes > 0 && bytes.is_multiple_of(1 << 10) => write!(f, "{}KiB", bytes >> 10),
            _ => write!(f, "{bytes}B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// Takes a number of bytes or a text with a unit.
struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes such as 4096, 64KiB or 32MiB")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(ByteSize::b(bytes)))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes)
            .map(|bytes| Size(ByteSize::b(bytes)))
            .map_err(|_| E::custom(format_args!("{bytes} is negative; a number of bytes is 0 or more")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map(Size).map_err(|_| {
            E::custom(format_args!("'{text}' is no number of bytes; write it like 4096, 64KiB or 32MiB"))
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A number of bytes such as 4096, 64KiB or 32MiB."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_as_people_write_them_and_write_back() {
        for (text, milliseconds) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h 30m", 5_400_000)]
        {
            let period: Period = serde_json::from_value(text.into()).expect(text);
            assert_eq!(period, Period::milliseconds(milliseconds));
            let again: Period =
                serde_json::from_value(period.to_string().into()).expect("reads what it wrote");
            assert_eq!(again, period);
        }
        for (text, bytes) in [("32MiB", 32 << 20), ("64KiB", 64 << 10), ("100B", 100)] {
            let size: Size = serde_json::from_value(text.into()).expect(text);
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, text));
        }
        assert_eq!(serde_json::from_value::<Size>(4096.into()).expect("a number").bytes(), 4096);
        for bad in ["", "ten", "-5s", "5 parsecs"] {
            assert!(serde_json::from_value::<Period>(bad.into()).is_err(), "{bad:?} was taken");
            assert!(serde_json::from_value::<Size>(bad.into()).is_err(), "{bad:?} was taken");
        }
        assert!(serde_json::from_value::<Size>((-1).into()).is_err());
    }
}
