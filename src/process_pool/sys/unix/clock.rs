//! The clock that all processes of the machine share.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds that never go backwards; from when is not said, but it is the same for all processes.
pub(crate) fn shared_clock() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
