//! The only way to the operating system: streams, shared memory, processes by handle, signals, sleep.
//!
//! One system is compiled. The list below is what the pool asks of it, and so what a file or folder for another system has
//! to offer; what is behind a name is that system's own.

#[cfg(any(unix, windows))]
#[expect(unsafe_code, reason = "reading and writing mappings, argued in the file")]
mod mapped;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;
#[cfg(not(any(unix, windows)))]
mod unsupported;
#[cfg(not(any(unix, windows)))]
use unsupported as system;

#[cfg(all(test, windows))]
pub(super) use windows::is_there;

pub(super) use system::{
    Child, Event, Exit, ForeignMemory, ForkDetector, GRAIN, Handle, Leave, MemoryFile, ParentMemory,
    SealedMemory, Segment, Signal, Socket, Standing, TELLS_STACKS, Thread, WritableMemory, absolute, advice,
    await_room, block_signals, complain, exit_now, go_first_without_memory, is_address_space_bounded,
    is_secure_start, is_stdin_of_parent, limit_address_space, longest_memory, main_stack_size, note_ran,
    note_running, nowhere, own_name, pause, program, say_by_stdin, set_process_name, shared_clock, sleep,
    take_over_signals, tell_of_crashes, watch,
};

/// What ended a sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Awake {
    pub(crate) readable: bool,
    pub(crate) has_notes: bool,
    pub(crate) writable: bool,
    pub(crate) ended: bool,
    pub(crate) event_set: bool,
}
