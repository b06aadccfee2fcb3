//! What a figure may be.

use std::fmt;

/// A bound on a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// So many times the bare proxy's figure at most.
    TimesBare(f64),
    /// So many times nginx's figure at most.
    TimesNginx(f64),
    /// So much at most, in the row's unit.
    AtMost(f64),
    /// So much at least, in the row's unit.
    AtLeast(f64),
}

impl Limit {
    /// Whether a figure keeps it; `None` when what it is compared with was not measured.
    pub(crate) fn holds(self, value: f64, bare: Option<f64>, nginx: Option<f64>) -> Option<bool> {
        // A figure that is no number, because nothing was answered, keeps no limit.
        match self {
            Self::TimesBare(times) => bare.map(|bare| value <= times * bare),
            Self::TimesNginx(times) => nginx.map(|nginx| value <= times * nginx),
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimesBare(times) => write!(out, "<= {times} x bare"),
            Self::TimesNginx(times) => write!(out, "<= {times} x nginx"),
            Self::AtMost(most) => write!(out, "<= {most}"),
            Self::AtLeast(least) => write!(out, ">= {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;

    #[test]
    fn a_limit_needs_what_it_compares_with() {
        assert_eq!(Limit::TimesBare(1.5).holds(15.0, Some(10.0), None), Some(true));
        assert_eq!(Limit::TimesBare(1.5).holds(15.1, Some(10.0), None), Some(false));
        assert_eq!(Limit::TimesBare(1.5).holds(1.0, None, Some(10.0)), None);
        assert_eq!(Limit::TimesNginx(2.0).holds(1.0, Some(1.0), None), None);
        assert_eq!(Limit::AtLeast(5.0).holds(4.9, None, None), Some(false));
        assert_eq!(Limit::AtMost(5.0).holds(f64::NAN, None, None), Some(false));
    }
}
