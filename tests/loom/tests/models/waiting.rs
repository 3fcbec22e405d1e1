//! Waiting inside a worker: in place, blocked, helped. The names are those of the protocol's own model.

use crate::support::{build, explore, open, pool, pool_of_few, refusing, thread};
use concurrent_futures::{
    Executor as _, Future, Promise, Rejected, ReturnWhen, Task, TaskError, ThreadPoolExecutor, WhenFull,
    blocking, promise, wait,
};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Longer than a model takes; loom's clock never strikes.
const LONG: Duration = Duration::from_secs(3600);

fn any_of<T: Send>(futures: &[concurrent_futures::Future<T>]) {
    assert!(!wait(futures, ReturnWhen::FirstCompleted).done.is_empty());
}

/// Breaks without the claim in place: a second thread is started.
#[test]
fn run_in_place_one_thread() {
    explore("run in place, one thread", 3, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            own.spawn(|| 1).result().expect("child") + own.spawn(|| 2).result().expect("child")
        });
        assert_eq!(parent.result().expect("it ran"), 3);
        assert_eq!(pool.stats().workers, 1);
    });
}

/// A waiter and a worker reach for the same task: breaks if the claim is not a compare-and-swap.
#[test]
fn run_in_place_strangers_queued() {
    explore("run in place, strangers queued", 1, || {
        let pool = pool(2);
        let own = pool.clone();
        let parent = pool.spawn(move || own.spawn(|| 1).result());
        let stranger = pool.spawn(|| 2);
        assert_eq!(parent.result().expect("it ran").expect("child"), 1);
        assert_eq!(stranger.result().expect("it ran"), 2);
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.finished), (0, 3));
    });
}

/// A task that another cancels while its own pool's worker wants to run it in place.
#[test]
fn run_in_place_against_cancel() {
    explore("run in place against cancel", 3, || {
        let pool = pool(1);
        let own = pool.clone();
        let (send, handle) = promise();
        let parent = pool.spawn(move || {
            let child = own.spawn(|| 1);
            assert!(send.set_result(child.cancel_handle()));
            child.result()
        });
        let cancelled = handle.result().expect("a handle").cancel();
        let child = parent.result().expect("it ran");
        assert_eq!(matches!(child, Err(TaskError::Cancelled)), cancelled);
        assert_eq!(pool.stats().queued, 0);
    });
}

/// Breaks if an any-of wait is not counted as blocked, or if its tasks don't go on the urgent stack.
#[test]
fn any_of_one_worker() {
    explore("any-of, one worker", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let children = [own.spawn(|| 1), own.spawn(|| 2)];
            any_of(&children);
            children.map(|child| child.result().expect("child"))
        });
        assert_eq!(parent.result().expect("it ran"), [1, 2]);
    });
}

#[test]
fn nested_any_of() {
    explore("nested any-of", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let inner = own.clone();
            any_of(&[own.spawn(move || any_of(&[inner.spawn(|| ())]))]);
        });
        assert!(parent.result().is_ok());
    });
}

/// A wait with a limit counts as blocked. (Limits that strike are under stress in `tests/model`.)
#[test]
fn timed_waits() {
    explore("timed waits", 3, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let child = own.spawn(|| 1);
            let child = child.result_timeout(Duration::ZERO).expect_err("it only looks").future;
            child.result_timeout(LONG).expect("in time").expect("child")
        });
        assert_eq!(parent.result().expect("it ran"), 1);
    });
}

/// No room on the stack: as blocked.
#[test]
fn stack_nearly_spent() {
    explore("stack nearly spent", 3, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).stack_size(1));
        let own = pool.clone();
        let parent = pool.spawn(move || own.spawn(|| 1).result());
        assert_eq!(parent.result().expect("it ran").expect("child"), 1);
    });
}

/// No room on the stack and no thread either: an error, not an overflow.
#[test]
fn stack_nearly_spent_no_spare() {
    explore("stack nearly spent, no spare", 3, || {
        let pool = build(refusing(1).max_workers(1).stack_size(1));
        let own = pool.clone();
        let parent = pool.spawn(move || own.spawn(|| 1).result());
        let outcome = parent.result().expect("it ran");
        assert!(matches!(outcome, Err(TaskError::Rejected(Rejected::StackSpent))), "{outcome:?}");
    });
}

/// Breaks if a wait for a task that already runs elsewhere is not counted as blocked: the spare sits in it, and nobody
/// may run the child.
#[test]
fn waiting_for_one_that_runs() {
    explore("waiting for one that runs", 1, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            any_of(&[own.spawn(|| ())]);
            any_of(&[own.spawn(|| ())]);
        });
        let parent = parent.shared();
        let same = parent.clone();
        let second = pool.spawn(move || same.result().is_ok());
        assert!(parent.result().is_ok());
        assert!(second.result().expect("it ran"));
    });
}

/// The waiter comes back while its spare works or searches: breaks if a surplus searcher keeps its flag, or if a surplus
/// worker takes.
#[test]
fn surplus_searcher() {
    explore("surplus searcher", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || any_of(&[own.spawn(|| ())]));
        let other = pool.spawn(|| 2);
        assert!(parent.result().is_ok());
        assert_eq!(other.result().expect("it ran"), 2);
        assert_eq!(pool.spawn(|| 3).result().expect("it ran"), 3);
    });
}

/// Breaks without help: the waiter is all there is.
#[test]
fn no_spare_to_be_had() {
    explore("no spare to be had", 3, || {
        let pool = pool_of_few(1, 1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let children = [own.spawn(|| 1), own.spawn(|| 2)];
            any_of(&children);
            children.map(|child| child.result().expect("child"))
        });
        assert_eq!(parent.result().expect("it ran"), [1, 2]);
    });
}

/// The waiter that blocked before threads ran out is told as well.
#[test]
fn spares_run_out() {
    explore("spares run out", 2, || {
        let pool = pool_of_few(1, 2);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let inner = own.clone();
            any_of(&[own.spawn(move || any_of(&[inner.spawn(|| ())]))]);
        });
        assert!(parent.result().is_ok());
    });
}

/// Two waiters in two workers, and nobody else.
#[test]
fn spare_cap_reached_by_others() {
    explore("spare cap reached by others", 1, || {
        let pool = pool_of_few(2, 2);
        let (one, two) = (pool.clone(), pool.clone());
        let one = pool.spawn(move || any_of(&[one.spawn(|| ())]));
        let two = pool.spawn(move || any_of(&[two.spawn(|| ())]));
        assert!(one.result().is_ok() && two.result().is_ok());
    });
}

/// Polls, gives up, cancels, again: nothing is left in the queue.
#[test]
fn poll_give_up_retry() {
    explore("poll, give up, retry", 3, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            for _ in 0..2 {
                let child = own.spawn(|| ());
                let child = child.result_timeout(Duration::ZERO).expect_err("it only looks").future;
                assert!(child.cancel());
            }
        });
        assert!(parent.result().is_ok());
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.cancelled), (0, 2));
    });
}

/// `blocking`: the pool runs another task meanwhile.
#[test]
fn blocking_lets_another_run() {
    explore("blocking lets another run", 2, || {
        let pool = pool(1);
        let (gate, opened) = promise();
        let first = pool.spawn(move || blocking(|| opened.result()));
        let second = pool.spawn(move || open(gate));
        assert!(first.result().expect("it ran").is_ok() && second.result().is_ok());
    });
}

/// Breaks if a thread that counts as blocked is counted again.
#[test]
fn nested_blocking_in_blocking() {
    explore("blocking in blocking", 2, || {
        let pool = pool(1);
        let (gate, opened) = promise();
        let first = pool.spawn(move || blocking(|| blocking(|| opened.result())));
        let second = pool.spawn(move || open(gate));
        assert!(first.result().expect("it ran").is_ok() && second.result().is_ok());
    });
}

/// Our own waits within `blocking`: in the spare, and not beside it.
#[test]
fn nested_waits_in_blocking() {
    explore("waits in blocking", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            blocking(|| {
                let child = own.spawn(|| 1);
                child.result_timeout(LONG).expect("in time").expect("child")
                    + own.spawn(|| 2).result().expect("child")
            })
        });
        assert_eq!(parent.result().expect("it ran"), 3);
    });
}

/// The same where no spare is to be had: the waiter runs its task, and is active meanwhile.
#[test]
fn nested_wait_in_blocking_no_spare() {
    explore("wait in blocking, no spare", 2, || {
        let pool = pool_of_few(1, 1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let inner = own.clone();
            blocking(|| own.spawn(move || blocking(|| inner.spawn(|| 1).result())).result())
        });
        assert_eq!(parent.result().expect("it ran").expect("child").expect("its child"), 1);
    });
}

/// A submit to a full queue within `blocking`.
#[test]
fn nested_full_queue_in_blocking() {
    explore("full queue in blocking", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block));
        let own = pool.clone();
        let parent = pool.spawn(move || blocking(|| [own.spawn(|| 1), own.spawn(|| 2)]));
        let children = parent.result().expect("it ran").map(|child| child.result().expect("child"));
        assert_eq!(children, [1, 2]);
    });
}

/// Sleeps in a way that the pool can't see until the future's waker is woken.
fn block_on<T: Send + 'static>(mut future: Future<T>) -> Result<T, TaskError> {
    struct Rings(Mutex<Option<Promise<()>>>);
    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            let promise = self.0.lock().expect("no panic").take();
            if let Some(promise) = promise {
                open(promise);
            }
        }
    }
    loop {
        let (send, woken) = promise();
        let waker = Waker::from(Arc::new(Rings(Mutex::new(Some(send)))));
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => woken.result().expect("it was woken"),
        }
    }
}

/// Breaks if a poll by a worker of the task's own pool counts as nothing.
#[test]
fn polled_by_the_only_worker() {
    explore("polled by the only worker", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || block_on(own.spawn(|| 1)));
        assert_eq!(parent.result().expect("it ran").expect("child"), 1);
        assert_eq!(pool.spawn(|| 2).result().expect("it ran"), 2);
    });
}

/// No spare: the poll is repeated, and runs the task.
#[test]
fn polled_by_the_only_worker_no_spare() {
    explore("polled by the only worker, no spare", 3, || {
        let pool = pool_of_few(1, 1);
        let own = pool.clone();
        let parent = pool.spawn(move || block_on(own.spawn(|| 1)));
        assert_eq!(parent.result().expect("it ran").expect("child"), 1);
    });
}

/// What was polled and given up doesn't count any more.
#[test]
fn polled_and_given_up() {
    explore("polled and given up", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let mut child = own.spawn(|| 1);
            match Pin::new(&mut child).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => Future::ready(result),
                Poll::Pending => child,
            }
        });
        let child = parent.result().expect("it ran");
        assert_eq!(child.result().expect("child"), 1);
        let stats = pool.stats();
        assert_eq!((stats.blocked, stats.finished), (0, 2));
    });
}

/// An initializer waits for a task of its own pool, which another worker runs.
#[test]
fn needed_by_an_initializer() {
    explore("needed by an initializer", 1, || {
        let own = Arc::new(std::sync::OnceLock::<std::sync::Weak<ThreadPoolExecutor>>::new());
        let (of_hook, first) = (own.clone(), std::sync::atomic::AtomicBool::new(true));
        let pool = build(ThreadPoolExecutor::builder().max_workers(1).initializer(move || {
            if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                let pool = of_hook.get().and_then(std::sync::Weak::upgrade).expect("a pool");
                assert_eq!(pool.spawn(|| 1).result().expect("child"), 1);
            }
        }));
        own.set(Arc::downgrade(&pool)).expect("set once");
        assert_eq!(pool.spawn(|| 2).result().expect("it ran"), 2);
    });
}

/// `as_completed` in a worker: its futures are offered to the pool once each, late ones too.
#[test]
fn as_completed_in_a_worker() {
    explore("as_completed in a worker", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let parent = pool.spawn(move || {
            let mut futures = concurrent_futures::as_completed([own.spawn(|| 1)]);
            let mut sum = 0;
            while let Some(future) = futures.next() {
                let value = future.result().expect("child");
                sum += value;
                if value == 1 {
                    futures.add(own.spawn(|| 2));
                }
            }
            sum
        });
        assert_eq!(parent.result().expect("it ran"), 3);
    });
}

/// A scope's end waits until each task has been counted off.
#[test]
fn a_scope_ends_last() {
    explore("a scope ends last", 3, || {
        let pool = pool(1);
        let value = Arc::new(5);
        pool.scope(|scope| {
            scope.spawn(|| assert_eq!(*value, 5)).detach();
        });
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

/// Somebody outside waits for the same task that a worker runs in place.
#[test]
fn waited_for_outside_and_in_place() {
    explore("waited for outside and in place", 2, || {
        let pool = pool(1);
        let own = pool.clone();
        let (send, shared) = promise();
        let parent = pool.spawn(move || {
            let child = own.spawn(|| 1).shared();
            assert!(send.set_result(child.clone()));
            child.result().copied()
        });
        let shared = shared.result().expect("the child");
        let outside = thread(move || shared.result().copied());
        assert_eq!(parent.result().expect("it ran").expect("child"), 1);
        assert_eq!(outside.join().expect("no panic").expect("child"), 1);
    });
}

/// A worker needs a task that still waits for a place in the full queue: breaks if running it in place gives back a place
/// that it never had.
#[test]
fn needed_before_it_has_a_place() {
    explore("needed before it has a place", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(2).queue_capacity(1, WhenFull::Block));
        let (task, future) = Task::local(|| 1);
        let parent = pool.spawn(move || future.result());
        let filler = pool.spawn(|| 2);
        pool.execute(task);
        assert_eq!(parent.result().expect("it ran").expect("the task"), 1);
        assert!(filler.result().is_ok());
        assert_eq!(pool.stats().queued, 0);
    });
}

/// The same for a wait that offers its task to the pool.
#[test]
fn offered_before_it_has_a_place() {
    explore("offered before it has a place", 2, || {
        let pool = build(ThreadPoolExecutor::builder().max_workers(2).queue_capacity(1, WhenFull::Block));
        let (task, future) = Task::local(|| 1);
        let parent = pool.spawn(move || any_of(&[future]));
        let filler = pool.spawn(|| 2);
        pool.execute(task);
        assert!(parent.result().is_ok() && filler.result().is_ok());
        assert_eq!(pool.stats().queued, 0);
    });
}
