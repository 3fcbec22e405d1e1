//! What stands in the place of `sys.rs` where there is no Unix: nothing can be made, so nothing is ever done with it.
//!
//! The rest of the module compiles against it, and `build()` refuses. Whoever brings the pool to another system writes
//! this file for it.

use super::shared::Layout;
use super::wire::frames::{Blocking, Stream};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

fn refuse<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Signal {
    Kill,
    Term,
}

impl Signal {
    pub(super) const KILL: Self = Signal::Kill;
    pub(super) const TERM: Self = Signal::Term;
}

pub(super) type Fd = File;

#[derive(Debug)]
pub(super) struct Socket(());

impl Socket {
    pub(super) fn pair() -> io::Result<(Socket, Fd)> {
        refuse()
    }

    pub(super) fn from_fd(_: Fd) -> Self {
        Socket(())
    }

    pub(super) fn send_with_fd(&self, _: &[u8], _: &Fd) -> io::Result<usize> {
        refuse()
    }

    pub(super) fn receive_with_fd(&self, _: &mut [u8]) -> io::Result<(usize, Option<Fd>)> {
        refuse()
    }

    pub(super) fn close_write(&self) {}

    pub(super) fn hang_up(&self) {}
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
pub(super) struct Bell(());

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        refuse()
    }

    pub(super) fn ring(&self) {}

    pub(super) fn clear(&self) {}
}

pub(super) struct Mapping(Layout);

impl Mapping {
    pub(super) fn create() -> io::Result<(Mapping, Fd)> {
        refuse()
    }

    pub(super) fn of(_: &Fd) -> io::Result<Mapping> {
        refuse()
    }

    pub(super) fn hide_from_forks(&self) {}
}

impl Deref for Mapping {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.0
    }
}

pub(super) struct Birthmark(());

impl Birthmark {
    pub(super) fn new() -> Self {
        Birthmark(())
    }

    pub(super) fn is_fork(&self) -> bool {
        false
    }
}

pub(super) fn advice(_: &io::Error) -> &'static str {
    ""
}

#[derive(Default)]
pub(super) struct Standing;

impl Standing {
    pub(super) fn of_this_thread() -> Self {
        Standing
    }

    pub(super) fn assume(&self) {}
}

pub(super) fn program(_: usize) -> Result<PathBuf, String> {
    Err("pools of processes are only there on Unix so far; `ThreadPoolExecutor` is everywhere".into())
}

pub(super) fn set_identity(_: &mut Command, _: &str, _: bool) {}

pub(super) fn first_argument() -> Option<OsString> {
    None
}

#[derive(Debug)]
pub(super) struct Child(());

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(dead_code, reason = "no process ever ends")]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    Unknown,
}

impl Exit {
    pub(super) fn likely_cause(self) -> Option<&'static str> {
        None
    }
}

impl Child {
    pub(super) fn new(_: u32, _: bool) -> io::Result<Self> {
        refuse()
    }

    pub(super) fn pid(&self) -> u32 {
        0
    }

    pub(super) fn signal(&self, _: Signal) -> bool {
        true
    }

    pub(super) fn reap(&self) -> Option<Exit> {
        Some(Exit::Unknown)
    }

    pub(super) fn await_end(&self) -> Option<Exit> {
        Some(Exit::Unknown)
    }

    pub(super) fn has_ended(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy)]
pub(super) struct Thread(());

impl Thread {
    pub(super) fn own() -> Self {
        Thread(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    ByParent,
    #[expect(dead_code, reason = "no worker ever runs")]
    ThreadGone,
}

pub(super) fn watch(_: u32, _: &Socket, _: Thread, _: impl Fn() -> bool) -> Leave {
    Leave::ByParent
}

pub(super) fn resident_bytes(_: u32) -> u64 {
    0
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Awake {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) ended: bool,
    pub(super) rung: bool,
}

pub(super) fn sleep(_: Option<&Socket>, _: bool, _: Option<&Child>, _: &Bell, _: Option<Instant>) -> Awake {
    Awake::default()
}

pub(super) fn pause(_: Duration) {}

pub(super) fn take_over_signals() {}

pub(super) fn block_signals() {}

pub(super) fn take_stdin() -> io::Result<Fd> {
    refuse()
}

pub(super) fn nowhere() -> io::Result<File> {
    refuse()
}

pub(super) fn with_stdio_taken<T>(make: impl FnOnce() -> T) -> T {
    make()
}

pub(super) fn is_stdin_of_parent() -> bool {
    false
}

pub(super) fn say_by_stdin(_: &[u8]) {}

pub(super) fn complain(_: &str) {}

pub(super) fn go_first_without_memory() {}

pub(super) fn set_process_name(_: &str) {}

pub(super) fn limit_address_space(_: u64) -> io::Result<()> {
    refuse()
}

pub(super) fn main_stack_size() -> usize {
    8 << 20
}

pub(super) fn exit_now(_: i32) -> ! {
    unreachable!("no worker is ever started here")
}

pub(super) fn is_secure_start() -> bool {
    false
}
