//! [`CachePadded`]: a value with its cache lines to itself.

use std::ops::Deref;

/// Keeps what one kind of thread writes off the cache lines that others write. Twice the size of a line: processors fetch
/// them in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(T);

impl<T> CachePadded<T> {
    pub(crate) const fn new(value: T) -> Self {
        CachePadded(value)
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
