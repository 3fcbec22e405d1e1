//! Where there is neither Unix nor Windows: nothing can be made, so nothing is ever done with it, and `build()` refuses. Another system gets
//! a file or folder of its own beside this one, with the same items.

use crate::blob::Sealed;
use crate::process_pool::shared::Layout;
use crate::process_pool::sys::Awake;
use crate::process_pool::wire::frames::{Blocking, Stream};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[path = "no_crash.rs"]
mod crash;
pub(crate) use crash::{TELLS_STACKS, note_ran, note_running, tell_of_crashes};

fn refuse<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    Kill,
    Term,
}

impl Signal {
    pub(crate) const KILL: Self = Signal::Kill;
    pub(crate) const TERM: Self = Signal::Term;
}

pub(crate) use crate::process_pool::wire::frames::Handle;

#[derive(Debug)]
pub(crate) struct Socket(());

impl Socket {
    pub(crate) fn pair() -> io::Result<(Socket, Handle)> {
        refuse()
    }

    pub(crate) fn from_parent() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn from_handle(_: Handle) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn attach(&self, _: &Child) -> io::Result<()> {
        refuse()
    }

    pub(crate) fn is_taken(&self) -> bool {
        true
    }

    pub(crate) fn await_taken(&self, _: Duration) {}

    pub(crate) fn close_write(&self) {}

    pub(crate) fn shut_down(&self) {}
}

impl Stream for Socket {
    fn receive(&self, _: &mut Vec<u8>, _: Blocking) -> io::Result<usize> {
        refuse()
    }

    fn send(&self, _: &[IoSlice<'_>], _: Blocking) -> io::Result<usize> {
        refuse()
    }
}

#[derive(Debug)]
pub(crate) struct Event(());

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn set(&self) {}

    pub(crate) fn clear(&self) {}
}

pub(crate) struct Segment(Layout);

impl Segment {
    pub(crate) fn create() -> io::Result<(Segment, Handle)> {
        refuse()
    }

    pub(crate) fn of(_: &Handle) -> io::Result<Segment> {
        refuse()
    }

    pub(crate) fn hide_from_forks(&self) {}
}

impl Deref for Segment {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.0
    }
}

#[derive(Debug)]
pub(crate) struct SealedMemory(Arc<Handle>);

impl SealedMemory {
    pub(crate) fn of_bytes(_: &[u8]) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn with(_: usize, _: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn open(_: Handle) -> io::Result<Result<Self, Vec<u8>>> {
        refuse()
    }
}

impl Sealed for SealedMemory {
    fn bytes(&self) -> &[u8] {
        &[]
    }

    fn handle(&self) -> &Arc<Handle> {
        &self.0
    }
}

pub(crate) const GRAIN: usize = 4096;

pub(crate) fn longest_memory(_: usize) -> usize {
    0
}

pub(crate) fn is_address_space_bounded() -> bool {
    false
}

#[derive(Debug)]
pub(crate) struct MemoryFile(());

#[derive(Debug)]
pub(crate) struct WritableMemory(());

#[derive(Debug)]
pub(crate) struct ForeignMemory(());

#[derive(Debug)]
pub(crate) struct ParentMemory(());

impl MemoryFile {
    pub(crate) fn create(_: usize) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn of(_: Handle) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn len(&self) -> usize {
        0
    }

    pub(crate) fn handle(&self) -> io::Result<Handle> {
        refuse()
    }

    pub(crate) fn handle_to_read(&self) -> io::Result<Handle> {
        refuse()
    }

    pub(crate) fn reserve(&self, _: usize, _: usize) -> io::Result<()> {
        refuse()
    }

    pub(crate) fn give_back(&self, _: usize, _: usize) {}

    pub(crate) fn read(&self, _: usize, _: usize) -> Option<Vec<u8>> {
        None
    }

    pub(crate) fn map_to_write(&self, _: usize, _: usize) -> io::Result<WritableMemory> {
        refuse()
    }

    pub(crate) fn map_own(&self, _: usize, _: usize) -> io::Result<WritableMemory> {
        refuse()
    }

    pub(crate) fn map_foreign(&self, _: usize, _: usize) -> io::Result<ForeignMemory> {
        refuse()
    }

    pub(crate) fn map_of_parent(&self) -> io::Result<ParentMemory> {
        refuse()
    }
}

impl WritableMemory {
    pub(crate) fn len(&self) -> usize {
        0
    }

    pub(crate) fn write(&mut self, _: usize, _: &[u8]) {}

    /// # Safety
    ///
    /// None is needed: there is nothing to write to. Where there is, the caller sees to it that nobody else uses that part.
    #[expect(unsafe_code, reason = "it is where there is something to write to")]
    pub(crate) unsafe fn write_part(&self, _: usize, _: &[u8]) {}
}

impl ForeignMemory {
    pub(crate) fn len(&self) -> usize {
        0
    }

    pub(crate) fn copy(&self, _: usize, _: usize) -> Option<Vec<u8>> {
        None
    }
}

impl ParentMemory {
    pub(crate) fn part(&self, _: usize, _: usize) -> Option<&[u8]> {
        None
    }

    pub(crate) fn copy(&self, _: usize, _: usize) -> Option<Vec<u8>> {
        None
    }
}

pub(crate) struct ForkDetector(());

impl ForkDetector {
    pub(crate) fn new() -> Self {
        ForkDetector(())
    }

    pub(crate) fn is_fork(&self) -> bool {
        false
    }
}

pub(crate) fn advice(_: &io::Error) -> &'static str {
    ""
}

#[derive(Default)]
pub(crate) struct Standing;

impl Standing {
    pub(crate) fn of_this_thread() -> Self {
        Standing
    }

    pub(crate) fn assume(&self) {}
}

pub(crate) fn program(_: usize) -> Result<PathBuf, String> {
    Err("pools of processes are only there on Unix and Windows so far; `ThreadPoolExecutor` is everywhere"
        .into())
}

pub(crate) fn own_name() -> Option<OsString> {
    None
}

pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

#[derive(Debug)]
pub(crate) struct Child(());

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(dead_code, reason = "no process ever ends")]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    Unknown,
}

impl Exit {
    pub(crate) fn is_crash(self) -> bool {
        false
    }

    pub(crate) fn likely_cause(self) -> Option<&'static str> {
        None
    }
}

impl Child {
    pub(crate) fn start(_: Command, _: &str, _: bool) -> io::Result<Self> {
        refuse()
    }

    #[cfg(test)]
    pub(crate) fn new(_: &std::process::Child, _: bool) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn pid(&self) -> u32 {
        0
    }

    pub(crate) fn signal(&self, _: Signal) -> bool {
        true
    }

    pub(crate) fn ask_for_stack(&self) {}

    pub(crate) fn reap(&self) -> Option<Exit> {
        Some(Exit::Unknown)
    }

    pub(crate) fn await_end(&self) -> Option<Exit> {
        Some(Exit::Unknown)
    }

    pub(crate) fn has_ended(&self) -> bool {
        true
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        0
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Thread(());

impl Thread {
    pub(crate) fn own() -> Self {
        Thread(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    ByParent,
    ThreadGone,
}

pub(crate) fn watch(_: u32, _: &Socket, _: Thread, _: impl Fn() -> bool) -> Leave {
    Leave::ByParent
}

pub(crate) fn sleep(
    _: Option<&Socket>,
    _: bool,
    _: Option<&Socket>,
    _: Option<&Child>,
    _: &Event,
    _: Option<Instant>,
) -> Awake {
    Awake::default()
}

pub(crate) fn await_room(_: &Socket, _: Duration) {}

pub(crate) fn pause(_: Duration) {}

pub(crate) fn shared_clock() -> u64 {
    0
}

pub(crate) fn take_over_signals() {}

pub(crate) fn block_signals() {}

pub(crate) fn nowhere() -> io::Result<File> {
    refuse()
}

pub(crate) fn is_stdin_of_parent() -> bool {
    false
}

pub(crate) fn say_by_stdin(_: &[u8]) {}

pub(crate) fn complain(_: &str) {}

pub(crate) fn go_first_without_memory() {}

pub(crate) fn set_process_name(_: &str) {}

pub(crate) fn limit_address_space(_: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn main_stack_size() -> usize {
    8 << 20
}

pub(crate) fn exit_now(_: i32) -> ! {
    unreachable!("no worker is ever started here")
}

pub(crate) fn is_secure_start() -> bool {
    false
}
