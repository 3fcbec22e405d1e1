//! The state of this process that a pool must leave as it found it, and the two ways to have the process to oneself.

use crate::support;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

/// What pools of these tests are called, so that their threads can be told from the harness's.
pub(crate) const NAME: &str = "cell";

/// Runs `body` while no other test of this binary does, under a hard time limit, and checks that it leaves the process
/// as it was.
pub(crate) fn alone(limit: Duration, body: impl FnOnce() + Send + 'static) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    no_core_dumps();
    support::limit(limit, || {
        let before = House::look();
        // A pool that isn't dropped because of a panic would be the second thing to be told.
        let outcome = catch_unwind(AssertUnwindSafe(body));
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        let after = || House::look();
        // A thread's end is seen a moment after it was joined.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while !after().is_like(&before) && std::time::Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let after = after();
        assert!(after.is_like(&before), "the house is not as it was:\n before {before:?}\n after  {after:?}");
    });
}

/// Runs the test `name` again, alone in a process of its own, and there `body`, which leaves that one as it was too.
pub(crate) fn in_own_process(limit: Duration, name: &str, body: impl FnOnce() + Send + 'static) {
    const MARK: &str = "CRASH_OWN_PROCESS";
    if std::env::var_os(MARK).is_some_and(|test| test == *name) {
        return alone(limit, body);
    }
    let name = name.to_owned();
    alone(limit + Duration::from_secs(10), move || {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program)
            .args(["--exact", &name, "--nocapture", "--test-threads=1"])
            .env(MARK, &name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
        assert!(said.contains("1 passed"), "no test is called {name}:\n{said}");
    });
}

/// How much more than usual the long tests do.
pub(crate) fn scale() -> usize {
    std::env::var("CRASH_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A core of each worker that is made to crash would fill the disk.
fn no_core_dumps() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_limit(libc::RLIMIT_CORE, 0));
}

/// What limits are numbered by.
#[cfg(target_env = "gnu")]
pub(crate) type Which = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub(crate) type Which = libc::c_int;

/// Sets a limit of this process, the soft one.
pub(crate) fn set_limit(which: Which, to: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place is valid for a limit.
    assert_eq!(unsafe { libc::getrlimit(which, &raw mut limit) }, 0);
    limit.rlim_cur = to;
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(which, &raw const limit) }, 0);
}

/// What a pool takes of its process.
#[derive(Debug)]
pub(crate) struct House {
    descriptors: Vec<String>,
    children: Vec<u32>,
    /// Threads of pools.
    threads: usize,
    /// Pages shared with workers.
    pages: usize,
    allocated: u64,
}

impl House {
    pub(crate) fn look() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let helpers = all_children().into_iter().filter(|child| is_a_sanitizers(*child));
        let not_ours: Vec<_> = helpers
            .flat_map(|child| ["0", "1"].map(|fd| descriptor(format!("/proc/{child}/fd/{fd}"))))
            .collect();
        let mut descriptors: Vec<String> = fs::read_dir("/proc/self/fd")
            .unwrap()
            // The folder's own descriptor is gone by the time that it is asked for.
            .filter_map(|entry| descriptor(entry.ok()?.path()))
            .filter(|target| !target.ends_with("/fd") && !not_ours.contains(&Some(target.clone())))
            .collect();
        descriptors.sort();
        House {
            descriptors,
            children: children(),
            threads: threads().filter(|name| name.starts_with(NAME)).count(),
            pages: maps.lines().filter(|line| line.contains("/memfd:concurrent-futures")).count(),
            allocated: allocated(),
        }
    }

    /// Whether nothing has come to stay since `before`. Memory may grow a little: the harness writes down results, and of the memory of
    /// tasks up to 4 MiB stay to be used again, and the chunks from which this thread's own list has something.
    fn is_like(&self, before: &Self) -> bool {
        const KEPT: u64 = (1 << 20) + (4 << 20) + 2 * (2 << 20);
        (&self.descriptors, &self.children, self.threads, self.pages)
            == (&before.descriptors, &before.children, before.threads, before.pages)
            && self.allocated < before.allocated + KEPT
    }
}

/// What a descriptor is, by its place below `/proc`.
fn descriptor(path: impl AsRef<std::path::Path>) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}

/// The children of this process, zombies too.
pub(crate) fn children() -> Vec<u32> {
    all_children().into_iter().filter(|child| !is_a_sanitizers(*child)).collect()
}

/// Whether it looks up names for the reports of a sanitizer, which starts it when it has the first one:
/// ci/long/sanitizers.sh.
fn is_a_sanitizers(child: u32) -> bool {
    fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.starts_with("llvm-symbolizer"))
}

fn all_children() -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
    }
    children.sort_unstable();
    children
}

fn threads() -> impl Iterator<Item = String> {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
}

/// Bytes that were allocated and not given back. Not what is resident: of that the allocator keeps as much as it likes.
#[cfg(target_env = "gnu")]
fn allocated() -> u64 {
    // SAFETY: reads the allocator's counters.
    let counters = unsafe { libc::mallinfo2() };
    (counters.uordblks + counters.hblkhd) as u64
}

/// Nobody counts elsewhere.
#[cfg(not(target_env = "gnu"))]
fn allocated() -> u64 {
    0
}

/// The letter by which the kernel tells a process's state; `None` if there is no such process.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    state_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether nothing of a process runs any more: it has ended or was stopped, with every thread. Its first thread may be
/// over while another one, killed already, still gets through what its system call has room for.
pub(crate) fn is_at_rest(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| state_in(&fs::read_to_string(thread.path().join("stat")).ok()?))
        .all(|state| "ZXT".contains(state))
}

/// The state of the thread that runs the tasks of a worker.
pub(crate) fn state_of_task_thread(pid: u32) -> Option<char> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let thread =
        threads.filter(|thread| thread.file_name().to_string_lossy() != pid.to_string()).find(|thread| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.starts_with(NAME))
        })?;
    state_in(&fs::read_to_string(thread.path().join("stat")).ok()?)
}

fn state_in(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Sends a signal to a process that is known to live.
pub(crate) fn signal(pid: u32, signal: i32) {
    // SAFETY: sends a signal; `pid` is a child that was not reaped or a process that the test started.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}
