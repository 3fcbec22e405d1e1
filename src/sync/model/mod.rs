//! loom's primitives behind the interfaces that the crate uses, and stand-ins for what loom doesn't have.

/// loom's own knows no `const` initializers.
macro_rules! thread_local_of_loom {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const { $init:expr };)*) => {
        $(loom::thread_local! { $(#[$attr])* $vis static $name: $t = $init; })*
    };
}

mod counted_word;
mod lock;
mod map;
mod once;
pub(crate) mod thread;

pub(crate) use counted_word::{CountedWord, are_counts_seen, see_counts};
pub(crate) use lock::{Condvar, Mutex, MutexGuard};
pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic;
pub(crate) use map::HashMap;
pub(crate) use once::OnceLock;
pub(crate) use thread_local_of_loom as thread_local;

/// loom looks at each cell as it is freed.
pub(crate) const CELLS_ARE_KEPT: bool = false;

/// loom has none: what is put off stays put off, or a run could not be repeated.
pub(crate) const HAS_CLOCK: bool = false;

pub(crate) fn spin_until(mut ready: impl FnMut() -> bool) -> bool {
    ready()
}

pub(crate) fn spin_for(_: u32, mut ready: impl FnMut() -> bool) -> bool {
    ready()
}
