//! The W3C trace context (`traceparent`) of a request. A valid one travels on unchanged.

use std::fmt;

use http::HeaderMap;
use http::header::HeaderName;

/// The header of the trace and the span that a request belongs to.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Vendors' additions to it; without meaning when [`TRACEPARENT`] has none.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of a version 00 value: `00-`, 32 hexadecimal digits, `-`, 16, `-`, 2.
const LENGTH: usize = 55;

/// Which trace a request belongs to and which span of the caller asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The caller's span; never 0.
    pub parent: u64,
    /// Bit 0 says that the caller keeps this trace.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a value as <https://www.w3.org/TR/trace-context/> section 3.2 defines it: of version 00, or what a later
    /// version has in common with it.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let bytes = value.as_bytes();
        let version = hexadecimal(value.get(..2)?)?;
        let later = bytes.len() > LENGTH && bytes[LENGTH] == b'-' && version > 0;
        if version == 0xff || !(bytes.len() == LENGTH || later) {
            return None;
        }
        if [2, 35, 52].into_iter().any(|dash| bytes[dash] != b'-') {
            return None;
        }
        let trace = hexadecimal(value.get(3..35)?)?;
        let parent = u64::try_from(hexadecimal(value.get(36..52)?)?).ok()?;
        let flags = u8::try_from(hexadecimal(value.get(53..55)?)?).ok()?;
        (trace != 0 && parent != 0).then_some(Self { trace, parent, flags })
    }

    /// The context of a request; one that is invalid or given twice is removed together with its additions, because
    /// nobody further on could use it.
    pub fn take_up(headers: &mut HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let only = values.next().filter(|_| values.next().is_none());
        let context = only.and_then(|value| value.to_str().ok()).and_then(Self::parse);
        if context.is_none() {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
        }
        context
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

/// The number; `None` for anything but lower-case digits, as the standard demands.
fn hexadecimal(digits: &str) -> Option<u128> {
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_standard_allows_and_nothing_else() {
        for good in [VALID, "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-is-new"] {
            assert_eq!(TraceContext::parse(good).unwrap().to_string(), VALID);
        }
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7-01-",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-+0f067aa0ba902b7-011",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unusable_context_goes_no_further() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(VALID));
        headers.insert(TRACESTATE, HeaderValue::from_static("a=b"));
        assert!(TraceContext::take_up(&mut headers).is_some());
        assert_eq!((headers[TRACEPARENT].to_str().unwrap(), headers.len()), (VALID, 2));
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert_eq!(TraceContext::take_up(&mut headers), None);
        assert!(headers.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = TraceContext::parse(&text);
        }

        #[test]
        fn what_is_shown_is_read_back(trace in 1u128.., parent in 1u64.., flags: u8) {
            let context = TraceContext { trace, parent, flags };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }
    }
}
