//! Figures of one measurement, and medians over rounds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::probe::Backlog;
use crate::stand::Place;

/// What one measurement of one way gave. Times in microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) cpu_per_request: f64,
    pub(crate) cpu_per_event: f64,
    /// Requests answered in a second.
    pub(crate) per_second: f64,
    /// Requests answered in a second, counting the time until the recorder was done with them.
    pub(crate) sustained: f64,
    /// Processors that the way used while it was loaded and until its recorder was done.
    pub(crate) processors: f64,
    /// Of the time that the kind of exchange is about: the whole answer, the first event, or the gap between events.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) written_per_request: f64,
    /// What the recorder's threads used, by the threads' short names.
    pub(crate) threads: BTreeMap<String, Share>,
    /// Requests that were not answered as they should be.
    pub(crate) failed: u64,
    /// What the recorder had not done within the time; `None` without a recorder too.
    pub(crate) left: Option<Backlog>,
}

/// A thread's part in one request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Share {
    /// In microseconds.
    pub(crate) cpu: f64,
    /// In bytes.
    pub(crate) written: f64,
}

impl Figures {
    /// Of a measurement that could not be made, because the recorder was not done with what came before.
    pub(crate) fn unknown(failed: u64, left: Backlog) -> Self {
        Self {
            cpu_per_request: f64::NAN,
            cpu_per_event: f64::NAN,
            per_second: f64::NAN,
            sustained: f64::NAN,
            processors: f64::NAN,
            p50: f64::NAN,
            p95: f64::NAN,
            p99: f64::NAN,
            written_per_request: f64::NAN,
            threads: BTreeMap::new(),
            failed,
            left: Some(left),
        }
    }
}

/// What is read off a [`Figures`].
pub(crate) type Reading = fn(&Figures) -> f64;

/// A figure, and how it stands to the same of others. `None` is not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Standing {
    pub(crate) value: Option<f64>,
    pub(crate) bare: Option<f64>,
    pub(crate) nginx: Option<f64>,
    /// The median of the ratios within each round, which a machine that is slower in one round does not move.
    pub(crate) times_bare: Option<f64>,
    pub(crate) times_nginx: Option<f64>,
}

impl Standing {
    /// The same in a unit that is so many times as large; ratios stay.
    pub(crate) fn per(self, unit: f64) -> Self {
        let scaled = |figure: Option<f64>| figure.map(|figure| figure / unit);
        Self { value: scaled(self.value), bare: scaled(self.bare), nginx: scaled(self.nginx), ..self }
    }
}

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

    /// The median of a way's figure divided by another's, round by round.
    pub(crate) fn ratio(&self, place: Place, to: Place, reading: Reading) -> Option<f64> {
        let pairs = self.of(place).iter().zip(self.of(to));
        median(pairs.map(|(figures, other)| reading(figures) / reading(other)).collect())
    }

    /// The median of what a way adds to the direct one, round by round.
    pub(crate) fn added(&self, place: Place, reading: Reading) -> Option<f64> {
        let pairs = self.of(place).iter().zip(self.of(Place::Direct));
        median(pairs.map(|(through, direct)| reading(through) - reading(direct)).collect())
    }

    /// A way's figure beside those of the bare proxy and nginx.
    pub(crate) fn standing(&self, place: Place, reading: Reading) -> Standing {
        Standing {
            value: self.median(place, reading),
            bare: self.median(Place::Bare, reading),
            nginx: self.median(Place::Nginx, reading),
            times_bare: self.ratio(place, Place::Bare, reading),
            times_nginx: self.ratio(place, Place::Nginx, reading),
        }
    }

    /// What a way adds, beside what the bare proxy and nginx add. The ratio of two small differences says nothing.
    pub(crate) fn added_standing(&self, place: Place, reading: Reading) -> Standing {
        Standing {
            value: self.added(place, reading),
            bare: self.added(Place::Bare, reading),
            nginx: self.added(Place::Nginx, reading),
            ..Standing::default()
        }
    }

    /// Medians of what each of the recorder's threads had in one request.
    pub(crate) fn threads(&self, place: Place, reading: fn(&Share) -> f64) -> BTreeMap<&str, f64> {
        let mut shares = BTreeMap::<&str, Vec<f64>>::new();
        for (name, share) in self.of(place).iter().flat_map(|figures| &figures.threads) {
            shares.entry(name).or_default().push(reading(share));
        }
        shares.into_iter().filter_map(|(name, shares)| Some((name, median(shares)?))).collect()
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
    use super::{Figures, Rounds, Share, median};
    use crate::stand::Place;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn what_is_added_and_every_ratio_is_taken_within_each_round() {
        let mut rounds = Rounds::default();
        // The machine was slower in the second round, for both alike.
        for (direct, through) in [(100.0, 150.0), (900.0, 940.0), (100.0, 160.0)] {
            rounds.add(Place::Direct, Figures { p50: direct, ..Figures::default() });
            rounds.add(Place::Off, Figures { p50: through, ..Figures::default() });
        }
        assert_eq!(rounds.added(Place::Off, |figures| figures.p50), Some(50.0));
        assert_eq!(rounds.ratio(Place::Off, Place::Direct, |figures| figures.p50), Some(1.5));
        assert_eq!(rounds.added(Place::On, |figures| figures.p50), None);
        let standing = rounds.standing(Place::Off, |figures| figures.p50);
        assert_eq!((standing.value, standing.bare, standing.times_bare), (Some(160.0), None, None));
        assert_eq!(standing.per(10.0).value, Some(16.0));
    }

    #[test]
    fn threads_have_medians_of_their_own() {
        let mut rounds = Rounds::default();
        for cpu in [1.0, 9.0, 2.0] {
            let threads = [("pen".to_owned(), Share { cpu, written: 7.0 })].into();
            rounds.add(Place::On, Figures { threads, ..Figures::default() });
        }
        assert_eq!(rounds.threads(Place::On, |share| share.cpu)["pen"], 2.0);
        assert_eq!(rounds.threads(Place::On, |share| share.written)["pen"], 7.0);
    }
}
