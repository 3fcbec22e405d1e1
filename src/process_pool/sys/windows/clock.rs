//! The clock that all processes of the machine share.

use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

/// Nanoseconds that never go backwards; from when is not said, but it is the same for all processes.
pub(crate) fn shared_clock() -> u64 {
    let (mut ticks, mut per_second) = (0, 0);
    // SAFETY: it writes a number to where there is room for one. Every system since Windows XP has this clock.
    unsafe { QueryPerformanceCounter(&raw mut ticks) };
    // SAFETY: as above.
    unsafe { QueryPerformanceFrequency(&raw mut per_second) };
    let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(per_second.max(1));
    u64::try_from(nanos).unwrap_or(0)
}
