//! The stack as it is, not as it was asked for.
//!
//! A stack that overflows ends the process, so each instance fails by SIGABRT or SIGSEGV where the crate goes too deep.
//! The `locals` program does some of them once more with 900 KiB of thread-locals, which lie in every thread's stack.

use crate::Instance;
use crate::support::Gate;
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, MapOptions, Promise, Rejected, Task, TaskError, WhenFull, promise};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("a_chain_of_results_with_large_frames_ends", &[], chains_of_results),
    Instance::new("a_chain_of_results_on_small_stacks_ends", &[], chains_on_small_stacks),
    Instance::new("a_large_task_that_waits_for_another_such_one_ends", &[], one_waits_for_another),
    Instance::new("a_larger_task_runs_on_an_idle_worker", &[], a_larger_task_goes_elsewhere),
    Instance::new("every_verb_that_waits_ends_with_large_frames", &[], every_verb),
    Instance::new("callbacks_with_large_frames_end_on_any_thread", &[], callbacks_everywhere),
    Instance::new("callers_that_run_tasks_end_with_an_error", &[], callers_run),
    Instance::new("the_inline_executor_ends_with_an_error", &[], inline_submits),
    Instance::new("an_executor_of_the_users_ends_with_an_error", &[], users_executor),
    Instance::new("a_deep_recursion_may_still_submit_inline", &[], deep_recursion_submits_inline),
    Instance::new("chains_end_with_large_thread_locals", &[], || with_locals("results")),
    Instance::new("chains_on_small_stacks_end_with_large_thread_locals", &[], || with_locals("small")),
    Instance::new("large_tasks_end_with_large_thread_locals", &[], || with_locals("large")),
    Instance::new("every_verb_ends_with_large_thread_locals", &[], || with_locals("verbs")),
    Instance::new("callbacks_end_with_large_thread_locals", &[], || with_locals("callbacks")),
    Instance::new("callers_end_with_large_thread_locals", &[], || with_locals("callers")),
    Instance::new("inline_submits_end_with_large_thread_locals", &[], || with_locals("inline")),
];

/// What the `locals` program does, by name.
pub fn run_with_locals(name: &str) {
    match name {
        "results" => chains_of_results(),
        "small" => {
            // 192 KiB are not enough for the thread-locals alone: the standard library makes it more.
            for stack in [192 << 10, 1000 << 10, 1200 << 10] {
                assert_depth(&pool(1, stack), nested::<100>(&pool(1, stack), 300), 300);
            }
        }
        "large" => {
            let pool = pool(4, 2 << 20);
            assert_depth(&pool, nested::<{ 700 << 10 }>(&pool, 3), 3);
        }
        "verbs" => verbs::<{ 200 << 10 }>(),
        "callbacks" => callbacks_on_threads::<{ 20 << 10 }>(),
        "callers" => callers_run(),
        "inline" => inline_submits(),
        other => panic!("no situation is called {other}"),
    }
}

fn with_locals(name: &str) {
    let program = std::env::current_exe().unwrap().with_file_name("locals");
    let output = std::process::Command::new(program).arg(name).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} with large thread-locals: {}\n{said}", output.status);
}

type Pool = Arc<ThreadPoolExecutor>;

fn pool(workers: usize, stack: usize) -> Pool {
    Arc::new(ThreadPoolExecutor::builder().max_workers(workers).stack_size(stack).build().unwrap())
}

/// Runs `f` below a frame of N bytes.
#[inline(never)]
fn framed<const N: usize, R>(f: impl FnOnce() -> R) -> R {
    let mut frame = [0_u8; N];
    black_box(&mut frame);
    let outcome = f();
    black_box(&mut frame);
    outcome
}

/// A task that waits for a task that waits for a task .., each with a frame of N bytes.
fn nest<const N: usize>(pool: &Pool, depth: usize) -> Result<usize, TaskError> {
    framed::<N, _>(|| {
        if depth == 0 {
            return Ok(0);
        }
        let inner = pool.clone();
        pool.try_spawn(move || nest::<N>(&inner, depth - 1)).result().map(|below| below + 1)
    })
}

fn nested<const N: usize>(pool: &Pool, depth: usize) -> Result<usize, TaskError> {
    let inner = pool.clone();
    pool.try_spawn(move || nest::<N>(&inner, depth)).result()
}

fn assert_depth(pool: &Pool, outcome: Result<usize, TaskError>, depth: usize) {
    assert_eq!(outcome.unwrap(), depth);
    assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
}

fn chains_of_results() {
    for workers in [1, 3] {
        for stack in [1200 << 10, 2 << 20, 8 << 20] {
            let pool = pool(workers, stack);
            assert_depth(&pool, nested::<0>(&pool, 3000), 3000);
            assert_depth(&pool, nested::<{ 8 << 10 }>(&pool, 500), 500);
            assert_depth(&pool, nested::<{ 32 << 10 }>(&pool, 200), 200);
            assert_depth(&pool, nested::<{ 100 << 10 }>(&pool, 50), 50);
        }
    }
    let pool = pool(2, 2 << 20);
    assert_depth(&pool, nested::<{ 900 << 10 }>(&pool, 5), 5);
}

fn chains_on_small_stacks() {
    for stack in [64 << 10, 128 << 10, 192 << 10] {
        for workers in [1, 4] {
            let pool = pool(workers, stack);
            assert_depth(&pool, nested::<100>(&pool, 500), 500);
            assert_depth(&pool, nested::<{ 8 << 10 }>(&pool, 100), 100);
        }
    }
    // More than all threads there can be have room for: an error that says so.
    let pool = pool(1, 64 << 10);
    let error = nested::<{ 8 << 10 }>(&pool, 20_000).unwrap_err();
    assert!(error.to_string().contains("stack"), "{error}");
    assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
}

fn one_waits_for_another() {
    for workers in [1, 2, 8] {
        let pool = pool(workers, 2 << 20);
        assert_depth(&pool, nested::<{ 1300 << 10 }>(&pool, 1), 1);
        assert_depth(&pool, nested::<{ 1300 << 10 }>(&pool, 6), 6);
        assert_depth(&pool, nested::<{ 600 << 10 }>(&pool, 9), 9);
    }
}

fn a_larger_task_goes_elsewhere() {
    let pool = pool(4, 2 << 20);
    let inner = pool.clone();
    let waits = pool.spawn(move || {
        framed::<{ 400 << 10 }, _>(|| inner.spawn(|| framed::<{ 1700 << 10 }, _>(|| 7)).result())
    });
    assert_eq!(waits.result().unwrap().unwrap(), 7);
}

type Job = Arc<dyn Fn() -> usize + Send + Sync>;
type Verb = fn(&Pool, Job) -> usize;

/// Each verb by which a worker waits for tasks of its own pool.
const VERBS: &[Verb] = &[
    |pool, job| pool.spawn(move || job()).result().unwrap(),
    |pool, job| pool.spawn(move || job()).shared().result().copied().unwrap(),
    |pool, job| {
        let future = pool.spawn(move || job());
        assert!(future.exception().is_none());
        future.wait();
        future.result().unwrap()
    },
    |pool, job| pool.spawn(move || job()).result_timeout(crate::support::SOON).unwrap().unwrap(),
    |pool, job| {
        let futures = [pool.spawn(move || job()), pool.spawn(|| 0)];
        let waited = wait(futures, ReturnWhen::AllCompleted);
        assert!(waited.not_done.is_empty());
        waited.done.into_iter().map(|future| future.result().unwrap()).sum()
    },
    |pool, job| {
        let futures = [pool.spawn(move || job()), pool.spawn(|| 0)];
        as_completed(futures).map(|future| future.result().unwrap()).sum()
    },
    |pool, job| pool.map(move |_| job(), 0..2).map(Result::unwrap).max().unwrap(),
    |pool, job| {
        let options = MapOptions::new().buffersize(2);
        pool.map_with(options, move |_| job(), 0..2).map(Result::unwrap).max().unwrap()
    },
    |pool, job| {
        let options = MapOptions::new().unordered();
        pool.map_with(options, move |_| job(), 0..2).map(Result::unwrap).max().unwrap()
    },
    |pool, job| {
        let mut reached = 0;
        pool.scope(|s| s.spawn(|| reached = job()).detach());
        reached
    },
];

fn down<const N: usize>(pool: &Pool, verb: Verb, depth: usize) -> usize {
    framed::<N, _>(|| {
        if depth == 0 {
            return 0;
        }
        let inner = pool.clone();
        1 + verb(pool, Arc::new(move || down::<N>(&inner, verb, depth - 1)))
    })
}

fn verbs<const N: usize>() {
    const DEPTH: usize = 3;
    for workers in [1, 2] {
        for &verb in VERBS {
            let pool = pool(workers, 2 << 20);
            let inner = pool.clone();
            assert_eq!(pool.spawn(move || down::<N>(&inner, verb, DEPTH)).result().unwrap(), DEPTH);
        }
    }
}

fn every_verb() {
    verbs::<{ 800 << 10 }>();
    verbs::<{ 1300 << 10 }>();
}

/// So many promises, each resolved by the callback of the one before it, below a frame of N bytes; the first of them, and
/// where it is told that the last callback ran.
fn chain_of_callbacks<const N: usize>(len: usize) -> (Promise<usize>, mpsc::Receiver<usize>) {
    let (told, tells) = mpsc::channel();
    let (first, mut future) = promise::<usize>();
    for n in 1..len {
        let (promise, next) = self::promise();
        future.add_done_callback(move |_| {
            framed::<N, _>(|| promise.set_result(n));
        });
        future = next;
    }
    future.add_done_callback(move |_| told.send(len).unwrap());
    (first, tells)
}

fn callbacks_on_threads<const N: usize>() {
    let run = |(first, told): (Promise<usize>, mpsc::Receiver<usize>)| {
        assert!(first.set_result(0));
        assert_eq!(told.try_recv().unwrap(), 200);
    };
    // The main thread, threads of the program's own, a worker.
    run(chain_of_callbacks::<N>(200));
    for stack in [1 << 20, 2 << 20] {
        let (first, told) = chain_of_callbacks::<N>(200);
        thread::Builder::new().stack_size(stack).spawn(move || run((first, told))).unwrap().join().unwrap();
    }
    let (first, told) = chain_of_callbacks::<N>(200);
    pool(1, 2 << 20).spawn(move || run((first, told))).result().unwrap();
}

fn callbacks_everywhere() {
    callbacks_on_threads::<{ 32 << 10 }>();
    callbacks_on_threads::<{ 300 << 10 }>();
    callbacks_on_threads::<{ 800 << 10 }>();
    // Within a task that has used much of the stack already, and on a very small one.
    let (first, told) = chain_of_callbacks::<{ 20 << 10 }>(200);
    let deep = pool(1, 2 << 20).spawn(move || framed::<{ 1200 << 10 }, _>(|| first.set_result(0)));
    assert!(deep.result().unwrap());
    assert_eq!(told.recv().unwrap(), 200);
    let (first, told) = chain_of_callbacks::<{ 4 << 10 }>(200);
    let small = thread::Builder::new().stack_size(64 << 10).spawn(move || first.set_result(0));
    assert!(small.unwrap().join().unwrap());
    assert_eq!(told.try_recv().unwrap(), 200);
}

/// A way to submit.
type Submit = dyn Fn(Box<dyn FnOnce() + Send>) -> concurrent_futures::Future<()> + Send + Sync;

/// Submits one that submits one that .., each below a frame of N bytes, by `submit`; counts those that ran, and gives the
/// error of the one that could not.
fn submits<const N: usize>(
    submit: &Arc<Submit>,
    ran: &Arc<AtomicUsize>,
    depth: usize,
    failed: &mpsc::Sender<TaskError>,
) {
    framed::<N, _>(|| {
        ran.fetch_add(1, Ordering::Relaxed);
        if depth > 0 {
            let (again, counted, tells) = (submit.clone(), ran.clone(), failed.clone());
            let next = submit(Box::new(move || submits::<N>(&again, &counted, depth - 1, &tells)));
            if next.is_done()
                && let Some(error) = next.exception()
            {
                failed.send(error).unwrap();
            }
        }
    });
}

fn assert_ends<const N: usize>(
    submit: impl Fn(Box<dyn FnOnce() + Send>) -> concurrent_futures::Future<()> + Send + Sync + 'static,
) {
    const DEPTH: usize = 100_000;
    let ran = Arc::new(AtomicUsize::new(0));
    let (failed, failures) = mpsc::channel();
    submits::<N>(&(Arc::new(submit) as Arc<_>), &ran, DEPTH, &failed);
    let errors: Vec<TaskError> = failures.try_iter().collect();
    assert_eq!(errors.len(), 1, "{} ran: {errors:?}", ran.load(Ordering::Relaxed));
    assert!(matches!(errors[0], TaskError::Rejected(Rejected::StackSpent)), "{:?}", errors[0]);
    assert!(errors[0].to_string().contains("stack"), "{}", errors[0]);
    let ran = ran.load(Ordering::Relaxed);
    assert!((1..DEPTH).contains(&ran), "{ran} ran");
}

/// The same on the main thread, on one of the program's own, and on a worker of another pool.
fn assert_ends_everywhere<const N: usize, S>(submit: impl Fn() -> S)
where
    S: Fn(Box<dyn FnOnce() + Send>) -> concurrent_futures::Future<()> + Send + Sync + 'static,
{
    assert_ends::<N>(submit());
    let on_thread = submit();
    thread::Builder::new().stack_size(2 << 20).spawn(|| assert_ends::<N>(on_thread)).unwrap().join().unwrap();
    let on_worker = submit();
    pool(1, 2 << 20).spawn(|| assert_ends::<N>(on_worker)).result().unwrap();
}

/// A pool whose one worker is held and whose queue is full: whoever submits runs the task.
struct Full {
    pool: ThreadPoolExecutor,
    gate: Gate,
}

impl Full {
    fn new() -> Self {
        let pool = ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::CallerRuns);
        let pool = pool.build().unwrap();
        let (gate, begun) = (Gate::new(), Gate::new());
        let (held, begins) = (gate.clone(), begun.clone());
        let hold = move || {
            begins.open();
            held.wait();
        };
        pool.spawn(hold).detach();
        begun.wait();
        pool.spawn(|| ()).detach();
        Full { pool, gate }
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        self.gate.open();
    }
}

fn callers_run() {
    let submit = || {
        let full = Full::new();
        move |job: Box<dyn FnOnce() + Send>| full.pool.spawn(job)
    };
    assert_ends_everywhere::<0, _>(submit);
    assert_ends_everywhere::<{ 32 << 10 }, _>(submit);
    assert_ends_everywhere::<{ 400 << 10 }, _>(submit);
}

fn inline_submits() {
    let submit = || {
        let inline = InlineExecutor::new();
        move |job: Box<dyn FnOnce() + Send>| inline.spawn(job)
    };
    assert_ends_everywhere::<0, _>(submit);
    assert_ends_everywhere::<{ 32 << 10 }, _>(submit);
    assert_ends_everywhere::<{ 400 << 10 }, _>(submit);
}

fn users_executor() {
    struct Here;
    impl Executor for Here {
        fn execute(&self, task: Task) {
            task.run();
        }
        fn shutdown(&self, _: concurrent_futures::Shutdown) {}
    }
    let submit = || {
        |job: Box<dyn FnOnce() + Send>| {
            let (task, future) = Task::local(job);
            Here.execute(task);
            future
        }
    };
    assert_ends_everywhere::<0, _>(submit);
    assert_ends_everywhere::<{ 32 << 10 }, _>(submit);
    assert_ends_everywhere::<{ 400 << 10 }, _>(submit);
}

/// What a program uses of its own stack is its own affair: only tasks inside one another are looked at.
fn deep_recursion_submits_inline() {
    fn recurse(inline: &InlineExecutor, depth: usize) -> usize {
        framed::<{ 64 << 10 }, _>(|| match depth {
            0 => inline.spawn(|| 7).result().unwrap(),
            _ => recurse(inline, depth - 1),
        })
    }
    let thread = thread::Builder::new().stack_size(4 << 20);
    let deep = thread.spawn(|| recurse(&InlineExecutor::new(), 55)).unwrap();
    assert_eq!(deep.join().unwrap(), 7);
}
