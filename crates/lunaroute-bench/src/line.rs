//! One line of the report.

use serde::{Serialize, Serializer};

use crate::figures::Standing;
use crate::limits::Limit;
use crate::table::figure;

/// Whether the gateway records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recording {
    Off,
    On,
    /// It makes no difference.
    Either,
}

/// A figure at one size of what it may grow with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    pub(crate) size: &'static str,
    #[serde(flatten)]
    pub(crate) standing: Standing,
}

/// One figure of the gateway, beside the same of others, with its limit.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub(crate) row: &'static str,
    pub(crate) recording: Recording,
    pub(crate) unit: &'static str,
    #[serde(flatten)]
    pub(crate) standing: Standing,
    /// Of a figure that is measured at several sizes; the value is then the growth over them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) points: Vec<Point>,
    #[serde(serialize_with = "shown")]
    pub(crate) limit: Option<Limit>,
    #[serde(serialize_with = "shown")]
    pub(crate) stretch: Option<Limit>,
    pub(crate) holds: Option<bool>,
    pub(crate) stretch_holds: Option<bool>,
    /// What a reader must know besides.
    pub(crate) note: String,
}

impl Line {
    pub(crate) fn new(
        row: &'static str,
        recording: Recording,
        unit: &'static str,
        standing: Standing,
    ) -> Self {
        Self {
            row,
            recording,
            unit,
            standing,
            points: Vec::new(),
            limit: None,
            stretch: None,
            holds: None,
            stretch_holds: None,
            note: String::new(),
        }
    }

    /// A figure that is not compared with another way's.
    pub(crate) fn alone(
        row: &'static str,
        recording: Recording,
        unit: &'static str,
        value: Option<f64>,
    ) -> Self {
        Self::new(row, recording, unit, Standing { value, ..Standing::default() })
    }

    /// How a figure grows from the smallest size to the largest.
    pub(crate) fn growing(
        row: &'static str,
        recording: Recording,
        unit: &'static str,
        points: Vec<Point>,
    ) -> Self {
        Self { points, ..Self::new(row, recording, unit, Standing::default()) }.grown()
    }

    /// The most that the figure is at a size beyond what it is at a smaller one. A cost that falls does not grow, and one
    /// that grows as the bare proxy's does is the machine's.
    fn grown(mut self) -> Self {
        let costs: Option<Vec<(f64, f64)>> = self
            .points
            .iter()
            .map(|point| Some((point.standing.value?, point.standing.times_bare?)))
            .collect();
        self.standing.value = costs.map(|costs| {
            if costs.iter().any(|(cost, times)| cost.is_nan() || times.is_nan()) {
                return f64::NAN;
            }
            let pairs = costs.iter().enumerate().flat_map(|(position, larger)| {
                costs[..position].iter().map(|smaller| (larger.0 / smaller.0).min(larger.1 / smaller.1))
            });
            pairs.fold(1.0, f64::max)
        });
        self
    }

    pub(crate) fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self.holds = limit.holds(&self.standing);
        self
    }

    pub(crate) fn stretch(mut self, stretch: Limit) -> Self {
        self.stretch = Some(stretch);
        self.stretch_holds = stretch.holds(&self.standing);
        self
    }

    /// Adds to what a reader must know.
    pub(crate) fn note(mut self, note: &str) -> Self {
        if !self.note.is_empty() && !note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(note);
        self
    }

    /// Whatever the figure says: it does not count, for this reason.
    pub(crate) fn spoil(mut self, why: &str) -> Self {
        self.holds = Some(false);
        self.stretch_holds = self.stretch.map(|_| false);
        self.note(why)
    }

    /// The figure says nothing about its limit, for this reason.
    pub(crate) fn unclear(mut self, why: &str) -> Self {
        self.holds = None;
        self.stretch_holds = None;
        self.note(why)
    }

    /// In one line, for whoever waits for the table.
    pub(crate) fn brief(&self) -> String {
        let limit =
            self.limit.map_or_else(String::new, |limit| format!(", limit {limit} {}", self.verdict()));
        format!("{}: {}{limit}", self.name(), figure(self.standing.value))
    }

    /// What is measured, and whether the gateway records meanwhile.
    pub(crate) fn name(&self) -> String {
        match self.recording {
            Recording::Either => format!("{} ({})", self.row, self.unit),
            Recording::Off => format!("{}, recording off ({})", self.row, self.unit),
            Recording::On => format!("{}, recording on ({})", self.row, self.unit),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.holds, self.standing.value) {
            (Some(true), _) => "yes",
            (Some(false), _) => "NO",
            (None, None) => "not measured",
            (None, Some(_)) if self.limit.is_some() => "unclear",
            (None, Some(_)) => "",
        }
    }

    fn recorded(&self) -> String {
        match self.recording {
            Recording::Off => "off",
            Recording::On => "on",
            Recording::Either => "",
        }
        .to_owned()
    }

    pub(crate) const HEADS: [&'static str; 9] =
        ["row", "recording", "#value", "#bare", "#nginx", "#x bare", "limit", "holds", "stretch, notes"];

    pub(crate) fn cells(&self) -> [String; 9] {
        let stretch = match (self.stretch, self.stretch_holds) {
            (None, _) => String::new(),
            (Some(stretch), Some(true)) => format!("{stretch} yes"),
            (Some(stretch), Some(false)) => format!("{stretch} no"),
            (Some(stretch), None) => format!("{stretch} ?"),
        };
        let notes: Vec<_> =
            [stretch, self.note.clone()].into_iter().filter(|text| !text.is_empty()).collect();
        [
            format!("{} ({})", self.row, self.unit),
            self.recorded(),
            figure(self.standing.value),
            figure(self.standing.bare),
            figure(self.standing.nginx),
            figure(self.standing.times_bare),
            self.limit.map_or_else(String::new, |limit| limit.to_string()),
            self.verdict().to_owned(),
            notes.join("; "),
        ]
    }

    pub(crate) const GROWTH_HEADS: [&'static str; 8] = [
        "row",
        "recording",
        "at each size",
        "x bare at each",
        "#max / min",
        "#growth",
        "limit",
        "holds, notes",
    ];

    pub(crate) fn growth_cells(&self) -> [String; 8] {
        let of_points =
            |reading: fn(&Point) -> String| self.points.iter().map(reading).collect::<Vec<_>>().join(", ");
        let verdict = [self.verdict(), self.note.as_str()].into_iter().filter(|text| !text.is_empty());
        [
            format!("{} ({})", self.row, self.unit),
            self.recorded(),
            of_points(|point| format!("{}: {}", point.size, figure(point.standing.value))),
            of_points(|point| figure(point.standing.times_bare)),
            figure(self.spread()),
            figure(self.standing.value),
            self.limit.map_or_else(String::new, |limit| limit.to_string()),
            verdict.collect::<Vec<_>>().join("; "),
        ]
    }

    /// The largest of the figures, in times the bare proxy's, divided by the smallest.
    fn spread(&self) -> Option<f64> {
        let costs = || self.points.iter().filter_map(|point| point.standing.times_bare);
        Some(costs().max_by(f64::total_cmp)? / costs().min_by(f64::total_cmp)?)
    }
}

fn shown<S: Serializer>(limit: &Option<Limit>, serializer: S) -> Result<S::Ok, S::Error> {
    limit.map(|limit| limit.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::{Line, Point, Recording};
    use crate::figures::Standing;
    use crate::limits::Limit;

    /// Each size by its cost and by how many times the bare proxy's that is.
    #[track_caller]
    fn check(sizes: &[(f64, Option<f64>)], growth: Option<f64>, holds: Option<bool>) {
        let point = |(value, times_bare): &(f64, Option<f64>)| Point {
            size: "some",
            standing: Standing { value: Some(*value), times_bare: *times_bare, ..Standing::default() },
        };
        let line = Line::growing("row", Recording::Off, "us", sizes.iter().map(point).collect());
        let line = line.limit(Limit::AtMost(1.3));
        let value = line.standing.value.filter(|value| !value.is_nan());
        assert_eq!((value, line.holds), (growth, holds), "{sizes:?}");
    }

    #[test]
    fn growth_is_what_a_larger_size_costs_beyond_any_smaller_one() {
        check(&[(2.0, Some(2.0)), (2.0, Some(2.0))], Some(1.0), Some(true));
        check(&[(4.0, Some(4.0)), (1.0, Some(1.0)), (2.0, Some(2.0))], Some(2.0), Some(false));
        check(&[(4.0, Some(4.0)), (3.0, Some(3.0)), (2.0, Some(2.0))], Some(1.0), Some(true));
        check(&[(4.0, Some(4.0)), (4.0, None)], None, None);
    }

    #[test]
    fn what_the_bare_proxy_shares_and_what_only_its_cost_moves_is_no_growth() {
        // Twice as dear for both.
        check(&[(10.0, Some(2.0)), (20.0, Some(2.0))], Some(1.0), Some(true));
        // The bare proxy became cheaper, the gateway did not become dearer.
        check(&[(10.0, Some(0.5)), (10.0, Some(1.5))], Some(1.0), Some(true));
        // Dearer by itself, and more so than the bare proxy.
        check(&[(10.0, Some(1.0)), (40.0, Some(2.0))], Some(2.0), Some(false));
    }

    #[test]
    fn growth_of_what_could_not_be_measured_keeps_no_limit() {
        let unknown = (f64::NAN, Some(f64::NAN));
        check(&[unknown, (1.0, Some(1.0))], None, Some(false));
        check(&[(1.0, Some(1.0)), unknown], None, Some(false));
    }
}
