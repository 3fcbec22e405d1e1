//! Which part of a run is counted: what lies between two requests to callgrind, on the thread that makes them.
//!
//! What other threads do meanwhile is not in the number, and neither is how a path is set up.

/// Has the instructions of `work` on this thread counted.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    toggle();
    let value = work();
    toggle();
    value
}

/// Begins the count on this thread, or ends it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn toggle() {
    /// `CALLGRIND_TOGGLE_COLLECT` in valgrind's header, and its five arguments.
    static REQUEST: [u64; 6] = [0x4354_0002, 0, 0, 0, 0, 0];
    // SAFETY: valgrind knows this sequence and reads the request, which is there as long as the program. On a processor
    // it is a rotation by 128 bits and an exchange of a register with itself; `rdx` is declared.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const REQUEST,
            inout("rdx") 0_u64 => _,
        );
    }
}

/// The sequence is another one there, and so would the numbers be.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn toggle() {
    unimplemented!("counts are taken on x86_64 only");
}
