//! Cost at size: nothing that a user can make long is searched under a lock.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, MapOptions, ProcessPoolExecutor, SharedFuture, WhenFull, promise};
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("many_tasks_may_await_one_shared_future", &["rust-lang/futures-rs#1603"], awaits),
    Instance::new("many_tasks_may_stop_awaiting_one_shared_future", &[], awaits_given_up),
    Instance::new("many_callbacks_may_hang_on_one_future", &[], callbacks),
    Instance::new("many_waits_may_watch_one_future", &[], watches),
    Instance::new("many_queued_tasks_are_cancelled_in_any_order", &[], cancels),
    Instance::new("many_queued_tasks_of_a_bounded_pool_are_cancelled_in_any_order", &[], cancels_bounded),
    Instance::new("many_tasks_of_processes_are_cancelled_in_any_order", &[], cancels_of_processes),
    Instance::new("many_futures_are_yielded_as_they_complete", &[], completes),
    Instance::new("numbers_of_a_pool_cost_the_same_however_much_a_wait_needs", &[], stats),
    Instance::new("a_map_with_a_large_buffer_and_long_items_submits_each_once", &[], long_items),
    Instance::new("many_tasks_of_one_scope_end", &[], scopes),
    Instance::new("many_threads_may_wait_for_a_place", &[], places),
    Instance::new("many_workers_start_and_end", &[], workers),
];

/// What `n` of something cost, each.
fn each(n: usize, run: &dyn Fn(usize) -> Duration) -> Duration {
    run(n) / u32::try_from(n).unwrap()
}

/// How many times more one of many may cost than one of few. What is searched linearly costs a thousand times more.
const FACTOR: u32 = 20;

/// So little that it says nothing of growth.
const NOTHING: Duration = Duration::from_nanos(200);

/// How many times it is measured before it has grown. Other programs that use the machine make a few of these slow; what
/// grows is slow in each.
const ATTEMPTS: usize = 8;

/// Runs it with a few and with many, in turn. It gives the time of what is to be measured.
fn grows_with_its_number(few: usize, many: usize, run: impl Fn(usize) -> Duration) {
    let (mut small, mut large) = (Duration::MAX, Duration::MAX);
    for _ in 0..ATTEMPTS {
        small = small.min(each(few, &run));
        large = large.min(each(many, &run));
        if large <= FACTOR * small.max(NOTHING) {
            return;
        }
    }
    panic!("each of {few} takes {small:?}, each of {many} {large:?}");
}

const FEW: usize = 100;
const MANY: usize = 100_000;

struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn poll<F: std::future::Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn awaits() {
    grows_with_its_number(FEW, MANY, |n| {
        let (promise, future) = promise::<u32>();
        let shared = future.shared();
        let clones: Vec<SharedFuture<u32>> = vec![shared; n];
        let counts = Arc::new(Counts(AtomicUsize::new(0)));
        let waker = Waker::from(counts.clone());
        let mut waits: Vec<_> = clones.iter().map(|clone| clone.into_future()).collect();
        let time = timed(|| {
            // Twice: the second finds its waker there and replaces it.
            for _ in 0..2 {
                waits.iter_mut().for_each(|wait| assert!(poll(wait, &waker).is_pending()));
            }
            promise.set_result(1);
        });
        assert_eq!(counts.0.load(Ordering::Relaxed), n);
        assert!(waits.iter_mut().all(|wait| poll(wait, &waker).is_ready()));
        time
    });
}

fn awaits_given_up() {
    grows_with_its_number(FEW, MANY, |n| {
        let (promise, future) = promise::<u32>();
        let shared = future.shared();
        let counts = Arc::new(Counts(AtomicUsize::new(0)));
        let waker = Waker::from(counts.clone());
        let mut waits: Vec<_> = (0..n).map(|_| shared.into_future()).collect();
        waits.iter_mut().for_each(|wait| assert!(poll(wait, &waker).is_pending()));
        let last = waits.pop().unwrap();
        // From the front, the back and the middle in turn.
        let time = timed(|| {
            while !waits.is_empty() {
                drop(waits.swap_remove(waits.len() / 2));
            }
        });
        promise.set_result(1);
        assert_eq!(counts.0.load(Ordering::Relaxed), 1);
        drop(last);
        time
    });
}

fn callbacks() {
    grows_with_its_number(FEW, MANY, |n| {
        let (promise, future) = promise::<u32>();
        let called = Arc::new(AtomicUsize::new(0));
        let time = timed(|| {
            for _ in 0..n {
                let called = called.clone();
                future.add_done_callback(move |_| {
                    called.fetch_add(1, Ordering::Relaxed);
                });
            }
            promise.set_result(1);
        });
        assert_eq!(called.load(Ordering::Relaxed), n);
        time
    });
}

fn watches() {
    grows_with_its_number(FEW, MANY, |n| {
        let (promise, future) = promise::<u32>();
        let shared = future.shared();
        let (mut all, mut gone) = (Vec::new(), Vec::new());
        let time = timed(|| {
            for at in 0..n {
                let ready = as_completed([shared.clone()]);
                if at % 2 == 0 {
                    all.push(ready)
                } else {
                    gone.push(ready)
                }
                // A wait that is over takes its entry out again.
                assert!(!shared.wait_timeout(Duration::from_nanos(1)));
            }
            gone.clear();
            let many = as_completed(std::iter::repeat_n(&shared, n));
            promise.set_result(1);
            assert_eq!(many.count(), n);
        });
        assert!(all.iter_mut().all(|ready| ready.next().is_some()));
        time
    });
}

/// A pool whose only worker is held until the gate opens.
fn held(pool: &ThreadPoolExecutor) -> Gate {
    let gate = Gate::new();
    let (goes_on, running) = (gate.clone(), Gate::new());
    let runs = running.clone();
    pool.spawn(move || {
        runs.open();
        goes_on.wait();
    })
    .detach();
    running.wait();
    gate
}

/// Cancels them, each a third from the front, from the back and from the middle.
fn cancel_in_turn(mut futures: Vec<Future<u64>>) -> Duration {
    let mut turn = 0;
    timed(|| {
        while !futures.is_empty() {
            turn += 1;
            let at = [0, futures.len() - 1, futures.len() / 2][turn % 3];
            futures.swap_remove(at).cancel();
        }
    })
}

fn square(n: u64) -> u64 {
    n * n
}

fn cancels() {
    grows_with_its_number(FEW, MANY, |n| {
        let pool = ThreadPoolExecutor::new(1);
        let gate = held(&pool);
        let time = cancel_in_turn((0..n).map(|n| pool.submit(square, n as u64)).collect());
        assert_eq!(pool.stats().queued, 0);
        gate.open();
        time
    });
}

fn cancels_bounded() {
    grows_with_its_number(FEW, MANY, |n| {
        let pool =
            ThreadPoolExecutor::builder().max_workers(1).queue_capacity(n, WhenFull::Reject).build().unwrap();
        let gate = held(&pool);
        let time = cancel_in_turn((0..n).map(|n| pool.submit(square, n as u64)).collect());
        assert_eq!(pool.stats().queued, 0);
        gate.open();
        time
    });
}

fn nap(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

fn cancels_of_processes() {
    grows_with_its_number(FEW, 20_000, |n| {
        let pool = ProcessPoolExecutor::new(1);
        // It holds the worker while the others are cancelled, some of them shipped to it already.
        let first = pool.submit(nap, 60_000);
        assert!(soon(|| first.is_running()));
        let time = cancel_in_turn((0..n).map(|n| pool.submit(square, n as u64)).collect());
        assert!(first.kill());
        assert!(first.result().is_err());
        time
    });
}

fn completes() {
    grows_with_its_number(FEW, MANY, |n| {
        let (promises, futures): (Vec<_>, Vec<_>) = (0..n).map(|_| promise::<usize>()).unzip();
        timed(|| {
            let mut ready = as_completed(futures);
            for (at, promise) in promises.into_iter().enumerate().rev() {
                promise.set_result(at);
                assert_eq!(ready.next().unwrap().result().unwrap(), at);
            }
            assert!(ready.next().is_none());
        })
    });
}

/// A task of the pool waits for many others, which so have a second entry each.
fn stats() {
    let time_of = |n: usize| {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (gate, inner) = (Gate::new(), pool.clone());
        let goes_on = gate.clone();
        let waits = pool.spawn(move || {
            let first = inner.spawn(move || {
                goes_on.wait();
                0
            });
            let others = (0..n).map(|n| inner.submit(square, n as u64));
            let futures: Vec<_> = std::iter::once(first).chain(others).collect();
            // Not for all of them, so that none runs in place. A second worker takes the first and is held.
            wait(futures, ReturnWhen::FirstException).done.len()
        });
        assert!(soon(|| pool.stats().workers == 2 && pool.stats().running == 1), "{:?}", pool.stats());
        let asked = 1000;
        let time = timed(|| {
            for _ in 0..asked {
                assert!(pool.stats().queued >= n);
            }
        });
        gate.open();
        assert_eq!(waits.result().unwrap(), n + 1);
        assert_eq!(pool.stats().queued, 0);
        time / asked
    };
    let (small, large) = (time_of(FEW), time_of(MANY));
    assert!(large <= FACTOR * small.max(5 * NOTHING), "with {FEW} it takes {small:?}, with {MANY} {large:?}");
}

/// Each item takes longer than the map waits before it looks whether items can be parted.
fn long_items() {
    let runs = Arc::new(AtomicUsize::new(0));
    let ran = runs.clone();
    let pool = ThreadPoolExecutor::new(1);
    let n = 20_000;
    // The first items are long; all that lie in the buffer behind them wait.
    let f = move |item: usize| {
        runs.fetch_add(1, Ordering::Relaxed);
        if item < 10 {
            std::thread::sleep(Duration::from_millis(30));
        }
        item
    };
    let map = pool.map_with(MapOptions::new().buffersize(n), f, 0..n);
    let mut most = 0;
    let mut taken = 0;
    for item in map {
        assert_eq!(item.unwrap(), taken);
        taken += 1;
        most = most.max(pool.stats().submitted());
    }
    assert_eq!((taken, ran.load(Ordering::Relaxed)), (n, n));
    assert!(most <= 2 * n as u64 + 2, "{most} tasks for {n} items");
}

fn scopes() {
    grows_with_its_number(FEW, MANY, |n| {
        let pool = ThreadPoolExecutor::new(2);
        let sum = AtomicUsize::new(0);
        let time = timed(|| {
            pool.scope(|scope| {
                for at in 0..n {
                    let sum = &sum;
                    scope.spawn(move || sum.fetch_add(at, Ordering::Relaxed)).detach();
                }
            });
        });
        assert_eq!(sum.into_inner(), n * (n - 1) / 2);
        time
    });
}

fn places() {
    grows_with_its_number(20, 2000, |n| {
        let pool =
            ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block).build().unwrap();
        let gate = held(&pool);
        pool.spawn(|| ()).detach();
        std::thread::scope(|scope| {
            let pool = &pool;
            let small = || std::thread::Builder::new().stack_size(64 << 10);
            let threads: Vec<_> = (0..n)
                .map(|_| small().spawn_scoped(scope, move || pool.spawn(|| ()).result().unwrap()).unwrap())
                .collect();
            let time = timed(|| {
                gate.open();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
            assert_eq!(pool.stats().queued, 0);
            time
        })
    });
}

fn workers() {
    grows_with_its_number(20, 2000, |n| {
        let pool = ThreadPoolExecutor::builder().max_workers(n).stack_size(64 << 10).build().unwrap();
        let gate = Gate::new();
        let time = timed(|| {
            let tasks: Vec<_> = (0..n)
                .map(|_| {
                    let gate = gate.clone();
                    pool.spawn(move || gate.wait())
                })
                .collect();
            assert!(soon(|| pool.stats().running == n), "{:?}", pool.stats());
            gate.open();
            tasks.into_iter().for_each(|task| task.result_timeout(SOON).expect("it ends").unwrap());
            pool.join();
        });
        assert_eq!(pool.stats().workers, 0);
        time
    });
}
