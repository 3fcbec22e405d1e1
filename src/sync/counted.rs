//! parking_lot's mutex and condition variable, and beside them a count of the locks that each thread holds.
//!
//! Compiled in where debug assertions are: by the count [`assert_unlocked`] holds that none of the crate's locks is held
//! while code of the user's runs. Elsewhere the types are parking_lot's own, and the assertion is nothing.

use std::cell::Cell;
use std::time::Instant;

std::thread_local! {
    /// No drop glue, so it may be read in a thread's last moments.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Code of the user's is about to run, or to be dropped: it may come back into the crate by any door, or never end.
#[track_caller]
pub(crate) fn assert_unlocked() {
    let held = HELD.get();
    assert!(held == 0, "{held} of the crate's locks are held where code of the user's runs");
}

/// One lock that this thread holds.
#[derive(Debug)]
struct Held;

impl Held {
    fn new() -> Self {
        HELD.set(HELD.get() + 1);
        Held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    guard: parking_lot::MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { guard: self.0.lock(), _held: Held::new() }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().map(|guard| MutexGuard { guard, _held: Held::new() })
    }

    pub(crate) fn try_lock_for(&self, timeout: std::time::Duration) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock_for(timeout).map(|guard| MutexGuard { guard, _held: Held::new() })
    }
}

impl<T> std::ops::Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A sleeper counts as holding its lock: it runs nothing meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Condvar(parking_lot::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.0.wait(&mut guard.guard);
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> parking_lot::WaitTimeoutResult {
        self.0.wait_until(&mut guard.guard, deadline)
    }

    pub(crate) fn notify_one(&self) -> bool {
        self.0.notify_one()
    }

    pub(crate) fn notify_all(&self) -> usize {
        self.0.notify_all()
    }
}

#[cfg(test)]
mod tests {
    use super::{Condvar, HELD, Mutex, assert_unlocked};
    use std::time::Instant;

    #[test]
    fn each_lock_counts_while_it_is_held() {
        let (first, second) = (Mutex::new(1), Mutex::new(2));
        let mut guard = first.lock();
        let other = second.try_lock_for(std::time::Duration::ZERO).expect("nobody holds it");
        assert_eq!((HELD.get(), *guard + *other), (2, 3));
        drop(other);
        Condvar::new().wait_until(&mut guard, Instant::now());
        assert_eq!(HELD.get(), 1);
        assert!(std::panic::catch_unwind(assert_unlocked).is_err());
        drop(guard);
        assert_unlocked();
    }
}
