//! Programs that may have little: descriptors, processes, memory, stack. Each says what came of its tasks.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, TaskError, ThreadPoolExecutor};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;

const TASKS: u32 = 60;

fn double(n: u32) -> u32 {
    2 * n
}

/// Sixty tasks in a pool of three workers: all right, or how many and the errors of the others.
fn processes() -> String {
    let pool = match ProcessPoolExecutor::builder().max_workers(3).name_prefix("edge").build() {
        Ok(pool) => pool,
        Err(error) => return format!("not built: {error}"),
    };
    let futures: Vec<_> = (0..TASKS).map(|n| pool.submit(double, n)).collect();
    summary(futures.into_iter().map(concurrent_futures::Future::result))
}

/// The same in threads.
fn threads() -> String {
    let pool = ThreadPoolExecutor::builder().max_workers(4).build().expect("nothing is started yet");
    let futures: Vec<_> = (0..TASKS).map(|n| pool.submit(double, n)).collect();
    summary(futures.into_iter().map(concurrent_futures::Future::result))
}

fn summary(results: impl Iterator<Item = Result<u32, TaskError>>) -> String {
    let (mut right, mut errors) = (0, BTreeSet::new());
    for (result, n) in results.zip(0..) {
        match result {
            Ok(double) => right += u32::from(double == 2 * n),
            Err(error) => _ = errors.insert(error.to_string()),
        }
    }
    match errors.is_empty() {
        true => format!("right {right}"),
        false => format!("right {right}, {errors:?}"),
    }
}

/// What limits are numbered by.
#[cfg(target_env = "gnu")]
pub type Which = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub type Which = libc::c_int;

/// Bounds what this process may have, and gives the bound that there was.
pub fn set_limit(which: Which, to: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for a limit.
    assert_eq!(unsafe { libc::getrlimit(which, &raw mut limit) }, 0);
    let before = limit.rlim_cur;
    limit.rlim_cur = to.min(limit.rlim_max);
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(which, &raw const limit) }, 0);
    before
}

/// How many of the first descriptors are open. By asking for each: to list them takes one.
fn open_descriptors() -> usize {
    // SAFETY: asks for flags; a number that is no descriptor's is an error.
    (0..256).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1).count()
}

/// Says what a pool left behind that is gone.
fn left_behind(descriptors: usize) -> &'static str {
    // SAFETY: asks for the status of any child, without a place to put it.
    let child = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    match (child, open_descriptors() == descriptors) {
        (-1, true) => "",
        (-1, false) => " AND LEFT DESCRIPTORS",
        _ => " AND LEFT A CHILD",
    }
}

/// With each number of descriptors, from no spare one to enough.
pub fn few_descriptors() {
    let before = open_descriptors();
    for most in 3..=16 {
        set_limit(libc::RLIMIT_NOFILE, most);
        let said = processes();
        set_limit(libc::RLIMIT_NOFILE, 256);
        println!("{most}: {said}{}", left_behind(before));
    }
}

/// With each number of processes and threads, from no spare one to enough, as a user who has no others.
pub fn few_processes() {
    const NOBODY_ELSE: u32 = 1_000_000_000;
    let user = NOBODY_ELSE + std::process::id();
    // SAFETY: changes who this process is.
    if unsafe { libc::setresuid(user, user, user) } != 0 {
        println!("not permitted: {}", std::io::Error::last_os_error());
        return;
    }
    let before = open_descriptors();
    for most in 1..=10 {
        set_limit(libc::RLIMIT_NPROC, most);
        let (processes, threads) = (processes(), threads());
        println!("{most} processes: {processes}{}", left_behind(before));
        println!("{most} threads: {threads}");
    }
}

/// With so many more KiB of address space than there are now.
pub fn little_memory(more: u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("numbers");
    let pages: u64 = statm.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    set_limit(libc::RLIMIT_AS, pages * 4096 + more * 1024);
    let said = processes();
    set_limit(libc::RLIMIT_AS, u64::MAX);
    println!("{said}");
}

/// Becomes this program again with a stack of 64 KiB.
pub fn little_stack(arguments: &[&str]) {
    set_limit(libc::RLIMIT_STACK, 64 << 10);
    println!("{}", std::process::Command::new("/proc/self/exe").args(arguments).exec());
}

/// Workers that are threads with such a stack: values, panics, and waits within tasks.
pub fn on_a_little_stack() {
    start::check();
    let pool = ThreadPoolExecutor::builder().max_workers(2).stack_size(64 << 10).build().expect("a pool");
    let squares: Vec<u32> = pool.map(double, 0..1000).map(|double| double.expect("a number")).collect();
    assert!(squares.iter().zip(0..).all(|(double, n)| *double == 2 * n));
    let panic = pool.spawn(|| panic!("on a little stack")).result();
    assert!(matches!(panic, Err(TaskError::Panicked(_))), "{panic:?}");
    println!("checked");
}
