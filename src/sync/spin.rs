//! Bounded spins, before a thread goes to sleep.

use std::cell::Cell;
use std::sync::LazyLock;

/// Turns of a bounded spin before a thread goes to sleep: 3 to 12 us. Longer burns a core that another thread needs;
/// a `yield_now` in it gives away a whole time slice when the machine is busy, so there is none.
const SPIN_TURNS: u32 = 300;

/// Turns after a spin that was in vain: about 1 us, enough to notice that answers come quickly again. On a busy
/// machine, where the thread that would answer waits for the very core that spins, a full spin each time made a round trip
/// four times as long as none.
const PROBE_TURNS: u32 = 30;

std::thread_local! {
    /// Whether this thread's last spin was worth it.
    static LUCKY: Cell<bool> = const { Cell::new(true) };
}

/// Spins until `ready`, or gives up after a few microseconds; returns what `ready` returned last. With a single processor
/// it asks once: the thread that would make it ready can't run meanwhile.
pub(crate) fn spin_until(mut ready: impl FnMut() -> bool) -> bool {
    if ready() {
        return true;
    }
    let lucky = spin_for(if LUCKY.get() { SPIN_TURNS } else { PROBE_TURNS }, ready);
    LUCKY.set(lucky);
    lucky
}

/// The same for at most `turns`, each of about 10 to 40 ns.
pub(crate) fn spin_for(turns: u32, mut ready: impl FnMut() -> bool) -> bool {
    if ready() {
        return true;
    }
    if one_processor() {
        return false;
    }
    for _ in 0..turns {
        std::hint::spin_loop();
        if ready() {
            return true;
        }
    }
    false
}

/// Whether there is only one processor to run on.
pub(crate) fn one_processor() -> bool {
    static CPUS: LazyLock<usize> = LazyLock::new(num_cpus::get);
    *CPUS == 1
}
