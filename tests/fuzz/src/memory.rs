//! How much memory a piece of work takes.

#[path = "../../counting.rs"]
mod counting;

use counting::{HELD, LARGEST, MOST};

/// The most that this thread asked for at once since it last asked here.
pub fn take_largest() -> usize {
    LARGEST.replace(0)
}

/// Does `work` on so many bytes, and holds that it has at no time more than so much memory for each of them, and so much
/// whatever they are.
pub(crate) fn in_proportion<T>(bytes: usize, per_byte: usize, fixed: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.get();
    MOST.set(before);
    let value = work();
    let held = usize::try_from(MOST.get() - before).unwrap_or_default();
    let allowed = fixed + per_byte * bytes;
    assert!(held <= allowed, "{held} bytes of memory were held for {bytes}, {allowed} are allowed");
    value
}
