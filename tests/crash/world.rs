//! A parent, and tasks, that do what programs do: signals, forks, pipes, pools within pools.

use crate::faults::close_all_descriptors;
use crate::house::{NAME, alone, in_own_process, signal};
use crate::support::eventually;
use concurrent_futures::prelude::*;
use concurrent_futures::{ProcessPoolBuilder, Shutdown, TaskError, WorkerOutput};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(40);

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME).stderr(WorkerOutput::Null)
}

fn double(n: u32) -> u32 {
    2 * n
}

fn abort(_: ()) {
    std::process::abort()
}

#[test]
fn a_parent_that_blocks_all_signals() {
    in_own_process(LIMIT, "world::a_parent_that_blocks_all_signals", || {
        // SAFETY: a set may be any bits; it is filled.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: a valid place.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: a valid set in, none out.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
        let pool = pool(1).build().unwrap();
        let status = pool.submit(|()| std::fs::read_to_string("/proc/thread-self/status").unwrap(), ());
        let status = status.result().unwrap();
        let blocked = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap();
        assert_eq!(blocked.trim_start_matches("SigBlk:").trim().trim_matches('0'), "", "{blocked}");
        let busy = pool.submit(|()| thread::sleep(Duration::from_secs(60)), ());
        eventually(|| pool.stats().running == 1);
        pool.terminate_workers();
        let TaskError::WorkerDied(died) = busy.result().unwrap_err() else { panic!() };
        assert_eq!(died.signal(), Some(libc::SIGTERM));
    });
}

#[test]
fn a_parent_that_ignores_its_children() {
    in_own_process(LIMIT, "world::a_parent_that_ignores_its_children", || {
        // SAFETY: ignoring runs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let pool = pool(2).build().unwrap();
        let crash = pool.submit(abort, ());
        assert_eq!(pool.submit(double, 1).result().unwrap(), 2);
        let TaskError::WorkerDied(died) = crash.result().unwrap_err() else { panic!() };
        // Nobody kept its status.
        assert_eq!((died.signal(), died.exit_code()), (None, None), "{died}");
        assert_eq!(pool.submit(double, 2).result().unwrap(), 4);
        pool.join_timeout(Duration::from_secs(20)).unwrap();
    });
}

#[test]
fn a_parent_that_waits_for_any_child() {
    in_own_process(LIMIT, "world::a_parent_that_waits_for_any_child", || {
        thread::spawn(|| {
            loop {
                // SAFETY: asks for no status.
                let got = unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
                if got < 0 {
                    thread::park_timeout(Duration::from_micros(100));
                }
            }
        });
        let pool = pool(2).build().unwrap();
        for n in 0..20 {
            let crash = pool.submit(abort, ());
            assert_eq!(pool.submit(double, n).result().unwrap(), 2 * n);
            let error = crash.result().unwrap_err();
            assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
        }
        pool.join_timeout(Duration::from_secs(20)).unwrap();
    });
}

#[test]
fn a_task_that_writes_to_a_closed_pipe() {
    alone(LIMIT, || {
        let pool = pool(1).build().unwrap();
        let kind = pool.submit(
            |()| {
                let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
                let mut pipe = child.stdin.take().unwrap();
                child.wait().unwrap();
                let error = pipe.write_all(b"anybody there?").unwrap_err();
                format!("{:?}", error.kind())
            },
            (),
        );
        assert_eq!(kind.result().unwrap(), "BrokenPipe");
    });
}

/// Forks without exec: the child holds all that its parent has, the socket too. Then it dies.
fn fork_and_die(pid_file: PathBuf) {
    // SAFETY: the child only sleeps.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: sleeps.
            unsafe { libc::sleep(60) };
        }
    }
    std::fs::write(pid_file, child.to_string()).unwrap();
    std::process::abort();
}

fn start_and_die(pid_file: PathBuf) {
    let child = Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(pid_file, child.id().to_string()).unwrap();
    std::process::abort();
}

#[test]
fn a_task_that_leaves_a_child_behind_and_dies() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        for task in [fork_and_die as fn(PathBuf), start_and_die] {
            let pid_file = folder.path().join("pid");
            let pool = pool(1).build().unwrap();
            pool.submit(double, 1).result().unwrap();
            let start = Instant::now();
            let error = pool.submit(task, pid_file.clone()).result().unwrap_err();
            let took = start.elapsed();
            let child = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
            signal(child, libc::SIGKILL);
            assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
            assert!(took < Duration::from_secs(5), "{took:?}");
            assert_eq!(pool.submit(double, 2).result().unwrap(), 4);
        }
    });
}

#[test]
fn a_task_that_closes_every_descriptor() {
    alone(LIMIT, || {
        let pool = pool(1).build().unwrap();
        let others: Vec<_> = (0..10).map(|n| pool.submit(double, n)).collect();
        // A small result needs no descriptor to get to the parent, a large one does.
        pool.submit(|()| close_all_descriptors(), ()).result().unwrap();
        let large = |()| {
            close_all_descriptors();
            vec!["large"; 10_000].concat()
        };
        let error = pool.submit(large, ()).result().unwrap_err();
        let TaskError::WorkerDied(died) = &error else { panic!("{error}") };
        assert_eq!(died.exit_code(), Some(70), "{died}");
        for (n, other) in (0..).zip(others) {
            assert_eq!(other.result().unwrap(), 2 * n);
        }
        assert_eq!(pool.submit(double, 2).result().unwrap(), 4);
    });
}

#[test]
fn a_pool_within_a_task() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        let nested = |n: u32| -> u32 {
            let inner = ProcessPoolExecutor::builder().max_workers(2).name_prefix("inner").build().unwrap();
            let doubles: Vec<u32> = inner.map(double, 0..n).map(Result::unwrap).collect();
            doubles.iter().sum()
        };
        assert_eq!(pool.submit(nested, 10).result().unwrap(), 90);
    });
}

/// What a program has that submits from everywhere.
static POOL: LazyLock<ProcessPoolExecutor> = LazyLock::new(|| ProcessPoolExecutor::new(1));

#[test]
fn a_task_that_submits_to_its_own_pool() {
    in_own_process(LIMIT, "world::a_task_that_submits_to_its_own_pool", || {
        let error = POOL.submit(|n: u32| POOL.submit(double, n).result().unwrap(), 1).result().unwrap_err();
        let TaskError::Panicked(panic) = &error else { panic!("{error}") };
        assert!(panic.message().contains("can't submit to the pool it is in"), "{panic}");
        assert!(panic.message().contains("submit it from the parent"), "{panic}");
        POOL.shutdown(Shutdown::Drain);
        POOL.join();
    });
}

fn wait_for(file: PathBuf) {
    while !file.exists() {
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A fork of the parent has the pool's memory and none of its threads; and it shares the pages of the workers.
#[test]
fn a_parent_that_forks() {
    in_own_process(LIMIT, "world::a_parent_that_forks", || {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        // In one batch: the second is shipped and has not begun.
        let pool = pool(1).initializer(wait_for, folder.path().join("start")).build().unwrap();
        let running = pool.submit(wait_for, open.clone());
        let shipped: Vec<_> = (0..20).map(|n| pool.submit(double, n)).collect();
        std::fs::write(folder.path().join("start"), "").unwrap();
        eventually(|| running.is_running() && pool.stats().dispatched > 0);
        // SAFETY: the child goes on with what glibc allows after a fork, and leaves by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let broken = match pool.submit(double, 1).result() {
                Err(TaskError::Broken(why)) => why.to_string().contains("fork"),
                _ => false,
            };
            // None of this may reach the workers.
            let untouched = !shipped[0].cancel() && !running.kill();
            pool.shutdown(Shutdown::CancelQueued);
            pool.kill_workers();
            pool.join();
            drop(pool);
            let code = i32::from(!broken) + 2 * i32::from(!untouched);
            // SAFETY: ends the child.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: a valid place for a status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "exit code {}", status >> 8);
        std::fs::write(open, "").unwrap();
        running.result().unwrap();
        for (n, future) in (0..).zip(shipped) {
            assert_eq!(future.result().unwrap(), 2 * n);
        }
    });
}
