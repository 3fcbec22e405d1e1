//! Dropped futures, pools that close, and streams: under tokio, under smol, and polled by hand.

use concurrent_futures::prelude::*;
use concurrent_futures::{AsCompleted, Future, MapOptions, Streamed, TaskError, current, promise};
use futures::stream::{Stream, StreamExt, TryStreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The hard limit of every test here.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` on a thread; ends the process if it hangs.
fn limit(body: impl FnOnce() + Send + 'static) {
    let (over, ended) = mpsc::channel::<()>();
    let test = std::thread::spawn(move || {
        let _over = over;
        body();
    });
    if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("a test took longer than {LIMIT:?}: it hangs");
        std::process::abort();
    }
    test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Runs the same under two runtimes.
fn under_both<F: std::future::Future<Output = ()>>(body: impl Fn() -> F + Send + 'static) {
    limit(move || {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.unwrap().block_on(body());
        smol::block_on(body());
    });
}

/// A pool whose one worker is held until the sender is dropped.
fn held() -> (ThreadPoolExecutor, mpsc::Sender<()>, Future<()>) {
    let pool = ThreadPoolExecutor::new(1);
    let (gate, opened) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let running = pool.spawn(move || {
        begin.send(()).unwrap();
        let _ = opened.recv();
    });
    begun.recv().unwrap();
    (pool, gate, running)
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

// ---- cancel on drop --------------------------------------------------------------------------------------

#[test]
fn a_request_that_timed_out_leaves_an_empty_queue() {
    limit(|| {
        let (pool, gate, running) = held();
        let requests = async || {
            for _ in 0..10 {
                let future = pool.submit(|n: u32| n, 1).cancel_on_drop();
                assert!(tokio::time::timeout(Duration::from_millis(1), future).await.is_err());
                let _ = tokio::time::timeout(Duration::from_millis(1), pool.submit(|n: u32| n, 1)).await;
            }
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(requests());
        // Those that were only dropped are detached.
        assert_eq!((pool.stats().queued, pool.stats().cancelled), (10, 10));
        drop(gate);
        running.result().unwrap();
    });
}

#[test]
fn the_loser_of_a_race_is_cancelled_under_smol() {
    limit(|| {
        let (pool, gate, running) = held();
        let loser = pool.spawn(|| 1).cancel_on_drop();
        let winner = async { Ok(2) };
        assert_eq!(smol::block_on(smol::future::or(winner, loser)).unwrap(), 2);
        assert_eq!(pool.stats().queued, 0);
        drop(gate);
        running.result().unwrap();
    });
}

#[test]
fn it_gives_the_result_and_the_future_back() {
    under_both(|| async {
        let pool = ThreadPoolExecutor::new(1);
        assert_eq!(pool.spawn(|| 1).cancel_on_drop().await.unwrap(), 1);
        let error = pool.spawn(|| -> u8 { panic!("no") }).cancel_on_drop().await;
        assert!(matches!(error, Err(TaskError::Panicked(_))));
        let (promise, future) = promise();
        let back = future.cancel_on_drop().into_inner();
        assert!(promise.set_result(3), "nobody has cancelled it");
        assert_eq!(back.await.unwrap(), 3);
    });
}

#[test]
fn one_that_runs_is_asked_to_stop() {
    under_both(|| async {
        let pool = ThreadPoolExecutor::new(1);
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let task = move || {
            begin.send(()).unwrap();
            let me = current().unwrap();
            while !me.should_stop() {
                std::thread::yield_now();
            }
            end.send(()).unwrap();
        };
        let future = pool.spawn(task).cancel_on_drop();
        begun.recv().unwrap();
        drop(future);
        ended.recv().unwrap();
    });
}

#[test]
fn a_process_that_runs_it_is_ended_if_asked() {
    fn stay((): ()) {
        std::thread::park_timeout(LIMIT);
    }
    limit(|| {
        let pool = ProcessPoolExecutor::new(1);
        let future = pool.submit(stay, ());
        let id = future.id();
        while !pool.running().iter().any(|task| task.task == id) {
            std::thread::yield_now();
        }
        let cancel = future.cancel_handle();
        drop(future.cancel_on_drop());
        assert!(!cancel.cancel(), "it has begun, and goes on");
        assert!(cancel.kill());
        let future = pool.submit(stay, ());
        let id = future.id();
        while !pool.running().iter().any(|task| task.task == id) {
            std::thread::yield_now();
        }
        drop(future.cancel_on_drop().or_kill());
        // The pool ends at once: nothing runs.
        drop(pool);
    });
}

// ---- closed ----------------------------------------------------------------------------------------------

#[test]
fn the_end_of_a_pool_is_awaited() {
    under_both(|| async {
        let pool = ThreadPoolExecutor::new(2);
        let futures: Vec<_> = (0..100).map(|n| pool.submit(|n: u32| n, n)).collect();
        pool.closed().await.unwrap();
        assert!(futures.iter().all(Future::is_done));
        assert!(matches!(pool.spawn(|| ()).await, Err(TaskError::Rejected(_))));
        pool.closed().await.unwrap();

        let pool = ProcessPoolExecutor::new(1);
        let future = pool.submit(|n: u32| n + 1, 1);
        pool.closed().await.unwrap();
        assert!(future.is_done());
        assert!(matches!(pool.submit(|n: u32| n, 1).await, Err(TaskError::Rejected(_))));
    });
}

// ---- streams ---------------------------------------------------------------------------------------------

#[test]
fn as_completed_is_a_stream() {
    under_both(|| async {
        let pools = (ThreadPoolExecutor::new(2), ProcessPoolExecutor::new(2));
        let futures = (0..500).map(|n: u32| {
            (n, if n.is_multiple_of(2) { pools.0.submit(|n| n, n) } else { pools.1.submit(|n| n, n) })
        });
        let mut all = as_completed(futures).into_stream();
        let mut seen = vec![false; 500];
        while let Some((n, future)) = all.next().await {
            assert!(future.is_done() && !std::mem::replace(&mut seen[n as usize], true));
            assert_eq!(future.await.unwrap(), n);
        }
        assert!(seen.iter().all(|seen| *seen));
        all.get_mut().add((0, pools.0.submit(|n| n, 7)));
        assert_eq!(all.next().await.unwrap().1.await.unwrap(), 7);
        assert!(all.next().await.is_none());
    });
}

#[test]
fn each_that_is_done_wakes_the_latest_poll_once() {
    limit(|| {
        let (promises, futures): (Vec<_>, Vec<_>) = (0..3).map(|_| promise::<u32>()).unzip();
        let mut all = as_completed(futures).into_stream();
        let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
        let poll = |all: &mut Streamed<AsCompleted<Future<u32>>>, count: &Arc<Count>| {
            let waker = Waker::from(count.clone());
            Pin::new(all).poll_next(&mut Context::from_waker(&waker))
        };
        assert!(poll(&mut all, &first).is_pending());
        assert!(poll(&mut all, &second).is_pending());
        let mut promises = promises.into_iter();
        promises.next().unwrap().set_result(1);
        assert_eq!((first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)), (0, 1));
        assert!(matches!(poll(&mut all, &first), Poll::Ready(Some(_))));
        // Added after the first poll: it is heard as well.
        let (late, future) = promise();
        all.get_mut().add(future);
        assert!(poll(&mut all, &first).is_pending());
        late.set_result(4);
        assert_eq!(first.0.load(Ordering::SeqCst), 1);
        assert!(matches!(poll(&mut all, &first), Poll::Ready(Some(_))));
        assert!(poll(&mut all, &first).is_pending());
        // What is left behind in futures that are not done is nobody's waker.
        drop(all);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1));
        promises.for_each(|promise| {
            promise.set_result(0);
        });
    });
}

#[test]
fn no_wake_up_is_lost_under_a_storm() {
    under_both(|| async {
        for round in 0..200_u64 {
            let (promises, futures): (Vec<_>, Vec<_>) = (0..20).map(|_| promise::<u64>()).unzip();
            let setter = std::thread::spawn(move || {
                for (n, promise) in promises.into_iter().enumerate() {
                    // Now before, now after the poll.
                    (0..(round * 37 + n as u64 * 101) % 500).for_each(|_| std::hint::spin_loop());
                    promise.set_result(round);
                }
            });
            assert_eq!(as_completed(futures).into_stream().count().await, 20);
            setter.join().unwrap();
        }
    });
}

#[test]
fn map_with_is_a_stream() {
    under_both(|| async {
        let (threads, processes) = (ThreadPoolExecutor::new(2), ProcessPoolExecutor::new(2));
        for options in [
            MapOptions::new(),
            MapOptions::new().buffersize(1),
            MapOptions::new().chunksize(7).buffersize(50),
        ] {
            let squares = threads.map_with(options.clone(), |n: u64| n * n, 0..3000).into_stream();
            let squares: Vec<u64> = squares.try_collect().await.unwrap();
            assert!(squares.into_iter().eq((0..3000).map(|n| n * n)));
            let squares =
                processes.map_with(options.clone().unordered(), |n: u64| n * n, 0..300).into_stream();
            let sum = squares.try_fold(0, async |sum, n| Ok(sum + n)).await.unwrap();
            assert_eq!(sum, (0..300).map(|n| n * n).sum::<u64>());
        }
    });
}

#[test]
fn a_map_that_was_iterated_goes_on_as_a_stream() {
    under_both(|| async {
        let pool = ThreadPoolExecutor::new(2);
        let mut map = pool.map_with(MapOptions::new(), |n: u64| n, 0..100_000);
        // Short items share tasks by now.
        assert!(map.by_ref().take(50_000).map(Result::unwrap).eq(0..50_000));
        let rest: Vec<u64> = map.into_stream().try_collect().await.unwrap();
        assert!(rest.into_iter().eq(50_000..100_000));
    });
}
