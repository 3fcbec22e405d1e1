//! [`Histogram`]: how often which duration came, in bounded memory.

use std::time::Duration;

/// Each power of two of nanoseconds is cut into so many parts: a percentile is at most a thirty-second too high.
const PARTS: u32 = 32;

/// So many parts hold every duration that fits into 64 bits of nanoseconds.
const LEN: usize = (64 * PARTS) as usize;

#[derive(Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    most: Duration,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Histogram { counts: vec![0; LEN], count: 0, most: Duration::ZERO }
    }

    pub(super) fn add(&mut self, duration: Duration) {
        self.counts[part(nanos(duration))] += 1;
        self.count += 1;
        self.most = self.most.max(duration);
    }

    /// The duration that this share of all is not longer than; zero if there is none.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (part, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(end(part)).min(self.most);
            }
        }
        self.most
    }

    pub(super) fn most(&self) -> Duration {
        self.most
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Small numbers have a part each; of larger ones the leading bits say which.
fn part(nanos: u64) -> usize {
    let parts = u64::from(PARTS);
    if nanos < parts {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - PARTS.ilog2();
    (u64::from(shift + 1) * parts + (nanos >> shift) - parts) as usize
}

/// The last number in a part.
fn end(part: usize) -> u64 {
    let parts = u64::from(PARTS);
    let (group, within) = (part as u64 / parts, part as u64 % parts);
    match group.checked_sub(1) {
        None => within,
        Some(shift) => ((parts + within + 1) << shift).wrapping_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, PARTS, end, part};
    use std::time::Duration;

    #[test]
    fn each_number_is_in_a_part_that_ends_soon_after_it() {
        let around = |bit: u32| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1, (1 << bit) / 3 * 4];
        for nanos in (0..63).flat_map(around).chain([u64::MAX - 1, u64::MAX]) {
            let end = end(part(nanos));
            assert!(end >= nanos && end - nanos <= nanos / u64::from(PARTS), "{nanos} {end}");
        }
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        (1..=100).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        for (share, ms) in [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)] {
            let (found, exact) = (histogram.quantile(share), Duration::from_millis(ms));
            assert!(found >= exact && found <= exact + exact / PARTS, "{share} {found:?}");
        }
        assert_eq!(histogram.most(), Duration::from_millis(100));
    }
}
