//! How much memory a piece of work takes: an allocator that counts, for programs that choose it.

#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator. It notes how much each thread has at a time, and at most, and the most it asked for at once.
pub struct Counting;

thread_local! {
    /// What this thread has, by what it took and gave back.
    pub static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most of it since somebody set this.
    pub static MOST: Cell<isize> = const { Cell::new(0) };
    /// The most that it asked for at once since somebody set this.
    pub static LARGEST: Cell<usize> = const { Cell::new(0) };
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

/// Does `work` on so many bytes, and holds that it has at no time more than so much memory for each of them, and so much
/// whatever they are. For programs whose allocator counts.
pub fn in_proportion<T>(bytes: usize, per_byte: usize, fixed: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.get();
    MOST.set(before);
    let value = work();
    let held = usize::try_from(MOST.get() - before).unwrap_or_default();
    let allowed = fixed + per_byte * bytes;
    assert!(held <= allowed, "{held} bytes of memory were held for {bytes}, {allowed} are allowed");
    value
}
