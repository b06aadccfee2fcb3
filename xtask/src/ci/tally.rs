//! Counts tests from the closing lines of the test runners.

use std::fmt;
use std::ops::{Add, AddAssign};

/// How many tests came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Passed at the second or third try, and counted as passed.
    flaky: usize,
}

/// A program that runs tests and closes with a line that counts them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runner {
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`, for each binary.
    CargoTest,
    /// `Summary [   1.204s] 4 tests run: 3 passed (1 slow), 1 failed, 2 skipped`
    Nextest,
    /// `1 failed, 2 passed, 1 skipped in 0.52s`
    Pytest,
}

impl Runner {
    /// What the line counts, if it is this runner's closing line and counts anything.
    pub(crate) fn closing_line(self, line: &str) -> Option<Tally> {
        let counts = match self {
            Runner::CargoTest => line.strip_prefix("test result: ")?.split_once(". ")?.1,
            Runner::Nextest => line.strip_prefix("Summary [")?.split_once(" run: ")?.1,
            Runner::Pytest => line.trim_matches(['=', ' ']).rsplit_once(" in ")?.0,
        };
        let mut tally = Tally::default();
        for part in counts.split([',', ';', '(', ')']) {
            let mut words = part.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<usize>) else { continue };
            match words.next() {
                Some("passed") => tally.passed += number,
                Some("failed" | "timed" | "error" | "errors") => tally.failed += number,
                Some("skipped" | "ignored" | "xfailed" | "deselected") => tally.skipped += number,
                Some("flaky") => tally.flaky += number,
                // What was measured, filtered out or warned of is no test of this run.
                _ => {}
            }
        }
        (!tally.is_empty()).then_some(tally)
    }
}

impl Tally {
    /// Whether no test was met at all.
    pub(crate) fn is_empty(self) -> bool {
        self == Tally::default()
    }
}

impl Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
            flaky: self.flaky + other.flaky,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        *self = *self + other;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        if self.flaky > 0 {
            write!(out, "; {} of the passed failed at first", self.flaky)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Runner::{CargoTest, Nextest, Pytest};
    use super::{Runner, Tally};

    #[track_caller]
    fn check(runner: Runner, line: &str, counts: Option<(usize, usize, usize)>) {
        let expected = counts.map(|(passed, failed, skipped)| Tally { passed, failed, skipped, flaky: 0 });
        assert_eq!(runner.closing_line(line), expected, "{line}");
    }

    #[test]
    fn closing_lines_are_read() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 9 filtered out; finished in 0.01s";
        check(CargoTest, line, Some((3, 1, 2)));
        check(Nextest, "Summary [   0.010s] 3 tests run: 3 passed, 0 skipped", Some((3, 0, 0)));
        let line = "Summary [   1.204s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 5 skipped";
        check(Nextest, line, Some((4, 3, 5)));
        let line = "Summary [   1.204s] 4 tests run: 4 passed (1 slow, 2 flaky), 5 skipped";
        let flaky = Tally { passed: 4, failed: 0, skipped: 5, flaky: 2 };
        assert_eq!(Nextest.closing_line(line), Some(flaky));
        check(Pytest, "12 passed in 3.20s", Some((12, 0, 0)));
        check(Pytest, "=== 1 failed, 2 passed, 1 skipped, 3 warnings, 1 error in 0.52s ===", Some((2, 2, 1)));
    }

    #[test]
    fn other_lines_are_not() {
        check(CargoTest, "test result: pending", None);
        check(Nextest, "PASS [   0.010s] crate::it three_passed", None);
        check(Pytest, "the server came up in 3.20s", None);
        check(Pytest, "12 passed", None);
    }

    #[test]
    fn a_tally_closes_in_the_plain_form() {
        let one = Tally { passed: 2, failed: 0, skipped: 0, flaky: 0 };
        let two = Tally { passed: 1, failed: 1, skipped: 3, flaky: 0 };
        assert_eq!(one.to_string(), "2 passed, 0 failed");
        assert_eq!((one + two).to_string(), "3 passed, 1 failed, 3 skipped");
        let again = Tally { flaky: 1, ..one };
        assert_eq!(again.to_string(), "2 passed, 0 failed; 1 of the passed failed at first");
        assert!(Tally::default().is_empty() && !two.is_empty());
    }
}
