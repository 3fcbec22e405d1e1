//! Windows. What is in here was tried under Wine, and not on a Windows: `docs/reliability.md`, "Systems", says what that leaves open.

mod advice;
#[expect(unsafe_code, reason = "calls of the system by handle, argued in the file")]
mod child;
#[expect(unsafe_code, reason = "a clock, argued in the file")]
mod clock;
#[path = "../no_crash.rs"]
mod crash;
mod event;
mod fork;
#[expect(unsafe_code, reason = "calls of the system by handle, argued in the file")]
mod handle;
#[expect(unsafe_code, reason = "jobs, argued in the file")]
mod job;
mod leave;
mod memory;
#[expect(unsafe_code, reason = "calls of the system that outlive their function, argued in the file")]
mod operation;
mod program;
#[expect(unsafe_code, reason = "sealed memory, argued in the file")]
mod sealed;
#[expect(unsafe_code, reason = "sections and views of them, argued in the file")]
mod section;
#[expect(unsafe_code, reason = "shared memory, argued in the file")]
mod segment;
#[expect(unsafe_code, reason = "a handler of the console, argued in the file")]
mod signals;
mod sleep;
#[expect(unsafe_code, reason = "pipes, argued in the file")]
mod socket;
mod standing;
#[expect(unsafe_code, reason = "standard input and output, argued in the file")]
mod stdio;
#[expect(unsafe_code, reason = "a thread's handle, argued in the file")]
mod thread;
#[expect(unsafe_code, reason = "the end of a process, argued in the file")]
mod worker;

/// What can be passed to another process: a handle.
pub(crate) use crate::process_pool::wire::frames::Handle;
pub(crate) use advice::advice;
pub(crate) use child::{Child, Exit, Signal};
pub(crate) use clock::shared_clock;
pub(crate) use crash::{TELLS_STACKS, note_ran, note_running, tell_of_crashes};
pub(crate) use event::Event;
pub(crate) use fork::ForkDetector;
pub(crate) use leave::{Leave, watch};
pub(crate) use memory::{
    ForeignMemory, GRAIN, MemoryFile, ParentMemory, WritableMemory, is_address_space_bounded, longest_memory,
};
pub(crate) use program::{absolute, own_name, program};
pub(crate) use sealed::SealedMemory;
pub(crate) use segment::Segment;
pub(crate) use signals::{block_signals, take_over_signals};
pub(crate) use sleep::{await_room, pause, sleep};
pub(crate) use socket::Socket;
pub(crate) use standing::Standing;
pub(crate) use stdio::{complain, is_stdin_of_parent, nowhere, say_by_stdin};
pub(crate) use thread::Thread;
pub(crate) use worker::{
    exit_now, go_first_without_memory, is_secure_start, limit_address_space, main_stack_size,
    set_process_name,
};

/// Whether a process of that number runs.
#[cfg(test)]
pub(crate) fn is_there(pid: u32) -> bool {
    matches!(stdio::process(pid), Ok(Some(process)) if !handle::is_signalled(&process))
}
