//! A program, and workers, that signals rain on, with handlers that interrupt every call of the system.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, ThreadPoolExecutor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

const SIGNALS: [i32; 3] = [libc::SIGUSR1, libc::SIGALRM, libc::SIGCHLD];

/// Without SA_RESTART: calls that a signal interrupts say so.
fn catch(_: ()) {
    let handler = count as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
    for signal in SIGNALS {
        // SAFETY: an action may be any bits.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler;
        // SAFETY: the handler adds to an atomic and nothing else.
        let set = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }
}

/// The threads of a process. Of one that has ended none.
fn threads(pid: u32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

fn rain(pids: &[u32], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        for pid in pids {
            // Each by itself: what is sent to a process goes to its first thread.
            for thread in threads(*pid) {
                for signal in SIGNALS {
                    // SAFETY: sends a signal that is caught there; a thread that has ended is an error.
                    unsafe { libc::syscall(libc::SYS_tgkill, *pid, thread, signal) };
                }
            }
        }
    }
}

pub fn endure() {
    catch(());
    let pool = ProcessPoolExecutor::builder().max_workers(2).initializer(catch, ()).build().expect("a pool");
    // Both are up, and listen.
    let nap = |()| std::thread::sleep(std::time::Duration::from_millis(50));
    while pool.stats().workers.iter().filter(|worker| worker.pid.is_some()).count() < 2 {
        pool.map(nap, [(); 4]).for_each(|nap| nap.expect("a worker"));
    }
    let mut pids: Vec<u32> = pool.stats().workers.iter().filter_map(|worker| worker.pid).collect();
    pids.push(std::process::id());
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let rain = std::thread::spawn(move || rain(&pids, &over));

    let small: Vec<_> = (0..3000).map(|n: u32| pool.submit(|n: u32| 2 * n, n)).collect();
    // More than a socket holds, both ways.
    let texts: Vec<String> = (0..20).map(|n: u32| n.to_string().repeat(1 << 20)).collect();
    let large: Vec<_> = texts.iter().map(|text| pool.submit(|text: String| text, text.clone())).collect();
    let small = small.into_iter().zip(0..).filter_map(|(future, n)| Some(future.result().ok()? == 2 * n));
    println!("small {}", small.filter(|right| *right).count());
    let large =
        large.into_iter().zip(&texts).filter_map(|(future, text)| Some(future.result().ok()? == *text));
    println!("large {}", large.filter(|right| *right).count());
    let alone =
        (0..200).filter(|n: &u32| pool.submit(|n: u32| n + 1, *n).result().ok() == Some(n + 1)).count();
    println!("one after the other {alone}");
    // Starts under it as well, and threads.
    let others =
        ProcessPoolExecutor::builder().max_workers(2).max_tasks_per_child(2).build().expect("a pool");
    let started = others.map(|n: u32| n, 0..12).filter(Result::is_ok).count();
    println!("started {started}");
    let threads = ThreadPoolExecutor::new(2);
    println!("threads {}", threads.map(|n: u32| n, 0..3000).filter(Result::is_ok).count());
    let caught = |()| CAUGHT.load(Ordering::Relaxed);
    let there = pool.submit(caught, ()).result().expect("a number");
    println!("deaths {}", pool.stats().deaths + others.stats().deaths);
    is_over.store(true, Ordering::Relaxed);
    rain.join().expect("it only sends");
    let enough = |signals: u64| if signals > 200 { "hundreds".to_owned() } else { signals.to_string() };
    println!("caught {} here and {} there", enough(caught(())), enough(there));
}
