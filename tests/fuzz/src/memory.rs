//! How much memory a piece of work takes: an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Notes how much each thread has at a time, and at most, and the most it asked for at once.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn count(by: isize) {
    // A thread that ends frees things after its cells are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + by);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is the system allocator's; only numbers are noted beside it, and noting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
