//! A thread pool's threads: how many, which, how they are called, and what a submit costs them.

use crate::support::{Gate, LIMIT, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, Future, WhenFull};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn the_default_size_is_pythons() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().build().unwrap();
        let cpus = thread::available_parallelism().unwrap().get();
        assert_eq!(pool.max_workers(), (cpus + 4).min(32));
        assert_eq!((&pool as &dyn Executor).max_workers(), Some(pool.max_workers()));
    });
}

#[test]
fn no_worker_and_no_capacity_are_refused() {
    limit(LIMIT, || {
        let build = |n| ThreadPoolExecutor::builder().max_workers(n).build();
        assert_eq!(build(0).unwrap_err(), BuildError::NoWorkers);
        assert!(build(0).unwrap_err().to_string().contains("max_workers is 0"));
        let unbounded = ThreadPoolExecutor::builder().queue_capacity(0, WhenFull::Reject).build();
        assert_eq!(unbounded.unwrap_err(), BuildError::NoCapacity);
        assert!(std::panic::catch_unwind(|| ThreadPoolExecutor::new(0)).is_err());
    });
}

#[test]
fn under_load_there_are_max_workers_and_no_more() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(4);
        let gate = Gate::new();
        let (active, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let futures: Vec<_> = (0..15 * 4)
            .map(|_| {
                let (gate, active, peak) = (gate.clone(), active.clone(), peak.clone());
                pool.spawn(move || {
                    peak.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    gate.wait();
                    active.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        eventually(|| active.load(Ordering::SeqCst) == 4);
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.running, stats.queued), (4, 4, 56));
        gate.open();
        assert!(wait(&futures, ReturnWhen::AllCompleted).not_done.is_empty());
        assert_eq!(peak.load(Ordering::SeqCst), 4);
        assert_eq!(pool.stats().workers, 4);
    });
}

#[test]
fn one_after_the_other_needs_one_thread() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(8);
        assert_eq!(pool.stats().workers, 0, "no thread before the first task");
        for n in 0..5_000 {
            assert_eq!(pool.submit(|n| n, n).result().unwrap(), n);
        }
        assert_eq!(pool.stats().workers, 1);
    });
}

#[test]
fn tasks_begin_in_the_order_submitted() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let futures: Vec<_> = (0..1000)
            .map(|n| {
                let order = order.clone();
                pool.spawn(move || order.lock().unwrap().push(n))
            })
            .collect();
        held.release();
        wait(&futures, ReturnWhen::AllCompleted);
        assert!(order.lock().unwrap().iter().copied().eq(0..1000));
    });
}

#[test]
fn blocking_tasks_in_waves_all_end() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(4);
        let gates: Vec<_> = (0..10).map(|_| Gate::new()).collect();
        let futures: Vec<_> = gates
            .iter()
            .map(|gate| {
                let gate = gate.clone();
                pool.spawn(move || gate.wait())
            })
            .collect();
        // In the order of the queue: nothing here rests on how many of them run at once.
        for (gate, future) in gates.iter().zip(futures) {
            gate.open();
            future.result().unwrap();
        }
    });
}

fn names(pool: &ThreadPoolExecutor, n: usize) -> HashSet<String> {
    let gate = Gate::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let futures: Vec<Future<String>> = (0..n)
        .map(|_| {
            let (gate, begun) = (gate.clone(), begun.clone());
            pool.spawn(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                gate.wait();
                thread::current().name().unwrap().to_owned()
            })
        })
        .collect();
    eventually(|| begun.load(Ordering::SeqCst) == n);
    gate.open();
    futures.into_iter().map(|future| future.result().unwrap()).collect()
}

#[test]
fn threads_are_called_by_prefix_and_number() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(5).name_prefix("SpecialPool").build().unwrap();
        let expected: HashSet<_> = (0..5).map(|n| format!("SpecialPool_{n}")).collect();
        assert_eq!(names(&pool, 5), expected);
    });
}

#[test]
fn default_names_tell_pools_apart() {
    limit(LIMIT, || {
        let pools = [ThreadPoolExecutor::new(2), ThreadPoolExecutor::new(2)];
        let prefixes = pools.each_ref().map(|pool| {
            let names = names(pool, 2);
            let prefixes: HashSet<_> =
                names.iter().map(|name| name.rsplit_once('_').unwrap().0.to_owned()).collect();
            assert_eq!(prefixes.len(), 1, "{names:?}");
            prefixes.into_iter().next().unwrap()
        });
        assert_ne!(prefixes[0], prefixes[1]);
        assert!(prefixes.iter().all(|prefix| prefix.starts_with("ThreadPoolExecutor-")), "{prefixes:?}");
    });
}

#[test]
fn stack_size_is_honoured() {
    limit(LIMIT, || {
        #[inline(never)]
        fn dig(depth: usize) -> usize {
            let pad = std::hint::black_box([1u8; 16 * 1024]);
            if depth == 0 { 0 } else { dig(depth - 1) + usize::from(pad[depth % pad.len()]) }
        }
        // 16 MiB: eight times what a thread has by default.
        let pool = ThreadPoolExecutor::builder().max_workers(1).stack_size(64 << 20).build().unwrap();
        assert_eq!(pool.spawn(|| dig(1024)).result().unwrap(), 1024);
    });
}

#[test]
fn idle_threads_end_after_keep_alive_and_come_back() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder()
            .max_workers(4)
            .keep_alive(Duration::from_millis(10))
            .build()
            .unwrap();
        for _ in 0..3 {
            assert_eq!(names(&pool, 4).len(), 4);
            eventually(|| pool.stats().workers == 0);
        }
        assert_eq!(pool.stats().finished, 12, "the numbers of threads that are gone are kept");
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
        pool.join();
    });
}

#[test]
fn idle_threads_end_while_others_are_submitting() {
    limit(LIMIT, || {
        // As short as can be: the end of a worker races with each submit.
        let pool = ThreadPoolExecutor::builder().max_workers(2).keep_alive(Duration::ZERO).build().unwrap();
        for n in 0..2_000 {
            assert_eq!(pool.submit(|n| n, n).result().unwrap(), n);
        }
    });
}

#[test]
fn without_keep_alive_threads_stay() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(3);
        assert_eq!(names(&pool, 3).len(), 3);
        eventually(|| pool.stats().idle == 3);
        assert_eq!(pool.stats().workers, 3);
        assert_eq!(names(&pool, 3).len(), 3);
    });
}

#[test]
fn on_exit_runs_in_each_thread_after_its_last_task() {
    limit(LIMIT, || {
        let exits = Arc::new(Mutex::new(Vec::new()));
        let noted = exits.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(3)
            .name_prefix("leaver")
            .on_exit(move || {
                noted.lock().unwrap().push(thread::current().name().unwrap().to_owned());
                panic!("an exit hook that panics harms nobody");
            })
            .build()
            .unwrap();
        let mut used: Vec<_> = names(&pool, 3).into_iter().collect();
        assert!(exits.lock().unwrap().is_empty());
        pool.join();
        let mut exits = exits.lock().unwrap().clone();
        used.sort();
        exits.sort();
        assert_eq!(exits, used);
    });
}

#[test]
fn tasks_see_no_thread_local_of_the_submitter() {
    limit(LIMIT, || {
        thread_local!(static CONTEXT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
        CONTEXT.set(7);
        let pool = ThreadPoolExecutor::new(1);
        assert_eq!(pool.spawn(|| CONTEXT.get()).result().unwrap(), 0);
    });
}

#[test]
fn a_panic_of_any_kind_is_stored_and_the_worker_lives() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let worker = || thread::current().id();
        let before = pool.spawn(worker).result().unwrap();
        assert!(pool.spawn(|| panic!("text")).result().is_err());
        assert!(pool.spawn(|| std::panic::panic_any(17u8)).result().is_err());
        assert!(pool.spawn(|| std::panic::resume_unwind(Box::new("quiet"))).result().is_err());
        assert_eq!(pool.spawn(worker).result().unwrap(), before);
        assert_eq!((pool.stats().failed, pool.stats().finished), (3, 2));
    });
}

#[test]
fn a_task_may_submit_to_other_pools() {
    limit(LIMIT, || {
        let pools: Arc<[ThreadPoolExecutor]> = (0..3).map(|_| ThreadPoolExecutor::new(1)).collect();
        let inner = pools.clone();
        let nested = pools[0].spawn(move || {
            let outer = inner.clone();
            inner[1].spawn(move || outer[2].spawn(|| 5).result().unwrap() + 1).result().unwrap() + 1
        });
        assert_eq!(nested.result().unwrap(), 7);
    });
}
