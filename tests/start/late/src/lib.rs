//! A constructor that the loader runs after all others. It has a crate of its own, since that is what decides: linkers
//! keep the order in which rustc names the crates, dependents before what they depend on, and of two that depend on
//! neither the one last that was first asked for.

use std::sync::atomic::{AtomicU32, Ordering};

static TIMES: AtomicU32 = AtomicU32::new(0);

extern "C" fn construct() {
    TIMES.fetch_add(1, Ordering::Relaxed);
}

#[used]
// SAFETY: what the loader calls from this section is a function that takes nothing it needs and returns nothing.
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
// SAFETY: as above.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn() = construct;

/// How often the constructor has run in this process.
pub fn times() -> u32 {
    TIMES.load(Ordering::Relaxed)
}

// The bounds of the executable's table of constructors.
#[cfg(target_os = "linux")]
std::arch::global_asm!(".weak __init_array_start", ".weak __init_array_end");

/// Whether the table of constructors really ends with this one and begins with another: if not, nothing is tried here.
#[cfg(target_os = "linux")]
pub fn is_last() -> bool {
    // SAFETY: the linker defines these for executables; only their addresses are used.
    unsafe extern "C" {
        static __init_array_start: [usize; 0];
        static __init_array_end: [usize; 0];
    }
    let (start, end) = ((&raw const __init_array_start).addr(), (&raw const __init_array_end).addr());
    let own = (&raw const CONSTRUCTOR).addr();
    own > start && own + size_of::<usize>() == end
}
