//! [`Patience`]: whether a long spin pays, learnt from the ones before.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After each further spin in vain twice as many are left out, up to 64. For spins that are longer than a wake-up, which a
/// busy machine can't afford each time; and only where there is more than one processor, which the caller knows.
pub(crate) struct Patience {
    vain: Cell<u32>,
    left_out: Cell<u32>,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Patience { vain: Cell::new(0), left_out: Cell::new(0) }
    }

    /// Whether to spin this time. Asked once each time.
    pub(crate) fn is_left(&self) -> bool {
        let left_out = self.left_out.get();
        self.left_out.set(left_out.saturating_sub(1));
        left_out == 0
    }

    /// Spins until `ready`, or gives up after `most`; returns what `ready` returned last.
    pub(crate) fn spin(&self, most: Duration, mut ready: impl FnMut() -> bool) -> bool {
        if ready() {
            return true;
        }
        let start = Instant::now();
        let lucky = loop {
            std::hint::spin_loop();
            if ready() {
                break true;
            }
            if start.elapsed() >= most {
                break false;
            }
        };
        let vain = if lucky { 0 } else { (self.vain.get() + 1).min(6) };
        self.vain.set(vain);
        self.left_out.set(if lucky { 0 } else { 1 << vain });
        lucky
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::Patience;
    use std::time::Duration;

    /// How many times it is left out until it is its turn.
    fn left_out(patience: &Patience) -> usize {
        std::iter::repeat_with(|| patience.is_left()).take_while(|is_left| !is_left).count()
    }

    #[test]
    fn spins_in_vain_are_left_out_up_to_64_times_until_one_has_success() {
        let patience = Patience::new();
        assert_eq!(left_out(&patience), 0);
        for expected in [2, 4, 8, 16, 32, 64, 64, 64] {
            assert!(!patience.spin(Duration::ZERO, || false));
            assert_eq!(left_out(&patience), expected);
        }
        let mut looks = 0;
        assert!(patience.spin(Duration::MAX, || {
            looks += 1;
            looks == 3
        }));
        assert_eq!(left_out(&patience), 0);
        assert!(!patience.spin(Duration::ZERO, || false));
        assert_eq!(left_out(&patience), 2);
    }
}
