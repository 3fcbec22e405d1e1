//! How much memory a piece of work takes: an allocator that counts, for whatever program has this module.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Notes how much each thread has at a time, and at most, and the most it asked for at once.
struct Counting;

thread_local! {
    pub(crate) static HELD: Cell<isize> = const { Cell::new(0) };
    pub(crate) static MOST: Cell<isize> = const { Cell::new(0) };
    pub(crate) static LARGEST: Cell<usize> = const { Cell::new(0) };
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
