//! Figures of one measurement, and medians over rounds.

use std::collections::BTreeMap;

use crate::stand::Place;

/// What one measurement of one way gave. Times in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) cpu_per_request: f64,
    pub(crate) cpu_per_event: f64,
    /// Requests answered in a second.
    pub(crate) per_second: f64,
    /// Of the time that the kind of exchange is about: the whole answer, the first event, or the gap between events.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) written_per_request: f64,
    /// Requests that were not answered as they should be.
    pub(crate) failed: u64,
    /// Whether the recorder was done within the time; always so without one.
    pub(crate) drained: bool,
}

impl Figures {
    /// Of a measurement that could not be made, because the recorder was not done with what came before.
    pub(crate) const fn unknown(failed: u64) -> Self {
        Self {
            cpu_per_request: f64::NAN,
            cpu_per_event: f64::NAN,
            per_second: f64::NAN,
            p50: f64::NAN,
            p99: f64::NAN,
            written_per_request: f64::NAN,
            failed,
            drained: false,
        }
    }
}

/// What is read off a [`Figures`].
pub(crate) type Reading = fn(&Figures) -> f64;

/// All rounds of all ways.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<Place, Vec<Figures>>);

impl Rounds {
    pub(crate) fn add(&mut self, place: Place, figures: Figures) {
        self.0.entry(place).or_default().push(figures);
    }

    pub(crate) fn of(&self, place: Place) -> &[Figures] {
        self.0.get(&place).map_or(&[], Vec::as_slice)
    }

    /// The median over the rounds; `None` for a way that was not measured.
    pub(crate) fn median(&self, place: Place, reading: Reading) -> Option<f64> {
        median(self.of(place).iter().map(reading).collect())
    }

    /// The median of what a way adds to the direct one, round by round.
    pub(crate) fn added(&self, place: Place, reading: Reading) -> Option<f64> {
        let pairs = self.of(place).iter().zip(self.of(Place::Direct));
        median(pairs.map(|(through, direct)| reading(through) - reading(direct)).collect())
    }
}

/// The one in the middle, or the mean of the two there.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::{Figures, Rounds, median};
    use crate::stand::Place;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn what_is_added_is_taken_within_each_round() {
        let mut rounds = Rounds::default();
        // The machine was slower in the second round, for both alike.
        for (direct, through) in [(100.0, 150.0), (900.0, 940.0), (100.0, 160.0)] {
            rounds.add(Place::Direct, Figures { p50: direct, ..Figures::default() });
            rounds.add(Place::Off, Figures { p50: through, ..Figures::default() });
        }
        assert_eq!(rounds.added(Place::Off, |figures| figures.p50), Some(50.0));
        assert_eq!(rounds.added(Place::On, |figures| figures.p50), None);
    }
}
