//! Moments to come: the only place where a duration is added to an instant.
//!
//! A user may give any [`Duration`], up to `Duration::MAX`, and `Instant + Duration` panics where the system's clock has
//! no such moment. Here that is `None`, which every wait takes as "for ever". So is anything beyond a century: nobody
//! waits for it, and the system's own calls need not be trusted with it.

use std::time::{Duration, Instant};

/// Longer than this is for ever.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The moment `timeout` from now; `None`, for ever, if it is too far away.
pub(crate) fn deadline_after(timeout: Duration) -> Option<Instant> {
    after(Instant::now(), timeout)
}

/// The moment `time` after `since`; `None`, for ever, if it is too far away.
pub(crate) fn after(since: Instant, time: Duration) -> Option<Instant> {
    if time > FAR { None } else { since.checked_add(time) }
}

/// Whether the deadline has passed. One that is for ever never does.
pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|at| at <= Instant::now())
}

#[cfg(test)]
mod tests {
    use super::{FAR, after, deadline_after, is_over};
    use std::time::{Duration, Instant};

    #[test]
    fn no_duration_is_too_long() {
        for secs in [u64::MAX, u64::MAX / 2, i64::MAX as u64 - 1, FAR.as_secs() + 1] {
            assert_eq!(deadline_after(Duration::from_secs(secs)), None, "{secs} s");
        }
        assert_eq!(deadline_after(Duration::MAX), None);
        for time in [Duration::from_secs(u32::MAX.into()), FAR - Duration::from_secs(1)] {
            let at = deadline_after(time);
            assert!(at.is_none_or(|at| at > Instant::now()), "{time:?}");
            assert!(!is_over(at));
        }
        assert!(is_over(deadline_after(Duration::ZERO)));
        assert!(!is_over(None));
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_millis(1)).map(|at| at - now), Some(Duration::from_millis(1)));
    }
}
