//! Words from a running task: each executor hands them on in order, all before the task's end, and none after it.

use crate::support::{LIMIT, keep_log, limit, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, MapOptions, TaskOptions, report};
use std::sync::{Arc, Mutex};

/// Options by which what is reported is kept.
fn kept<M: Clone + serde::Serialize + serde::de::DeserializeOwned + Send + 'static>()
-> (TaskOptions, Arc<Mutex<Vec<M>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeps = seen.clone();
    (TaskOptions::new().on_report(move |message| keeps.lock().unwrap().push(message)), seen)
}

fn count_up(to: u32) -> u32 {
    (0..to).for_each(|n| report(&n));
    to
}

fn each_is_told_before_the_end(executor: &dyn Executor) {
    for round in [1, 1000, 3] {
        let (options, seen) = kept::<u32>();
        assert_eq!(executor.submit_with(options, count_up, round).result().unwrap(), round);
        assert_eq!(*seen.lock().unwrap(), (0..round).collect::<Vec<_>>());
    }
}

fn a_failed_task_reports_too(executor: &dyn Executor) {
    let (options, seen) = kept::<String>();
    let fails = |word: String| {
        report(&word);
        Err::<(), _>(word)
    };
    assert!(executor.try_submit_with(options, fails, "before the error".to_owned()).result().is_err());
    assert_eq!(*seen.lock().unwrap(), ["before the error"]);
}

fn tasks_of_a_map_share_it(executor: &dyn Executor) {
    let (options, seen) = kept::<u32>();
    let options = MapOptions::new().tasks(options).chunksize(3);
    let double = |n: u32| {
        report(&n);
        2 * n
    };
    assert_eq!(executor.map_with(options, double, 0..10).map(Result::unwrap).sum::<u32>(), 90);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

fn nobody_is_told_who_did_not_ask(executor: &dyn Executor) {
    assert_eq!(executor.submit(count_up, 10).result().unwrap(), 10);
    let (options, seen) = kept::<u32>();
    // A thread that the task starts is in no task.
    let on_a_thread = |to: u32| std::thread::spawn(move || count_up(to)).join().unwrap();
    assert_eq!(executor.submit_with(options, on_a_thread, 3).result().unwrap(), 3);
    assert!(seen.lock().unwrap().is_empty());
    report(&1_u32);
}

fn another_type_is_dropped_and_logged(executor: &dyn Executor) {
    keep_log();
    let (options, seen) = kept::<u64>();
    let task = executor.submit_with(options, count_up, 1);
    let id = task.id();
    task.result().unwrap();
    assert!(seen.lock().unwrap().is_empty());
    assert!(was_logged(&[&format!("task {id} is dropped"), "`u64`"]));
}

fn a_panic_costs_one_call(executor: &dyn Executor) {
    keep_log();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeps = seen.clone();
    let options = TaskOptions::new().on_report(move |n: u32| {
        assert!(n != 1, "one is too many");
        keeps.lock().unwrap().push(n);
    });
    let task = executor.submit_with(options, count_up, 3);
    let id = task.id();
    assert_eq!(task.result().unwrap(), 3);
    assert_eq!(*seen.lock().unwrap(), [0, 2]);
    assert!(was_logged(&[&format!("an on_report of task {id} panicked"), "one is too many"]));
}

macro_rules! suite {
    ($name:ident, $executor:expr) => {
        mod $name {
            suite!(@ $executor; each_is_told_before_the_end a_failed_task_reports_too tasks_of_a_map_share_it
                nobody_is_told_who_did_not_ask another_type_is_dropped_and_logged a_panic_costs_one_call);
        }
    };
    (@ $executor:expr; $($test:ident)*) => {
        $(#[test]
        fn $test() {
            crate::support::limit(crate::support::LIMIT, || {
                let executor: Box<dyn concurrent_futures::Executor> = $executor;
                super::$test(&*executor);
            });
        })*
    };
}

for_each_executor!(suite);

#[test]
fn a_task_that_runs_inside_another_speaks_for_itself() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let ((outer, heard), (inner, heard_inner)) = (kept::<u32>(), kept::<u32>());
        let inside = pool.clone();
        let task = move |()| {
            report(&1_u32);
            // The only worker runs them in place; and then there is one that is run by whoever submits it.
            inside.submit(|()| report(&10_u32), ()).result().unwrap();
            inside.submit_with(inner, |()| report(&20_u32), ()).result().unwrap();
            InlineExecutor::new().submit(|()| report(&30_u32), ()).result().unwrap();
            report(&2_u32);
        };
        pool.submit_with(outer, task, ()).result().unwrap();
        assert_eq!((&heard.lock().unwrap()[..], &heard_inner.lock().unwrap()[..]), (&[1, 2][..], &[20][..]));
    });
}

#[cfg(feature = "process")]
mod processes {
    use super::{count_up, kept};
    use crate::processes_support::{Signals, builder, die, stay};
    use crate::support::{Gate, LIMIT, eventually, hold, limit};
    use concurrent_futures::prelude::*;
    use concurrent_futures::{TaskError, TaskOptions, report};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use std::sync::{Arc, Weak};

    fn without_end((): ()) {
        let mut n = 0_u32;
        loop {
            report(&n);
            n += 1;
        }
    }

    #[test]
    fn none_comes_after_the_error_of_a_kill() {
        limit(LIMIT, || {
            let pool = builder(1).build().unwrap();
            for _ in 0..5 {
                let (options, seen) = kept::<u32>();
                let task = pool.submit_with(options, without_end, ());
                eventually(|| !seen.lock().unwrap().is_empty());
                assert!(task.kill());
                assert!(matches!(task.result(), Err(TaskError::WorkerDied(_))));
                let told = seen.lock().unwrap().len();
                pool.submit(count_up, 1).result().unwrap();
                let seen = seen.lock().unwrap();
                assert_eq!(seen.len(), told);
                assert!(seen.iter().enumerate().all(|(at, n)| at as u32 == *n));
            }
        });
    }

    /// The end of a task that reports comes behind its reports, and not behind a callback that waits for it.
    #[test]
    fn a_callback_may_wait_for_a_task_that_reports() {
        limit(LIMIT, || {
            let pool = Arc::new(builder(1).build().unwrap());
            let (options, seen) = kept::<u32>();
            let gate = Gate::new();
            let (waits, done, inner) = (gate.clone(), Gate::new(), pool.clone());
            let ends = done.clone();
            // Before the other one is submitted, so that its callback is there first.
            pool.submit(count_up, 1).add_done_callback(move |_| {
                waits.wait();
                assert_eq!(inner.submit_with(options, count_up, 100_000).result().unwrap(), 100_000);
                ends.open();
            });
            gate.open();
            done.wait();
            assert_eq!(seen.lock().unwrap().len(), 100_000);
        });
    }

    /// With the task, whoever has it last, and that is the user's code: a panic in it costs nobody anything.
    #[test]
    fn its_drop_may_panic_and_use_the_pool() {
        limit(LIMIT, || {
            let pool = Arc::new(ThreadPoolExecutor::new(1));
            pool.submit_with(hostile(&pool), count_up, 1).detach();
            // Cancelled while it is queued: the queue has the last pointer.
            let held = hold(&pool);
            drop(pool.submit_with(hostile(&pool), count_up, 1).cancel_on_drop());
            held.release();
            assert_eq!(pool.submit(count_up, 3).result().unwrap(), 3);
        });
    }

    struct Drops(Weak<ThreadPoolExecutor>);

    impl Drop for Drops {
        fn drop(&mut self) {
            let _ = self.0.upgrade().map(|pool| pool.stats());
            if !std::thread::panicking() {
                panic!("in the drop of what an on_report has");
            }
        }
    }

    fn hostile(pool: &Arc<ThreadPoolExecutor>) -> TaskOptions {
        let drops = Drops(Arc::downgrade(pool));
        TaskOptions::new().on_report(move |_: u32| drop(drops.0.upgrade()))
    }

    fn says_and_dies(n: u32) {
        report(&n);
        die(());
    }

    #[test]
    fn what_was_said_before_a_death_comes_before_its_error() {
        limit(LIMIT, || {
            let pool = builder(2).build().unwrap();
            for n in 0..5 {
                let (options, seen) = kept::<u32>();
                assert!(pool.submit_with(options, says_and_dies, n).result().is_err());
                assert_eq!(*seen.lock().unwrap(), [n]);
            }
        });
    }

    /// A thousand of 10 KB.
    fn speak(begun: PathBuf) {
        let words = "x".repeat(10_000);
        (0..1000).for_each(|n| {
            report(&words);
            if n == 10 {
                std::fs::write(&begun, "").unwrap();
            }
        });
    }

    #[test]
    fn a_task_waits_for_a_slow_listener_and_another_worker_does_not() {
        limit(LIMIT, || {
            let signals = Signals::new();
            let pool = builder(2).build().unwrap();
            let (gate, bytes) = (Gate::new(), Arc::new(AtomicU64::new(0)));
            let (waits, counts) = (gate.clone(), bytes.clone());
            let options = TaskOptions::new().on_report(move |words: String| {
                waits.wait();
                counts.fetch_add(words.len() as u64, Ordering::Relaxed);
            });
            let task = pool.submit_with(options, speak, signals.path("begun"));
            signals.wait("begun");
            // It waits in the eleventh tenth of the window, or soon will: the other worker goes on.
            for n in 0..100 {
                assert_eq!(pool.submit(|n: u32| n, n).result().unwrap(), n);
            }
            assert!(task.is_running() && !task.is_done());
            gate.open();
            task.result().unwrap();
            assert_eq!(bytes.load(Ordering::Relaxed), 10_000_000);
        });
    }

    fn count_and_more(count: u32) {
        (0..count).for_each(|n| report(&vec![n]));
        report(&(0..1_000_000).collect::<Vec<u32>>());
    }

    #[test]
    fn a_hundred_thousand_reports_and_one_that_is_larger_than_the_window() {
        limit(LIMIT, || {
            let pool = builder(1).build().unwrap();
            let (told, last) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let (counts, sums) = (told.clone(), last.clone());
            let options = TaskOptions::new().on_report(move |words: Vec<u32>| {
                counts.fetch_add(1, Ordering::Relaxed);
                sums.store(words.len() as u32, Ordering::Relaxed);
            });
            pool.submit_with(options, count_and_more, 100_000).result().unwrap();
            assert_eq!((told.load(Ordering::Relaxed), last.load(Ordering::Relaxed)), (100_001, 1_000_000));
        });
    }

    fn says_and_dies_once(path: PathBuf) -> u32 {
        report(&1_u32);
        if std::fs::File::create_new(path).is_ok() {
            die(());
        }
        2
    }

    #[test]
    fn a_task_that_runs_again_says_it_again() {
        limit(LIMIT, || {
            let (signals, (options, seen)) = (Signals::new(), kept::<u32>());
            let pool = builder(1).build().unwrap();
            let task = pool.submit_with(options.retries(1), says_and_dies_once, signals.path("once"));
            assert_eq!(task.result().unwrap(), 2);
            assert_eq!(*seen.lock().unwrap(), [1, 1]);
        });
    }

    #[test]
    fn a_pool_that_is_dropped_tells_the_last_of_it_first() {
        limit(LIMIT, || {
            let (signals, (options, seen)) = (Signals::new(), kept::<u32>());
            let pool = builder(1).build().unwrap();
            pool.submit(stay, signals.stay("held")).detach();
            pool.submit_with(options, count_up, 100).detach();
            signals.release("held");
            drop(pool);
            assert_eq!(seen.lock().unwrap().len(), 100);
        });
    }
}
