//! Workers: how many there are, when they start, when they are replaced, what they have of their parent.

use crate::processes_support::{
    ABORTED, KILLED, Signals, builder, die, end, exists, kill, pid, pids, square, stay,
};
use crate::support::{LIMIT, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, Shutdown, TaskError, WorkerDeath, WorkerState};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn workers_start_with_the_tasks_that_need_them() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(3), Signals::new());
        assert!(pool.stats().workers.is_empty(), "none before the first task");
        let one = signals.hold(&pool, "one");
        assert_eq!(pool.stats().workers.len(), 1);
        let two = signals.hold(&pool, "two");
        assert_eq!(pool.stats().workers.len(), 2);
        signals.release_all(&["one", "two"]);
        assert_ne!(one.result().unwrap(), two.result().unwrap());
    });
}

#[test]
fn the_default_number_is_that_of_the_processors_and_there_is_no_upper_bound() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::builder().build().unwrap();
        // A quota that is no whole number is rounded up here, and down by the standard library.
        let processors = std::thread::available_parallelism().unwrap().get();
        assert!((processors..=processors + 1).contains(&pool.max_workers()));
        let many = ProcessPoolExecutor::new(1000);
        assert_eq!(many.max_workers(), 1000);
        assert_eq!(many.submit(square, 7).result().unwrap(), 49);
        assert_eq!(many.stats().workers.len(), 1);
        assert!(matches!(builder(0).build(), Err(BuildError::NoWorkers)));
    });
}

#[test]
fn there_are_never_more_workers_than_asked_for() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(3), Signals::new());
        let held: Vec<_> = (0..45)
            .map(|n| pool.submit(stay, (signals.path(&format!("{n}.begun")), signals.path("go"))))
            .collect();
        eventually(|| pool.stats().running == 3);
        assert_eq!(pids(&pool).len(), 3);
        signals.give("go");
        let used: HashSet<u32> = held.into_iter().map(|future| future.result().unwrap()).collect();
        assert_eq!(used.len(), 3);
    });
}

#[test]
fn an_idle_worker_is_used_again() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(4);
        let used: HashSet<u32> = (0..10)
            .map(|_| {
                let pid = pool.submit(pid, ()).result().unwrap();
                // Its driver has not always gone to sleep when the result is seen.
                eventually(|| pool.stats().workers.iter().all(|worker| worker.state == WorkerState::Idle));
                pid
            })
            .collect();
        assert_eq!(used.len(), 1);
    });
}

#[test]
fn there_are_at_most_as_many_workers_as_tasks_at_once() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(8), Signals::new());
        let one = signals.hold(&pool, "one");
        let two = signals.hold(&pool, "two");
        signals.release("one");
        one.result().unwrap();
        let three = signals.hold(&pool, "three");
        signals.release("two");
        two.result().unwrap();
        let four = signals.hold(&pool, "four");
        signals.release_all(&["three", "four"]);
        three.result().unwrap();
        four.result().unwrap();
        assert!(pids(&pool).len() <= 3);
    });
}

#[test]
fn each_worker_has_statics_of_its_own() {
    limit(LIMIT, || {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        fn count(n: u64) -> u64 {
            COUNT.fetch_add(n, Ordering::SeqCst) + n
        }
        COUNT.store(1000, Ordering::SeqCst);
        let pool = builder(1).initializer(|n| _ = count(n), 5).build().unwrap();
        assert_eq!([1, 2].map(|n| pool.submit(count, n).result().unwrap()), [6, 8]);
        assert_eq!(COUNT.load(Ordering::SeqCst), 1000, "nothing came back");
    });
}

#[test]
fn tasks_begin_in_the_order_of_submission() {
    limit(LIMIT, || {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fn turn(_: u64) -> u64 {
            NEXT.fetch_add(1, Ordering::SeqCst)
        }
        let pool = ProcessPoolExecutor::new(1);
        let turns: Result<Vec<u64>, _> = pool.map(turn, 0..500).collect();
        assert_eq!(turns.unwrap(), (0..500).collect::<Vec<_>>());
    });
}

#[test]
fn a_long_task_does_not_hold_up_those_shipped_behind_it() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(2), Signals::new());
        // Behind the first of a batch there are others, which the second worker takes over.
        let long = pool.submit(stay, signals.stay("long"));
        let short: Vec<_> = (0..200).map(|n| pool.submit(square, n)).collect();
        signals.wait("long.begun");
        assert!(wait(&short, ReturnWhen::AllCompleted).not_done.is_empty());
        assert!(!long.is_done());
        signals.release("long");
        long.result().unwrap();
    });
}

#[test]
fn a_submit_is_never_held_up_by_a_worker_that_starts_slowly() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(2).initializer(|path| _ = stay(path), signals.stay("start")).build().unwrap();
        let futures: Vec<_> = (0..2000).map(|n| pool.submit(square, n)).collect();
        assert_eq!(pool.stats().queued, 2000, "all of them are in, none could run");
        signals.release("start");
        assert_eq!(as_completed(futures).filter(|future| future.exception().is_none()).count(), 2000);
    });
}

// ---- replaced ------------------------------------------------------------------------------------------

#[test]
fn a_worker_is_replaced_after_its_number_of_tasks() {
    limit(LIMIT, || {
        let pool = builder(1).max_tasks_per_child(3).build().unwrap();
        let failing = |n: u64| assert!(n != 1, "tasks that fail count as well");
        pool.submit(failing, 1).exception().unwrap();
        let pids: Vec<u32> = (0..5).map(|_| pool.submit(pid, ()).result().unwrap()).collect();
        assert_eq!(pids[0], pids[1]);
        assert_ne!(pids[1], pids[2]);
        assert!(pids[2] == pids[3] && pids[3] == pids[4]);
        let worker = &pool.stats().workers[0];
        assert_eq!((worker.starts, worker.tasks_done), (2, 6));
        // A chunk of a map counts as one task.
        let options = || concurrent_futures::MapOptions::new().chunksize(10);
        let chunks: HashSet<u32> =
            pool.map_with(options(), |_: u32| std::process::id(), 0..40).map(Result::unwrap).collect();
        assert_eq!(chunks.len(), 2);
        pool.join();
        assert_eq!(pool.stats().deaths, 0, "nobody died, they were told to go");
    });
}

#[test]
fn a_backlog_goes_on_across_replacements() {
    limit(LIMIT, || {
        for (workers, most, tasks) in [(1, 2, 6), (2, 2, 8), (3, 1, 10)] {
            let pool = builder(workers).max_tasks_per_child(most).build().unwrap();
            let results: Result<Vec<u64>, _> = pool.map(square, 0..tasks).collect();
            assert_eq!(results.unwrap().len() as u64, tasks);
        }
    });
}

#[test]
fn a_pool_that_drains_replaces_workers_for_what_is_left() {
    limit(LIMIT, || {
        // By shutdown without waiting, by drop, and by giving it up.
        for way in 0..3 {
            let pool = builder(3).max_tasks_per_child(1).build().unwrap();
            let futures: Vec<_> = (0..6).map(|n| pool.submit(square, n)).collect();
            match way {
                0 => pool.shutdown(Shutdown::Drain),
                1 => drop(pool),
                _ => pool.detach(),
            }
            for (n, future) in (0..).zip(futures) {
                assert_eq!(future.result().unwrap(), n * n);
            }
        }
    });
}

#[test]
fn one_that_fails_beside_a_shutdown_leaves_no_trace() {
    limit(LIMIT, || {
        for workers in [2, 4] {
            let pool = builder(workers).max_tasks_per_child(1).build().unwrap();
            let failing = pool.try_submit(|()| Err::<(), _>("its own error"), ());
            let fine = pool.submit(square, 3);
            pool.shutdown(Shutdown::Drain);
            assert!(matches!(failing.result(), Err(TaskError::Failed(_))));
            assert_eq!(fine.result().unwrap(), 9);
            pool.join();
            assert!(pids(&pool).is_empty());
        }
    });
}

/// In a worker: there are systems where nobody can remove the folder that a process is in.
fn go_elsewhere((): ()) {
    std::env::set_current_dir(std::env::temp_dir()).unwrap();
}

#[test]
fn a_replacement_that_cannot_be_started_breaks_the_pool_when_nobody_is_left() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let folder = signals.path("folder");
        std::fs::create_dir(&folder).unwrap();
        let pool = builder(1)
            .max_tasks_per_child(1)
            .current_dir(&folder)
            .initializer(go_elsewhere, ())
            .build()
            .unwrap();
        let held = signals.hold(&pool, "held");
        let queued: Vec<_> = (0..5).map(|n| pool.submit(square, n)).collect();
        std::fs::remove_dir(&folder).unwrap();
        signals.release("held");
        held.result().unwrap();
        let no_folder = format!("(os error {})", if cfg!(windows) { 267 } else { 2 });
        for future in queued {
            let error = future.result().unwrap_err();
            assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("could not be started") && text.contains(&no_folder), "{text}");
        }
        let late = pool.submit(square, 1).result().unwrap_err();
        assert!(matches!(late, TaskError::Broken(_)), "{late:?}");
        pool.terminate_workers();
        pool.join();
    });
}

#[test]
fn with_others_left_it_goes_on_with_fewer() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let folder = signals.path("folder");
        std::fs::create_dir(&folder).unwrap();
        let pool = builder(2).current_dir(&folder).initializer(go_elsewhere, ()).build().unwrap();
        let first = signals.hold(&pool, "first");
        std::fs::remove_dir(&folder).unwrap();
        // Wants a second worker, which can't be had.
        let futures: Vec<_> = (0..20).map(|n| pool.submit(square, n)).collect();
        signals.release("first");
        first.result().unwrap();
        assert_eq!(as_completed(futures).filter(|future| future.exception().is_none()).count(), 20);
        assert_eq!(pids(&pool).len(), 1);
    });
}

#[test]
fn a_thread_that_cannot_be_had_breaks_the_pool_and_hangs_nobody() {
    limit(LIMIT, || {
        /// In a process that has no room for the stack of another thread, and some for all else: musl asks the kernel for
        /// each few kilobytes.
        fn without_room((): ()) -> String {
            let mut size = 1 << 30;
            while size >= 1 << 20 {
                let mut room: Vec<u8> = Vec::new();
                match room.try_reserve_exact(size) {
                    Ok(()) => std::mem::forget(room),
                    Err(_) => size /= 2,
                }
            }
            let pool = ProcessPoolExecutor::new(2);
            let error = pool.submit(square, 2).result().unwrap_err();
            assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
            error.to_string()
        }
        let pool = builder(1).address_space(4 << 30).build().unwrap();
        let text = pool.submit(without_room, ()).result().unwrap();
        assert!(text.contains("the thread that drives a worker could not be started"), "{text}");
    });
}

// ---- death ---------------------------------------------------------------------------------------------

#[test]
fn a_killed_worker_costs_its_task_and_no_other() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let victim = signals.hold(&pool, "victim");
        let queued: Vec<_> = (0..20).map(|n| pool.submit(square, n)).collect();
        let pid = pids(&pool)[0];
        kill(pid);
        let error = victim.result().unwrap_err();
        let TaskError::WorkerDied(died) = &error else { panic!("{error:?}") };
        assert_eq!((died.pid(), end(died)), (pid, KILLED));
        for (n, future) in (0..).zip(queued) {
            assert_eq!(future.result().unwrap(), n * n);
        }
        assert_eq!(pool.stats().deaths, 1);
        assert!(!exists(pid), "not even as a zombie");
    });
}

#[test]
fn a_worker_that_dies_idle_costs_nothing() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(1);
        let pid = pool.submit(pid, ()).result().unwrap();
        kill(pid);
        eventually(|| pool.stats().deaths == 1);
        assert_eq!(pool.submit(square, 3).result().unwrap(), 9);
    });
}

#[test]
fn a_death_is_noticed_at_once_beside_a_task_that_never_ends() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(2), Signals::new());
        let long = signals.hold(&pool, "long");
        // On a worker that is just being started.
        let error = pool.submit(die, ()).result().unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(_)), "{error:?}");
        assert!(!long.is_done());
        signals.release("long");
        long.result().unwrap();
    });
}

#[test]
fn by_the_rule_of_python_a_death_breaks_the_pool() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(2).on_worker_death(WorkerDeath::BreakPool).build().unwrap();
        let (held, victim) = (signals.hold(&pool, "held"), signals.hold(&pool, "victim"));
        let queued: Vec<_> = (0..10).map(|n| pool.submit(square, n)).collect();
        let workers = pids(&pool);
        kill(*workers.last().unwrap());
        let mut texts = HashSet::new();
        for future in queued {
            let error = future.result().unwrap_err();
            let TaskError::Broken(broken) = &error else { panic!("{error:?}") };
            let died = broken.cause().unwrap().downcast_ref::<concurrent_futures::WorkerDied>();
            assert_eq!(end(died.unwrap()), KILLED);
            texts.insert(error.to_string());
        }
        assert_eq!(texts.len(), 1, "each has its own value, and they say the same");
        for running in [held, victim] {
            let error = running.result().unwrap_err();
            assert!(matches!(error, TaskError::WorkerDied(_)), "{error:?}");
        }
        let late = pool.submit(square, 1).result().unwrap_err();
        assert!(matches!(late, TaskError::Broken(_)), "{late:?}");
        pool.join();
        assert!(workers.iter().all(|pid| !exists(*pid)));
    });
}

#[test]
fn the_parent_need_not_be_asked_for_a_worker_to_be_watched() {
    limit(LIMIT, || {
        // A worker dies on its very first task, one after the other; each is noticed without another event.
        let pool = ProcessPoolExecutor::new(3);
        for _ in 0..5 {
            let error = pool.submit(die, ()).result().unwrap_err();
            let TaskError::WorkerDied(died) = &error else { panic!("{error:?}") };
            assert_eq!(end(died), ABORTED);
        }
        assert_eq!(pool.submit(square, 2).result().unwrap(), 4);
    });
}
