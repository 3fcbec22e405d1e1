//! [`Beginnings`]: since when tasks run, noted from the first look at a pool on.
//!
//! To read the clock takes 25 to 70 ns, beside the 300 ns that a small task takes on threads. A pool that nobody looks at
//! doesn't pay for it: workers read the clock only once somebody has looked. What began before that is known to run since
//! that look, at least. That is enough for a look at a program that hangs: the second look tells for how long it has.

use crate::clock;
use crate::id::FutureId;
use crate::sync::plain::{AtomicBool, Mutex, Ordering};
use std::time::{Duration, Instant};

/// One per pool.
pub(crate) struct Beginnings {
    /// They are counted from here, so that each is a word.
    epoch: Instant,
    /// Somebody has looked.
    watched: AtomicBool,
    /// When those were first seen that nobody noted.
    seen: Mutex<Vec<(FutureId, Instant)>>,
}

impl Beginnings {
    pub(crate) fn new() -> Self {
        Beginnings { epoch: Instant::now(), watched: AtomicBool::new(false), seen: Mutex::default() }
    }

    /// From now on they are noted.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// A task begins: in nanoseconds from the epoch, or 0 if nobody is to note it.
    pub(crate) fn note(&self) -> u64 {
        if self.watched.load(Ordering::Relaxed) { self.now() } else { 0 }
    }

    #[cold]
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// The moment that was noted, if it was.
    pub(crate) fn moment(&self, noted: u64) -> Option<Instant> {
        if noted == 0 { None } else { clock::after(self.epoch, Duration::from_nanos(noted)) }
    }

    /// Since when the tasks run that run now, of each with whether it may have begun before. `noted` are all of them.
    pub(crate) fn since(&self, noted: &[(FutureId, Option<Instant>)]) -> Vec<(Instant, bool)> {
        let mut seen = self.seen.lock();
        let before = std::mem::take(&mut *seen);
        let now = Instant::now();
        let since = |(task, began): &(FutureId, Option<Instant>)| match began {
            Some(began) => (*began, false),
            None => {
                let first = before.iter().find(|(id, _)| id == task).map_or(now, |(_, first)| *first);
                seen.push((*task, first));
                (first, true)
            }
        };
        noted.iter().map(since).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Beginnings;
    use crate::id::FutureId;

    #[test]
    fn what_nobody_noted_runs_since_it_was_first_seen() {
        let (beginnings, early, late) = (Beginnings::new(), FutureId::new(), FutureId::new());
        assert_eq!(beginnings.note(), 0);
        let first = beginnings.since(&[(early, None)]);
        beginnings.watch();
        let noted = beginnings.moment(beginnings.note());
        assert!(noted.is_some_and(|noted| noted >= first[0].0));
        let second = beginnings.since(&[(late, noted), (early, None)]);
        assert_eq!(second, [(noted.unwrap_or(first[0].0), false), (first[0].0, true)]);
        // Nothing is kept of what is over.
        beginnings.since(&[]);
        assert!(beginnings.seen.lock().is_empty());
    }
}
