//! What the tests of the process pool share: how a task in another process and the test tell each other things.

use crate::support::{SOON, eventually};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, ProcessPoolBuilder, WorkerDied};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A folder of a test's own. A file in it is a signal: to a task to go on, to the test that a task came so far.
pub(crate) struct Signals(tempfile::TempDir);

impl Signals {
    pub(crate) fn new() -> Self {
        Signals(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder, as a process that is in it sees it.
    pub(crate) fn folder(&self) -> PathBuf {
        // On Windows no process can be in what `canonicalize` gives, and nothing needs it: there a process is where it was put.
        if cfg!(windows) { self.0.path().to_owned() } else { self.0.path().canonicalize().unwrap() }
    }

    pub(crate) fn give(&self, name: &str) {
        std::fs::write(self.path(name), "").unwrap();
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn wait(&self, name: &str) {
        eventually(|| self.has(name));
    }

    /// The argument of [`stay`]: it says `{name}.begun`, and goes on at `{name}.go`.
    pub(crate) fn stay(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.path(&format!("{name}.begun")), self.path(&format!("{name}.go")))
    }

    /// A worker of this pool that is held, called `name`.
    pub(crate) fn hold(&self, pool: &dyn Executor, name: &str) -> Future<u32> {
        let future = pool.submit(stay, self.stay(name));
        self.wait(&format!("{name}.begun"));
        future
    }

    pub(crate) fn release(&self, name: &str) {
        self.give(&format!("{name}.go"));
    }

    pub(crate) fn release_all(&self, names: &[&str]) {
        names.iter().for_each(|name| self.release(name));
    }
}

/// A task that says that it has begun and stays until it is told to go; its process.
pub(crate) fn stay((begun, go): (PathBuf, PathBuf)) -> u32 {
    std::fs::write(begun, "").unwrap();
    let deadline = Instant::now() + 2 * SOON;
    while !go.exists() {
        // A test that failed tells nobody to go.
        assert!(Instant::now() < deadline, "nobody said that I may go");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    std::process::id()
}

pub(crate) fn pid((): ()) -> u32 {
    std::process::id()
}

pub(crate) fn die((): ()) {
    std::process::abort()
}

pub(crate) fn square(n: u64) -> u64 {
    n * n
}

pub(crate) fn builder(max_workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(max_workers)
}

/// How a worker ended: by which signal, or with which exit code.
pub(crate) type End = (Option<i32>, Option<i32>);

/// Windows has no signals: what a process of its own runs into is its exit code there.
pub(crate) fn end(died: &WorkerDied) -> End {
    (died.signal(), died.exit_code())
}

/// The end of a worker that aborts.
pub(crate) const ABORTED: End =
    if cfg!(windows) { (None, Some(0xc000_0409_u32.cast_signed())) } else { (Some(6), None) };

/// The end of one that [`kill`] ends. On Windows whoever ends a process says which exit code it has.
pub(crate) const KILLED: End = if cfg!(windows) { (None, Some(1)) } else { (Some(9), None) };

/// From outside, as another program may.
pub(crate) fn kill(pid: u32) {
    assert!(by_number::kill(pid));
}

/// Whether there is such a process, if only as a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    by_number::exists(pid)
}

/// Whether it lives; what is left until somebody reaps it doesn't.
pub(crate) fn is_alive(pid: u32) -> bool {
    by_number::is_alive(pid)
}

/// The system's processes.
#[cfg(not(windows))]
mod by_number {
    use std::process::Command;

    pub(super) fn kill(pid: u32) -> bool {
        Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success()
    }

    pub(super) fn exists(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    pub(super) fn is_alive(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }
}

#[cfg(windows)]
mod by_number {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};

    const TERMINATE: u32 = 1;
    const SYNCHRONIZE: u32 = 1 << 20;

    // SAFETY: declared as the system has them.
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn OpenProcess(rights: u32, is_inherited: i32, pid: u32) -> RawHandle;
        fn TerminateProcess(process: RawHandle, code: u32) -> i32;
        fn WaitForSingleObject(object: RawHandle, millis: u32) -> u32;
    }

    fn open(pid: u32) -> Option<OwnedHandle> {
        // SAFETY: any number may be asked for.
        let process = unsafe { OpenProcess(TERMINATE | SYNCHRONIZE, 0, pid) };
        // SAFETY: it was given just now, to nobody else.
        (!process.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(process) })
    }

    pub(super) fn kill(pid: u32) -> bool {
        // SAFETY: the handle is open.
        open(pid).is_some_and(|process| unsafe { TerminateProcess(process.as_raw_handle(), 1) } != 0)
    }

    /// One that has ended is a zombie as long as anybody has a handle of it: it is none that its parent could reap.
    pub(super) fn exists(pid: u32) -> bool {
        is_alive(pid)
    }

    pub(super) fn is_alive(pid: u32) -> bool {
        const STILL_THERE: u32 = 258;
        // SAFETY: the handle is open.
        let look = |process: OwnedHandle| unsafe { WaitForSingleObject(process.as_raw_handle(), 0) };
        open(pid).map(look) == Some(STILL_THERE)
    }
}

/// A task that starts a process which does nothing; its number.
pub(crate) fn start_another((): ()) -> u32 {
    let mut command = if cfg!(windows) { Command::new("cmd") } else { Command::new("cat") };
    if cfg!(windows) {
        command.args(["/c", "pause"]);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    // With its standard input it would end.
    std::mem::forget(child);
    pid
}

/// The processes that this pool has.
pub(crate) fn pids(pool: &ProcessPoolExecutor) -> Vec<u32> {
    pool.stats().workers.iter().filter_map(|worker| worker.pid).collect()
}
