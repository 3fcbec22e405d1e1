//! Whose end is whose: parents that die, leave, fork, or end the thread that built the pool.

use concurrent_futures::{ExecutorExt, Future, ProcessPoolExecutor};
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Duration;

fn pool() -> ProcessPoolExecutor {
    ProcessPoolExecutor::builder().max_workers(1).build().expect("a pool")
}

fn worker_of(pool: &ProcessPoolExecutor) -> u32 {
    pool.submit(|()| std::process::id(), ()).result().expect("a worker's id")
}

fn compute(_: ()) {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_mul(3) + 1);
    }
}

fn sleep(_: ()) {
    std::thread::sleep(Duration::from_secs(1000));
}

fn stop(_: ()) {
    // SAFETY: stops this process until somebody lets it go on.
    unsafe { libc::raise(libc::SIGSTOP) };
    sleep(());
}

/// Waits until it has begun.
fn begin(pool: &ProcessPoolExecutor, task: fn(())) -> Future<()> {
    let future = pool.submit(task, ());
    while !future.is_running() {
        std::thread::yield_now();
    }
    future
}

/// Holds a worker at something until it is killed itself.
pub fn hold(what: &str) {
    let pool = pool();
    println!("worker {}", worker_of(&pool));
    let task = match what {
        "compute" => compute,
        "stop" => stop,
        "idle" => |()| (),
        _ => sleep,
    };
    let _future = begin_or_done(&pool, task);
    if what == "fork" {
        // SAFETY: the child only waits: it calls nothing that could need a lock of another thread.
        let fork = unsafe { libc::fork() };
        if fork == 0 {
            loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            }
        }
        println!("fork {fork}");
    }
    println!("held");
    loop {
        std::thread::park();
    }
}

/// Holds three workers until it is killed itself: one computes, one sleeps, one is idle.
pub fn hold_many() {
    let pool = ProcessPoolExecutor::builder().max_workers(3).build().expect("a pool");
    let _busy = [begin(&pool, compute), begin(&pool, sleep)];
    worker_of(&pool);
    for worker in pool.stats().workers {
        println!("worker {}", worker.pid.expect("it lives"));
    }
    println!("held");
    loop {
        std::thread::park();
    }
}

fn begin_or_done(pool: &ProcessPoolExecutor, task: fn(())) -> Future<()> {
    let future = pool.submit(task, ());
    while !future.is_running() && !future.is_done() {
        std::thread::yield_now();
    }
    future
}

static POOL: LazyLock<ProcessPoolExecutor> = LazyLock::new(pool);

/// Returns from `main` while a task runs in a pool that is never dropped.
pub fn leave_a_static_pool() {
    println!("worker {}", worker_of(&POOL));
    begin(&POOL, sleep).detach();
}

/// The thread that built the pool and started its worker ends; the worker stays.
pub fn build_on_a_short_thread() {
    let build = || {
        let pool = pool();
        let worker = worker_of(&pool);
        (pool, worker)
    };
    let (pool, worker) = std::thread::spawn(build).join().expect("a pool");
    let same = (0..50).all(|_| worker_of(&pool) == worker);
    println!("{}", if same { "the same worker" } else { "another worker" });
}

/// A fork has none of the pool's threads: it is told so.
pub fn use_in_a_fork() {
    let pool = pool();
    let worker = worker_of(&pool);
    // Some of these are on their way to the worker when the fork meddles with them.
    let nap: fn(u32) -> u32 = |n| {
        std::thread::sleep(Duration::from_millis(20));
        n
    };
    let futures: Vec<_> = (0..10).map(|n| pool.submit(nap, n)).collect();
    // SAFETY: this thread holds no lock, and the drivers sleep: the child may allocate and print.
    let fork = unsafe { libc::fork() };
    if fork == 0 {
        let error = pool.submit(|n: u32| n, 1).result().expect_err("no worker answers here");
        println!("in the fork: {error}");
        for future in &futures {
            future.cancel();
            future.kill();
        }
        pool.kill_workers();
        drop(pool);
        println!("dropped in the fork");
        // SAFETY: ends the process, without what Rust does at its end.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for the child, with a valid place for its status.
    unsafe { libc::waitpid(fork, &raw mut status, 0) };
    println!("the fork's status: {status}");
    let sum: u32 = futures.into_iter().map(|future| future.result().expect("the fork touched nothing")).sum();
    println!("sum {sum}");
    println!("{}", if worker_of(&pool) == worker { "the same worker" } else { "another worker" });
}
