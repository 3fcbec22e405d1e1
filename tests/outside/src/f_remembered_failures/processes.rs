//! The same of pools of processes.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::prelude::*;
use concurrent_futures::{Shutdown, TaskError};
use std::time::Duration;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "a_pool_of_processes_outlives_a_moment_without_descriptors",
        &["nodejs/node#1474"],
        a_pool_of_processes_outlives_a_moment_without_descriptors,
    ),
    Instance::new(
        "a_pool_of_processes_outlives_a_moment_without_threads",
        &["python/cpython#17615"],
        a_pool_of_processes_outlives_a_moment_without_threads,
    ),
    Instance::new(
        "a_pool_of_processes_outlives_a_moment_without_memory_files",
        &[],
        a_pool_of_processes_outlives_a_moment_without_memory_files,
    ),
    Instance::new("callbacks_run_without_their_thread", &[], callbacks_run_without_their_thread),
    Instance::new(
        "workers_refused_beside_others_are_started_later",
        &[],
        workers_refused_beside_others_are_started_later,
    ),
    Instance::new(
        "starts_that_go_on_failing_break_their_pool_and_no_other",
        &[],
        starts_that_go_on_failing_break_their_pool_and_no_other,
    ),
    Instance::new(
        "a_pool_that_rests_after_a_failed_start_can_be_given_up",
        &[],
        a_pool_that_rests_after_a_failed_start_can_be_given_up,
    ),
];

// ---- pools of processes ------------------------------------------------------------------------------------

/// What limits are numbered by.
#[cfg(target_env = "gnu")]
type Which = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Which = libc::c_int;

/// Bounds what this process may have, and gives the bound that there was.
fn set_limit(which: Which, to: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for a limit.
    assert_eq!(unsafe { libc::getrlimit(which, &raw mut limit) }, 0);
    let before = limit.rlim_cur;
    limit.rlim_cur = to.min(limit.rlim_max);
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(which, &raw const limit) }, 0);
    before
}

/// Sets a bound now, and the one that there was again after a while in which starts have failed.
fn short_of(which: Which, to: u64) -> std::thread::JoinHandle<()> {
    let (set, is_set) = std::sync::mpsc::channel();
    // There before threads are short.
    let lifts = std::thread::spawn(move || {
        let before = is_set.recv().expect("a bound");
        std::thread::sleep(Duration::from_millis(400));
        set_limit(which, before);
    });
    set.send(set_limit(which, to)).expect("it listens");
    lifts
}

fn a_pool_of_processes_outlives_a_moment_without_descriptors() {
    let pool = ProcessPoolExecutor::new(1);
    let lifts = short_of(libc::RLIMIT_NOFILE, 3);
    let future = pool.submit(|n: u32| n + 1, 1);
    assert_eq!(future.result_timeout(SOON).expect("in time").expect("a worker"), 2);
    lifts.join().expect("no panic");
}

fn a_pool_of_processes_outlives_a_moment_without_threads() {
    // As a user who has no other processes.
    let user = 1_100_000_000 + std::process::id();
    // SAFETY: changes who this process is.
    if unsafe { libc::setresuid(user, user, user) } != 0 {
        eprintln!("SKIPPED: only root can become a user who has no other processes");
        return;
    }
    // The driver's thread is refused, then there is one, and the process is refused.
    for most in [1, 3] {
        let pool = ProcessPoolExecutor::new(1);
        let lifts = short_of(libc::RLIMIT_NPROC, most);
        let future = pool.submit(|n: u32| n + 1, 1);
        assert_eq!(future.result_timeout(SOON).expect("in time").expect("a worker"), 2, "{most}");
        lifts.join().expect("no panic");
    }
}

/// The driver calls a callback whose thread is refused; the next has it.
fn callbacks_run_without_their_thread() {
    let user = 1_200_000_000 + std::process::id();
    // SAFETY: changes who this process is.
    if unsafe { libc::setresuid(user, user, user) } != 0 {
        eprintln!("SKIPPED: only root can become a user who has no other processes");
        return;
    }
    let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix("f").build().expect("a pool");
    pool.submit(|()| (), ()).result().expect("a worker");
    let called_by = || {
        let (send, receive) = std::sync::mpsc::channel();
        let future = pool.submit(|()| std::thread::sleep(Duration::from_millis(100)), ());
        future.add_done_callback(move |_| {
            let _ = send.send(std::thread::current().name().map(str::to_owned));
        });
        receive.recv_timeout(SOON).expect("it is called").expect("a name")
    };
    let before = set_limit(libc::RLIMIT_NPROC, 1);
    let by = called_by();
    set_limit(libc::RLIMIT_NPROC, before);
    assert_eq!((by.as_str(), called_by().as_str()), ("f_driver_0", "f_callbacks"));
}

fn a_pool_of_processes_outlives_a_moment_without_memory_files() {
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let pool = ProcessPoolExecutor::new(1);
    let lifts = short_of(libc::RLIMIT_FSIZE, 0);
    let future = pool.submit(|n: u32| n + 1, 1);
    assert_eq!(future.result_timeout(SOON).expect("in time").expect("a worker"), 2);
    lifts.join().expect("no panic");
}

fn workers_refused_beside_others_are_started_later() {
    let pool = ProcessPoolExecutor::new(2);
    let nap = |()| {
        std::thread::sleep(Duration::from_millis(300));
        std::process::id()
    };
    assert!(pool.submit(nap, ()).result().is_ok());
    let before = set_limit(libc::RLIMIT_NOFILE, 3);
    let first: Vec<_> = (0..2).map(|_| pool.submit(nap, ())).collect();
    let pids: Vec<u32> = first.into_iter().map(|future| future.result().expect("a worker")).collect();
    assert_eq!(pids[0], pids[1], "there was no other");
    set_limit(libc::RLIMIT_NOFILE, before);
    let both = || {
        let two: Vec<_> = (0..2).map(|_| pool.submit(nap, ())).collect();
        let pids: Vec<u32> = two.into_iter().map(|future| future.result().expect("a worker")).collect();
        pids[0] != pids[1]
    };
    assert!(soon(both), "{:?}", pool.stats());
}

fn starts_that_go_on_failing_break_their_pool_and_no_other() {
    let pool = ProcessPoolExecutor::new(1);
    let before = set_limit(libc::RLIMIT_NOFILE, 3);
    let future = pool.submit(|n: u32| n + 1, 1);
    let error = future.result_timeout(SOON).expect("in time").expect_err("nothing can be had");
    set_limit(libc::RLIMIT_NOFILE, before);
    assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
    let next = ProcessPoolExecutor::new(1);
    assert_eq!(next.submit(|n: u32| n + 1, 1).result().expect("a worker"), 2);
}

fn a_pool_that_rests_after_a_failed_start_can_be_given_up() {
    let pool = ProcessPoolExecutor::new(1);
    let gate = Gate::new();
    let opens = gate.clone();
    let future = pool.submit(|()| std::thread::sleep(Duration::from_secs(1000)), ());
    assert!(soon(|| future.is_running()));
    let before = set_limit(libc::RLIMIT_NOFILE, 3);
    // It dies, and none can be started in its place.
    assert!(future.kill());
    assert!(matches!(future.result(), Err(TaskError::WorkerDied(_))));
    let next = pool.submit(|n: u32| n + 1, 1);
    next.add_done_callback(move |_| opens.open());
    pool.shutdown(Shutdown::CancelQueued);
    gate.wait();
    pool.join();
    set_limit(libc::RLIMIT_NOFILE, before);
}
