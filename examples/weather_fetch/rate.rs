//! A limit on the calls of all threads together, as a public API asks for.

use std::{
    collections::VecDeque,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many calls in any window of so long; written `6/10`: six in ten seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) calls: usize,
    pub(crate) window: Duration,
}

/// No limit is counted by more than a day; what is far longer would be past the end of the clock.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(calls, seconds)| {
            let calls = calls.parse().ok().filter(|calls| *calls > 0)?;
            let window = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
            (window <= LONGEST_WINDOW).then_some(Self { calls, window })
        });
        parsed.ok_or_else(|| "write it as calls/seconds, such as 6/10".to_owned())
    }
}

/// Holds callers back so that the rate is kept.
pub(crate) struct RateLimit {
    rate: Rate,
    /// When the last `rate.calls` calls were, or will be, let through; oldest first.
    granted: Mutex<VecDeque<Instant>>,
}

impl RateLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, granted: Mutex::default() }
    }

    pub(crate) fn window(&self) -> Duration {
        self.rate.window
    }

    /// Grants a call now or not at all, as the server's side of the limit does.
    pub(crate) fn try_acquire(&self) -> bool {
        let now = Instant::now();
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        while granted.front().is_some_and(|oldest| *oldest + self.rate.window <= now) {
            granted.pop_front();
        }
        let free = granted.len() < self.rate.calls;
        if free {
            granted.push_back(now);
        }
        free
    }

    pub(crate) fn reserve(&self, now: Instant) -> Instant {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match granted.front() {
            Some(oldest) if granted.len() == self.rate.calls => now.max(*oldest + self.rate.window),
            _ => now,
        };
        if granted.len() == self.rate.calls {
            granted.pop_front();
        }
        granted.push_back(at);
        at
    }
}
