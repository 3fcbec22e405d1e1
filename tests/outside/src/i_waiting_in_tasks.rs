//! Waiting inside a task: what a task may find, and what it may wait for.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::{
    ReturnWhen, SharedFuture, TaskError, ThreadPoolExecutor, WhenFull, blocking, promise, wait,
};
use futures::executor::block_on;
use futures::future::{Either, FutureExt, join_all, select};
use futures::stream::{FuturesUnordered, StreamExt};
use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("a_task_for_which_an_initializer_waits", &[], a_task_for_which_an_initializer_waits),
    Instance::new("initializers_that_wait_for_ever_fail", &[], initializers_that_wait_for_ever_fail),
    Instance::new("initializers_that_submit_to_a_full_queue", &[], initializers_that_submit_to_a_full_queue),
    Instance::new(
        "block_on_in_the_only_worker",
        &["bevyengine/bevy#2725", "stlab/stlab#222"],
        block_on_in_the_only_worker,
    ),
    Instance::new("block_on_several_in_the_only_worker", &[], block_on_several_in_the_only_worker),
    Instance::new("block_on_a_shared_future", &[], block_on_a_shared_future),
    Instance::new("block_on_one_that_runs_elsewhere", &[], block_on_one_that_runs_elsewhere),
    Instance::new(
        "block_on_nested",
        &["async-rs/async-std#644", "rayon-rs/rayon#446", "bshoshany/thread-pool#95"],
        block_on_nested,
    ),
    Instance::new(
        "a_poll_runs_nothing_that_could_be_done_without",
        &[],
        a_poll_runs_nothing_that_could_be_done_without,
    ),
    Instance::new("a_poll_that_is_given_up_is_forgotten", &[], a_poll_that_is_given_up_is_forgotten),
    Instance::new("block_on_in_callbacks_and_blocking", &[], block_on_in_callbacks_and_blocking),
    Instance::new("block_on_when_no_thread_is_to_be_had", &[], block_on_when_no_thread_is_to_be_had),
];

type Own = Arc<OnceLock<Weak<ThreadPoolExecutor>>>;

fn own(pool: &Own) -> Arc<ThreadPoolExecutor> {
    pool.get().and_then(Weak::upgrade).expect("a pool")
}

thread_local! {
    static INITIALIZED: Cell<bool> = const { Cell::new(false) };
}

/// A pool whose initializer waits for one of its tasks, in the first `waiting` workers.
fn waiting_initializers(max_workers: usize, waiting: usize) -> (Arc<ThreadPoolExecutor>, Arc<AtomicBool>) {
    let (of_hook, is_bad) = (Own::default(), Arc::new(AtomicBool::new(false)));
    let (this, bad, starts) = (of_hook.clone(), is_bad.clone(), AtomicUsize::new(0));
    let pool = ThreadPoolExecutor::builder()
        .max_workers(max_workers)
        .try_initializer(move || {
            if starts.fetch_add(1, Ordering::SeqCst) < waiting {
                let pool = own(&this);
                let bad = bad.clone();
                let child = pool.spawn(move || {
                    if !INITIALIZED.get() {
                        bad.store(true, Ordering::SeqCst);
                    }
                });
                // Leaked: the last pointer must not go here.
                std::mem::forget(pool);
                child.result()?;
            }
            INITIALIZED.set(true);
            Ok(())
        })
        .build();
    let pool = Arc::new(pool.expect("good numbers"));
    of_hook.set(Arc::downgrade(&pool)).expect("set once");
    (pool, is_bad)
}

fn a_task_for_which_an_initializer_waits() {
    for (max_workers, waiting) in [(1, 1), (1, 3), (4, 1), (4, 6)] {
        let (pool, is_bad) = waiting_initializers(max_workers, waiting);
        let tasks: Vec<_> = (0..20).map(|_| pool.spawn(|| INITIALIZED.get())).collect();
        for task in tasks {
            assert!(task.result().expect("it ran"), "a task ran in a worker that was not initialized");
        }
        assert!(!is_bad.load(Ordering::SeqCst), "a task ran in a worker that was not initialized");
        pool.join_timeout(SOON).expect("every worker ends");
    }
}

fn initializers_that_wait_for_ever_fail() {
    let (pool, is_bad) = waiting_initializers(1, usize::MAX);
    let error = pool.spawn(|| ()).result_timeout(SOON).expect("in time").expect_err("no worker can be ready");
    assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
    assert!(error.to_string().contains("initializer"), "{error}");
    assert!(!is_bad.load(Ordering::SeqCst), "a task ran in a worker that was not initialized");
    pool.join_timeout(SOON).expect("every worker ends");
}

/// The first worker's initializer submits more than there is room for.
fn initializers_that_submit_to_a_full_queue() {
    let (of_hook, is_first) = (Own::default(), AtomicBool::new(true));
    let this = of_hook.clone();
    let done = Arc::new(AtomicUsize::new(0));
    let count = done.clone();
    let pool = ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block).initializer(
        move || {
            if is_first.swap(false, Ordering::SeqCst) {
                let pool = own(&this);
                for _ in 0..5 {
                    let count = count.clone();
                    pool.spawn(move || count.fetch_add(1, Ordering::SeqCst)).detach();
                }
                std::mem::forget(pool);
            }
        },
    );
    let pool = Arc::new(pool.build().expect("good numbers"));
    of_hook.set(Arc::downgrade(&pool)).expect("set once");
    pool.spawn(|| ()).result_timeout(SOON).expect("in time").expect("it ran");
    assert!(soon(|| done.load(Ordering::SeqCst) == 5));
}

fn in_the_only_worker<T: Send + 'static>(f: impl FnOnce(Arc<ThreadPoolExecutor>) -> T + Send + 'static) -> T {
    let pool = Arc::new(ThreadPoolExecutor::new(1));
    let this = pool.clone();
    let result = pool.spawn(move || f(this)).result_timeout(SOON).expect("in time").expect("no panic");
    // It counts as it did before.
    let (send, receive) = std::sync::mpsc::channel();
    let first = pool.spawn(move || blocking(|| receive.recv_timeout(SOON)));
    pool.spawn(move || send.send(7)).detach();
    assert_eq!(first.result().expect("it ran"), Ok(7));
    assert!(soon(|| pool.stats().running == 0 && pool.stats().blocked == 0), "{:?}", pool.stats());
    result
}

fn block_on_in_the_only_worker() {
    let sum = in_the_only_worker(|pool| {
        let mut sum = 0;
        for n in 0..50 {
            sum += block_on(pool.spawn(move || n)).expect("it ran");
        }
        sum
    });
    assert_eq!(sum, 1225);
}

fn block_on_several_in_the_only_worker() {
    in_the_only_worker(|pool| {
        let all = block_on(join_all((0..20).map(|n| pool.spawn(move || n))));
        assert_eq!(all.into_iter().map(|n| n.expect("it ran")).sum::<i32>(), 190);
        let either = block_on(select(pool.spawn(|| 1), pool.spawn(|| 1)));
        let (Either::Left((Ok(one), _)) | Either::Right((Ok(one), _))) = either else { panic!("it ran") };
        assert_eq!(one, 1);
        let mut unordered: FuturesUnordered<_> = (0..20).map(|n| pool.spawn(move || n)).collect();
        let mut sum = 0;
        while let Some(n) = block_on(unordered.next()) {
            sum += n.expect("it ran");
        }
        assert_eq!(sum, 190);
        // Submitted in the middle, and awaited later.
        block_on(async {
            let first = pool.spawn(|| 1);
            let late =
                async { pool.spawn(|| 2).await.expect("it ran") + pool.spawn(|| 3).await.expect("it ran") };
            let (first, late) = futures::future::join(first, late).await;
            assert_eq!((first.expect("it ran"), late), (1, 5));
        });
    });
}

fn block_on_a_shared_future() {
    in_the_only_worker(|pool| {
        let shared: SharedFuture<i32> = pool.spawn(|| 5).shared();
        let waits = || async { *(&shared).await.expect("it ran") };
        let (one, two) = block_on(async { futures::future::join(waits(), waits()).await });
        assert_eq!((one, two), (5, 5));
    });
}

/// What is awaited runs already, in a spare, and needs what is queued.
fn block_on_one_that_runs_elsewhere() {
    let result = in_the_only_worker(|pool| {
        let (send, begun) = promise();
        let inner = pool.clone();
        let child = pool.spawn(move || {
            send.set_result(());
            block_on(inner.spawn(|| 3)).expect("it ran")
        });
        blocking(|| begun.result()).expect("it began");
        block_on(child).expect("it ran")
    });
    assert_eq!(result, 3);
}

/// As `block_on`, but it may be nested on one thread, which that of `futures` refuses.
fn block_on_above<F: Future>(future: F) -> F::Output {
    struct Unparks(std::thread::Thread);
    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unparks(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn block_on_nested() {
    fn nest(pool: &Arc<ThreadPoolExecutor>, depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let own = pool.clone();
        let child = pool.spawn(move || nest(&own, depth - 1));
        1 + if depth.is_multiple_of(2) { block_on_above(child) } else { child.result() }.expect("it ran")
    }
    assert_eq!(in_the_only_worker(|pool| nest(&pool, 100)), 100);
    // Beyond the spares there are: those that wait are told to help themselves.
    let threads_and_more = 700;
    assert_eq!(in_the_only_worker(move |pool| nest(&pool, threads_and_more)), threads_and_more);
}

/// The other one is done at once; the first wants a lock that the waiter holds.
fn a_poll_runs_nothing_that_could_be_done_without() {
    in_the_only_worker(|pool| {
        let lock = Arc::new(Mutex::new(0));
        let held = lock.lock().expect("no panic");
        let wants = lock.clone();
        let first = pool.spawn(move || *wants.lock().expect("no panic") += 1);
        let (send, other) = promise();
        pool.spawn(move || send.set_result(2)).detach();
        // Whichever the spare takes first, one more spare goes on with the other.
        let first = pool_free(&pool, first, other);
        drop(held);
        block_on(first).expect("it ran");
        assert_eq!(*lock.lock().expect("no panic"), 1);
    });
}

fn pool_free(
    pool: &Arc<ThreadPoolExecutor>,
    first: concurrent_futures::Future<()>,
    other: concurrent_futures::Future<i32>,
) -> concurrent_futures::Future<()> {
    // The stranger that holds the spare is outside of this pool's power; another thread resolves the other one.
    let helper = pool.spawn(|| ());
    drop(helper);
    let (sooner, soonest) = promise();
    std::thread::spawn(move || sooner.set_result(0));
    match block_on(select(first, select(other, soonest))) {
        Either::Left(_) => panic!("it ran while the lock was held"),
        Either::Right((_, first)) => first,
    }
}

/// Polled once and dropped, cancelled, or sent away: the worker counts as it did before.
fn a_poll_that_is_given_up_is_forgotten() {
    let pool = Arc::new(ThreadPoolExecutor::new(1));
    let this = pool.clone();
    let (begun, go) = (Gate::new(), Gate::new());
    let (begins, goes) = (begun.clone(), go.clone());
    let parent = pool.spawn(move || {
        let gate = Gate::new();
        let task = || {
            let gate = gate.clone();
            this.spawn(move || gate.wait())
        };
        assert!(task().now_or_never().is_none());
        let mut cancelled = task();
        assert!((&mut cancelled).now_or_never().is_none());
        cancelled.cancel();
        let mut many: Vec<_> = (0..10).map(|_| task()).collect();
        for future in &mut many {
            for _ in 0..3 {
                assert!(future.now_or_never().is_none());
            }
        }
        gate.open();
        for future in many {
            future.result().expect("it ran");
        }
        // One that is kept beyond the end of the task, and polled no more.
        let mut kept = this.spawn(move || goes.wait());
        assert!((&mut kept).now_or_never().is_none());
        begins.open();
        kept
    });
    let kept = parent.result_timeout(SOON).expect("in time").expect("no panic");
    begun.wait();
    // The kept one holds one of a pool of one: nobody else may run beside it.
    assert!(soon(|| pool.stats().running == 1));
    let beside = pool.spawn(|| 1);
    let (held, active) = (pool.stats(), beside.is_done());
    go.open();
    kept.result().expect("it ran");
    assert_eq!(beside.result().expect("it ran"), 1);
    assert_eq!((held.blocked, active), (0, false));
}

fn block_on_in_callbacks_and_blocking() {
    let pool = Arc::new(ThreadPoolExecutor::new(1));
    let (send, called) = promise();
    let this = pool.clone();
    let future = pool.spawn(|| 1);
    future.add_done_callback(move |_| {
        let one = block_on(this.spawn(|| 1)).expect("it ran");
        let two = blocking(|| block_on(this.spawn(|| 2))).expect("it ran");
        let three = block_on(async { blocking(|| this.spawn(|| 3).result()) }).expect("it ran");
        send.set_result(one + two + three);
    });
    future.detach();
    assert_eq!(called.result_timeout(SOON).expect("in time").expect("it was called"), 6);
    in_the_only_worker(|pool| {
        let this = pool.clone();
        let child = pool.spawn(move || {
            let first = this.spawn(|| 1);
            block_on(first).expect("it ran");
            wait([this.spawn(|| 1), this.spawn(|| 2)], ReturnWhen::FirstCompleted).done.len()
        });
        assert!(block_on(child).expect("it ran") >= 1);
    });
}

/// The system refuses every thread but the first.
fn block_on_when_no_thread_is_to_be_had() {
    let stack = 256 << 20;
    let pool = ThreadPoolExecutor::builder().max_workers(1).stack_size(stack).build().expect("a pool");
    let pool = Arc::new(pool);
    pool.spawn(|| ()).result().expect("it ran");
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: u64 = statm.split(' ').next().expect("a number").parse().expect("a number");
    let limit = libc::rlimit { rlim_cur: pages * 4096 + stack as u64 / 2, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    let this = pool.clone();
    let sum = pool.spawn(move || {
        let inner = this.clone();
        let nested = this.spawn(move || block_on_above(inner.spawn(|| 1)).expect("it ran"));
        let several = block_on(join_all((0..3).map(|_| this.spawn(|| 1))));
        block_on_above(nested).expect("it ran") + several.into_iter().map(|n| n.expect("it ran")).sum::<i32>()
    });
    assert_eq!(sum.result_timeout(SOON).expect("in time").expect("no panic"), 4);
    assert_eq!(pool.stats().workers, 1, "the limit doesn't hold");
}
