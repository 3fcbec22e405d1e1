//! [`Pace`]: how much a node has done lately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What was done in so much time is read ahead: it is what the way to the server and back may take.
const WINDOW: Duration = Duration::from_millis(5);

/// Never more than so many.
const MOST: usize = 512;

/// When tasks have ended lately.
#[derive(Default)]
pub(super) struct Pace {
    ends: VecDeque<Instant>,
}

impl Pace {
    pub(super) fn note(&mut self, now: Instant) {
        self.ends.push_back(now);
        if self.ends.len() > MOST {
            self.ends.pop_front();
        }
    }

    /// How many ended lately; 0 if that is not more than one a slot: such tasks are longer than the window.
    pub(super) fn ahead(&mut self, now: Instant, slots: u32) -> usize {
        while self.ends.front().is_some_and(|end| now.saturating_duration_since(*end) > WINDOW) {
            self.ends.pop_front();
        }
        if self.ends.len() > slots as usize { self.ends.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Pace};
    use std::time::{Duration, Instant};

    #[test]
    fn long_tasks_are_not_read_ahead() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        (0..2).for_each(|_| pace.note(now));
        assert_eq!(pace.ahead(now, 2), 0);
        pace.note(now);
        assert_eq!(pace.ahead(now, 2), 3);
        assert_eq!(pace.ahead(now + Duration::from_millis(6), 2), 0);
    }

    #[test]
    fn there_is_a_bound() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        (0..2 * MOST).for_each(|_| pace.note(now));
        assert_eq!(pace.ahead(now, 2), MOST);
    }
}
