//! The worker that takes the place of one that has had its tasks starts before that has left.

use crate::processes_support::{Signals, builder, is_alive, kill, pid, pids, square, stay};
use crate::support::{LIMIT, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Shutdown, TaskError, WorkerState};
use std::path::PathBuf;
use std::time::Duration;

fn note(folder: PathBuf) {
    std::fs::write(folder.join(format!("{}.left", std::process::id())), "").unwrap();
}

fn wait_while(path: PathBuf) {
    std::fs::write(path.with_extension("begun"), "").unwrap();
    while path.exists() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// The process of the spare, once it has one.
fn spare(pool: &ProcessPoolExecutor) -> u32 {
    let spares = || {
        let workers = pool.stats().workers;
        let spare = workers.get(1).filter(|worker| worker.state == WorkerState::Starting)?;
        assert_eq!((spare.tasks_done, &spare.name), (0, &workers[0].name));
        spare.pid
    };
    eventually(|| spares().is_some());
    spares().unwrap()
}

/// A task that the only worker runs until `held` is released, one for the next worker, and the spare that has started for it.
fn one_held(pool: &ProcessPoolExecutor, signals: &Signals) -> (Future<u32>, Future<u32>, u32) {
    let held = pool.submit(stay, signals.stay("held"));
    let next = pool.submit(pid, ());
    signals.wait("held.begun");
    (held, next, spare(pool))
}

#[test]
fn it_starts_during_the_last_task_and_then_takes_the_place() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(1).max_tasks_per_child(1).on_exit(note, signals.path("")).build().unwrap();
        let (held, next, second) = one_held(&pool, &signals);
        let first = pool.stats().workers[0].pid.unwrap();
        assert!(first != second && !next.is_done());
        signals.release("held");
        assert_eq!((held.result().unwrap(), next.result().unwrap()), (first, second));
        pool.join();
        let stats = pool.stats();
        assert_eq!((stats.workers.len(), stats.workers[0].starts, stats.deaths), (1, 2, 0));
        assert!([first, second].iter().all(|pid| signals.has(&format!("{pid}.left"))));
    });
}

fn count(folder: PathBuf) -> usize {
    let mine = folder.join(std::process::id().to_string());
    std::fs::write(&mine, "").unwrap();
    std::thread::park_timeout(Duration::from_millis(2));
    let count = std::fs::read_dir(folder).unwrap().count();
    std::fs::remove_file(mine).unwrap();
    count
}

#[test]
fn no_more_tasks_run_at_once_for_it() {
    limit(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        for most in [1, 3] {
            let pool = builder(2).max_tasks_per_child(most).build().unwrap();
            let counts = pool.map(count, (0..60).map(|_| folder.path().to_owned())).map(Result::unwrap);
            assert!(counts.max().unwrap() <= 2);
            let tasks: u64 = pool.stats().workers.iter().map(|worker| worker.tasks_done).sum();
            assert_eq!((tasks, pool.stats().deaths), (60, 0));
            pool.join();
            let starts: u64 = pool.stats().workers.iter().map(|worker| worker.starts).sum();
            assert!((60 / u64::from(most)..=60 / u64::from(most) + 2).contains(&starts), "{starts}");
        }
    });
}

/// Up or not, it goes with the pool, in order if it is up.
#[test]
fn it_goes_with_the_pool() {
    limit(LIMIT, || {
        for mode in [Shutdown::Drain, Shutdown::CancelQueued] {
            for is_up in [true, false] {
                let signals = Signals::new();
                let pool = builder(1).max_tasks_per_child(1).on_exit(note, signals.path(""));
                let pool = pool.initializer(wait_while, signals.path("wait")).build().unwrap();
                let held = signals.hold(&pool, "held");
                std::fs::remove_file(signals.path("wait.begun")).unwrap();
                if !is_up {
                    signals.give("wait");
                }
                let next = pool.submit(square, 3);
                // The driver hears of the new task by the next thing that happens to it.
                pool.set_max_workers(1).unwrap();
                let second = spare(&pool);
                signals.wait("wait.begun");
                pool.shutdown(mode);
                signals.release("held");
                held.result().unwrap();
                if mode == Shutdown::Drain {
                    if !is_up {
                        std::fs::remove_file(signals.path("wait")).unwrap();
                    }
                    assert_eq!(next.result().unwrap(), 9);
                } else {
                    assert!(matches!(next.result(), Err(TaskError::Cancelled)));
                }
                pool.join();
                assert!(!is_alive(second) && pids(&pool).is_empty());
                assert_eq!(pool.stats().deaths, 0);
                if mode == Shutdown::Drain {
                    assert!(signals.has(&format!("{second}.left")));
                }
            }
        }
    });
}

#[test]
fn it_takes_the_place_of_one_that_dies() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(1).max_tasks_per_child(1).build().unwrap();
        let (held, next, second) = one_held(&pool, &signals);
        kill(pool.stats().workers[0].pid.unwrap());
        assert!(matches!(held.result(), Err(TaskError::WorkerDied(_))));
        assert_eq!(next.result().unwrap(), second);
    });
}

/// It may die itself before its turn comes; then the place gets another.
#[test]
fn one_that_dies_is_replaced() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(1).max_tasks_per_child(1).build().unwrap();
        let (held, next, second) = one_held(&pool, &signals);
        kill(second);
        eventually(|| !is_alive(second));
        signals.release("held");
        held.result().unwrap();
        assert_ne!(next.result().unwrap(), second);
        assert_eq!(pool.submit(square, 3).result().unwrap(), 9);
    });
}

#[test]
fn fewer_workers_need_none() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(2).max_tasks_per_child(1).build().unwrap();
        let held = ["a", "b"].map(|name| pool.submit(stay, signals.stay(name)));
        ["a.begun", "b.begun"].iter().for_each(|name| signals.wait(name));
        let queued: Vec<_> = (0..6).map(|n| pool.submit(square, n)).collect();
        pool.set_max_workers(1).unwrap();
        signals.release_all(&["a", "b"]);
        held.into_iter().for_each(|held| _ = held.result().unwrap());
        for (n, future) in (0..).zip(queued) {
            assert_eq!(future.result().unwrap(), n * n);
        }
        eventually(|| pids(&pool).len() <= 1);
    });
}
