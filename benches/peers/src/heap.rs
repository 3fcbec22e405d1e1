//! The allocator of this program: the system's, with a count of the bytes that live; or mimalloc, for the group that asks
//! what becomes of a comparison with another allocator.
//!
//! Which of the two is in the environment of the process, and is asked at its first allocation, before `main`.
//!
//! A block is counted as what malloc takes for it, by the rule of glibc on 64 bits: the requested size plus eight bytes
//! of header, rounded up to sixteen, at least 32. Blocks so large that they are mapped on their own are counted by the
//! same rule. Counting is off until the memory group turns it on: a shared counter in every allocation would be the
//! thing measured everywhere else.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, c_char};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering::Relaxed};

use mimalloc::MiMalloc;

/// Set for a process that shall use mimalloc.
const VARIABLE: &CStr = c"PEERS_MIMALLOC";

#[global_allocator]
static HEAP: Counting = Counting;

static CHOSEN: AtomicU8 = AtomicU8::new(0);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Allocator {
    System = 1,
    Mimalloc,
}

impl Allocator {
    /// For a process that is about to be started.
    pub(crate) fn set(self, command: &mut Command) {
        let name = VARIABLE.to_str().expect("a name in ASCII");
        match self {
            Allocator::System => command.env_remove(name),
            Allocator::Mimalloc => command.env(name, "1"),
        };
    }

    /// Of this process.
    #[inline]
    fn chosen() -> Allocator {
        match CHOSEN.load(Relaxed) {
            1 => Allocator::System,
            2 => Allocator::Mimalloc,
            _ => Self::choose(),
        }
    }

    #[cold]
    fn choose() -> Allocator {
        unsafe extern "C" {
            fn getenv(name: *const c_char) -> *const c_char;
        }
        // std's own look at the environment allocates.
        // SAFETY: the name ends with a zero. This is before `main`, when there is one thread, or one of the program's, none of
        // which changes its environment.
        let is_set = !unsafe { getenv(VARIABLE.as_ptr()) }.is_null();
        let chosen = if is_set { Allocator::Mimalloc } else { Allocator::System };
        CHOSEN.store(chosen as u8, Relaxed);
        chosen
    }
}

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

// SAFETY: every call is handed on unchanged to the one allocator that the process has chosen, which keeps the contract; the
// counter touches no block.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(chunk(layout.size()));
        match Allocator::chosen() {
            // SAFETY: the caller's promises about `layout` are those that both ask for.
            Allocator::System => unsafe { System.alloc(layout) },
            // SAFETY: the same.
            Allocator::Mimalloc => unsafe { MiMalloc.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-chunk(layout.size()));
        match Allocator::chosen() {
            // SAFETY: `block` came from the same allocator by one of the other methods, with this layout, as the caller promises.
            Allocator::System => unsafe { System.dealloc(block, layout) },
            // SAFETY: the same.
            Allocator::Mimalloc => unsafe { MiMalloc.dealloc(block, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(chunk(layout.size()));
        match Allocator::chosen() {
            // SAFETY: as in `alloc`.
            Allocator::System => unsafe { System.alloc_zeroed(layout) },
            // SAFETY: the same.
            Allocator::Mimalloc => unsafe { MiMalloc.alloc_zeroed(layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(chunk(new_size) - chunk(layout.size()));
        match Allocator::chosen() {
            // SAFETY: as in `dealloc`; `new_size` is as the caller promises.
            Allocator::System => unsafe { System.realloc(block, layout, new_size) },
            // SAFETY: the same.
            Allocator::Mimalloc => unsafe { MiMalloc.realloc(block, layout, new_size) },
        }
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
    use super::{Allocator, chunk};
    use std::process::Command;

    #[test]
    fn a_process_is_told_which_allocator_is_its_own() {
        let mut command = Command::new("true");
        Allocator::Mimalloc.set(&mut command);
        assert_eq!(command.get_envs().count(), 1);
        assert!(command.get_envs().all(|(_, value)| value.is_some()));
        Allocator::System.set(&mut command);
        assert!(command.get_envs().all(|(_, value)| value.is_none()));
        assert_eq!(Allocator::chosen(), Allocator::System);
    }

    #[test]
    fn a_block_counts_as_what_malloc_takes() {
        for (asked, taken) in [(1, 32), (24, 32), (25, 48), (40, 48), (41, 64), (120, 128), (1000, 1008)] {
            assert_eq!(chunk(asked), taken, "{asked} bytes asked for");
        }
    }
}
