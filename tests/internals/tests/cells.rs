//! Memory of cells: what a million tasks leave behind, and what threads do that come and go.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]
#![expect(unsafe_code, reason = "an allocator")]

use concurrent_futures::{Future, ThreadPoolExecutor, promise};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, and how much of it is in use.
struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is the system allocator's; a number is noted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What the crate keeps of one class, and of all else a little: names of threads, what a runtime keeps.
const KEPT: isize = 4 << 20;
const LITTLE: isize = 64 << 10;

/// One at a time: they look at the memory of the whole program.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap()
}

fn held() -> isize {
    HELD.load(Ordering::Relaxed)
}

fn submit_and_collect(pool: &ThreadPoolExecutor, tasks: u64) {
    let futures: Vec<Future<u64>> = (0..tasks).map(|i| pool.spawn(move || i)).collect();
    let sum: u64 = futures.into_iter().map(|future| future.result().unwrap()).sum();
    assert_eq!(sum, tasks * (tasks - 1) / 2);
}

#[test]
fn a_million_tasks_leave_little_behind() {
    let _alone = alone();
    let before = held();
    for producers in [1, 8] {
        let pool = ThreadPoolExecutor::new(2);
        thread::scope(|scope| {
            for _ in 0..producers {
                scope.spawn(|| submit_and_collect(&pool, 1_000_000 / producers));
            }
        });
        drop(pool);
        let left = held() - before;
        assert!(left <= KEPT + LITTLE, "{left} bytes after {producers} producers");
    }
}

/// Tasks that nobody waits for: workers free the cells that others made.
#[test]
fn a_million_tasks_that_are_dropped_leave_little_behind() {
    let _alone = alone();
    let before = held();
    for _ in 0..2 {
        let pool = ThreadPoolExecutor::new(2);
        (0..500_000_u64).for_each(|i| pool.spawn(move || i).detach());
        drop(pool);
        let left = held() - before;
        assert!(left <= KEPT + LITTLE, "{left} bytes");
    }
}

/// What a thread has at hand goes with it, and the next one has it.
#[test]
fn threads_that_come_and_go_leave_nothing() {
    let _alone = alone();
    let pool = ThreadPoolExecutor::new(1);
    let submit_one = || {
        let future = pool.spawn(|| 1);
        assert_eq!(future.result().unwrap(), 1);
    };
    thread::scope(|scope| drop(scope.spawn(submit_one).join()));
    let before = held();
    for _ in 0..10_000 {
        thread::scope(|scope| scope.spawn(submit_one).join().unwrap());
    }
    let left = held() - before;
    assert!(left <= LITTLE, "{left} bytes after 10 000 threads");
}

thread_local! {
    /// First used before a thread has cells, so destroyed after its memory of cells.
    static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    /// First used after it.
    static EARLY: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
}

/// Drops a future, and makes another and drops it, whatever is left of its thread.
struct Late(Option<Future<u64>>);

impl Drop for Late {
    fn drop(&mut self) {
        drop(self.0.take());
        let (promise, future) = promise::<u64>();
        promise.set_result(1);
        drop(future);
    }
}

#[test]
fn futures_in_thread_locals_go_too() {
    let _alone = alone();
    let pool = ThreadPoolExecutor::new(1);
    let thread = || {
        LATE.with_borrow_mut(|late| late.push(Late(None)));
        for _ in 0..200 {
            LATE.with_borrow_mut(|late| late.push(Late(Some(pool.spawn(|| 1)))));
        }
        EARLY.with_borrow_mut(|early| early.push(Late(Some(pool.spawn(|| 1)))));
        // With one worker all are done then: what the pool is behind with would be memory that is kept for it.
        pool.spawn(|| 1).result().unwrap();
    };
    thread::scope(|scope| scope.spawn(thread).join().unwrap());
    let before = held();
    for _ in 0..300 {
        thread::scope(|scope| scope.spawn(thread).join().unwrap());
    }
    let left = held() - before;
    assert!(left <= 2 * LITTLE, "{left} bytes after 300 threads");
}
