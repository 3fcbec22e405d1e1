//! Scopes: tasks that borrow, and the promise that nothing of them is left when the scope ends.

use crate::support::{Bomb, Gate, LIMIT, Live, Token, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, Scope, Shutdown, TaskError, WhenFull};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[test]
fn tasks_borrow_and_write() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let words = ["to".to_string(), "borrow".into()];
        let mut lengths = [0; 2];
        let total = pool.scope(|s| {
            for (word, length) in words.iter().zip(&mut lengths) {
                s.spawn(move || *length = word.len()).detach();
            }
            s.submit(|words: &[String]| words.len(), &words[..]).result().unwrap()
        });
        assert_eq!((lengths, total), ([2, 6], 2));
        let lent: Vec<&str> =
            pool.scope(|s| s.map(|word: &String| word.as_str(), &words).map(Result::unwrap).collect());
        assert_eq!(lent, ["to", "borrow"]);
        let parsed =
            pool.scope(|s| s.try_map(|word: &&str| word.parse::<u8>(), &["1", "x"]).collect::<Vec<_>>());
        assert!(parsed[0].is_ok() && matches!(parsed[1], Err(TaskError::Failed(_))));
        assert!(pool.scope(|s| s.try_spawn(|| words[0].parse::<u8>()).result()).is_err());
        assert!(
            pool.scope(|s| s.try_submit(|word: &str| word.parse::<u8>(), words[1].as_str()).result())
                .is_err()
        );
    });
}

#[test]
fn it_waits_for_all_and_tasks_may_add_tasks() {
    limit(LIMIT, || {
        for workers in [1, 4] {
            let pool = ThreadPoolExecutor::new(workers);
            let count = AtomicUsize::new(0);
            fn grow<'s, 'e>(s: &'s Scope<'s, 'e>, count: &'e AtomicUsize, depth: usize) {
                count.fetch_add(1, Ordering::SeqCst);
                if depth > 0 {
                    for _ in 0..2 {
                        s.spawn(move || grow(s, count, depth - 1)).detach();
                    }
                }
            }
            pool.scope(|s| grow(s, &count, 9));
            assert_eq!(count.load(Ordering::SeqCst), (1 << 10) - 1);
        }
    });
}

#[test]
fn inside_a_worker_of_its_pool() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let inner = pool.clone();
        let sum = pool.spawn(move || {
            let numbers: Vec<u64> = (1..=100).collect();
            let sum = std::sync::atomic::AtomicU64::new(0);
            inner.scope(|s| {
                for n in &numbers {
                    let sum = &sum;
                    s.spawn(move || sum.fetch_add(*n, Ordering::SeqCst)).detach();
                }
            });
            sum.into_inner()
        });
        assert_eq!(sum.result().unwrap(), 5050);
    });
}

#[test]
fn a_future_that_borrows_nothing_may_leave() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let live = Live::new();
        let left: Future<Token> = pool.scope(|s| s.spawn(|| live.token()));
        assert!(left.is_done());
        assert_eq!(live.count(), 1, "a result whose future is held is all that may be left");
        drop(left.result().unwrap());
        assert_eq!(live.count(), 0);
        let pair = pool.scope(|s| (s.spawn(|| 1), s.spawn(|| -> u8 { panic!("in a scope") })));
        assert_eq!(pair.0.result().unwrap(), 1);
        assert!(matches!(pair.1.result(), Err(TaskError::Panicked(_))));
    });
}

/// Runs `body` in a scope of a pool with `workers`, many times, and looks at what is alive the moment it ends.
fn nothing_is_left(
    workers: &[usize],
    body: impl for<'s, 'e> Fn(&'s Scope<'s, 'e>, &'e Live) + Send + Sync + 'static,
) {
    for &workers in workers {
        let pool = ThreadPoolExecutor::new(workers);
        for round in 0..300 {
            let live = Live::new();
            pool.scope(|s| body(s, &live));
            assert_eq!(live.count(), 0, "{workers} workers, round {round}");
        }
        // The same from a worker of the pool, which runs tasks in place.
        let pool = Arc::new(pool);
        let inner = pool.clone();
        let worst = pool.scope(|outer| {
            let body = &body;
            outer
                .spawn(move || {
                    (0..300)
                        .map(|_| {
                            let live = Live::new();
                            inner.scope(|s| body(s, &live));
                            live.count()
                        })
                        .max()
                })
                .result()
        });
        assert_eq!(worst.unwrap(), Some(0), "{workers} workers, inside");
    }
}

#[test]
fn nothing_is_left_of_closures_arguments_and_results() {
    limit(LIMIT, || {
        nothing_is_left(&[1, 3], |s, live| {
            let (captured, argument) = (live.token(), live.token());
            s.submit(
                move |argument| {
                    drop(argument);
                    let _captured = &captured;
                    live.token()
                },
                argument,
            )
            .detach();
            // Dropped while it may run, and after it was waited for.
            drop(s.spawn(|| live.token()));
            let unread = s.spawn(|| live.token());
            unread.wait();
            drop(unread);
            // Read, and dropped inside.
            drop(s.spawn(|| live.token()).result());
        });
    });
}

#[test]
fn nothing_is_left_of_cancelled_tasks() {
    limit(LIMIT, || {
        nothing_is_left(&[1, 3], |s, live| {
            for n in 0..6 {
                let token = live.token();
                let future = s.spawn(move || token);
                if n % 2 == 0 {
                    future.cancel();
                }
            }
            let handle = {
                let captured = live.token();
                s.spawn(move || drop(captured)).cancel_handle()
            };
            handle.cancel();
        });
    });
}

#[test]
fn nothing_is_left_of_tasks_that_panic() {
    limit(LIMIT, || {
        nothing_is_left(&[1, 3], |s, live| {
            let token = live.token();
            s.spawn(move || {
                let _token = token;
                std::panic::resume_unwind(Box::new("no hook, no noise"));
            })
            .detach();
            // A payload is the program's, 'static: a token in it goes with the error.
            let payload = live.token();
            let failed = s.spawn(move || -> () { std::panic::resume_unwind(Box::new(payload)) });
            failed.wait();
        });
    });
}

#[test]
fn nothing_is_left_of_callbacks() {
    limit(LIMIT, || {
        nothing_is_left(&[1, 3], |s, live| {
            for cancel in [false, true] {
                let future = s.spawn(|| live.token());
                let captured = live.token();
                future.add_done_callback(move |_| drop(captured));
                if cancel {
                    future.cancel();
                }
            }
        });
    });
}

#[test]
fn nothing_is_left_of_waits_and_maps() {
    limit(LIMIT, || {
        nothing_is_left(&[1, 3], |s, live| {
            let futures: Vec<_> = (0..4).map(|_| s.spawn(|| live.token())).collect();
            assert!(!wait(&futures, ReturnWhen::FirstCompleted).done.is_empty());
            let mut each = as_completed(futures);
            drop(each.next());
            drop(each);
            let tokens: Vec<_> = (0..4).map(|_| live.token()).collect();
            let mut map = s.map(|token| (token, live.token()), tokens);
            drop(map.next());
            let shared = s.spawn(|| live.token()).shared();
            let clone = shared.clone();
            s.spawn(move || clone.result().map(|_| ())).detach();
        });
    });
}

#[test]
fn nothing_is_left_when_drops_panic() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        for _ in 0..50 {
            let live = Live::new();
            // Held until all futures are given up: a result that is done is dropped by its owner, who sees the panic.
            let held = hold(&pool);
            pool.scope(|s| {
                let (bomb, token) = (Bomb, live.token());
                s.spawn(move || {
                    let _both = (&bomb, &token);
                })
                .detach();
                let live = &live;
                s.spawn(move || (Bomb, live.token())).detach();
                let token = live.token();
                s.submit(|pair: (Bomb, Token)| drop(pair), (Bomb, token)).detach();
                held.gate.open();
            });
            assert_eq!(live.count(), 0);
        }
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_panic_in_the_body_waits_for_what_runs_and_cancels_the_rest() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (live, ran) = (Live::new(), AtomicUsize::new(0));
        let (begun, gate) = (Gate::new(), Gate::new());
        let cancelled = Arc::new(AtomicUsize::new(0));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|s| {
                let (begins, opened) = (begun.clone(), gate.clone());
                let running = s.spawn({
                    let (token, ran) = (live.token(), &ran);
                    move || {
                        begins.open();
                        opened.wait();
                        ran.fetch_add(1, Ordering::SeqCst);
                        drop(token);
                    }
                });
                for _ in 0..10 {
                    let (token, ran) = (live.token(), &ran);
                    let (opens, counted) = (gate.clone(), cancelled.clone());
                    let queued = s.spawn(move || {
                        ran.fetch_add(1, Ordering::SeqCst);
                        drop(token);
                    });
                    // The running one goes on once all queued ones are cancelled.
                    queued.add_done_callback(move |_| {
                        if counted.fetch_add(1, Ordering::SeqCst) == 9 {
                            opens.open();
                        }
                    });
                }
                begun.wait();
                drop(running);
                panic!("the body goes wrong");
            })
        }));
        assert_eq!(*caught.unwrap_err().downcast_ref::<&str>().unwrap(), "the body goes wrong");
        assert_eq!((ran.load(Ordering::SeqCst), live.count()), (1, 0));
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_forgotten_future_leaks_its_result_and_nothing_else() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let live = Live::new();
        pool.scope(|s| {
            let captured = live.token();
            std::mem::forget(s.spawn(|| {
                drop(captured);
                live.token()
            }));
        });
        assert_eq!(live.count(), 1);
    });
}

#[test]
fn other_work_of_the_pool_is_not_waited_for() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let held = hold(&pool);
        let n = AtomicUsize::new(0);
        pool.scope(|s| s.spawn(|| n.fetch_add(1, Ordering::SeqCst)).detach());
        assert_eq!(n.load(Ordering::SeqCst), 1);
        assert!(held.future.is_running());
        held.release();
    });
}

#[test]
fn on_a_pool_that_is_shut_down_or_shut_down_meanwhile() {
    limit(LIMIT, || {
        let live = Live::new();
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        pool.scope(|s| {
            let tokens: Vec<_> = (0..5).map(|_| live.token()).collect();
            let futures: Vec<_> = tokens.into_iter().map(|token| s.spawn(move || token)).collect();
            pool.shutdown(Shutdown::CancelQueued);
            let (late, captured) = (s.spawn(|| 1), live.token());
            assert!(matches!(late.result(), Err(TaskError::Rejected(_))));
            s.spawn(move || captured).detach();
            assert!(futures.iter().all(Future::is_cancelled));
        });
        assert_eq!(live.count(), 0);
        held.release();
    });
}

#[test]
fn an_empty_one_and_one_inside_another() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        assert_eq!(pool.scope(|_| 5), 5);
        let text = String::from("borrowed");
        let lengths = pool.scope(|outer| {
            let len = outer.spawn(|| text.len());
            let more = pool.scope(|inner| inner.spawn(|| text.len() + 1).result().unwrap());
            (len.result().unwrap(), more)
        });
        assert_eq!(lengths, (8, 9));
    });
}

#[test]
fn a_cancelled_scope_cancels_what_waits_for_a_place() {
    limit(LIMIT, || {
        let pool =
            ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block).build().unwrap();
        let held = hold(&pool);
        let queued = pool.spawn(|| 1);
        let live = Live::new();
        let token = live.token();
        pool.scope(|s| {
            thread::scope(|threads| {
                let about = Gate::new();
                let waits = threads.spawn({
                    let about = about.clone();
                    move || {
                        about.open();
                        s.spawn(move || drop(token))
                    }
                });
                about.wait();
                s.cancel();
                // Before there is a place for it.
                eventually(|| live.count() == 0);
                held.release();
                assert!(matches!(waits.join().unwrap().result(), Err(TaskError::Cancelled)));
            });
        });
        assert_eq!(queued.result().unwrap(), 1);
    });
}
