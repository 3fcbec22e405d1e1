//! The only door to locks, atomics, channels and threads.
//!
//! Everything else in the crate takes its primitives from here, so that one `cfg` swaps them for loom's: a model of
//! the crate is then the crate itself, compiled against primitives that explore every interleaving. loom can see
//! neither parking_lot nor crossbeam, hence the stand-ins in `model/`. Its threads take turns on one thread of the system
//! and each run must be repeatable: so what belongs to a thread, what may wait for another's initialization and what has an
//! order of its own (a hash map) come from here as well. What only counts or caches (ids, statistics) uses [`plain`]
//! atomics in both builds: nothing waits on it, and it would only widen the models.
//!
//! | build | locks | atomics, threads |
//! |---|---|---|
//! | release | parking_lot's | the standard library's |
//! | with debug assertions | the same, and a count of what each thread holds, for [`assert_unlocked`] (`counted.rs`) | the same |
//! | `tests/loom` | loom's (`model/`) | loom's |
//! | `tests/delays` | parking_lot's, with a chance of a delay at each use (`delayed.rs`) | the same with delays |
//! | `benches/guard` | as in release | the same; tasks count as short |
//! | `tests/internals` | as with debug assertions | atomics that a worker out of control may write to before each look |

mod cache_padded;
#[cfg(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays))))]
mod counted;
#[cfg(not(concurrent_futures_loom))]
mod counted_word;
#[cfg(concurrent_futures_delays)]
mod delayed;
#[cfg(concurrent_futures_loom)]
mod model;
#[cfg(all(feature = "process", not(concurrent_futures_loom)))]
mod patience;
#[cfg(not(concurrent_futures_loom))]
mod real;
/// Atomics that change between two looks of the reader.
#[cfg(concurrent_futures_internals)]
#[path = "../../tests/internals/src/restless.rs"]
pub(crate) mod restless;
#[cfg(not(concurrent_futures_loom))]
mod spin;
#[cfg(not(any(concurrent_futures_loom, concurrent_futures_delays)))]
pub(crate) mod thread;
#[cfg(not(concurrent_futures_loom))]
mod unsafe_cell;

pub(crate) use cache_padded::CachePadded;
#[cfg(not(concurrent_futures_loom))]
pub(crate) use counted_word::{CountedWord, are_counts_seen};
#[cfg(concurrent_futures_loom)]
pub(crate) use model::*;
#[cfg(all(feature = "process", not(concurrent_futures_loom)))]
pub(crate) use patience::Patience;
#[cfg(not(concurrent_futures_loom))]
pub(crate) use real::*;
#[cfg(all(feature = "process", not(concurrent_futures_loom)))]
pub(crate) use spin::one_processor;
#[cfg(not(concurrent_futures_loom))]
pub(crate) use spin::{spin_for, spin_until};
#[cfg(not(concurrent_futures_loom))]
pub(crate) use unsafe_cell::UnsafeCell;

/// Without the count there is nothing to assert.
#[cfg(not(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays)))))]
#[inline(always)]
pub(crate) fn assert_unlocked() {}

/// Whether the clock says how long a task takes. Not where instructions are counted (`benches/guard`): valgrind makes every task
/// long, how long is by chance, and so would be the count.
pub(crate) const IS_TIMED: bool = !cfg!(concurrent_futures_counts);

/// What no protocol rests on; the same under loom.
pub(crate) mod plain {
    #[cfg(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays))))]
    pub(crate) use super::counted::Mutex;
    #[cfg(not(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays)))))]
    pub(crate) use parking_lot::Mutex;
    #[cfg(all(
        feature = "backtrace",
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    pub(crate) use std::sync::atomic::compiler_fence;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
}
