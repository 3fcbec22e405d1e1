//! Failures that are remembered: refused once is not refused for ever.

pub(crate) mod processes;

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::{ReturnWhen, TaskError, ThreadPoolExecutor, WhenFull, blocking, wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "threads_come_back_with_the_next_submits",
        &["dotnet/coreclr#26771"],
        threads_come_back_with_the_next_submits,
    ),
    Instance::new("threads_come_back_when_tasks_end", &[], threads_come_back_when_tasks_end),
    Instance::new("a_refused_spare_comes_later", &[], a_refused_spare_comes_later),
    Instance::new("a_waiter_tries_again_by_itself", &[], a_waiter_tries_again_by_itself),
    Instance::new("whoever_joins_tries_again", &["curl/curl#22303"], whoever_joins_tries_again),
    Instance::new("not_one_thread_and_then_some", &["oven-sh/bun#37738"], not_one_thread_and_then_some),
    Instance::new("refused_again_and_again", &[], refused_again_and_again),
];

/// A stack so large that the address space decides how many threads there are. More than glibc keeps of ended threads.
const STACK: usize = 1 << 30;

/// Lets the process have so many more of those stacks; gives back what it was.
fn allow_stacks(n: usize) -> libc::rlimit {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: u64 = statm.split(' ').next().expect("a number").parse().expect("a number");
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for a limit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut before) }, 0);
    let room = (n * STACK + STACK / 2) as u64;
    set_limit(libc::rlimit { rlim_cur: pages * 4096 + room, ..before });
    before
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

fn pool(max_workers: usize) -> Arc<ThreadPoolExecutor> {
    let pool = ThreadPoolExecutor::builder().max_workers(max_workers).stack_size(STACK).build();
    Arc::new(pool.expect("good numbers"))
}

/// A task that ends when the gate opens, and one that runs is counted.
fn hold(
    pool: &ThreadPoolExecutor,
    gate: &Gate,
    running: &Arc<AtomicUsize>,
) -> concurrent_futures::Future<()> {
    let (gate, running) = (gate.clone(), running.clone());
    pool.spawn(move || {
        running.fetch_add(1, Ordering::SeqCst);
        gate.wait();
        running.fetch_sub(1, Ordering::SeqCst);
    })
}

fn threads_come_back_with_the_next_submits() {
    let pool = pool(6);
    let before = allow_stacks(2);
    let (gate, running) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let held: Vec<_> = (0..12).map(|_| hold(&pool, &gate, &running)).collect();
    assert!(soon(|| running.load(Ordering::SeqCst) >= 1));
    assert!(pool.stats().workers < 6, "the limit doesn't hold: {:?}", pool.stats());
    set_limit(before);
    let came = soon(|| {
        pool.spawn(|| ()).detach();
        running.load(Ordering::SeqCst) == 6
    });
    assert!(came, "{:?}", pool.stats());
    gate.open();
    held.into_iter().for_each(|held| held.result().expect("it ran"));
}

fn threads_come_back_when_tasks_end() {
    let pool = pool(6);
    let before = allow_stacks(2);
    let (gate, running) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let (first_gate, first_running) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let first = hold(&pool, &first_gate, &first_running);
    // Short ones, which end while nobody submits, then those that tell how many threads there are.
    let short: Vec<_> =
        (0..2000).map(|_| pool.spawn(|| std::thread::sleep(std::time::Duration::from_micros(200)))).collect();
    let held: Vec<_> = (0..12).map(|_| hold(&pool, &gate, &running)).collect();
    assert!(soon(|| first_running.load(Ordering::SeqCst) == 1));
    set_limit(before);
    short.into_iter().for_each(|short| short.result().expect("it ran"));
    assert!(soon(|| running.load(Ordering::SeqCst) == 5), "{:?}", pool.stats());
    first_gate.open();
    gate.open();
    first.result().expect("it ran");
    held.into_iter().for_each(|held| held.result().expect("it ran"));
}

/// The only worker is in `blocking`; its spare is refused, and had again when the next task comes.
fn a_refused_spare_comes_later() {
    let pool = pool(1);
    let (send, receive) = mpsc::channel();
    let begun = Gate::new();
    let begin = begun.clone();
    let before = allow_stacks(1);
    let first = pool.spawn(move || {
        begin.open();
        blocking(|| receive.recv_timeout(SOON))
    });
    begun.wait();
    pool.spawn(move || send.send(1)).detach();
    // A start that is refused is counted for a moment.
    assert!(soon(|| pool.stats().workers == 1), "the limit doesn't hold");
    set_limit(before);
    assert!(soon(|| {
        pool.spawn(|| ()).detach();
        first.is_done()
    }));
    assert_eq!(first.result().expect("it ran"), Ok(1));
}

/// One worker waits in `blocking` for what a queued task does, the other for the first: nobody submits any more.
fn a_waiter_tries_again_by_itself() {
    // What the process maps besides changes as well: where a third stack found room all the same, once more.
    assert!((0..10).any(|_| waiters_try_again()), "the limit never holds");
}

/// False if a third thread was had in spite of the limit, so that nobody had to wait.
fn waiters_try_again() -> bool {
    let pool = pool(2);
    let before = allow_stacks(2);
    let (send, receive) = mpsc::channel();
    let (gate, running) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let count = running.clone();
    let first = pool
        .spawn(move || {
            count.fetch_add(1, Ordering::SeqCst);
            blocking(|| receive.recv_timeout(SOON))
        })
        .shared();
    let (same, count, opens) = (first.clone(), running.clone(), gate.clone());
    let second = pool.spawn(move || {
        count.fetch_add(1, Ordering::SeqCst);
        opens.wait();
        wait([same], ReturnWhen::FirstCompleted).done.len()
    });
    assert!(soon(|| running.load(Ordering::SeqCst) == 2), "{:?}", pool.stats());
    pool.spawn(move || send.send(1)).detach();
    gate.open();
    assert!(soon(|| pool.stats().blocked == 2 || first.is_done()), "{:?}", pool.stats());
    // A start that is refused is counted for a moment.
    assert!(soon(|| pool.stats().workers == 2 || first.is_done()), "{:?}", pool.stats());
    let held = !first.is_done();
    set_limit(before);
    assert_eq!(*first.result().expect("it ran"), Ok(1));
    assert_eq!(second.result().expect("it ran"), 1);
    held
}

/// The only worker waits in `blocking` for what a queued task does, and nobody submits any more: the pool is dropped.
fn whoever_joins_tries_again() {
    let pool = pool(1);
    let (send, receive) = mpsc::channel();
    let begun = Gate::new();
    let begin = begun.clone();
    let before = allow_stacks(1);
    let first = pool.spawn(move || {
        begin.open();
        blocking(|| receive.recv_timeout(SOON))
    });
    begun.wait();
    pool.spawn(move || send.send(1)).detach();
    assert!(soon(|| pool.stats().blocked == 1 && pool.stats().workers == 1), "the limit doesn't hold");
    let joiner = std::thread::Builder::new().stack_size(1 << 20).spawn(move || drop(pool)).expect("a thread");
    set_limit(before);
    joiner.join().expect("no panic");
    assert_eq!(first.result().expect("it ran"), Ok(1));
}

/// Tasks fail with the system's error while there is not one thread, and run as soon as there may be one.
fn not_one_thread_and_then_some() {
    for bounded in [false, true] {
        let builder = ThreadPoolExecutor::builder().max_workers(2).stack_size(STACK);
        let builder = if bounded { builder.queue_capacity(1, WhenFull::Block) } else { builder };
        let pool = builder.build().expect("good numbers");
        let before = allow_stacks(0);
        for _ in 0..3 {
            let error = pool.spawn(|| ()).result().expect_err("no thread is to be had");
            assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
            assert!(error.to_string().contains("no worker thread could be started"), "{error}");
        }
        set_limit(before);
        assert!(soon(|| pool.spawn(|| ()).result().is_ok()));
        let tasks: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
        assert!(tasks.into_iter().enumerate().all(|(n, task)| task.result().expect("it ran") == n));
        pool.join_timeout(SOON).expect("every worker ends");
        assert!(matches!(pool.spawn(|| ()).result(), Err(TaskError::Rejected(_))));
    }
    // A door that was shut stays shut.
    let pool = pool(1);
    let before = allow_stacks(0);
    assert!(pool.spawn(|| ()).result().is_err());
    pool.join_timeout(SOON).expect("there is no worker");
    set_limit(before);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(matches!(pool.spawn(|| ()).result(), Err(TaskError::Rejected(_))));
}

/// Threads are refused and to be had by turns: all tasks run, and at the end there are as many as ever.
fn refused_again_and_again() {
    let pool = pool(4);
    for _ in 0..5 {
        let before = allow_stacks(1);
        let tasks: Vec<_> = (0..200).map(|n| pool.spawn(move || blocking(|| n))).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.result().expect("it ran"), n);
        }
        set_limit(before);
    }
    let (gate, running) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let held: Vec<_> = (0..4).map(|_| hold(&pool, &gate, &running)).collect();
    assert!(soon(|| {
        pool.spawn(|| ()).detach();
        running.load(Ordering::SeqCst) == 4
    }));
    gate.open();
    held.into_iter().for_each(|held| held.result().expect("it ran"));
}
