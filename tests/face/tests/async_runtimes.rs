//! `Future<T>` and `&SharedFuture<T>` as `std::future::Future`s: under tokio, in the combinators of `futures`, and polled
//! by hand, where one sees which waker is woken and which is kept.

use concurrent_futures::prelude::*;
use concurrent_futures::{TaskError, promise};
use futures::future::{Either, join_all, select, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The hard limit of every test here.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` on a thread; ends the process if it hangs.
fn limit(body: impl FnOnce() + Send + 'static) {
    let (over, ended) = std::sync::mpsc::channel::<()>();
    let test = std::thread::spawn(move || {
        let _over = over;
        body();
    });
    if ended.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        eprintln!(
            "{} took longer than {LIMIT:?}: it hangs",
            std::thread::current().name().unwrap_or("a test")
        );
        std::process::abort();
    }
    test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// As [`limit`], inside a runtime of tokio's.
fn tokio<F: std::future::Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    limit(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(body())
    });
}

/// A waker that counts; its clones are counted by `Arc::strong_count`.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn new() -> (Arc<Count>, Waker) {
        let count = Arc::<Count>::default();
        (count.clone(), Waker::from(count))
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn awaited_under_tokio() {
    tokio(|| async {
        let pool = ThreadPoolExecutor::new(2);
        assert_eq!(pool.submit(|n: u32| n + 1, 1).await.unwrap(), 2);
        assert!(matches!(pool.spawn(|| -> u8 { panic!("no") }).await, Err(TaskError::Panicked(_))));
        assert!(matches!(pool.try_spawn(|| Err::<(), _>("no")).await, Err(TaskError::Failed(_))));
        let spawned = tokio::spawn(pool.spawn(|| 3));
        assert_eq!(spawned.await.unwrap().unwrap(), 3);
    });
}

#[test]
fn cancelled_and_abandoned_ones_wake_who_awaits() {
    tokio(|| async {
        let (kept, future) = promise::<u8>();
        let handle = future.cancel_handle();
        let waits = tokio::spawn(future);
        assert!(handle.cancel());
        assert!(matches!(waits.await.unwrap(), Err(TaskError::Cancelled)));
        drop(kept);
        let (dropped, future) = promise::<u8>();
        let waits = tokio::spawn(future);
        drop(dropped);
        assert!(matches!(waits.await.unwrap(), Err(TaskError::Abandoned)));
    });
}

#[test]
fn joined_in_the_order_given() {
    tokio(|| async {
        let pool = ThreadPoolExecutor::new(4);
        let all = join_all((0..100).map(|n| pool.spawn(move || n))).await;
        assert_eq!(all.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        let first_error =
            try_join_all([pool.try_spawn(|| Ok::<_, &str>(1)), pool.try_spawn(|| Err("bad"))]).await;
        assert_eq!(first_error.unwrap_err().to_string(), "bad");
    });
}

#[test]
fn selected_and_gone_on_with() {
    tokio(|| async {
        let pool = ThreadPoolExecutor::new(1);
        let (promise, mut never) = promise::<u8>();
        tokio::select! {
            _ = &mut never => panic!("nobody resolved it"),
            seven = pool.spawn(|| 7) => assert_eq!(seven.unwrap(), 7),
        }
        match select(never, pool.spawn(|| 8)).await {
            Either::Right((eight, never)) => {
                assert_eq!(eight.unwrap(), 8);
                promise.set_result(9);
                assert_eq!(never.await.unwrap(), 9);
            }
            Either::Left(_) => panic!("nobody resolved it"),
        }
    });
}

#[test]
fn unordered_streams_yield_each_once() {
    tokio(|| async {
        let pool = ThreadPoolExecutor::new(4);
        let mut all: FuturesUnordered<_> = (0..500u32).map(|n| pool.spawn(move || n)).collect();
        let mut sum = 0;
        while let Some(n) = all.next().await {
            sum += n.unwrap();
        }
        assert_eq!(sum, 499 * 250);
    });
}

#[test]
fn timed_out_by_the_runtime_it_may_be_awaited_again() {
    tokio(|| async {
        let (promise, mut future) = promise::<u8>();
        assert!(tokio::time::timeout(Duration::from_millis(2), &mut future).await.is_err());
        promise.set_result(1);
        assert_eq!(tokio::time::timeout(LIMIT, future).await.unwrap().unwrap(), 1);
    });
}

#[test]
fn a_shared_future_is_awaited_by_several_tasks() {
    tokio(|| async {
        let (promise, future) = promise::<String>();
        let shared = future.shared();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let shared = shared.clone();
                tokio::spawn(async move { (&shared).await.map(String::len) })
            })
            .collect();
        promise.set_result("four".into());
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 4);
        }
        assert_eq!((&shared).await.unwrap(), "four");
    });
}

#[test]
fn a_done_one_is_ready_at_the_first_poll() {
    limit(|| {
        let pool = ThreadPoolExecutor::new(1);
        let future = pool.spawn(|| 5);
        future.wait();
        let (count, waker) = Count::new();
        let polled = pin!(future).poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Ready(Ok(5))));
        drop(waker);
        assert_eq!((count.wakes(), Arc::strong_count(&count)), (0, 1), "no waker was needed or kept");
    });
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    limit(|| {
        let (promise, mut future) = promise::<u8>();
        let (old, old_waker) = Count::new();
        let (new, new_waker) = Count::new();
        for _ in 0..3 {
            assert!(pin!(&mut future).poll(&mut Context::from_waker(&old_waker)).is_pending());
        }
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&new_waker)).is_pending());
        drop((old_waker, new_waker));
        assert_eq!(
            (Arc::strong_count(&old), Arc::strong_count(&new)),
            (1, 2),
            "the replaced one was dropped"
        );
        promise.set_result(1);
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
        assert_eq!(Arc::strong_count(&new), 1);
        let (_, waker) = Count::new();
        assert!(matches!(pin!(future).poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(1))));
    });
}

#[test]
fn a_dropped_future_wakes_nobody() {
    limit(|| {
        let (promise, mut future) = promise::<u8>();
        let (count, waker) = Count::new();
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 2);
        drop(future); // the awaiting side is gone, its runtime may be too
        assert_eq!(Arc::strong_count(&count), 1);
        promise.set_result(1);
        assert_eq!(count.wakes(), 0);
        // The same for one of several that await a shared future.
        let (promise, future) = concurrent_futures::promise::<u8>();
        let shared = future.shared();
        let (gone, gone_waker) = Count::new();
        let (stays, stays_waker) = Count::new();
        let mut kept = pin!((&shared).into_future());
        {
            let mut dropped = pin!((&shared).into_future());
            assert!(dropped.as_mut().poll(&mut Context::from_waker(&gone_waker)).is_pending());
            assert!(kept.as_mut().poll(&mut Context::from_waker(&stays_waker)).is_pending());
        }
        drop(gone_waker);
        assert_eq!(Arc::strong_count(&gone), 1);
        promise.set_result(1);
        assert_eq!((gone.wakes(), stays.wakes()), (0, 1));
    });
}

#[test]
fn a_borrowed_await_then_a_drop() {
    limit(|| {
        let pool = ThreadPoolExecutor::new(1);
        let (count, waker) = Count::new();
        let (opened, gate) = std::sync::mpsc::channel::<()>();
        let mut future = pool.spawn(move || gate.recv().is_err());
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(future); // detached: the task goes on
        drop(opened);
        pool.join();
        assert_eq!((count.wakes(), pool.stats().finished), (0, 1));
        // Awaited to its end by `&mut`, the result is given away.
        let (promise, mut future) = promise::<u8>();
        promise.set_result(1);
        assert!(matches!(pin!(&mut future).poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(1))));
        assert!(future.is_done());
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
    });
}

#[test]
fn polled_after_its_end_it_panics() {
    limit(|| {
        let mut future = concurrent_futures::Future::ready(Ok(1));
        let (_, waker) = Count::new();
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_ready());
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pin!(&mut future).poll(&mut Context::from_waker(&waker))
        }));
        assert!(again.unwrap_err().downcast_ref::<&str>().unwrap().contains("after it gave its result"));
    });
}

#[test]
fn a_waker_that_panics_costs_no_worker() {
    limit(|| {
        struct Bad;
        impl Wake for Bad {
            fn wake(self: Arc<Self>) {
                panic!("a bad waker");
            }
        }
        let pool = ThreadPoolExecutor::new(1);
        let (opened, gate) = std::sync::mpsc::channel::<()>();
        let mut future = pool.spawn(move || gate.recv().is_err());
        let waker = Waker::from(Arc::new(Bad));
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(opened);
        assert!(future.result().unwrap());
        assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
        assert_eq!(pool.stats().workers, 1);
    });
}

#[test]
fn polls_race_with_the_end() {
    limit(|| {
        let pool = ThreadPoolExecutor::new(2);
        for n in 0..5_000 {
            assert_eq!(futures::executor::block_on(pool.spawn(move || n)).unwrap(), n);
        }
    });
}
