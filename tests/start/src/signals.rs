//! Parents with odd ideas about signals, and what workers make of them.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, TaskError};
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// A line of `/proc/.../status` as a set of signals.
fn sets(file: &str) -> HashMap<String, u64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(":\t"));
    lines.filter_map(|(name, set)| Some((name.to_owned(), u64::from_str_radix(set, 16).ok()?))).collect()
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

pub fn with_all_blocked() {
    // SAFETY: any bits are a set of signals.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid set, blocked on this thread, which is the only one.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
    let pool = ProcessPoolExecutor::new(1);
    let blocked = |()| {
        let main = || sets("/proc/self/status")["SigBlk"];
        // glibc blocks all while it starts a thread: the one that looks here may be there before its starter is done.
        for _ in 0..1000 {
            if main() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        (main(), sets("/proc/thread-self/status")["SigBlk"])
    };
    let (main, task) = pool.submit(blocked, ()).result().expect("two sets");
    println!("blocked in a worker: {main:x} {task:x}");
    let future = pool.submit(|()| std::thread::sleep(Duration::from_secs(1000)), ());
    while !future.is_running() {
        std::thread::yield_now();
    }
    pool.terminate_workers();
    match future.result() {
        Err(TaskError::WorkerDied(died)) => println!("terminated by {:?}", died.signal()),
        other => println!("terminated, and got {other:?}"),
    }
}

pub fn with_sigchld_ignored() {
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let pool = ProcessPoolExecutor::new(1);
    for _ in 0..3 {
        let died = pool.submit(|()| -> () { std::process::abort() }, ()).result();
        println!("died: {}", matches!(died, Err(TaskError::WorkerDied(_))));
        println!("next: {:?}", pool.submit(|n: u32| n + 1, 1).result().ok());
    }
    drop(pool);
    println!("dropped");
}

pub fn of_a_worker() {
    let pool = ProcessPoolExecutor::new(1);
    let states = |()| {
        let sets = sets("/proc/self/status");
        (sets["SigIgn"], sets["SigCgt"])
    };
    let (ignored, caught) = pool.submit(states, ()).result().expect("two sets");
    println!("ignores SIGPIPE: {}", ignored & bit(libc::SIGPIPE) != 0);
    println!("ignores SIGINT: {}", ignored & bit(libc::SIGINT) != 0);
    println!("catches SIGINT: {}", caught & bit(libc::SIGINT) != 0);

    let write = |()| {
        use std::io::Write;
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer.write_all(b"to nobody").map_err(|error| error.kind().to_string()).unwrap_err()
    };
    println!("a closed pipe: {:?}", pool.submit(write, ()).result().ok());

    let child = |()| {
        let child = std::process::Command::new("sh").args(["-c", "kill -INT $$; echo survived"]).status();
        child.expect("a shell").signal()
    };
    println!("a task's child and SIGINT: {:?}", pool.submit(child, ()).result().expect("a status"));

    let armed = |()| {
        let mut signal = 0;
        // SAFETY: asks for a number, with a valid place for it.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
        signal
    };
    println!("armed with: {:?}", pool.submit(armed, ()).result().ok());
    let group = pool.submit(|()| std::os::unix::process::parent_id(), ()).result().ok();
    println!("its parent is this one: {}", group == Some(std::process::id()));
}
