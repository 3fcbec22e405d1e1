//! Waits in workers when no stack and no thread is left to run what is waited for: the task's error, not a silent end.

use crate::support::Gate;
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, MapOptions, TaskError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

type Pool = Arc<ThreadPoolExecutor>;
type Job = Arc<dyn Fn() -> Result<usize, TaskError> + Send + Sync>;

/// Waits for `job` in some way; the error is the job's or its own.
type Verb = fn(&Pool, Job) -> Result<usize, TaskError>;

/// By its text: an error that a task hands on as its own is that task's failure.
fn is_for_want_of_stack(error: &TaskError) -> bool {
    error.to_string().contains("stack is nearly spent")
}

fn spawn(pool: &Pool, job: Job) -> Future<usize> {
    pool.try_spawn(move || job())
}

/// A task that waits for a task .., more of them than 257 threads with small stacks can hold. Each wait must end, the
/// innermost by the error.
fn spent_by(verb: Verb) {
    fn down(pool: &Pool, verb: Verb, depth: usize, reached: &Arc<AtomicUsize>) -> Result<usize, TaskError> {
        let mut frame = [0_u8; 4096];
        std::hint::black_box(&mut frame);
        reached.fetch_max(depth, Ordering::Relaxed);
        let (inner, deepest) = (pool.clone(), reached.clone());
        let below = verb(pool, Arc::new(move || down(&inner, verb, depth + 1, &deepest)));
        std::hint::black_box(&mut frame);
        below
    }
    let pool = Arc::new(ThreadPoolExecutor::builder().max_workers(1).stack_size(64 << 10).build().unwrap());
    let (inner, reached) = (pool.clone(), Arc::new(AtomicUsize::new(0)));
    let deepest = reached.clone();
    let error = pool.try_spawn(move || down(&inner, verb, 0, &deepest)).result().unwrap_err();
    assert!(is_for_want_of_stack(&error), "{error}");
    assert!(reached.load(Ordering::Relaxed) >= 256, "{reached:?} deep");
    assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
}

pub(crate) fn result() {
    spent_by(|pool, job| spawn(pool, job).result());
    spent_by(|pool, job| spawn(pool, job).shared().result().copied());
}

pub(crate) fn exception_and_wait() {
    spent_by(|pool, job| {
        let future = spawn(pool, job);
        let error = future.exception();
        assert!(future.is_done());
        error.map_or(Ok(0), Err)
    });
    spent_by(|pool, job| {
        let future = spawn(pool, job);
        future.wait();
        assert!(future.is_done(), "the wait returned before the end");
        future.result()
    });
}

pub(crate) fn as_completed_yields_all() {
    spent_by(|pool, job| {
        let futures = [spawn(pool, job), pool.spawn(|| 1), pool.spawn(|| 2)];
        let mut all = as_completed(futures);
        let outcomes: Vec<_> = all.by_ref().map(Future::result).collect();
        assert_eq!((outcomes.len(), all.len()), (3, 0), "it ended with futures left");
        outcomes.into_iter().sum()
    });
}

pub(crate) fn unordered_maps_yield_all() {
    spent_by(|pool, job| {
        let options = MapOptions::new().unordered().buffersize(2);
        let run = move |n| if n == 0 { job() } else { Ok(n) };
        let outcomes: Vec<_> = pool.try_map_with(options, run, 0..5).collect();
        assert_eq!(outcomes.len(), 5, "it ended with items left");
        outcomes.into_iter().sum()
    });
}

pub(crate) fn ordered_maps_yield_all() {
    spent_by(|pool, job| {
        let run = move |n| if n == 0 { job() } else { Ok(n) };
        let outcomes: Vec<_> = pool.try_map(run, 0..5).collect();
        assert_eq!(outcomes.len(), 5);
        outcomes.into_iter().sum()
    });
    spent_by(|pool, job| {
        let run = move |n| if n == 0 { job() } else { Ok(n) };
        let options = MapOptions::new().buffersize(2).chunksize(1);
        let outcomes: Vec<_> = pool.try_map_with(options, run, 0..5).collect();
        assert_eq!(outcomes.len(), 5);
        outcomes.into_iter().sum()
    });
}

pub(crate) fn wait_for_all() {
    spent_by(|pool, job| {
        let waited = wait([spawn(pool, job), pool.spawn(|| 1)], ReturnWhen::AllCompleted);
        assert_eq!(waited.done.len(), 2);
        waited.done.into_iter().map(Future::result).sum()
    });
}

pub(crate) fn wait_for_the_first() {
    spent_by(|pool, job| {
        let waited = wait([spawn(pool, job)], ReturnWhen::FirstCompleted);
        assert_eq!(waited.done.len(), 1);
        waited.done.into_iter().map(Future::result).sum()
    });
}

pub(crate) fn wait_for_a_failure() {
    spent_by(|pool, job| {
        let waited = wait([Future::ready(Ok(1)), spawn(pool, job)], ReturnWhen::FirstException);
        let sum: Result<usize, TaskError> = waited.done.into_iter().map(Future::result).sum();
        assert!(sum.is_err() || waited.not_done.is_empty(), "neither a failure nor all");
        sum
    });
}

pub(crate) fn scopes_say_so() {
    spent_by(|pool, job| {
        let future = pool.scope(|s| s.try_spawn(|| job()));
        assert!(future.is_done());
        future.result()
    });
}

/// One that nobody may run although a thread waits for it is no longer waited for by others either.
pub(crate) fn others_that_wait_see_it() {
    let pool = Arc::new(ThreadPoolExecutor::builder().max_workers(1).stack_size(64 << 10).build().unwrap());
    let (gate, seen) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    fn down(pool: &Pool, gate: &Gate, seen: &Arc<AtomicUsize>) {
        let (inner, opens, counted) = (pool.clone(), gate.clone(), seen.clone());
        let below = pool.spawn(move || down(&inner, &opens, &counted)).shared();
        let (counted, opens) = (seen.clone(), gate.clone());
        below.add_done_callback(move |done| {
            if done.result().err().as_ref().is_some_and(is_for_want_of_stack) {
                counted.fetch_add(1, Ordering::Relaxed);
                opens.open();
            }
        });
        for future in as_completed([below]) {
            let _ = future.result();
        }
    }
    let (inner, opens, counted) = (pool.clone(), gate.clone(), seen.clone());
    pool.spawn(move || down(&inner, &opens, &counted)).result().unwrap();
    assert!(gate.is_open());
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}
