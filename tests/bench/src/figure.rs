//! A figure: what was measured, beside its baseline, against its goal.

use crate::stats::Spread;

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Seconds.
    Seconds,
    /// So many a second.
    PerSecond,
    /// KiB.
    Kib,
    /// MiB.
    Mib,
    /// Pieces.
    Count,
}

impl Unit {
    /// As it stands behind a number.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Millis => "ms",
            Self::Micros => "µs",
            Self::Seconds => "s",
            Self::PerSecond => "/s",
            Self::Kib => "KiB",
            Self::Mib => "MiB",
            Self::Count => "",
        }
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Its median at most this.
    AtMost(f64),
    /// Its median at least this.
    AtLeast(f64),
    /// Its ratio to the baseline at most this.
    RatioAtMost(f64),
    /// Its ratio to the baseline at least this.
    RatioAtLeast(f64),
}

/// A measured figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// What it is counted in.
    pub unit: Unit,
    /// One value a run.
    pub runs: Vec<f64>,
    /// What the baseline is, and its value beside each run.
    pub baseline: Option<(String, Vec<f64>)>,
    /// What it should be.
    pub goal: Option<Goal>,
}

impl Figure {
    /// A figure with the values of its runs.
    pub fn new(name: impl Into<String>, unit: Unit, runs: Vec<f64>) -> Self {
        Self { name: name.into(), unit, runs, baseline: None, goal: None }
    }

    /// Beside a baseline: as many values as there are runs.
    #[must_use]
    pub fn beside(mut self, what: impl Into<String>, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), self.runs.len(), "{}: a baseline beside each run", self.name);
        self.baseline = Some((what.into(), values));
        self
    }

    /// Against a goal.
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// The values of the runs.
    pub fn value(&self) -> Spread {
        Spread::of(&self.runs)
    }

    /// Each run against the baseline beside it.
    pub fn ratio(&self) -> Option<Spread> {
        let (_, values) = self.baseline.as_ref()?;
        let ratios: Vec<f64> =
            self.runs.iter().zip(values).map(|(run, baseline)| run / baseline).collect();
        Some(Spread::of(&ratios))
    }

    /// Whether the goal is met; nothing without one.
    pub fn is_met(&self) -> Option<bool> {
        let ratio = || self.ratio().expect("a goal for a ratio has a baseline").median;
        Some(match self.goal? {
            Goal::AtMost(most) => self.value().median <= most,
            Goal::AtLeast(least) => self.value().median >= least,
            Goal::RatioAtMost(most) => ratio() <= most,
            Goal::RatioAtLeast(least) => ratio() >= least,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_judge_the_median_or_the_ratio_run_by_run() {
        let figure = Figure::new("x", Unit::Millis, vec![2.0, 3.0, 40.0]);
        assert_eq!(figure.is_met(), None);
        assert_eq!(figure.clone().goal(Goal::AtMost(3.0)).is_met(), Some(true));
        assert_eq!(figure.clone().goal(Goal::AtLeast(3.1)).is_met(), Some(false));
        let figure = figure.beside("y", vec![1.0, 1.0, 20.0]);
        assert_eq!(figure.ratio().unwrap_or_else(|| panic!("a ratio")).median, 2.0);
        assert_eq!(figure.clone().goal(Goal::RatioAtMost(2.0)).is_met(), Some(true));
        assert_eq!(figure.goal(Goal::RatioAtLeast(2.1)).is_met(), Some(false));
    }
}
