//! What the loom models can't carry: time limits that strike, idle workers that end, hundreds of threads, thousands of
//! rounds. Named as in the protocol's own model; each test ends the process if it is not through in time.

use concurrent_futures::{
    Future, ReturnWhen, Shutdown, TaskError, ThreadPoolExecutor, WhenFull, blocking, promise, wait,
};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer under a sanitizer, which says so.
fn limit() -> Duration {
    let patience = std::env::var("TEST_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(60) * patience
}

/// Ends the process if the test is not through in time: a thread that hangs can't be ended.
fn limited(name: &'static str) -> impl Drop {
    struct Limited(#[expect(dead_code, reason = "its drop is what counts")] mpsc::Sender<()>);
    impl Drop for Limited {
        fn drop(&mut self) {}
    }
    let (alive, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let limit = limit();
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Not eprintln: the harness would keep it.
            let _ = writeln!(std::io::stderr(), "\n{name} is not through after {limit:?}");
            std::process::exit(101);
        }
    });
    Limited(alive)
}

fn pool(max_workers: usize) -> Arc<ThreadPoolExecutor> {
    Arc::new(ThreadPoolExecutor::new(max_workers))
}

fn any_of<T: Send>(futures: &[Future<T>]) {
    assert!(!wait(futures, ReturnWhen::FirstCompleted).done.is_empty());
}

/// Waits for something that is about to become true, without knowing whom to ask.
fn eventually(mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < limit() / 2, "it does not come true");
        std::thread::yield_now();
    }
}

/// Dead entries are counted exactly: behind a long task, what was cancelled doesn't look like work.
fn assert_dead_are_counted(pool: &ThreadPoolExecutor) {
    let (gate, opened) = promise::<()>();
    let (begin, begun) = promise();
    let long = pool.spawn(move || {
        begin.set_result(());
        opened.wait();
    });
    begun.wait();
    for _ in 0..60 {
        assert!(pool.spawn(|| ()).cancel());
    }
    assert_eq!(pool.stats().queued, 0);
    gate.set_result(());
    assert!(long.result().is_ok());
}

/// A limit strikes while the task runs, while it is queued, and just when it ends.
#[test]
fn timed_waits() {
    let _limited = limited("timed waits");
    let pool = pool(1);
    for round in 0..300u64 {
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let (gate, opened) = promise::<()>();
            let mut child = own.spawn(move || opened.result().is_ok());
            let behind = own.spawn(|| ());
            let mut struck = 0;
            let mut gate = Some(gate);
            loop {
                match child.result_timeout(Duration::from_micros(20 + round % 100)) {
                    Ok(outcome) => break assert!(outcome.expect("it ran")),
                    Err(late) => child = late.future,
                }
                struck += 1;
                if struck == 3 {
                    gate.take().expect("opened once").set_result(());
                }
            }
            assert!(struck >= 3);
            assert!(behind.result().is_ok());
        });
        parent.result().expect("it ran");
    }
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.finished), (0, 900));
    assert_dead_are_counted(&pool);
}

/// More than one is active for a moment: whoever is too many rests, and nobody is forgotten.
#[test]
fn returning_waiter_surplus() {
    let _limited = limited("returning waiter, surplus");
    let pool = pool(1);
    for round in 0..2000u64 {
        let own = pool.clone();
        let first = pool.spawn(move || {
            let child = own.spawn(|| ());
            match child.result_timeout(Duration::from_micros(round % 30)) {
                Ok(outcome) => outcome.expect("it ran"),
                Err(late) => drop(late.future.cancel()),
            }
        });
        let others = [pool.spawn(|| ()), pool.spawn(|| ())];
        assert!(first.result().is_ok());
        assert!(others.into_iter().all(|other| other.result().is_ok()));
    }
    // One worker, the spares that rest with it, and not a spare a round.
    assert!(pool.stats().workers <= 4, "{:?}", pool.stats());
}

/// A worker whose time is up and a task that comes just then.
#[test]
fn idle_workers_give_up() {
    let _limited = limited("idle workers give up");
    let builder = ThreadPoolExecutor::builder().max_workers(2).keep_alive(Duration::from_micros(50));
    let pool = Arc::new(builder.build().expect("the numbers are good"));
    for round in 0..3000u32 {
        let futures = [pool.spawn(move || round), pool.spawn(move || round)];
        for _ in 0..(round % 64) * 50 {
            std::hint::spin_loop();
        }
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(u64::from(round % 3) * 40) {
            std::hint::spin_loop();
        }
    }
    eventually(|| pool.stats().workers == 0);
    assert!(pool.spawn(|| ()).result().is_ok());
}

/// The two producers' models, thousands of times: long tasks that need each other.
#[test]
fn two_producers_long_tasks() {
    let _limited = limited("two producers, long tasks");
    let pool = pool(2);
    for _ in 0..5000 {
        let (gate, opened) = promise::<()>();
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| pool.spawn(move || gate.set_result(())).result());
            let long = pool.spawn(move || opened.result());
            assert!(long.result().expect("it ran").is_ok());
            assert!(producer.join().expect("no panic").expect("it ran"));
        });
    }
}

#[test]
fn ramp_up_to_many_workers() {
    let _limited = limited("ramp up to many workers");
    for _ in 0..100 {
        let pool = pool(16);
        let (gate, opened) = promise::<()>();
        let opened = opened.shared();
        let long: Vec<_> = (0..15)
            .map(|_| {
                let opened = opened.clone();
                pool.spawn(move || opened.wait())
            })
            .collect();
        let last = pool.spawn(move || gate.set_result(()));
        assert!(last.result().expect("it ran"));
        assert!(long.into_iter().all(|one| one.result().is_ok()));
    }
}

#[test]
fn sequential_submit_result() {
    let _limited = limited("sequential submit, result");
    for _ in 0..20 {
        let pool = pool(8);
        for n in 0..500 {
            assert_eq!(pool.spawn(move || n).result().expect("it ran"), n);
        }
        assert_eq!(pool.stats().workers, 1);
    }
}

/// Waits in place nest until the stack has no room, then in spares.
#[test]
fn stack_nearly_spent() {
    let _limited = limited("stack nearly spent");
    fn chain(pool: &Arc<ThreadPoolExecutor>, left: usize) -> usize {
        if left == 0 {
            return 0;
        }
        let own = pool.clone();
        pool.spawn(move || chain(&own, left - 1)).result().expect("no overflow") + 1
    }
    let pool =
        Arc::new(ThreadPoolExecutor::builder().max_workers(1).stack_size(256 << 10).build().expect("good"));
    assert_eq!(chain(&pool, 2000), 2000);
    assert!(pool.stats().workers > 1, "the chain was to be longer than one stack");
}

/// Any-of waits nested deeper than there can be spares: those that wait help themselves.
#[test]
fn deep_chain_spares_run_out() {
    let _limited = limited("deep chain, spares run out");
    fn chain(pool: &Arc<ThreadPoolExecutor>, left: usize) {
        if left > 0 {
            let own = pool.clone();
            any_of(&[pool.spawn(move || chain(&own, left - 1))]);
        }
    }
    let pool = pool(1);
    let own = pool.clone();
    pool.spawn(move || chain(&own, 400)).result().expect("it ran");
    assert_eq!(pool.stats().finished, 401);
}

/// The system has no thread of that stack.
#[test]
fn no_thread_at_all() {
    let _limited = limited("no thread at all");
    let pool = ThreadPoolExecutor::builder().max_workers(2).stack_size(1 << 60).build().expect("good");
    for _ in 0..3 {
        let error = pool.spawn(|| ()).result().expect_err("nobody could run it");
        assert!(matches!(error, TaskError::Broken(_)), "{error}");
    }
    assert_eq!(pool.stats().workers, 0);
}

/// Statistics count tasks, not the two entries that a task may have.
#[test]
fn urgent_tasks_are_counted_once() {
    let _limited = limited("urgent tasks are counted once");
    let pool = pool(1);
    let own = pool.clone();
    let (gate, opened) = promise::<()>();
    let (begin, begun) = promise();
    let parent = pool.spawn(move || {
        let long = own.spawn(move || {
            begin.set_result(());
            opened.wait();
        });
        let children = [long, own.spawn(|| ())];
        any_of(&children);
        children
    });
    begun.wait();
    let stats = pool.stats();
    assert_eq!((stats.blocked, stats.running, stats.queued), (1, 1, 1), "{stats:?}");
    gate.set_result(());
    for child in parent.result().expect("it ran") {
        assert!(child.result().is_ok());
    }
}

/// Whatever is cancelled behind a long task leaves the queue in the end: memory stays flat.
#[cfg(target_os = "linux")]
#[test]
fn cancel_behind_a_long_task() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let _limited = limited("cancel behind a long task");
    fn resident_pages() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("proc is there");
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number")
    }
    let pool = pool(1);
    let (gate, opened) = promise::<()>();
    let long = pool.spawn(move || opened.wait());
    let order = Arc::new(AtomicUsize::new(0));
    let nth = |n: usize| {
        let order = order.clone();
        pool.spawn(move || assert_eq!(order.swap(n, SeqCst), n - 1))
    };
    let first = nth(1);
    let churn = |n: usize| (0..n).for_each(|_| assert!(pool.spawn(|| ()).cancel()));
    churn(20_000);
    let before = resident_pages();
    churn(300_000);
    let grown = resident_pages().saturating_sub(before);
    let second = nth(2);
    assert_eq!(pool.stats().queued, 2);
    gate.set_result(());
    assert!(second.result().is_ok() && first.result().is_ok() && long.result().is_ok());
    // 300 000 cells are more than 40 MiB; other tests run beside this one.
    assert!(grown < 5000, "{grown} pages");
}

#[test]
fn poll_give_up_retry() {
    let _limited = limited("poll, give up, retry");
    let pool = pool(1);
    let own = pool.clone();
    let parent = pool.spawn(move || {
        for round in 0..2000u64 {
            let child = own.spawn(|| ());
            if let Err(late) = child.result_timeout(Duration::from_micros(round % 7)) {
                let again = late.future.result_timeout(Duration::from_micros(1));
                drop(again.map_err(|late| late.future.cancel()));
            }
        }
    });
    parent.result().expect("it ran");
    eventually(|| pool.stats().queued == 0);
    assert!(pool.stats().workers <= 4, "{:?}", pool.stats());
    assert_dead_are_counted(&pool);
}

/// Each wait that gives up leaves the task's urgent entry where it is, so that the next wait adds none: another one would
/// be an entry that nobody counts once the task has run.
#[test]
fn waited_for_again_and_again() {
    let _limited = limited("waited for again and again");
    let pool = pool(1);
    let own = pool.clone();
    let (gate, opened) = promise::<()>();
    let (begin, begun) = promise();
    let parent = pool.spawn(move || {
        let long = own.spawn(move || {
            begin.set_result(());
            opened.wait();
        });
        // The only other worker has the long task from here on: nobody takes the child between two waits.
        blocking(|| begun.wait());
        let mut child = own.spawn(|| ());
        for _ in 0..5 {
            child = child.result_timeout(Duration::from_millis(1)).expect_err("nobody runs it").future;
        }
        assert_eq!(own.stats().queued, 1);
        gate.set_result(());
        assert!(child.result().is_ok() && long.result().is_ok());
    });
    parent.result().expect("it ran");
    // What is left uncounted is missing from what is queued later.
    let (gate, opened) = promise::<()>();
    let (begin, begun) = promise();
    let long = pool.spawn(move || {
        begin.set_result(());
        opened.wait();
    });
    begun.wait();
    let queued: Vec<_> = (0..20).map(|_| pool.spawn(|| ())).collect();
    assert_eq!(pool.stats().queued, queued.len());
    gate.set_result(());
    assert!(long.result().is_ok() && queued.into_iter().all(|task| task.result().is_ok()));
    assert_dead_are_counted(&pool);
}

#[test]
fn late_pushes() {
    let _limited = limited("late pushes");
    for round in 0..1000 {
        let pool = pool(1 + round % 2);
        std::thread::scope(|scope| {
            let producers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| (0..5).map(|n| pool.spawn(move || n)).collect::<Vec<_>>()))
                .collect();
            pool.join();
            assert_eq!(pool.stats().workers, 0);
            for producer in producers {
                for future in producer.join().expect("no panic") {
                    assert!(matches!(future.result(), Ok(_) | Err(TaskError::Rejected(_))));
                }
            }
        });
        assert_eq!(pool.stats().workers, 0);
    }
}

#[test]
fn shutdown_against_cancel() {
    let _limited = limited("shutdown against cancel");
    for round in 0..1000 {
        let pool = pool(1);
        let futures: Vec<_> = (0..100).map(|_| pool.spawn(|| ())).collect();
        let handles: Vec<_> = futures.iter().map(Future::cancel_handle).collect();
        std::thread::scope(|scope| {
            scope.spawn(move || handles.iter().filter(|handle| handle.cancel()).count());
            pool.shutdown(if round % 2 == 0 { Shutdown::Drain } else { Shutdown::CancelQueued });
            pool.join();
        });
        let ran = futures.into_iter().filter(|future| future.exception().is_none()).count() as u64;
        let stats = pool.stats();
        assert_eq!((stats.finished, stats.cancelled, stats.queued), (ran, 100 - ran, 0));
    }
}

/// Submitters that wait for a place, workers among them, cancels and the end of the pool.
#[test]
fn mixed_bounded_any_shutdown() {
    let _limited = limited("mixed: bounded, any, shutdown");
    for round in 0..500 {
        let builder =
            ThreadPoolExecutor::builder().max_workers(1 + round % 2).queue_capacity(1, WhenFull::Block);
        let pool = Arc::new(builder.build().expect("good"));
        let parents: Vec<_> = (0..3)
            .map(|n| {
                let own = pool.clone();
                pool.spawn(move || {
                    let children = [own.spawn(|| ()), own.spawn(|| ()), own.spawn(|| ())];
                    if n == 0 {
                        children[1].cancel();
                    }
                    any_of(&children);
                    children.into_iter().filter(|child| child.exception().is_none()).count()
                })
            })
            .collect();
        if round % 3 == 0 {
            pool.shutdown(Shutdown::Drain);
        }
        for parent in parents {
            assert!(parent.result().is_ok());
        }
        pool.join();
        assert_eq!(pool.stats().queued, 0);
    }
}

/// Everything at once, with workers that end in between.
#[test]
fn mixed_any_timed_cancel_idle() {
    let _limited = limited("mixed: any, timed, cancel, idle");
    let builder = ThreadPoolExecutor::builder().max_workers(2).keep_alive(Duration::from_micros(100));
    let pool = Arc::new(builder.build().expect("good"));
    for round in 0..1500u64 {
        let (a, b) = (pool.clone(), pool.clone());
        let one = pool.spawn(move || {
            let children = [a.spawn(|| ()), a.spawn(|| ())];
            any_of(&children);
            children[0].cancel();
        });
        let two = pool.spawn(move || {
            let child = b.spawn(|| ());
            match child.result_timeout(Duration::from_micros(round % 50)) {
                Ok(outcome) => outcome,
                Err(late) => late.future.result(),
            }
        });
        two.cancel();
        assert!(one.result().is_ok());
        assert!(matches!(two.result(), Ok(Ok(())) | Err(TaskError::Cancelled)));
    }
    eventually(|| pool.stats().workers == 0);
    assert_eq!(pool.stats().queued, 0);
}

/// A worker that has callbacks to run is not on its way back.
#[test]
fn a_long_callback() {
    let _limited = limited("a long callback");
    let pool = pool(2);
    for _ in 0..3000 {
        let (gate, opened) = promise::<()>();
        let (begin, begun) = promise::<()>();
        let first = pool.spawn(move || begun.wait());
        first.add_done_callback(move |_| opened.wait());
        assert!(begin.set_result(()));
        first.wait();
        assert!(pool.spawn(move || gate.set_result(())).result().expect("it ran"));
    }
}
