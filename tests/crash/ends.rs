//! Ways to end a task or a pool early: cancel, kill, time limits, retries, shutdowns.

use crate::house::{NAME, alone, signal, state_of};
use crate::support::eventually;
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Future, ProcessPoolBuilder, Rejected, Shutdown, State, TaskError, TaskOptions, WorkerDeath, WorkerOutput,
};
use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME).stderr(WorkerOutput::Null)
}

fn double(n: u32) -> u32 {
    2 * n
}

fn abort(_: ()) {
    std::process::abort()
}

fn sleep(_: ()) {
    thread::sleep(Duration::from_secs(60));
}

fn wait_for(file: PathBuf) {
    while !file.exists() {
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Leaves a file behind that says it ran.
fn leave(file: PathBuf) {
    drop(File::create(file).unwrap());
}

fn check_doubles(futures: impl IntoIterator<Item = Future<u32>>) {
    for (n, future) in (0..).zip(futures) {
        assert_eq!(future.result().unwrap(), 2 * n);
    }
}

fn died<T: std::fmt::Debug>(future: Future<T>) -> concurrent_futures::WorkerDied {
    match future.result() {
        Err(TaskError::WorkerDied(died)) => died,
        other => panic!("{other:?}"),
    }
}

/// A worker that runs a task until `open`, with `tasks` behind it in its batch.
struct Batch {
    folder: tempfile::TempDir,
    pool: ProcessPoolExecutor,
    running: Future<()>,
    shipped: Vec<Future<()>>,
}

impl Batch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pool = pool(1).initializer(wait_for, at("start")).build().unwrap();
        let running = pool.submit(wait_for, at("open"));
        let shipped = (0..8).map(|n| pool.submit(leave, at(&n.to_string()))).collect();
        fs::write(at("start"), "").unwrap();
        eventually(|| running.is_running() && pool.stats().dispatched >= 3);
        Batch { folder, pool, running, shipped }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) {
        fs::write(self.path("open"), "").unwrap();
    }
}

#[test]
fn what_was_shipped_and_has_not_begun_can_be_cancelled() {
    alone(LIMIT, || {
        let batch = Batch::new();
        assert_eq!(batch.shipped[1].state(), State::Dispatched);
        assert!(batch.shipped[1].cancel() && batch.shipped[1].is_cancelled());
        assert!(!batch.running.cancel());
        batch.open();
        for (n, future) in batch.shipped.iter().enumerate() {
            assert_eq!(future.exception().is_some(), n == 1);
            assert_eq!(batch.path(&n.to_string()).exists(), n != 1, "{n}");
        }
    });
}

#[test]
fn after_a_shutdown_that_cancels_nothing_begins() {
    alone(LIMIT, || {
        let batch = Batch::new();
        batch.pool.shutdown(Shutdown::CancelQueued);
        batch.open();
        assert!(batch.shipped.iter().all(|future| future.is_cancelled()));
        batch.running.wait();
        assert!(batch.running.exception().is_none());
        batch.pool.join();
        assert!((0..8).all(|n: u32| !batch.path(&n.to_string()).exists()));
        let late = batch.pool.submit(double, 1).result().unwrap_err();
        assert!(matches!(late, TaskError::Rejected(Rejected::ShutDown)), "{late}");
    });
}

#[test]
fn kill_hits_the_running_task_alone() {
    alone(LIMIT, || {
        let batch = Batch::new();
        let pid = batch.pool.stats().workers[0].pid.unwrap();
        assert!(batch.running.kill());
        let Batch { folder, pool, running, shipped } = batch;
        let died = died(running);
        assert_eq!((died.signal(), died.pid()), (Some(libc::SIGKILL), pid));
        assert!(died.cause().unwrap().contains("kill"), "{died}");
        shipped.into_iter().for_each(|future| future.result().unwrap());
        assert!((0..8).all(|n: u32| folder.path().join(n.to_string()).exists()));
        drop(pool);
    });
}

/// Each task leaves a mark when it ends; a kill comes at any moment. Killed tasks and no others fail.
#[test]
fn kills_that_race_with_the_end_of_a_task() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        let mut killed = 0;
        // Until one was hit at least: on a busy machine most come too late.
        for round in 0_u32.. {
            if round >= 40 && killed > 0 {
                break;
            }
            let tasks: Vec<Future<u32>> = (0..24)
                .map(|n| {
                    pool.submit(
                        |n: u32| {
                            thread::sleep(Duration::from_micros(200));
                            2 * n
                        },
                        n,
                    )
                })
                .collect();
            let victim = &tasks[(round * 7 % 24) as usize];
            eventually(|| victim.is_running() || victim.is_done());
            let hit = victim.kill();
            let victim = victim.id();
            for (n, task) in (0..).zip(tasks) {
                let id = task.id();
                match task.result() {
                    Ok(double) => assert_eq!(double, 2 * n),
                    Err(TaskError::WorkerDied(died)) => {
                        assert!(id == victim && hit, "{died}");
                        killed += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
}

#[test]
fn a_time_limit_ends_one_task() {
    alone(LIMIT, || {
        let pool = pool(1).build().unwrap();
        let limit = Duration::from_millis(50);
        let options = || TaskOptions::new().timeout(limit);
        let before: Vec<_> = (0..8).map(|n| pool.submit_with(options(), double, n)).collect();
        let long = pool.submit_with(options(), sleep, ());
        let after: Vec<_> = (0..8).map(|n| pool.submit(double, n)).collect();
        let error = long.result().unwrap_err();
        let TaskError::TimeLimit(over) = &error else { panic!("{error}") };
        assert_eq!(over.limit(), limit);
        drop(before);
        check_doubles(after);
    });
}

#[test]
fn a_time_in_the_queue_counts_for_nothing() {
    alone(LIMIT, || {
        const LIMIT: Duration = Duration::from_secs(1);
        // In one batch, so that some of them wait at the worker and others in the queue.
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(1).initializer(wait_for, folder.path().join("start")).build().unwrap();
        let first = pool.submit(wait_for, folder.path().join("open"));
        let options = || TaskOptions::new().timeout(LIMIT);
        let others: Vec<_> = (0..20).map(|n| pool.submit_with(options(), double, n)).collect();
        leave(folder.path().join("start"));
        eventually(|| first.is_running() && pool.stats().dispatched > 0);
        // Longer than any of them may run.
        let begun = Instant::now();
        eventually(|| begun.elapsed() > 2 * LIMIT);
        leave(folder.path().join("open"));
        check_doubles(others);
        first.result().unwrap();
    });
}

/// Dies as often as it is told to.
fn die((folder, times): (PathBuf, u32)) -> u32 {
    for attempt in 0..times {
        if File::create_new(folder.join(attempt.to_string())).is_ok() {
            std::process::abort();
        }
    }
    times
}

#[test]
fn retries_after_deaths() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = folder.path().join(name);
            fs::create_dir(&place).unwrap();
            place
        };
        let pool = pool(2).build().unwrap();
        let with = |retries| TaskOptions::new().retries(retries);
        assert_eq!(pool.submit_with(with(2), die, (place("a"), 2)).result().unwrap(), 2);
        died(pool.submit_with(with(1), die, (place("b"), 2)));
        died(pool.submit(die, (place("c"), 1)));
        // Who asked for its end is not run again.
        let killed = pool.submit_with(with(5), sleep, ());
        eventually(|| killed.is_running());
        assert!(killed.kill());
        died(killed);
        let limited = pool.submit_with(with(5).timeout(Duration::from_millis(30)), sleep, ());
        assert!(matches!(limited.result(), Err(TaskError::TimeLimit(_))));
    });
}

/// CPython's pool can stop for good here (gh-115634): a worker that is due to leave with tasks queued behind it.
#[test]
fn max_tasks_per_child_with_a_backlog() {
    alone(LIMIT, || {
        for most in [1, 3] {
            let pool = pool(2).max_tasks_per_child(most).build().unwrap();
            let pids: Vec<_> = (0..40).map(|_| pool.submit(|()| std::process::id(), ())).collect();
            let mut pids: Vec<u32> = pids.into_iter().map(|future| future.result().unwrap()).collect();
            pids.sort_unstable();
            let runs = pids.chunk_by(|a, b| a == b).map(<[u32]>::len);
            assert!(runs.max().unwrap() <= most as usize, "{pids:?}");
            assert_eq!(pool.stats().deaths, 0);
        }
    });
}

#[test]
fn workers_are_terminated_and_killed() {
    alone(LIMIT, || {
        for number in [libc::SIGTERM, libc::SIGKILL] {
            let pool = pool(2).build().unwrap();
            let running: Vec<_> = (0..2).map(|_| pool.submit(sleep, ())).collect();
            eventually(|| pool.stats().running == 2);
            let queued: Vec<_> = (0..10).map(|n| pool.submit(double, n)).collect();
            if number == libc::SIGTERM {
                pool.terminate_workers()
            } else {
                pool.kill_workers()
            }
            for future in running {
                assert_eq!(died(future).signal(), Some(number));
            }
            assert!(queued.iter().all(Future::is_cancelled));
            pool.join_timeout(Duration::from_secs(20)).unwrap();
        }
    });
}

fn broken<T: std::fmt::Debug>(future: Future<T>) -> String {
    match future.result() {
        Err(TaskError::Broken(why)) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_death_breaks_a_pool_that_is_built_so() {
    alone(LIMIT, || {
        let builder = || pool(2).on_worker_death(WorkerDeath::BreakPool);
        let pool = builder().build().unwrap();
        let running = pool.submit(sleep, ());
        eventually(|| running.is_running());
        let crash = pool.submit(abort, ());
        assert_eq!(died(crash).signal(), Some(libc::SIGABRT));
        assert_eq!(died(running).signal(), Some(libc::SIGTERM));
        assert!(broken(pool.submit(double, 1)).contains("died by signal 6"));

        // An idle one's death as well: Python's rule.
        let pool = builder().build().unwrap();
        let pid = pool.submit(|()| std::process::id(), ()).result().unwrap();
        signal(pid, libc::SIGKILL);
        eventually(|| state_of(pid).is_none());
        eventually(|| pool.submit(double, 1).exception().is_some());
        broken(pool.submit(double, 1));

        // An end that was asked for is none.
        let pool = builder().build().unwrap();
        let running = pool.submit(sleep, ());
        eventually(|| running.is_running());
        assert!(running.kill());
        died(running);
        assert_eq!(pool.submit(double, 1).result().unwrap(), 2);
    });
}

/// In Python the end of a broken pool waits for such a worker for ever.
#[test]
fn a_pool_that_breaks_waits_for_nobody_who_ignores_signals() {
    fn ignore(file: PathBuf) {
        // SAFETY: ignoring a signal runs no code.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        std::fs::write(file, "").unwrap();
        sleep(());
    }
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ignores");
        let pool = pool(2).on_worker_death(WorkerDeath::BreakPool).build().unwrap();
        let running = pool.submit(ignore, file.clone());
        eventually(|| file.exists());
        assert_eq!(died(pool.submit(abort, ())).signal(), Some(libc::SIGABRT));
        pool.join_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(died(running).signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn a_pool_that_is_dropped_while_tasks_crash() {
    alone(LIMIT, || {
        for _ in 0..20 {
            let pool = pool(2).build().unwrap();
            let crashes: Vec<_> = (0..4).map(|_| pool.submit(abort, ())).collect();
            let others: Vec<_> = (0..20).map(|n| pool.submit(double, n)).collect();
            drop(pool);
            crashes.into_iter().for_each(|crash| drop(died(crash)));
            check_doubles(others);
        }
    });
}
