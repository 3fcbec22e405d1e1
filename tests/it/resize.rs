//! The number of workers changes while the pool runs.

use crate::support::{Gate, LIMIT, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, Future, Shutdown, WhenFull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

/// How many do something at once, and how many did at most.
#[derive(Clone, Default)]
struct AtOnce(Arc<(AtomicUsize, AtomicUsize)>);

impl AtOnce {
    fn during(&self, f: impl FnOnce()) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        f();
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// All of them, though each new worker's initializer waits for the others'.
#[test]
fn more_workers_come_at_once_for_what_is_queued() {
    limit(LIMIT, || {
        let (count, others) = (AtomicUsize::new(0), Barrier::new(3));
        let pool = ThreadPoolExecutor::builder()
            .max_workers(1)
            .initializer(move || {
                if count.fetch_add(1, Ordering::SeqCst) > 0 {
                    others.wait();
                }
            })
            .build()
            .unwrap();
        let meeting = Arc::new(Barrier::new(4));
        let futures: Vec<Future<()>> = (0..4)
            .map(|_| {
                let meeting = meeting.clone();
                pool.spawn(move || _ = meeting.wait())
            })
            .collect();
        assert_eq!(pool.stats().finished, 0);
        pool.set_max_workers(4).unwrap();
        assert_eq!(pool.max_workers(), 4);
        futures.into_iter().for_each(|future| future.result().unwrap());
        assert_eq!(pool.stats().workers, 4);
    });
}

/// Also beside some that rest, and are called first: the new ones' initializers are not over before all are there.
#[test]
fn more_workers_come_at_once_beside_those_that_rest() {
    limit(LIMIT, || {
        let (starts, all_there, over) = (AtomicUsize::new(0), Gate::new(), Gate::new());
        let waits = all_there.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(8)
            .initializer(move || {
                if starts.fetch_add(1, Ordering::SeqCst) >= 8 {
                    waits.wait();
                }
            })
            .build()
            .unwrap();
        pool.warm_up().result().unwrap();
        pool.set_max_workers(1).unwrap();
        let futures: Vec<Future<()>> = (0..20)
            .map(|_| {
                let over = over.clone();
                pool.spawn(move || over.wait())
            })
            .collect();
        pool.set_max_workers(16).unwrap();
        eventually(|| pool.stats().workers == 16);
        all_there.open();
        over.open();
        futures.into_iter().for_each(|future| future.result().unwrap());
    });
}

/// What runs goes on, what is queued runs on one worker, the others end, with their hook.
#[test]
fn fewer_workers_run_what_is_queued_and_the_others_end() {
    limit(LIMIT, || {
        let exits = Arc::new(AtomicUsize::new(0));
        let counts = exits.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(4)
            .on_exit(move || _ = counts.fetch_add(1, Ordering::SeqCst))
            .build()
            .unwrap();
        let held: Vec<_> = (0..4).map(|_| hold(&pool)).collect();
        let at_once = AtOnce::default();
        let queued: Vec<_> = (0..200)
            .map(|_| {
                let at_once = at_once.clone();
                pool.spawn(move || at_once.during(std::thread::yield_now))
            })
            .collect();
        pool.set_max_workers(1).unwrap();
        assert_eq!(pool.stats().running, 4);
        held.into_iter().for_each(|held| held.release());
        queued.into_iter().for_each(|future| future.result().unwrap());
        assert_eq!(at_once.most(), 1);
        eventually(|| pool.stats().workers == 1 && exits.load(Ordering::SeqCst) == 3);
        assert_eq!(pool.spawn(|| 5).result().unwrap(), 5);
    });
}

/// Each decides for itself, and no more go than are too many.
#[test]
fn idle_workers_end_down_to_the_number() {
    limit(LIMIT, || {
        let started = Arc::new(AtomicUsize::new(0));
        let counts = started.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(8)
            .initializer(move || _ = counts.fetch_add(1, Ordering::SeqCst))
            .build()
            .unwrap();
        pool.warm_up().result().unwrap();
        pool.set_max_workers(2).unwrap();
        eventually(|| pool.stats().workers <= 2);
        pool.warm_up().result().unwrap();
        assert_eq!((pool.stats().workers, started.load(Ordering::SeqCst)), (2, 8));
        pool.set_max_workers(3).unwrap();
        pool.warm_up().result().unwrap();
        assert_eq!((pool.stats().workers, started.load(Ordering::SeqCst)), (3, 9));
    });
}

/// Tasks that are short lie in hands; none is lost, whatever the number is at the moment.
#[test]
fn nothing_is_lost_while_the_number_moves() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let (other, over) = (pool.clone(), Gate::new());
        let until = over.clone();
        let mover = std::thread::spawn(move || {
            for n in [1, 7, 3, 1, 5].into_iter().cycle().take_while(|_| !until.is_open()) {
                other.set_max_workers(n).unwrap();
                std::thread::yield_now();
            }
        });
        let sum: u64 = pool.map(|n: u64| n, 0..50_000).map(Result::unwrap).sum();
        // Waits of tasks for tasks, too.
        let own = pool.clone();
        let waits = pool.map(move |n: u64| own.spawn(move || n).result().unwrap(), 0..2000);
        assert_eq!(waits.map(Result::unwrap).sum::<u64>(), 1_999_000);
        over.open();
        mover.join().unwrap();
        assert_eq!((sum, pool.stats().queued), (1_249_975_000, 0));
    });
}

#[test]
fn a_full_queue_and_an_end() {
    limit(LIMIT, || {
        let pool =
            ThreadPoolExecutor::builder().max_workers(1).queue_capacity(2, WhenFull::Block).build().unwrap();
        let held = hold(&pool);
        let (one, two) = (pool.spawn(|| 1), pool.spawn(|| 2));
        pool.set_max_workers(2).unwrap();
        assert_eq!(one.result().unwrap() + two.result().unwrap(), 3);
        // What is left of a pool that was shut down may have more workers too.
        let meeting = Arc::new(Barrier::new(2));
        let meets = [0, 1].map(|_| {
            let meeting = meeting.clone();
            pool.spawn(move || _ = meeting.wait())
        });
        pool.shutdown(Shutdown::Drain);
        pool.set_max_workers(3).unwrap();
        meets.into_iter().for_each(|future| future.result().unwrap());
        held.release();
        pool.join();
        pool.set_max_workers(9).unwrap();
        assert_eq!((pool.max_workers(), pool.stats().workers), (9, 0));
    });
}

#[test]
fn none_is_refused() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(3);
        assert_eq!(pool.set_max_workers(0), Err(BuildError::NoWorkers));
        assert_eq!((pool.max_workers(), Executor::max_workers(&pool)), (3, Some(3)));
        pool.set_max_workers(usize::MAX).unwrap();
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[cfg(feature = "process")]
mod processes {
    use super::*;
    use crate::processes_support::{Signals, builder, pids, square, stay};
    use std::path::PathBuf;

    fn note(folder: PathBuf) {
        std::fs::write(folder.join(format!("{}.left", std::process::id())), "").unwrap();
    }

    fn left(signals: &Signals) -> usize {
        let files = std::fs::read_dir(signals.path("")).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".left")).count()
    }

    #[test]
    fn more_workers_come_at_once_for_what_is_queued() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(1).build().unwrap();
            let names = ["a", "b", "c"];
            let held = names.map(|name| pool.submit(stay, signals.stay(name)));
            signals.wait("a.begun");
            assert!(!signals.has("b.begun"));
            pool.set_max_workers(3).unwrap();
            names.iter().for_each(|name| signals.wait(&format!("{name}.begun")));
            signals.release_all(&names);
            held.into_iter().for_each(|future| _ = future.result().unwrap());
            assert_eq!((pool.max_workers(), pids(&pool).len()), (3, 3));
        });
    }

    /// They leave in order when their task is over, and what was sent to them runs elsewhere.
    #[test]
    fn fewer_workers_run_what_is_queued_and_the_others_leave() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(3).on_exit(note, signals.path("")).build().unwrap();
            let names = ["a", "b", "c"];
            let held = names.map(|name| signals.hold(&pool, name));
            let queued: Vec<_> = (0..60).map(|n| pool.submit(square, n)).collect();
            pool.set_max_workers(1).unwrap();
            assert_eq!((pool.stats().queued, pool.stats().dispatched, pool.stats().running), (60, 0, 3));
            signals.release("a");
            signals.release("b");
            eventually(|| pids(&pool).len() == 1 && left(&signals) == 2);
            // Its worker may have been sent some of them by now.
            let stats = pool.stats();
            assert_eq!(
                (stats.queued + stats.dispatched, stats.running),
                (60, 1),
                "the one that is left is busy"
            );
            signals.release("c");
            held.into_iter().for_each(|future| _ = future.result().unwrap());
            for (n, future) in (0..).zip(queued) {
                assert_eq!(future.result().unwrap(), n * n);
            }
            assert_eq!((pids(&pool).len(), pool.stats().deaths), (1, 0));
        });
    }

    #[test]
    fn idle_workers_leave_at_once_and_others_come_again() {
        limit(LIMIT, || {
            let pool = builder(4).build().unwrap();
            pool.warm_up().result().unwrap();
            pool.set_max_workers(2).unwrap();
            eventually(|| pids(&pool).len() == 2);
            let sum: u64 = pool.map(square, 0..100).map(Result::unwrap).sum();
            pool.warm_up().result().unwrap();
            let stats = pool.stats();
            let starts: u64 = stats.workers.iter().map(|worker| worker.starts).sum();
            assert_eq!((sum, pids(&pool).len(), starts, stats.deaths), (328_350, 2, 4, 0));
            pool.set_max_workers(5).unwrap();
            pool.warm_up().result().unwrap();
            assert_eq!(pids(&pool).len(), 5);
        });
    }

    fn wait_if_told(path: PathBuf) {
        while path.exists() {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }

    /// One that is on its way doesn't take the place of one that is up.
    #[test]
    fn a_worker_that_starts_is_ended() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(1).initializer(wait_if_told, signals.path("wait")).build().unwrap();
            pool.warm_up().result().unwrap();
            signals.give("wait");
            pool.set_max_workers(2).unwrap();
            let warm = pool.warm_up();
            eventually(|| pids(&pool).len() == 2);
            pool.set_max_workers(1).unwrap();
            warm.result().unwrap();
            assert_eq!(pool.submit(square, 3).result().unwrap(), 9);
            eventually(|| pids(&pool).len() == 1);
            assert_eq!(pool.stats().deaths, 0);
        });
    }

    #[test]
    fn nothing_is_lost_while_the_number_moves() {
        limit(LIMIT, || {
            let pool = Arc::new(builder(2).build().unwrap());
            let (other, over) = (pool.clone(), Gate::new());
            let until = over.clone();
            let mover = std::thread::spawn(move || {
                for n in [1, 4, 2, 1, 3].into_iter().cycle().take_while(|_| !until.is_open()) {
                    other.set_max_workers(n).unwrap();
                    std::thread::park_timeout(std::time::Duration::from_millis(5));
                }
            });
            for _ in 0..20 {
                let sum: u64 = pool.map(square, 0..500).map(Result::unwrap).sum();
                assert_eq!(sum, 41_541_750);
            }
            over.open();
            mover.join().unwrap();
            let stats = pool.stats();
            assert_eq!((stats.deaths, stats.queued, stats.finished), (0, 0, 10_000));
            drop(pool);
        });
    }

    fn threads((): ()) -> Option<String> {
        std::env::var("BLIS_NUM_THREADS").ok()
    }

    #[test]
    fn a_new_worker_has_its_share_of_the_processors() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(1).build().unwrap();
            let all = num_cpus::get().to_string();
            assert_eq!(pool.submit(threads, ()).result().unwrap(), Some(all));
            let held = signals.hold(&pool, "held");
            pool.set_max_workers(10_000).unwrap();
            assert_eq!(pool.submit(threads, ()).result().unwrap().as_deref(), Some("1"));
            signals.release("held");
            held.result().unwrap();
        });
    }

    #[test]
    fn none_is_refused_and_an_end_stays_one() {
        limit(LIMIT, || {
            let pool = builder(2).build().unwrap();
            assert_eq!(pool.set_max_workers(0), Err(BuildError::NoWorkers));
            assert_eq!((pool.max_workers(), Executor::max_workers(&pool)), (2, Some(2)));
            pool.submit(square, 3).result().unwrap();
            pool.join();
            pool.set_max_workers(4).unwrap();
            assert!(pids(&pool).is_empty());
        });
    }
}
