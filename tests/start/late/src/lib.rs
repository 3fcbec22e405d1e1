//! A constructor that the loader runs after all others. It has a crate of its own, since that is what decides: linkers
//! keep the order in which rustc names the crates, dependents before what they depend on, and of two that depend on
//! neither the one last that was first asked for.

use std::ffi::OsString;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::ffi::{CStr, OsStr, c_char, c_int};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static TIMES: AtomicU32 = AtomicU32::new(0);
static TOLD: OnceLock<(Vec<OsString>, usize, u64)> = OnceLock::new();

/// As parts in C and Go have them that read what glibc tells constructors: the arguments, the environment, and what the
/// kernel left behind it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
extern "C" fn construct(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
    TIMES.fetch_add(1, Ordering::Relaxed);
    let text = |at: usize| {
        // SAFETY: so many arguments are there.
        let argument = unsafe { *arguments.wrapping_add(at) };
        // SAFETY: each of them is a text.
        let text = unsafe { CStr::from_ptr(argument) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    let words: Vec<OsString> = (0..count as usize).map(text).collect();
    let mut variables = 0;
    // SAFETY: the environment ends with null.
    while !unsafe { *environment.wrapping_add(variables) }.is_null() {
        variables += 1;
    }
    let mut pair = environment.wrapping_add(variables + 1).cast::<[u64; 2]>();
    let mut page = 0;
    // SAFETY: behind the environment lie pairs of words, the last of which is zero.
    while let [kind, value] = unsafe { *pair }
        && kind != 0
    {
        if kind == libc::AT_PAGESZ {
            page = value;
        }
        pair = pair.wrapping_add(1);
    }
    let _ = TOLD.set((words, variables, page));
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
extern "C" fn construct() {
    TIMES.fetch_add(1, Ordering::Relaxed);
    let _ = TOLD.set(Default::default());
}

/// What the constructor was told in this process: the arguments, the number of variables in the environment, and the
/// size of a page by the kernel's word.
pub fn told() -> Option<&'static (Vec<OsString>, usize, u64)> {
    TOLD.get()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Constructor = extern "C" fn();

#[used]
// SAFETY: what the loader calls from this section is a function that takes nothing it needs and returns nothing.
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
// SAFETY: as above.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: Constructor = construct;

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
