//! The worker's entry point: code that runs before `main` in every process of a program that uses this crate.
//!
//! A worker is the program's own executable, started again with a *mark* as its name (`argv[0]`). In a process without
//! the mark the constructor leaves a note that it ran, and nothing else; `build()` refuses where the note is missing,
//! since there a worker would run the program's `main` in place of tasks. In a process with the mark it becomes a worker
//! and never returns.
//!
//! The mark names the crate's version and where this copy of it lies in the executable, so that two versions in one
//! program don't take each other's workers.

use super::main;
use crate::process_pool::sys;
use crate::remote::executable;
use crate::sync::plain::{AtomicBool, Ordering};
use std::ffi::OsStr;
#[cfg(all(feature = "auto-init", target_os = "linux", target_env = "gnu"))]
use std::ffi::{c_char, c_int};
use std::fmt::Write as _;

/// What stands before the parts of a mark.
const MARK: &str = concat!("concurrent-futures-worker/", env!("CARGO_PKG_VERSION"), "/");

/// The loader calls this before `main`, together with the program's other constructors.
#[cfg(all(feature = "auto-init", any(unix, windows)))]
#[used]
// SAFETY: what the loader calls from this section is a function that takes nothing it needs and returns nothing.
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
// SAFETY: as above.
#[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
// SAFETY: as above.
#[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: Constructor = constructor;

/// What the loader tells a constructor. glibc: the process's arguments and its environment, behind which lies what the
/// kernel left. Others nothing that can be relied on, and then there is nothing to pass on.
#[cfg(all(feature = "auto-init", target_os = "linux", target_env = "gnu"))]
type LoaderArguments = (c_int, *const *const c_char, *const *const c_char);
#[cfg(all(feature = "auto-init", any(unix, windows), not(all(target_os = "linux", target_env = "gnu"))))]
type LoaderArguments = ();

#[cfg(all(feature = "auto-init", target_os = "linux", target_env = "gnu"))]
type Constructor = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);
#[cfg(all(feature = "auto-init", any(unix, windows), not(all(target_os = "linux", target_env = "gnu"))))]
type Constructor = unsafe extern "C" fn();

/// Whether a process started from this one would be recognised as a worker.
static IS_RECOGNISED: AtomicBool = AtomicBool::new(false);

/// What this copy of the crate is known by.
static COPY: u8 = 0;

#[cfg(all(feature = "auto-init", target_os = "linux", target_env = "gnu"))]
extern "C" fn constructor(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
    begin((count, arguments, environment));
}

#[cfg(all(feature = "auto-init", any(unix, windows), not(all(target_os = "linux", target_env = "gnu"))))]
extern "C" fn constructor() {
    begin(());
}

#[cfg(all(feature = "auto-init", any(unix, windows)))]
fn begin(told: LoaderArguments) {
    // In a shared library (a plug-in of a foreign program) a worker would be that program's executable.
    if executable::is_in_executable((&raw const CONSTRUCTOR).cast()) {
        enter(|| run_other_constructors(told));
    }
}

/// The explicit entry point, for programs whose constructors can't be relied on: call it in the first line of `main`. In the
/// parent it returns at once; in a worker it never does.
///
/// With feature `auto-init`, which is on by default, there is no need for it. Without, a pool can only be built after
/// this call. A worker that starts through it has what Rust sets up before `main`: the message of a stack overflow, for
/// one.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     concurrent_futures::init();
///     let pool = ProcessPoolExecutor::new(1);
///     assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
///     Ok(())
/// }
/// ```
pub fn init() {
    if executable::is_in_executable((&raw const COPY).cast()) {
        enter(|| {});
    }
}

/// Notes that workers would be recognised here, or becomes one: after what is still to be done in such a process.
fn enter(before: impl FnOnce()) {
    if sys::is_secure_start() {
        return;
    }
    let Some(name) = sys::own_name() else { return };
    IS_RECOGNISED.store(true, Ordering::Relaxed);
    if is_mark(&name) {
        before();
        main::run();
    }
}

/// Whether workers would be recognised.
pub(crate) fn recognises_workers() -> bool {
    IS_RECOGNISED.load(Ordering::Relaxed)
}

/// Where this code is loaded.
pub(crate) fn address() -> usize {
    (&raw const COPY).addr()
}

/// The name that a worker of this program is started under.
pub(crate) fn mark() -> String {
    let mut mark = MARK.to_owned();
    let _ = write!(mark, "{:x}", copy());
    mark
}

fn is_mark(name: &OsStr) -> bool {
    let place = name.to_str().and_then(|name| name.strip_prefix(MARK));
    place.is_some_and(|place| place == format!("{:x}", copy()))
}

fn copy() -> u64 {
    executable::distance((&raw const COPY).cast())
}

// The bounds of that table. Weak, so that shared libraries link, where they are of no use.
#[cfg(all(feature = "auto-init", target_os = "linux"))]
std::arch::global_asm!(".weak __init_array_start", ".weak __init_array_end");

/// Runs the constructors of the executable that the loader would still have run after ours: registries (`inventory`,
/// `typetag`) fill themselves in them, and a worker must see what its parent sees. They are told what the loader told
/// ours: parts in C and Go read their arguments there.
#[cfg(all(feature = "auto-init", target_os = "linux"))]
fn run_other_constructors(
    #[cfg_attr(not(target_env = "gnu"), expect(unused_variables))] told: LoaderArguments,
) {
    // SAFETY: the linker defines these for executables; only their addresses are used, which need not be valid.
    unsafe extern "C" {
        static __init_array_start: [Option<Constructor>; 0];
        static __init_array_end: [Option<Constructor>; 0];
    }
    let (start, end) = ((&raw const __init_array_start).addr(), (&raw const __init_array_end).addr());
    let own = (&raw const CONSTRUCTOR).addr();
    if !(start..end).contains(&own) {
        return;
    }
    let after = (own - start) / size_of::<Constructor>() + 1..(end - start) / size_of::<Constructor>();
    for at in after {
        let slot = (&raw const __init_array_start).cast::<Option<Constructor>>().wrapping_add(at);
        // SAFETY: the slot lies within the executable's table of constructors, whose bounds the linker gave.
        let constructor = unsafe { slot.read() };
        if let Some(constructor) = constructor {
            // SAFETY: the loader would call it now, in this order, once, with this; and because we never return it never
            // will.
            #[cfg(target_env = "gnu")]
            unsafe {
                constructor(told.0, told.1, told.2)
            };
            // SAFETY: as above.
            #[cfg(not(target_env = "gnu"))]
            unsafe {
                constructor()
            };
        }
    }
}

/// On other systems the table can't be walked portably: registries that fill themselves before `main` may be empty in
/// workers; `init()` runs after all of them.
#[cfg(all(feature = "auto-init", unix, not(target_os = "linux")))]
fn run_other_constructors((): LoaderArguments) {}

/// The table's end, or a place behind all constructors of programs: the linker sorts by what stands behind the dollar sign.
#[cfg(all(feature = "auto-init", windows))]
#[used]
// SAFETY: the loader skips an entry that is none.
#[unsafe(link_section = ".CRT$XCY")]
static LAST: Option<Constructor> = None;

/// The same on Windows.
#[cfg(all(feature = "auto-init", windows))]
fn run_other_constructors((): LoaderArguments) {
    let (own, last) = ((&raw const CONSTRUCTOR).addr(), (&raw const LAST).addr());
    let count = last.saturating_sub(own) / size_of::<Constructor>();
    for at in 1..count {
        let slot = (&raw const CONSTRUCTOR).cast::<Option<Constructor>>().wrapping_add(at);
        // SAFETY: the slot lies between two entries of the table.
        let constructor = unsafe { slot.read() };
        if let Some(constructor) = constructor {
            // SAFETY: the loader would call it now, in this order, once; and because we never return it never will.
            unsafe { constructor() };
        }
    }
}
