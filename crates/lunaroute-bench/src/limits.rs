//! What a figure may be.

use std::fmt;

use crate::figures::Standing;

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
    /// Whether a figure keeps it; `None` when it, or what it is compared with, was not measured.
    pub(crate) fn holds(self, standing: &Standing) -> Option<bool> {
        // A figure that is no number, because nothing was answered, keeps no limit.
        match self {
            Self::TimesBare(most) => standing.times_bare.map(|times| times <= most),
            Self::TimesNginx(most) => standing.times_nginx.map(|times| times <= most),
            Self::AtMost(most) => standing.value.map(|value| value <= most),
            Self::AtLeast(least) => standing.value.map(|value| value >= least),
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
    use crate::figures::Standing;

    #[test]
    fn a_limit_needs_what_it_compares_with() {
        let beside = |times_bare| Standing { value: Some(15.0), times_bare, ..Standing::default() };
        assert_eq!(Limit::TimesBare(1.5).holds(&beside(Some(1.5))), Some(true));
        assert_eq!(Limit::TimesBare(1.5).holds(&beside(Some(1.51))), Some(false));
        assert_eq!(Limit::TimesBare(1.5).holds(&beside(None)), None);
        assert_eq!(Limit::TimesNginx(2.0).holds(&beside(Some(1.0))), None);
        assert_eq!(Limit::AtLeast(15.1).holds(&beside(None)), Some(false));
        let unknown = Standing { value: Some(f64::NAN), ..Standing::default() };
        assert_eq!(Limit::AtMost(5.0).holds(&unknown), Some(false));
        assert_eq!(Limit::AtMost(5.0).holds(&Standing::default()), None);
    }
}
