//! What a worker sets for its own process, and how it ends.

use std::ffi::CString;
use std::io;

/// Has the kernel end this process before its parent when memory runs out: one task is less than all of them.
pub(crate) fn go_first_without_memory() {
    /// Half of the scale: only a parent that holds more than half of the memory goes before an idle worker.
    #[cfg(target_os = "linux")]
    const AHEAD: i32 = 500;
    #[cfg(target_os = "linux")]
    if let Ok(text) = std::fs::read_to_string(OOM_SCORE)
        && let Ok(score) = text.trim().parse::<i32>()
    {
        // A process may always raise its own. If this fails, the kernel chooses by size alone.
        let _ = std::fs::write(OOM_SCORE, score.saturating_add(AHEAD).min(1000).to_string());
    }
}

#[cfg(target_os = "linux")]
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Names the main thread: `ps` and `top` show that. The system keeps 15 bytes.
pub(crate) fn set_process_name(name: &str) {
    #[cfg(target_os = "linux")]
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
    #[cfg(not(target_os = "linux"))]
    let _: Option<CString> = CString::new(name).ok();
}

/// Bounds the address space, as `ulimit -v` does: an allocation beyond it fails.
pub(crate) fn limit_address_space(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::As).maximum.map_or(bytes, |maximum| maximum.min(bytes));
    Ok(setrlimit(Resource::As, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
}

/// The size of the stack that a main thread would have.
pub(crate) fn main_stack_size() -> usize {
    const USUAL: u64 = 8 << 20;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack).current.unwrap_or(USUAL);
    limit.clamp(1 << 20, 256 << 20) as usize
}

/// Ends this process at once. Exit handlers don't run, because a task may still be running.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: may be called in any state.
    unsafe { libc::_exit(code) }
}

/// Whether the program runs with other rights than those of the user who started it (a setuid bit, file capabilities): then
/// its arguments are not to be trusted.
pub(crate) fn is_secure_start() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: reads a number that the kernel has left.
    return unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    #[cfg(not(target_os = "linux"))]
    return rustix::process::getuid() != rustix::process::geteuid();
}
