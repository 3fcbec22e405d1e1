//! A task that knows itself and can be asked to stop: on threads, inline, in scopes.

use crate::support::{Gate, LIMIT, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Current, Future, InlineExecutor, MapOptions, Shutdown, TaskError, TaskOptions, WhenFull, current, promise,
};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Goes on until it is asked to stop.
fn until_asked(me: &Current) {
    while !me.should_stop() {
        thread::yield_now();
    }
}

/// A task that has begun and ends when it is asked to stop.
fn run_until_asked(pool: &ThreadPoolExecutor) -> Future<&'static str> {
    let begun = Gate::new();
    let begins = begun.clone();
    let future = pool.spawn(move || {
        begins.open();
        until_asked(&current().unwrap());
        "as far as it came"
    });
    begun.wait();
    future
}

#[test]
fn a_loop_ends_when_it_is_asked() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        for _ in 0..3 {
            let future = run_until_asked(&pool);
            assert!(future.ask_to_stop() && future.ask_to_stop());
            assert_eq!(future.result().unwrap(), "as far as it came");
        }
        let future = run_until_asked(&pool);
        let handle = future.cancel_handle();
        let asks = thread::spawn(move || handle.ask_to_stop());
        assert!(future.result().is_ok() && asks.join().unwrap());
        let shared = run_until_asked(&pool).shared();
        assert!(shared.ask_to_stop() && shared.result().is_ok());
    });
}

#[test]
fn asked_before_it_begins_is_cancelled_and_after_its_end_is_nothing() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let held = hold(&pool);
        let queued = pool.spawn(|| panic!("it runs"));
        assert!(queued.ask_to_stop() && queued.is_cancelled());
        assert!(queued.ask_to_stop(), "it was cancelled, which is more");
        assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
        held.release();
        let done = pool.spawn(|| 1);
        done.wait();
        assert!(!done.ask_to_stop());
        let (promise, future) = promise::<u32>();
        assert!(promise.start() && future.ask_to_stop(), "whether anybody looks is not known");
        assert!(promise.set_result(1) && !future.ask_to_stop());
    });
}

#[test]
fn it_knows_its_id_label_and_worker() {
    limit(LIMIT, || {
        assert!(current().is_none());
        let pool = ThreadPoolExecutor::builder().max_workers(2).name_prefix("w").build().unwrap();
        let meeting = Arc::new(std::sync::Barrier::new(2));
        let about = move |()| {
            meeting.wait();
            current().unwrap()
        };
        let futures: Vec<_> = ["a", "b"]
            .map(|label| pool.submit_with(TaskOptions::new().label(label), about.clone(), ()))
            .into();
        let ids: Vec<_> = futures.iter().map(Future::id).collect();
        let all: Vec<Current> = futures.into_iter().map(|future| future.result().unwrap()).collect();
        assert_eq!(all.iter().map(Current::id).collect::<Vec<_>>(), ids);
        assert_eq!(all.iter().map(Current::label).collect::<Vec<_>>(), [Some("a"), Some("b")]);
        let mut indices: Vec<_> = all.iter().map(|me| me.worker_index().unwrap()).collect();
        assert!(all.iter().zip(&indices).all(|(me, index)| me.worker() == format!("w_{index}")));
        indices.sort_unstable();
        assert_eq!(indices, [0, 1]);
        assert!(all.iter().all(|me| me.attempt() == 1 && !me.should_stop()));
        assert!(format!("{:?}", all[0]).contains("label: Some(\"a\")"));
        assert!(pool.spawn(|| current().unwrap().label().is_none()).result().unwrap());
        // A thread of a task's own knows nothing of it, unless it is told.
        let told = pool.spawn(|| {
            let me = current().unwrap();
            thread::spawn(move || (current().is_none(), me.id())).join().unwrap()
        });
        let id = told.id();
        assert_eq!(told.result().unwrap(), (true, id));
    });
}

#[test]
fn neither_initializers_nor_callbacks_are_tasks() {
    limit(LIMIT, || {
        let (sender, receiver) = mpsc::channel();
        let from_callback = sender.clone();
        let sender = Mutex::new(sender);
        let initializer = move || {
            sender.lock().unwrap().send(current().is_none()).unwrap();
        };
        let pool = ThreadPoolExecutor::builder().max_workers(1).initializer(initializer).build().unwrap();
        let gate = Gate::new();
        let waits = gate.clone();
        let future = pool.spawn(move || waits.wait());
        future.add_done_callback(move |_| from_callback.send(current().is_none()).unwrap());
        gate.open();
        future.result().unwrap();
        pool.join();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [true, true]);
    });
}

#[test]
fn a_task_run_in_place_sees_its_own() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let inner_pool = pool.clone();
        let (sender, receiver) = mpsc::channel();
        let begun = Gate::new();
        let begins = begun.clone();
        let outer = pool.spawn(move || {
            let me = current().unwrap();
            begins.open();
            until_asked(&me);
            // The only worker waits, and runs it in place.
            let inner = inner_pool.spawn(|| {
                let me = current().unwrap();
                (me.id(), me.should_stop())
            });
            let id = inner.id();
            assert_eq!(inner.result().unwrap(), (id, false));
            assert_eq!(current().unwrap().id(), me.id());
            // One that panics leaves the note of the one below.
            inner_pool.spawn(|| panic!("on purpose")).result().unwrap_err();
            assert_eq!(current().unwrap().id(), me.id());
            // And asked itself, it doesn't ask its waiter.
            let asked = inner_pool.spawn(move || {
                sender.send(()).unwrap();
                until_asked(&current().unwrap());
            });
            (me, asked)
        });
        begun.wait();
        assert!(outer.ask_to_stop());
        let (me, asked) = outer.result().unwrap();
        receiver.recv().unwrap();
        assert!(asked.ask_to_stop());
        asked.result().unwrap();
        assert!(me.should_stop(), "it stays so");
    });
}

#[test]
fn inline_in_a_task_is_the_innermost() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("w").build().unwrap();
        let ids = pool.spawn(|| {
            let inline = InlineExecutor::new();
            let future = inline.spawn(|| current().unwrap());
            let (id, inner) = (future.id(), future.result().unwrap());
            assert_eq!(inner.worker(), "w_0");
            (id == inner.id(), current().unwrap().id())
        });
        let id = ids.id();
        assert_eq!(ids.result().unwrap(), (true, id));
        let (task, future) = concurrent_futures::Task::local(|| current().unwrap().worker().to_owned());
        thread::Builder::new().name("mine".into()).spawn(|| task.run()).unwrap().join().unwrap();
        assert_eq!(future.result().unwrap(), "mine");
        let here = InlineExecutor::new().spawn(|| current().unwrap().worker_index()).result().unwrap();
        assert_eq!(here, None);
    });
}

#[test]
fn shutdown_asks_all_that_run() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder()
            .max_workers(2)
            .queue_capacity(1, WhenFull::CallerRuns)
            .build()
            .unwrap();
        let running = [run_until_asked(&pool), run_until_asked(&pool)];
        let queued = pool.spawn(|| 1);
        let (sender, receiver) = mpsc::channel();
        let pool = Arc::new(pool);
        let other = pool.clone();
        let submits = thread::spawn(move || {
            let runs = move || {
                sender.send(()).unwrap();
                until_asked(&current().unwrap());
            };
            other.spawn(runs).result()
        });
        receiver.recv().unwrap();
        pool.shutdown(Shutdown::Drain);
        assert!(!running.iter().any(Future::is_done));
        pool.shutdown(Shutdown::Stop);
        assert!(running.into_iter().all(|future| future.result().is_ok()));
        assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
        submits.join().unwrap().unwrap();
        pool.join();
        // Another pool's tasks are not asked.
        let (asked, other) = (ThreadPoolExecutor::new(1), ThreadPoolExecutor::new(1));
        asked.shutdown(Shutdown::Stop);
        assert!(!other.spawn(|| current().unwrap().should_stop()).result().unwrap());
    });
}

#[test]
fn shutdown_asks_what_runs_inline() {
    limit(LIMIT, || {
        let inline = Arc::new(InlineExecutor::new());
        let (sender, receiver) = mpsc::channel();
        let other = inline.clone();
        let submits = thread::spawn(move || {
            let runs = move || {
                sender.send(()).unwrap();
                until_asked(&current().unwrap());
            };
            other.spawn(runs).result()
        });
        receiver.recv().unwrap();
        inline.shutdown(Shutdown::Stop);
        submits.join().unwrap().unwrap();
        assert!(inline.spawn(|| 1).result().is_err());
    });
}

#[test]
fn items_of_a_map_are_asked_with_all() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let item = move |n: u32| {
            sender.lock().unwrap().send(n).unwrap();
            until_asked(&current().unwrap());
            n
        };
        // Of a chunk that is asked, each item that follows sees it as well.
        let map = pool.map_with(MapOptions::new().chunksize(2).buffersize(4), item, 0..100);
        let consumer = thread::spawn(move || map.collect::<Vec<_>>());
        let mut first = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        first.sort_unstable();
        assert_eq!(first, [0, 2]);
        pool.shutdown(Shutdown::Stop);
        let results = consumer.join().unwrap();
        let done: Vec<u32> = results.into_iter().filter_map(Result::ok).collect();
        assert_eq!(done, [0, 1, 2, 3]);
    });
}

#[test]
fn a_soft_limit_is_seen_when_it_is_over() {
    limit(LIMIT, || {
        let after = |limit| TaskOptions::new().stop_after(limit);
        let pool = ThreadPoolExecutor::new(1);
        let is_asked = |()| {
            let me = current().unwrap();
            until_asked(&me);
            me.should_stop()
        };
        let soon = after(Duration::from_millis(5));
        assert!(pool.submit_with(soon.clone(), is_asked, ()).result().unwrap());
        assert!(InlineExecutor::new().submit_with(soon.clone(), is_asked, ()).result().unwrap());
        // From its beginning, not from the submit.
        let held = hold(&pool);
        let at_once = |_| current().unwrap().should_stop();
        let later = pool.submit_with(after(Duration::from_secs(3600)), at_once, ());
        let now = pool.submit_with(after(Duration::ZERO), at_once, ());
        let never = pool.submit_with(after(Duration::MAX), at_once, ());
        held.release();
        assert_eq!([later, now, never].map(|future| future.result().unwrap()), [false, true, false]);
        // Each item of a map has its own, and so does a task that runs in another.
        let pool = Arc::new(pool);
        let inner = pool.clone();
        let options = MapOptions::new().tasks(soon);
        let nested = move |_| {
            until_asked(&current().unwrap());
            let options = after(Duration::from_secs(3600));
            inner.submit_with(options, |()| current().unwrap().should_stop(), ()).result().unwrap()
        };
        assert_eq!(pool.map_with(options, nested, 0..3).map(Result::unwrap).collect::<Vec<_>>(), [false; 3]);
    });
}

#[test]
fn a_cancelled_scope_cancels_and_asks() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(2);
        let (begun, other_begun) = (Gate::new(), Gate::new());
        pool.scope(|s| {
            let running = s.spawn(|| {
                begun.open();
                until_asked(&current().unwrap());
                "asked"
            });
            let other = s.spawn(|| {
                other_begun.open();
                until_asked(&current().unwrap());
            });
            let queued: Vec<_> = (0..10).map(|n| s.spawn(move || n)).collect();
            let of_map = s.map(|n| n, 0..10);
            begun.wait();
            other_begun.wait();
            s.cancel();
            assert_eq!(running.result().unwrap(), "asked");
            other.result().unwrap();
            assert!(queued.iter().all(|future| future.is_cancelled()));
            assert!(of_map.into_iter().all(|result| matches!(result, Err(TaskError::Cancelled))));
            let late = s.spawn(|| panic!("it runs"));
            assert!(matches!(late.result(), Err(TaskError::Cancelled)));
        });
        // The pool and its other scopes go on.
        assert!(!pool.scope(|s| s.spawn(|| current().unwrap().should_stop()).result().unwrap()));
    });
}

#[test]
fn a_scope_is_cancelled_from_a_task_run_in_place_by_its_end() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let inner = pool.clone();
        let ran = pool.spawn(move || {
            let ran = Mutex::new(Vec::new());
            inner.scope(|s| {
                for n in 0..5 {
                    let ran = &ran;
                    s.spawn(move || {
                        ran.lock().unwrap().push(n);
                        if n == 1 {
                            s.cancel();
                        }
                    })
                    .detach();
                }
            });
            ran.into_inner().unwrap()
        });
        assert_eq!(ran.result().unwrap(), [0, 1]);
    });
}
