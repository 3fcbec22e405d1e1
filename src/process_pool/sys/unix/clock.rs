//! The clock that all processes of the machine share.

/// Nanoseconds that never go backwards; from when is not said, but it is the same for all processes.
///
/// By libc: rustix looks for the kernel's own function itself, and under valgrind dies of what it finds.
pub(crate) fn shared_clock() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes a time to where there is room for one. Every system has this clock, so it doesn't fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
