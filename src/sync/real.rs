//! The primitives of every build but loom's.

#[cfg(all(debug_assertions, not(concurrent_futures_delays)))]
pub(crate) use super::counted::{Condvar, Mutex, MutexGuard, assert_unlocked};
#[cfg(feature = "process")]
pub(crate) use crossbeam_channel as channel;
#[cfg(not(any(debug_assertions, concurrent_futures_delays)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::collections::HashMap;
pub(crate) use std::sync::OnceLock;
#[cfg(not(any(concurrent_futures_delays, concurrent_futures_internals)))]
pub(crate) use std::sync::atomic;
pub(crate) use std::thread_local;

#[cfg(concurrent_futures_internals)]
pub(crate) use super::restless::atomic;

#[cfg(concurrent_futures_delays)]
pub(crate) use super::delayed::{Condvar, Mutex, MutexGuard, atomic, delay, thread};

/// A point at which another thread or process may come in between, and no primitive from here marks it. Does nothing,
/// except where delays are compiled in.
#[cfg(all(any(unix, windows), feature = "process", not(concurrent_futures_delays)))]
pub(crate) fn delay() {}

/// Whether memory of cells is used again. What looks at each block of memory sees each cell where it is not: sanitizers,
/// valgrind, Miri.
pub(crate) const CELLS_ARE_KEPT: bool = !cfg!(any(miri, concurrent_futures_system_memory));

/// Whether time passes: what was put off until later may be tried again.
pub(crate) const HAS_CLOCK: bool = true;
