//! Tokens by class, in one normal form.

use serde::{Deserialize, Serialize};

/// Tokens of one answer in disjoint classes. `None` means that the provider said nothing, which is not the same as 0.
///
/// The sum of `input`, `cache_read` and both cache writes is all that the model read. `reasoning` is a part of `output`
/// and never added to it. Vendors count differently (some include cached tokens in their input figure); the dialect
/// crate brings their figures into this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read that came from no cache and went into none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Tokens read from a prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Tokens written to a cache that lives for about five minutes (or for a vendor's default time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<u64>,
    /// Tokens written to a cache that lives for an hour or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    /// Tokens generated, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// The part of `output` that was reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Lays later figures over these: a class that `later` knows replaces ours, one that it does not know stays.
    /// Streamed usage is cumulative in every dialect, so the last value of a class is the right one and adding is wrong.
    pub const fn overlay(&mut self, later: &Self) {
        macro_rules! take {
            ($($class:ident),*) => { $( if later.$class.is_some() { self.$class = later.$class; } )* };
        }
        take!(input, cache_read, cache_write_5m, cache_write_1h, output, reasoning);
    }

    /// Whether no class is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// All tokens that the model read; `None` when no class of them is known.
    #[must_use]
    pub fn total_input(&self) -> Option<u64> {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h]
            .into_iter()
            .flatten()
            .reduce(u64::saturating_add)
    }

    /// All tokens that were written to a cache; 0 when no class is known.
    #[must_use]
    pub fn total_written(&self) -> u64 {
        let (short, long) =
            (self.cache_write_5m.unwrap_or_default(), self.cache_write_1h.unwrap_or_default());
        short.saturating_add(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_figures_replace_and_absent_ones_keep() {
        let mut usage = Usage { input: Some(10), cache_read: Some(4), output: Some(1), ..Usage::default() };
        usage.overlay(&Usage { output: Some(0), reasoning: Some(0), ..Usage::default() });
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(10), Some(4), Some(0)));
        assert_eq!(usage.total_input(), Some(14));
        assert_eq!(Usage::default().total_input(), None);
    }
}
