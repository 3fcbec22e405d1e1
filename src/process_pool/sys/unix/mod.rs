//! Unix. Where Linux has more to give than others, a `cfg` picks the way.

mod advice;
mod child;
#[expect(unsafe_code, reason = "a clock, argued in the file")]
mod clock;
#[cfg(all(feature = "backtrace", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[expect(unsafe_code, reason = "signal handlers, argued in the file")]
mod crash;
#[cfg(not(all(
    feature = "backtrace",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "../no_crash.rs"]
mod crash;
mod event;
#[expect(unsafe_code, reason = "memory that the kernel clears, argued in the file")]
mod fork;
mod leave;
#[expect(unsafe_code, reason = "mappings, argued in the file")]
mod memory;
mod poll;
mod program;
#[cfg_attr(target_os = "linux", expect(unsafe_code, reason = "sealed memory, argued in the file"))]
mod sealed;
#[expect(unsafe_code, reason = "shared memory, argued in the file")]
mod segment;
#[expect(unsafe_code, reason = "signal masks and handlers, argued in the file")]
mod signals;
mod socket;
#[cfg_attr(target_os = "linux", expect(unsafe_code, reason = "system calls, argued in the file"))]
mod standing;
#[cfg_attr(target_os = "linux", expect(unsafe_code, reason = "a question to the kernel, argued in the file"))]
mod stdio;
#[expect(unsafe_code, reason = "a thread's name, argued in the file")]
mod thread;
#[expect(unsafe_code, reason = "the end of a process, argued in the file")]
mod worker;

/// What can be passed to another process: a file descriptor.
pub(crate) use crate::process_pool::wire::frames::Handle;
pub(crate) use advice::advice;
pub(crate) use child::{Child, Exit};
pub(crate) use clock::shared_clock;
pub(crate) use crash::{TELLS_STACKS, note_ran, note_running, tell_of_crashes};
pub(crate) use event::Event;
pub(crate) use fork::ForkDetector;
pub(crate) use leave::{Leave, watch};
pub(crate) use memory::{
    ForeignMemory, GRAIN, MemoryFile, ParentMemory, WritableMemory, is_address_space_bounded, longest_memory,
};
pub(crate) use poll::{await_room, pause, sleep};
pub(crate) use program::{absolute, own_name, program};
pub(crate) use rustix::process::Signal;
pub(crate) use sealed::SealedMemory;
pub(crate) use segment::Segment;
pub(crate) use signals::{block_signals, take_over_signals};
pub(crate) use socket::Socket;
pub(crate) use standing::Standing;
pub(crate) use stdio::{complain, is_stdin_of_parent, nowhere, say_by_stdin};
pub(crate) use thread::Thread;
pub(crate) use worker::{
    exit_now, go_first_without_memory, is_secure_start, limit_address_space, main_stack_size,
    set_process_name,
};

use crate::sync::delay;
use rustix::io::Errno;

/// Calls the system again if a signal came in between.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        delay();
        match call() {
            Err(Errno::INTR) => {}
            other => {
                delay();
                return other;
            }
        }
    }
}
