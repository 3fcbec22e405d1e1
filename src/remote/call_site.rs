//! [`CallSite`]: from where on the stack the user's function was called.
//!
//! Who walks the stack of a worker leaves out what lies beyond it, which is this crate's. A stack pointer is exact where names
//! are not: of functions that the compiler has inlined, and of a program without symbols.

#[cfg(feature = "backtrace")]
use crate::sync::plain::{AtomicUsize, Ordering};

/// The innermost. A signal handler reads it, so it is no thread-local; one thread of a worker runs tasks.
#[cfg(feature = "backtrace")]
static INNERMOST: AtomicUsize = AtomicUsize::new(0);

/// A local variable of the function that calls the user's.
#[derive(Default)]
pub(crate) struct CallSite {
    #[cfg(feature = "backtrace")]
    here: u8,
}

/// While this lives, the user's function runs.
pub(crate) struct Called<'a> {
    #[cfg(feature = "backtrace")]
    outer: usize,
    _site: std::marker::PhantomData<&'a CallSite>,
}

impl CallSite {
    /// What is called now is the user's, until the answer is dropped.
    #[inline(always)]
    pub(crate) fn mark(&self) -> Called<'_> {
        Called {
            #[cfg(feature = "backtrace")]
            outer: INNERMOST.swap((&raw const self.here).addr(), Ordering::Relaxed),
            _site: std::marker::PhantomData,
        }
    }
}

#[cfg(feature = "backtrace")]
impl Drop for Called<'_> {
    fn drop(&mut self) {
        INNERMOST.store(self.outer, Ordering::Relaxed);
    }
}

/// The address of the innermost; 0 if there is none.
#[cfg(all(feature = "backtrace", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn innermost() -> usize {
    INNERMOST.load(Ordering::Relaxed)
}
