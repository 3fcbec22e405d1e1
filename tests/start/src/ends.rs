//! How programs end that have pools: `start end SITUATION`. What tasks do they say in lines; the numbers of workers, so
//! that the tests can look for them, come first.

use concurrent_futures::{ExecutorExt, Future, ProcessPoolExecutor, ThreadPoolExecutor};
use std::cell::RefCell;
use std::process::abort;
use std::sync::{Arc, LazyLock, Mutex, mpsc};

static THREADS: LazyLock<ThreadPoolExecutor> = LazyLock::new(|| ThreadPoolExecutor::new(2));
static PROCESSES: LazyLock<ProcessPoolExecutor> = LazyLock::new(processes);

const CODE: i32 = 7;

fn processes() -> ProcessPoolExecutor {
    ProcessPoolExecutor::builder().max_workers(2).build().expect("a pool")
}

/// A line in one piece, even while the program ends: `println` would hold a lock, and a buffer.
fn say(line: &str) {
    let line = format!("{line}\n");
    // SAFETY: writes valid bytes.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// A task that never ends, running.
fn busy(pool: &ThreadPoolExecutor) {
    let (begun, begins) = mpsc::channel();
    pool.spawn(move || {
        begun.send(()).expect("it is waited for");
        loop {
            std::thread::park();
        }
    })
    .detach();
    begins.recv().expect("it begins");
}

fn busy_process(pool: &ProcessPoolExecutor) -> Future<()> {
    let future = pool.submit(|()| std::thread::sleep(std::time::Duration::from_secs(1000)), ());
    while !future.is_running() {
        std::thread::yield_now();
    }
    for pid in pool.stats().workers.into_iter().filter_map(|worker| worker.pid) {
        say(&format!("worker {pid}"));
    }
    future
}

/// Ten tasks, each of which says so when it runs; the first ones are slower than `main`.
fn queue(pool: &ThreadPoolExecutor) {
    for _ in 0..10 {
        pool.spawn(|| {
            std::thread::park_timeout(std::time::Duration::from_millis(2));
            say("ran");
        })
        .detach();
    }
}

fn queue_processes(pool: &ProcessPoolExecutor) {
    for _ in 0..10 {
        pool.submit(
            |()| {
                std::thread::park_timeout(std::time::Duration::from_millis(2));
                say("ran");
            },
            (),
        )
        .detach();
    }
}

/// Does something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local! {
    static THREADS_LOCAL: RefCell<Option<ThreadPoolExecutor>> = const { RefCell::new(None) };
    static PROCESSES_LOCAL: RefCell<Option<ProcessPoolExecutor>> = const { RefCell::new(None) };
    static SHARED_LOCAL: RefCell<Option<Arc<ThreadPoolExecutor>>> = const { RefCell::new(None) };
}

pub fn threads(situation: &str) {
    match situation {
        // `main` returns with work queued.
        "local" => queue(&ThreadPoolExecutor::new(2)),
        "static" => {
            busy(&THREADS);
            busy(&THREADS);
            queue(&THREADS);
        }
        "leaked" => {
            let pool = ThreadPoolExecutor::new(1);
            busy(&pool);
            queue(&pool);
            std::mem::forget(pool);
        }
        "detached" => {
            let pool = ThreadPoolExecutor::new(1);
            busy(&pool);
            queue(&pool);
            pool.detach();
        }
        "thread-local" => {
            let pool = ThreadPoolExecutor::new(2);
            queue(&pool);
            THREADS_LOCAL.set(Some(pool));
        }
        "panic" => {
            let pool = ThreadPoolExecutor::new(1);
            let (gate, opened) = mpsc::channel::<()>();
            let held = pool.spawn(move || _ = opened.recv());
            // Cancelled, it lets the running one go on: the drop of the pool waits for that.
            let mut gate = Some(gate);
            pool.spawn(|| say("ran")).add_done_callback(move |done| {
                say(if done.is_cancelled() { "cancelled" } else { "not cancelled" });
                drop(gate.take());
            });
            let _held = held;
            let _pool = pool;
            panic!("on purpose");
        }
        // The process is ended.
        "exit-in-task" => {
            let pool = ThreadPoolExecutor::new(2);
            busy(&pool);
            pool.spawn(|| std::process::exit(CODE)).detach();
            queue(&pool);
        }
        "exit-in-callback" => {
            let pool = ThreadPoolExecutor::new(2);
            busy(&pool);
            let future = pool.spawn(|| ());
            future.add_done_callback(|_| std::process::exit(CODE));
        }
        "exit-in-destructor" => {
            let pool = ThreadPoolExecutor::new(2);
            busy(&pool);
            let exits = OnDrop(|| std::process::exit(CODE));
            pool.spawn(move || exits).detach();
        }
        "exit-elsewhere" => {
            let pool = ThreadPoolExecutor::new(2);
            busy(&pool);
            busy(&pool);
            queue(&pool);
            std::thread::spawn(|| std::process::exit(CODE));
        }
        // Its worker's thread-local, which `exit` destroys, has the last handle.
        "exit-with-last-handle" => {
            let pool = Arc::new(ThreadPoolExecutor::new(2));
            busy(&pool);
            let inner = pool.clone();
            let (dropped, drops) = mpsc::channel::<()>();
            pool.spawn(move || {
                SHARED_LOCAL.set(Some(inner));
                let _ = drops.recv();
                std::process::exit(CODE)
            })
            .detach();
            drop(pool);
            drop(dropped);
            loop {
                std::thread::park();
            }
        }
        "exit-handler" => {
            extern "C" fn late() {
                let sum = THREADS.map(|n: u32| n, 0..10).map(|n| n.expect("a number")).sum::<u32>();
                say(&format!("sum {sum}"));
            }
            LazyLock::force(&THREADS);
            // SAFETY: a function that takes nothing and returns nothing.
            unsafe { libc::atexit(late) };
        }
        "abort-in-task" => {
            let pool = ThreadPoolExecutor::new(2);
            pool.spawn(|| abort()).wait();
        }
        // What Rust ends itself.
        "panic-while-unwinding" => {
            let pool = ThreadPoolExecutor::new(2);
            pool.spawn(|| {
                let _second = OnDrop(|| panic!("the second"));
                panic!("the first");
            })
            .wait();
        }
        "two-dropped-together" => {
            let pool = ThreadPoolExecutor::new(1);
            let (_gate, opened) = mpsc::channel::<()>();
            pool.spawn(move || opened.recv()).detach();
            let both = (OnDrop(|| panic!("the first")), OnDrop(|| panic!("the second")));
            pool.spawn(move || _ = &both).cancel();
        }
        "thread-local-panics" => {
            type Last = OnDrop<fn()>;
            thread_local! {
                static LOCAL: RefCell<Option<Last>> = const { RefCell::new(None) };
            }
            let pool = ThreadPoolExecutor::new(1);
            pool.spawn(|| LOCAL.set(Some(OnDrop(|| panic!("the last moment"))))).wait();
        }
        other => panic!("no such situation: {other}"),
    }
}

pub fn of_processes(situation: &str) {
    match situation {
        "local" => queue_processes(&processes()),
        "leaked" => {
            let pool = processes();
            busy_process(&pool).detach();
            std::mem::forget(pool);
        }
        "detached" => {
            let pool = processes();
            busy_process(&pool).detach();
            pool.detach();
        }
        "thread-local" => {
            let pool = processes();
            queue_processes(&pool);
            PROCESSES_LOCAL.set(Some(pool));
        }
        "panic" => {
            let pool = ProcessPoolExecutor::new(1);
            let running = busy_process(&pool);
            let handle = Mutex::new(Some(running.cancel_handle()));
            pool.submit(|()| say("ran"), ()).add_done_callback(move |done| {
                say(if done.is_cancelled() { "cancelled" } else { "not cancelled" });
                let handle = handle.lock().expect("one caller").take();
                handle.expect("called once").kill();
            });
            let _pool = pool;
            panic!("on purpose");
        }
        "exit-in-callback" => {
            let pool = processes();
            busy_process(&pool).detach();
            pool.submit(|()| (), ()).add_done_callback(|_| std::process::exit(CODE));
        }
        "exit-elsewhere" => {
            let pool = processes();
            busy_process(&pool).detach();
            std::thread::spawn(|| std::process::exit(CODE));
        }
        "exit-handler" => {
            extern "C" fn late() {
                let sum = PROCESSES.map(|n: u32| n, 0..10).map(|n| n.expect("a number")).sum::<u32>();
                say(&format!("sum {sum}"));
            }
            LazyLock::force(&PROCESSES);
            // SAFETY: a function that takes nothing and returns nothing.
            unsafe { libc::atexit(late) };
        }
        "abort" => {
            let pool = processes();
            busy_process(&pool).detach();
            abort();
        }
        other => panic!("no such situation: {other}"),
    }
}
