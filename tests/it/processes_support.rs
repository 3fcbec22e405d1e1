//! What the tests of the process pool share: how a task in another process and the test tell each other things.

use crate::support::{SOON, eventually};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, ProcessPoolBuilder};
use std::path::PathBuf;
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

pub(crate) fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Whether there is such a process, if only as a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether it lives; what is left until somebody reaps it doesn't.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// The processes that this pool has.
pub(crate) fn pids(pool: &ProcessPoolExecutor) -> Vec<u32> {
    pool.stats().workers.iter().filter_map(|worker| worker.pid).collect()
}
