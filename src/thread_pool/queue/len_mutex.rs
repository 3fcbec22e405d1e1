//! [`LenMutex`]: a mutex around a list, and the length of the list for threads that don't hold it.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{CachePadded, Mutex, MutexGuard};

/// The length is a hint: the thread that holds the mutex sets it, and nothing rests on it.
pub(super) struct LenMutex<T>(CachePadded<(Mutex<T>, AtomicUsize)>);

impl<T> LenMutex<T> {
    pub(super) fn new(value: T) -> Self {
        LenMutex(CachePadded::new((Mutex::new(value), AtomicUsize::new(0))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.0.lock()
    }

    pub(super) fn len_hint(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    pub(super) fn set_len_hint(&self, len: usize) {
        self.0.1.store(len, Ordering::Relaxed);
    }
}
