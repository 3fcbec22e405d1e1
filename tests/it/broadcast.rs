//! A call in each worker.

use crate::observer::{Witness, check};
use crate::support::{Gate, LIMIT, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Shutdown, TaskError, WhenFull};
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });

fn call(n: u32) -> u32 {
    CALLS.set(CALLS.get() + n);
    CALLS.get()
}

fn all<T>(futures: Vec<Future<T>>) -> Vec<T> {
    futures.into_iter().map(|future| future.result().unwrap()).collect()
}

fn name() -> String {
    std::thread::current().name().unwrap().to_owned()
}

#[test]
fn each_worker_calls_it_once() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(4).name_prefix("each").build().unwrap();
        let names = all(pool.broadcast(|()| name(), ()));
        assert_eq!(names, ["each_0", "each_1", "each_2", "each_3"]);
        for n in 1..=50 {
            assert_eq!(all(pool.broadcast(call, 1)), [n; 4]);
        }
        // Some of them are busy, some have spares, and all have something in hand.
        let held = [hold(&pool), hold(&pool)];
        let queued: Vec<Future<u32>> = (0..5000).map(|_| pool.spawn(|| CALLS.get())).collect();
        let calls = pool.broadcast(call, 1);
        let later: Vec<Future<u32>> = (0..5000).map(|_| pool.spawn(|| CALLS.get())).collect();
        assert!(all(later).iter().all(|calls| *calls == 51));
        assert!(all(queued).iter().all(|calls| [50, 51].contains(calls)));
        eventually(|| calls.iter().filter(|call| call.is_done()).count() == 2);
        held.into_iter().for_each(|held| held.release());
        assert_eq!(all(calls), [51; 4]);
        assert_eq!((pool.stats().queued, pool.stats().failed), (0, 0));
    });
}

/// They sleep, one by one, and nobody else is woken in their stead.
#[test]
fn workers_that_rest_are_woken() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(3);
        pool.warm_up().result().unwrap();
        for _ in 0..200 {
            eventually(|| pool.stats().idle == 3);
            let meeting = Arc::new(Barrier::new(3));
            assert_eq!(all(pool.broadcast(|meeting: Arc<Barrier>| _ = meeting.wait(), meeting)).len(), 3);
        }
    });
}

#[test]
fn it_is_cancelled_until_it_begins() {
    limit(LIMIT, || {
        let pool =
            ThreadPoolExecutor::builder().max_workers(2).queue_capacity(1, WhenFull::Reject).build().unwrap();
        let (one, two) = (hold(&pool), hold(&pool));
        let calls = pool.broadcast(call, 1);
        let stats = pool.stats();
        assert_eq!((calls.len(), stats.queued, stats.running), (2, 2, 2));
        assert!(calls[1].cancel());
        assert_eq!((pool.stats().queued, pool.stats().cancelled), (1, 1));
        let task = pool.spawn(|| CALLS.get());
        assert!(!task.is_done(), "it takes no place in the queue");
        one.release();
        two.release();
        let outcomes: Vec<_> = calls.into_iter().map(|call| call.result()).collect();
        assert!(matches!(outcomes[..], [Ok(1), Err(TaskError::Cancelled)]), "{outcomes:?}");
        task.result().unwrap();
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.finished, stats.cancelled, stats.submitted()), (0, 4, 1, 5));
    });
}

#[test]
fn the_end_lets_them_run_or_cancels_them() {
    limit(LIMIT, || {
        for mode in [Shutdown::Drain, Shutdown::CancelQueued, Shutdown::Stop] {
            let pool = ThreadPoolExecutor::new(2);
            let held = [hold(&pool), hold(&pool)];
            let calls = pool.broadcast(call, 1);
            pool.shutdown(mode);
            held.into_iter().for_each(|held| held.release());
            pool.join();
            for call in calls {
                match call.result() {
                    Ok(1) => assert_eq!(mode, Shutdown::Drain),
                    Err(TaskError::Cancelled) => assert_ne!(mode, Shutdown::Drain),
                    other => panic!("{other:?}"),
                }
            }
            let late = pool.broadcast(call, 1);
            assert_eq!(late.len(), 1);
            assert!(late.into_iter().all(|call| matches!(call.result(), Err(TaskError::Rejected(_)))));
            assert_eq!(pool.stats().queued, 0);
        }
    });
}

#[test]
fn an_initializer_that_fails_ends_them() {
    limit(LIMIT, || {
        let pool =
            ThreadPoolExecutor::builder().max_workers(2).initializer(|| panic!("no model")).build().unwrap();
        for call in pool.broadcast(call, 1) {
            let error = call.result().unwrap_err();
            assert!(
                matches!(error, TaskError::Broken(_)) && error.to_string().contains("no model"),
                "{error}"
            );
        }
        assert_eq!(pool.stats().queued, 0);
    });
}

/// Rather than for ever: the worker has its part when the task is over that waits for it.
#[test]
fn a_task_of_the_pool_does_not_wait_for_it() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let own = pool.clone();
        let task = pool.spawn(move || {
            let mut calls = own.broadcast(call, 1);
            let mine = calls.pop().unwrap();
            let timed_out = mine.result_timeout(Duration::from_millis(1));
            let error = calls.pop().unwrap().result().unwrap_err();
            (timed_out.is_err(), error.to_string())
        });
        let (_, error) = task.result().unwrap();
        assert!(error.contains("broadcast to each worker of its own pool"), "{error}");
        assert_eq!(all(pool.broadcast(call, 1)), [2, 2]);
    });
}

/// They end as soon as they have nothing to do, and each that there is has its part all the same; no more are started than may be.
#[test]
fn workers_that_do_not_stay_have_their_part() {
    limit(LIMIT, || {
        let (starts, witness) = (Arc::new(AtomicUsize::new(0)), Arc::new(Witness::default()));
        let counts = starts.clone();
        let pool = ThreadPoolExecutor::builder()
            .max_workers(8)
            .keep_alive(Duration::ZERO)
            .initializer(move || _ = counts.fetch_add(1, Ordering::SeqCst))
            .observer(witness.clone())
            .build()
            .unwrap();
        for n in 1..=50 {
            assert_eq!(all(pool.broadcast(|()| (), ())).len(), 8);
            assert!(starts.load(Ordering::SeqCst) <= 8 * n);
        }
        let stats = pool.stats();
        assert_eq!((stats.finished, stats.cancelled, stats.queued), (400, 0, 0));
        pool.join();
        check(&witness.events());
    });
}

/// What makes their tasks panics: they end as ever.
#[test]
fn an_argument_that_cannot_be_cloned() {
    limit(LIMIT, || {
        struct Bad;
        impl Clone for Bad {
            fn clone(&self) -> Self {
                panic!("no copy")
            }
        }
        let pool = ThreadPoolExecutor::builder().max_workers(2).keep_alive(Duration::ZERO).build().unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| pool.broadcast(|_| (), Bad)));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"no copy"));
        eventually(|| pool.stats().workers == 0);
    });
}

/// A wait for any of several goes on as long as one can come that its own worker need not end.
#[test]
fn a_wait_for_any_of_several_waits_for_the_others() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let (own, gate) = (pool.clone(), Gate::new());
        let opened = gate.clone();
        let task = pool.spawn(move || {
            let ordinary = own.spawn(move || opened.wait());
            let part = own.broadcast(|()| (), ()).swap_remove(0);
            let waited = wait([&part, &ordinary], ReturnWhen::FirstCompleted);
            let is_first = waited.done.len() == 1 && waited.done[0].id() == ordinary.id();
            let all = wait([part, ordinary], ReturnWhen::AllCompleted);
            (is_first, all.done.len(), all.not_done.len())
        });
        eventually(|| pool.stats().blocked == 1 || task.is_done());
        gate.open();
        assert_eq!(task.result().unwrap(), (true, 1, 1));
    });
}

#[test]
fn as_completed_hands_out_the_others_first() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let (own, gates) = (pool.clone(), [Gate::new(), Gate::new(), Gate::new()]);
        let opened = gates.clone();
        let (tell, told) = mpsc::channel();
        let task = pool.spawn(move || {
            let other = ThreadPoolExecutor::new(1);
            let part = own.broadcast(|()| (), ()).swap_remove(0);
            let [one, two, three] = opened;
            let mut all = as_completed([(0, part)]);
            all.extend([(1, own.spawn(move || one.wait())), (2, own.spawn(move || two.wait()))]);
            let mut numbers = Vec::new();
            while let Some((number, future)) = all.next() {
                numbers.push((number, future.is_done()));
                if number == 0 {
                    // One that can come is waited for again.
                    let three = three.clone();
                    all.add((3, other.spawn(move || three.wait())));
                }
                tell.send(()).unwrap();
            }
            numbers
        });
        gates[1].open();
        told.recv().unwrap();
        gates[0].open();
        (0..2).for_each(|_| told.recv().unwrap());
        gates[2].open();
        assert_eq!(task.result().unwrap(), [(2, true), (1, true), (0, false), (3, true)]);
    });
}

#[test]
fn a_worker_that_comes_later_has_no_part() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let calls = pool.broadcast(call, 1);
        pool.set_max_workers(2).unwrap();
        assert_eq!((calls.len(), pool.spawn(|| CALLS.get()).result().unwrap()), (1, 0));
        assert_eq!(pool.broadcast(|()| name(), ()).len(), 2);
        held.release();
        all(calls);
    });
}

/// Broadcasts from several threads, tasks between them, and the number of workers changes.
#[test]
fn none_is_lost_or_called_twice() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(3));
        let (calls, futures) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let over = Gate::new();
        let (other, until) = (pool.clone(), over.clone());
        let mover = std::thread::spawn(move || {
            for n in [1, 4, 2].into_iter().cycle().take_while(|_| !until.is_open()) {
                other.set_max_workers(n).unwrap();
                std::thread::yield_now();
            }
        });
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (pool, calls, futures) = (pool.clone(), calls.clone(), futures.clone());
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        let each = pool.broadcast(
                            |calls: Arc<AtomicUsize>| _ = calls.fetch_add(1, Ordering::SeqCst),
                            calls.clone(),
                        );
                        futures.fetch_add(each.len(), Ordering::SeqCst);
                        let sum: u32 = pool.map(|n| n, 0..100).map(Result::unwrap).sum();
                        assert_eq!(sum, 4950);
                        all(each);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        over.open();
        mover.join().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), futures.load(Ordering::SeqCst));
        assert_eq!(pool.stats().queued, 0);
    });
}

#[cfg(feature = "process")]
mod processes {
    use super::*;
    use crate::processes_support::{Signals, builder, kill, pid, pids, square, stay};
    use std::path::PathBuf;

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    fn call(n: usize) -> (u32, usize) {
        (std::process::id(), CALLS.fetch_add(n, Ordering::SeqCst) + n)
    }

    fn calls(_: u64) -> usize {
        CALLS.load(Ordering::SeqCst)
    }

    #[test]
    fn each_worker_calls_it_once() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(3).build().unwrap();
            let first = all(pool.broadcast(call, 1));
            assert_eq!(first.iter().map(|call| call.0).collect::<Vec<_>>(), pids(&pool));
            assert_eq!(first.iter().map(|call| call.0).collect::<HashSet<_>>().len(), 3);
            for n in 2..=20 {
                assert!(all(pool.broadcast(call, 1)).iter().all(|call| call.1 == n));
            }
            // One is busy, and much was sent to all of them.
            let held = signals.hold(&pool, "held");
            let queued: Vec<_> = (0..3000).map(|n| pool.submit(calls, n)).collect();
            let each = pool.broadcast(call, 1);
            let later: Vec<_> = (0..3000).map(|n| pool.submit(calls, n)).collect();
            assert!(all(later).iter().all(|calls| *calls == 21));
            assert!(all(queued).iter().all(|calls| [20, 21].contains(calls)));
            eventually(|| each.iter().filter(|call| !call.is_done()).count() == 1);
            signals.release("held");
            held.result().unwrap();
            assert!(all(each).iter().all(|call| call.1 == 21));
            assert_eq!((pool.stats().queued, pool.stats().deaths), (0, 0));
        });
    }

    #[test]
    fn it_is_cancelled_until_it_begins() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(1).build().unwrap();
            let held = signals.hold(&pool, "held");
            let mut each = pool.broadcast(call, 1);
            assert_eq!((pool.stats().queued, pool.stats().running), (1, 1));
            let call = each.pop().unwrap();
            assert!(call.cancel() && matches!(call.result(), Err(TaskError::Cancelled)));
            let task = pool.submit(calls, 0);
            signals.release("held");
            held.result().unwrap();
            assert_eq!(task.result().unwrap(), 0);
            let stats = pool.stats();
            assert_eq!((stats.queued, stats.cancelled, stats.finished), (0, 1, 2));
        });
    }

    fn call_as(pid: u32) {
        if pid == std::process::id() {
            call(1);
        }
    }

    fn die_as(n: usize) -> usize {
        if CALLS.load(Ordering::SeqCst) > 0 {
            std::process::abort();
        }
        n
    }

    /// In the call: it fails. Before it: the next one at its place calls.
    #[test]
    fn a_worker_that_dies() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(2).build().unwrap();
            pool.warm_up().result().unwrap();
            let first = pool.stats().workers[0].pid.unwrap();
            all(pool.broadcast(call_as, first));
            let mut each = pool.broadcast(die_as, 7).into_iter().map(|call| call.result());
            let (one, two) = (each.next().unwrap(), each.next().unwrap());
            assert!(matches!(one, Err(TaskError::WorkerDied(_))) && two.unwrap() == 7);
            let held = signals.hold(&pool, "held");
            let each = pool.broadcast(pid, ());
            let busy = pool.running()[0].pid.unwrap();
            kill(busy);
            assert!(matches!(held.result(), Err(TaskError::WorkerDied(_))));
            let each: HashSet<u32> = all(each).into_iter().collect();
            assert!(each.len() == 2 && !each.contains(&busy));
        });
    }

    #[test]
    fn a_worker_that_is_replaced() {
        limit(LIMIT, || {
            let pool = builder(2).max_tasks_per_child(1).build().unwrap();
            let calls: HashSet<u32> = all(pool.broadcast(pid, ())).into_iter().collect();
            let again: HashSet<u32> = all(pool.broadcast(pid, ())).into_iter().collect();
            assert!(calls.len() == 2 && again.len() == 2 && calls.is_disjoint(&again));
            assert_eq!(pool.submit(square, 3).result().unwrap(), 9);
            pool.join();
            assert_eq!(pool.stats().deaths, 0);
        });
    }

    #[test]
    fn the_end_lets_them_run_or_cancels_them() {
        limit(LIMIT, || {
            for mode in [Shutdown::Drain, Shutdown::CancelQueued] {
                let signals = Signals::new();
                let pool = builder(2).build().unwrap();
                let held = ["a", "b"].map(|name| signals.hold(&pool, name));
                let each = pool.broadcast(call, 1);
                pool.shutdown(mode);
                signals.release_all(&["a", "b"]);
                held.into_iter().for_each(|held| _ = held.result().unwrap());
                pool.join();
                for call in each {
                    match call.result() {
                        Ok((_, 1)) => assert_eq!(mode, Shutdown::Drain),
                        Err(TaskError::Cancelled) => assert_ne!(mode, Shutdown::Drain),
                        other => panic!("{other:?}"),
                    }
                }
                let late = pool.broadcast(call, 1);
                assert!(!late.is_empty());
                assert!(late.into_iter().all(|call| matches!(call.result(), Err(TaskError::Rejected(_)))));
                assert_eq!(pool.stats().queued, 0);
            }
        });
    }

    /// Those that are to leave make their call before they do.
    #[test]
    fn fewer_workers() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(2).build().unwrap();
            let held = ["a", "b"].map(|name| pool.submit(stay, signals.stay(name)));
            ["a.begun", "b.begun"].iter().for_each(|name| signals.wait(name));
            let each = pool.broadcast(pid, ());
            pool.set_max_workers(1).unwrap();
            signals.release_all(&["a", "b"]);
            let held = held.map(|held| held.result().unwrap());
            assert_eq!(all(each).into_iter().collect::<HashSet<_>>(), HashSet::from(held));
            eventually(|| pids(&pool).len() == 1);
            assert_eq!(pool.submit(square, 3).result().unwrap(), 9);
        });
    }

    #[test]
    fn workers_that_cannot_start() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let folder: PathBuf = signals.path("folder");
            std::fs::create_dir(&folder).unwrap();
            let pool = builder(2).current_dir(&folder).build().unwrap();
            std::fs::remove_dir(&folder).unwrap();
            for call in pool.broadcast(call, 1) {
                let error = call.result().unwrap_err();
                assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
            }
        });
    }
}
