//! [`SharedClock`]: what a worker's clock says, as a moment of this process.

use crate::clock;
use crate::process_pool::sys;
use std::time::{Duration, Instant};

/// The worker reads the clock that all processes of the machine share, and so does this process, once, beside its own: on
/// Linux the two are one, and elsewhere they go alike.
pub(crate) struct SharedClock {
    at: Instant,
    reading: u64,
}

impl SharedClock {
    pub(crate) fn new() -> Self {
        /// In one of them nothing came between the two clocks.
        const TRIES: usize = 3;
        let try_once = || {
            let (before, reading, at) = (Instant::now(), sys::shared_clock(), Instant::now());
            (at.saturating_duration_since(before), SharedClock { at, reading })
        };
        let best = (0..TRIES).map(|_| try_once()).min_by_key(|(took, _)| *took);
        best.map_or_else(|| try_once().1, |(_, clock)| clock)
    }

    /// When the clock said that. A worker out of control may say anything: never later than now.
    pub(crate) fn moment(&self, reading: u64) -> Instant {
        let since = Duration::from_nanos(reading.saturating_sub(self.reading));
        let now = Instant::now();
        clock::after(self.at, since).map_or(now, |at| at.min(now))
    }
}

#[cfg(test)]
mod tests {
    use super::SharedClock;
    use crate::process_pool::sys::shared_clock;
    use std::time::{Duration, Instant};

    #[test]
    fn a_reading_is_between_the_moments_around_it() {
        let clock = SharedClock::new();
        let before = Instant::now();
        let reading = shared_clock();
        let after = Instant::now();
        let moment = clock.moment(reading);
        // As far apart as the two clocks were read.
        let apart = Duration::from_millis(2);
        assert!(before.saturating_duration_since(moment) < apart, "{before:?} {moment:?}");
        assert!(moment.saturating_duration_since(after) < apart, "{moment:?} {after:?}");
        assert!(clock.moment(u64::MAX) <= Instant::now());
        assert!(clock.moment(0) <= before);
    }
}
