//! [`OnceLock`], which puts no thread of the system to sleep.

use super::lock::Mutex;

/// The part of the standard library's that the crate uses. Its own would put the one system thread of a model to
/// sleep while another of its threads is half-way through `init`.
pub(crate) struct OnceLock<T> {
    gate: Mutex<()>,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        OnceLock { gate: Mutex::new(()), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let _initializing = self.gate.lock();
        self.value.get_or_init(init)
    }
}
