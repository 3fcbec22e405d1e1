//! The end of a pool: shutdown, join, drop, detach, `terminate_workers` and `kill_workers`; nobody waits for ever and
//! nothing is left behind.

use crate::processes_support::{Signals, builder, die, exists, is_alive, pid, pids, square, stay};
use crate::support::{LIMIT, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Rejected, Shutdown, TaskError};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn join_waits_for_the_tasks_and_leaves_no_process() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(3), Signals::new());
        let held = ["a", "b", "c"].map(|name| signals.hold(&pool, name));
        let workers = pids(&pool);
        assert_eq!(workers.len(), 3);
        pool.shutdown(Shutdown::Drain);
        assert!(workers.iter().all(|pid| exists(*pid)), "what runs is not interrupted");
        signals.release_all(&["a", "b", "c"]);
        pool.join();
        assert!(held.iter().all(|future| future.is_done()));
        assert!(workers.iter().all(|pid| !exists(*pid)) && pids(&pool).is_empty());
        pool.join();
    });
}

#[test]
fn the_end_of_a_block_waits_and_leaves_no_process() {
    limit(LIMIT, || {
        let (futures, workers) = {
            let pool = ProcessPoolExecutor::new(2);
            let futures: Vec<_> = (0..50).map(|n| pool.submit(square, n)).collect();
            futures[0].wait();
            (futures, pids(&pool))
        };
        assert!(futures.iter().all(|future| future.is_done() && future.exception().is_none()));
        assert!(!workers.is_empty() && workers.iter().all(|pid| !exists(*pid)));
    });
}

#[test]
fn shutdown_returns_at_once_and_the_workers_leave_after_the_work() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let held = signals.hold(&pool, "held");
        let queued = pool.submit(square, 3);
        let workers = pids(&pool);
        pool.shutdown(Shutdown::Drain);
        assert!(!held.is_done() && !queued.is_done());
        assert!(matches!(pool.submit(square, 1).result(), Err(TaskError::Rejected(Rejected::ShutDown))));
        signals.release("held");
        assert_eq!(queued.result().unwrap(), 9);
        eventually(|| workers.iter().all(|pid| !exists(*pid)));
    });
}

#[test]
fn cancelling_takes_back_what_was_shipped_too() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(2), Signals::new());
        let held = ["a", "b"].map(|name| signals.hold(&pool, name));
        let queued: Vec<_> = (0..18).map(|n| pool.submit(square, n)).collect();
        pool.shutdown(Shutdown::CancelQueued);
        // All 18, those at the workers' doors as well.
        assert!(queued.iter().all(|future| future.is_cancelled()));
        assert!(held.iter().all(|future| !future.is_done()));
        signals.release_all(&["a", "b"]);
        assert!(held.into_iter().all(|future| future.result().is_ok()));
        pool.join();
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.finished, stats.submitted()), (18, 2, 20));
    });
}

#[test]
fn a_pool_that_is_given_up_does_its_work_and_is_gone() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let held = signals.hold(&pool, "held");
        let queued = pool.submit(square, 3);
        let workers = pids(&pool);
        pool.detach();
        assert!(!held.is_done());
        signals.release("held");
        assert_eq!(queued.result().unwrap(), 9);
        eventually(|| workers.iter().all(|pid| !exists(*pid)));
    });
}

#[test]
fn a_join_with_a_limit_says_who_is_still_busy() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(1).name_prefix("busy").build().unwrap();
        let options = concurrent_futures::TaskOptions::new().label("the long one");
        let held = pool.submit_with(options, stay, signals.stay("held"));
        signals.wait("held.begun");
        let queued: Vec<_> = (0..5).map(|n| pool.submit(square, n)).collect();
        let busy = pool.join_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!(busy.workers.len(), 1);
        assert_eq!((&*busy.workers[0].name, busy.workers[0].task), ("busy_0", held.id()));
        assert_eq!(busy.workers[0].label.as_deref(), Some("the long one"));
        assert!(busy.queued <= 5 && busy.to_string().contains("busy_0"), "{busy}");
        signals.release("held");
        pool.join_timeout(LIMIT).unwrap();
        assert!(queued.into_iter().all(|future| future.result().is_ok()));
    });
}

/// Does something, then waits, then would do something else.
fn before_and_after((begun, go, after): (PathBuf, PathBuf, PathBuf)) {
    stay((begun, go));
    std::fs::write(after, "").unwrap();
}

#[test]
fn both_ways_to_end_the_workers_stop_a_task_in_its_middle() {
    limit(LIMIT, || {
        for (end, signal) in [
            (ProcessPoolExecutor::terminate_workers as fn(&ProcessPoolExecutor), 15),
            (ProcessPoolExecutor::kill_workers, 9),
        ] {
            let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
            let (begun, go) = signals.stay("task");
            let running = pool.submit(before_and_after, (begun, go, signals.path("after")));
            signals.wait("task.begun");
            let queued: Vec<_> = (0..5).map(|n| pool.submit(square, n)).collect();
            let workers = pids(&pool);
            end(&pool);
            assert!(queued.iter().all(|future| future.is_cancelled()), "at once");
            let error = running.result().unwrap_err();
            let TaskError::WorkerDied(died) = &error else { panic!("{error:?}") };
            assert_eq!(died.signal(), Some(signal));
            assert!(matches!(pool.submit(square, 1).result(), Err(TaskError::Rejected(Rejected::ShutDown))));
            pool.join();
            assert!(workers.iter().all(|pid| !exists(*pid)));
            signals.release("task");
            assert!(!signals.has("after"));
            // Again, and the other way: nothing is left to be ended.
            pool.terminate_workers();
            pool.kill_workers();
        }
    });
}

#[test]
fn ending_workers_that_never_started_starts_none() {
    limit(LIMIT, || {
        for end in [ProcessPoolExecutor::terminate_workers, ProcessPoolExecutor::kill_workers] {
            let pool = ProcessPoolExecutor::new(2);
            end(&pool);
            assert!(pool.stats().workers.is_empty());
            assert!(matches!(pool.submit(square, 1).result(), Err(TaskError::Rejected(Rejected::ShutDown))));
            pool.join();
            assert!(pool.stats().workers.is_empty());
        }
    });
}

#[test]
fn ending_workers_on_their_way_leaves_none() {
    limit(LIMIT, || {
        // In their initializers, and about to be replaced: nobody escapes, nobody is started anew.
        let signals = Signals::new();
        let pool = builder(2).initializer(|path| _ = stay(path), signals.stay("start")).build().unwrap();
        let futures: Vec<_> = (0..6).map(|n| pool.submit(square, n)).collect();
        signals.wait("start.begun");
        pool.kill_workers();
        assert!(futures.into_iter().all(|future| matches!(future.result(), Err(TaskError::Cancelled))));
        pool.join();
        assert!(pids(&pool).is_empty());

        let pool = builder(2).max_tasks_per_child(1).build().unwrap();
        let futures: Vec<_> = (0..200).map(|n| pool.submit(square, n)).collect();
        futures[3].wait();
        pool.kill_workers();
        pool.join();
        assert!(futures.iter().all(|future| future.is_done()));
        assert!(pids(&pool).is_empty());
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.dispatched, stats.running, stats.submitted()), (0, 0, 0, 200));
    });
}

#[test]
fn a_worker_that_dies_during_the_shutdown_holds_nobody_up() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(2);
        let (dies, lives) = (pool.submit(die, ()), pool.submit(square, 4));
        pool.shutdown(Shutdown::Drain);
        pool.join();
        assert!(matches!(dies.result(), Err(TaskError::WorkerDied(_))));
        assert_eq!(lives.result().unwrap(), 16);
    });
}

#[test]
fn a_pool_dropped_in_a_callback_of_its_own_ends() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let held = signals.hold(&pool, "held");
        let after = pool.submit(square, 5);
        let workers = pids(&pool);
        let (sender, receiver) = mpsc::channel();
        held.add_done_callback(move |_| {
            drop(pool);
            sender.send(()).unwrap();
        });
        signals.release("held");
        receiver.recv().unwrap();
        assert_eq!(after.result().unwrap(), 25, "what was queued still runs");
        eventually(|| workers.iter().all(|pid| !exists(*pid)));
    });
}

#[test]
fn a_pool_dropped_while_its_thread_panics_cancels_what_is_queued() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let held = signals.hold(&pool, "held");
        let queued: Vec<_> = (0..10).map(|n| pool.submit(square, n)).collect();
        let panicking = std::thread::spawn(move || {
            let _pool = pool;
            panic!("on purpose, with a pool in its hands");
        });
        // While the worker is held: a pool that did its work first could not come so far.
        eventually(|| queued.iter().all(|future| future.is_cancelled()));
        assert!(!held.is_done());
        signals.release("held");
        panicking.join().unwrap_err();
        held.result().unwrap();
    });
}

#[test]
fn workers_leave_when_their_parent_is_killed() {
    limit(LIMIT, || {
        /// A process with a worker of its own, which computes and hears nothing.
        fn parent(paths: ((PathBuf, PathBuf), PathBuf)) {
            let pool = ProcessPoolExecutor::new(2);
            let idle = pool.submit(pid, ()).result().unwrap();
            let busy = pool.submit(stay, paths.0);
            // Both are told of in one move.
            let unfinished = paths.1.with_extension("unfinished");
            let all = pool.stats().workers.iter().filter_map(|worker| worker.pid).collect::<Vec<_>>();
            assert!(all.contains(&idle));
            std::fs::write(&unfinished, format!("{all:?}")).unwrap();
            std::fs::rename(&unfinished, &paths.1).unwrap();
            busy.wait();
        }
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let running = pool.submit(parent, (signals.stay("busy"), signals.path("workers")));
        signals.wait("workers");
        signals.wait("busy.begun");
        let text = std::fs::read_to_string(signals.path("workers")).unwrap();
        let workers: Vec<u32> =
            text.trim_matches(['[', ']']).split(", ").map(|pid| pid.parse().unwrap()).collect();
        assert!(workers.iter().all(|pid| exists(*pid)));
        assert!(running.kill());
        running.result().unwrap_err();
        eventually(|| workers.iter().all(|pid| !is_alive(*pid)));
    });
}
