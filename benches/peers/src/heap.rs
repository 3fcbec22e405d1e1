//! The allocator of this program: the system's, with a count of the bytes that live.
//!
//! A block is counted as what malloc takes for it, by the rule of glibc on 64 bits: the requested size plus eight bytes
//! of header, rounded up to sixteen, at least 32. Blocks so large that they are mapped on their own are counted by the
//! same rule. Counting is off until the memory group turns it on: a shared counter in every allocation would be the
//! thing measured everywhere else.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

#[global_allocator]
static HEAP: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// From here on, blocks are counted. Call it before the threads that allocate are started.
pub(crate) fn start_counting() {
    ON.store(true, Relaxed);
}

/// Bytes allocated less bytes freed since counting began.
pub(crate) fn live() -> i64 {
    LIVE.load(Relaxed)
}

struct Counting;

// SAFETY: every call is handed on to `System` unchanged, which keeps the contract; the counter touches no block.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(chunk(layout.size()));
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-chunk(layout.size()));
        // SAFETY: `block` came from `System` by one of the other methods, with this layout, as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(chunk(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(chunk(new_size) - chunk(layout.size()));
        // SAFETY: as in `dealloc`; `new_size` is as the caller promises.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

fn count(bytes: i64) {
    if ON.load(Relaxed) {
        LIVE.fetch_add(bytes, Relaxed);
    }
}

fn chunk(size: usize) -> i64 {
    let taken = (size + 8).next_multiple_of(16).max(32);
    taken as i64
}

#[cfg(test)]
mod tests {
    use super::chunk;

    #[test]
    fn a_block_counts_as_what_malloc_takes() {
        for (asked, taken) in [(1, 32), (24, 32), (25, 48), (40, 48), (41, 64), (120, 128), (1000, 1008)] {
            assert_eq!(chunk(asked), taken, "{asked} bytes asked for");
        }
    }
}
