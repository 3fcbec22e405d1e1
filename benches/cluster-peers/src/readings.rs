//! [`Readings`]: every number that was read, in the order of the rounds; [`Spread`]: what is shown of some.

use crate::case::Case;
use std::collections::BTreeMap;

/// By case and subject.
#[derive(Default)]
pub(crate) struct Readings {
    each: BTreeMap<Case, Vec<(&'static str, Vec<f64>)>>,
}

impl Readings {
    pub(crate) fn note(&mut self, case: Case, subject: &'static str, reading: f64) {
        let subjects = self.each.entry(case).or_default();
        match subjects.iter_mut().find(|(name, _)| *name == subject) {
            Some((_, readings)) => readings.push(reading),
            None => subjects.push((subject, vec![reading])),
        }
    }

    /// Of a case, subject by subject.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Case, &'static str, &[f64])> {
        self.each
            .iter()
            .flat_map(|(case, subjects)| subjects.iter().map(|(name, all)| (*case, *name, &all[..])))
    }

    /// Nothing, if the case was not read with this subject.
    pub(crate) fn of(&self, case: Case, subject: &str) -> Option<&[f64]> {
        self.all().find(|(at, name, _)| *at == case && *name == subject).map(|(_, _, all)| all)
    }
}

/// A median, and how far the readings lie apart.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of no reading nothing.
    pub(crate) fn of(readings: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = readings.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        Some(Spread { median: all[all.len() / 2], least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::{Readings, Spread};
    use crate::case::Case;

    #[test]
    fn a_spread_is_of_all_readings() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(spread, Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn readings_stay_in_the_order_of_the_rounds() {
        let mut readings = Readings::default();
        [2.0, 1.0].into_iter().for_each(|reading| readings.note(Case::Trip, "ours", reading));
        assert_eq!(readings.of(Case::Trip, "ours"), Some(&[2.0, 1.0][..]));
        assert_eq!(readings.of(Case::Trip, "echo"), None);
    }
}
