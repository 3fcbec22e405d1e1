//! [`Goal`]: what is to be reached, as a ratio of readings that were taken beside each other.

use crate::case::Case;
use crate::python::PEERS;
use crate::readings::{Readings, Spread};

pub(crate) struct Goal {
    pub(crate) figure: &'static str,
    pub(crate) bound: Bound,
    /// The ratio in each round.
    ratios: fn(&Readings) -> Option<Vec<f64>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) const ALL: [Goal; 7] = [
        Goal {
            figure: "round trip / bare echo",
            bound: Bound::AtMost(2.5),
            ratios: |readings| ratios(readings, Case::Trip, "ours", "bare echo"),
        },
        Goal {
            figure: "round trip / celery's best",
            bound: Bound::AtMost(1.0 / 12.0),
            ratios: |readings| {
                let celery = Spread::of(readings.of(Case::Trip, "celery")?.iter().copied())?;
                Some(readings.of(Case::Trip, "ours")?.iter().map(|ours| ours / celery.least).collect())
            },
        },
        Goal {
            figure: "small tasks a second / best of celery, rq, dask",
            bound: Bound::AtLeast(50.0),
            ratios: |readings| {
                let medians = PEERS.iter().filter_map(|(name, _)| readings.of(Case::Many, name));
                let best = medians.flatten().copied().max_by(f64::total_cmp)?;
                Some(readings.of(Case::Many, "ours")?.iter().map(|ours| ours / best).collect())
            },
        },
        Goal {
            figure: "a MiB there and back / bare echo",
            bound: Bound::AtMost(1.5),
            ratios: |readings| ratios(readings, Case::Mib, "ours", "bare echo"),
        },
        Goal {
            figure: "pictures a second, 2 nodes / local pool of 2",
            bound: Bound::AtLeast(0.9),
            ratios: |readings| ratios(readings, Case::Xray, "2 nodes", "local pool"),
        },
        Goal {
            figure: "client's memory in a bounded map, later half / first",
            bound: Bound::AtMost(1.1),
            ratios: |readings| growth(readings.of(Case::Memory, "client, map")?),
        },
        Goal {
            figure: "server's memory in a bounded map, later half / first",
            bound: Bound::AtMost(1.1),
            ratios: |readings| growth(readings.of(Case::Memory, "server, map")?),
        },
    ];

    /// Nothing, if something of it was not measured.
    pub(crate) fn ratio(&self, readings: &Readings) -> Option<Spread> {
        Spread::of((self.ratios)(readings)?)
    }
}

impl Bound {
    pub(crate) fn holds(self, ratio: f64) -> bool {
        match self {
            Bound::AtMost(most) => ratio <= most,
            Bound::AtLeast(least) => ratio >= least,
        }
    }
}

fn ratios(readings: &Readings, case: Case, ours: &str, other: &str) -> Option<Vec<f64>> {
    let rounds = readings.of(case, ours)?.iter().zip(readings.of(case, other)?);
    Some(rounds.map(|(ours, other)| ours / other).collect())
}

/// The highest of the later half over the highest of the first.
fn growth(samples: &[f64]) -> Option<Vec<f64>> {
    let (first, later) = samples.split_at(samples.len() / 2);
    let highest = |half: &[f64]| half.iter().copied().max_by(f64::total_cmp);
    Some(vec![highest(later)? / highest(first)?])
}

#[cfg(test)]
mod tests {
    use super::{Bound, Goal, growth};
    use crate::case::Case;
    use crate::readings::Readings;

    #[test]
    fn what_was_not_measured_has_no_ratio() {
        let readings = Readings::default();
        assert!(Goal::ALL.iter().all(|goal| goal.ratio(&readings).is_none()));
    }

    #[test]
    fn celery_counts_at_its_best() {
        let mut readings = Readings::default();
        for (ours, celery) in [(100.0, 4000.0), (300.0, 2000.0), (200.0, 3000.0)] {
            readings.note(Case::Trip, "ours", ours);
            readings.note(Case::Trip, "celery", celery);
        }
        assert_eq!(Goal::ALL[1].ratio(&readings).map(|spread| spread.median), Some(0.1));
    }

    #[test]
    fn memory_that_grows_is_seen() {
        assert_eq!(growth(&[1.0, 2.0, 2.0, 4.0]), Some(vec![2.0]));
        assert!(!Bound::AtMost(1.1).holds(2.0) && Bound::AtLeast(0.9).holds(1.0));
    }
}
