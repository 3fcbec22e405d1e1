//! A program that starts threads before `main`, in its workers too: they allocate, fork, and handle signals.

// Named before the others: see start-late.
extern crate start_late;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn nothing(_: libc::c_int) {}

extern "C" fn start_threads() {
    for _ in 0..2 {
        std::thread::spawn(|| {
            let mut kept: Vec<String> = Vec::new();
            for n in 0_u64.. {
                kept.push(n.to_string());
                if kept.len() > 1000 {
                    kept.clear();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
    }
    std::thread::spawn(|| {
        let handler = nothing as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR2, handler) };
        loop {
            // SAFETY: the child ends at once.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: ends the child, without what Rust does at its end.
                unsafe { libc::_exit(0) };
            }
            // SAFETY: waits for our child, without a place for its status.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            FORKS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: a signal that is caught.
            unsafe { libc::raise(libc::SIGUSR2) };
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

#[used]
// SAFETY: what the loader calls from this section is a function that takes nothing it needs and returns nothing. The
// number puts it before those that have none, the crate's own among them.
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array.00200"))]
static CONSTRUCTOR: extern "C" fn() = start_threads;

fn main() {
    while FORKS.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    start::check();
    let pool = ProcessPoolExecutor::new(2);
    let forks = |()| {
        while FORKS.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        1
    };
    let there: u32 = pool.map(forks, [(); 10]).map(|one| one.expect("a worker with such threads")).sum();
    println!("checked, and {there} times in a worker");
}
