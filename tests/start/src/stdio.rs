//! Programs that have closed their standard input, output or error, as daemons do.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, WorkerOutput};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a descriptor is, by its number; `closed` if it is none.
fn target(fd: i32) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
    link.map_or_else(|_| "closed".to_owned(), |target| target.to_string_lossy().into_owned())
}

fn close(fds: &[i32]) {
    for fd in fds {
        // SAFETY: these three are nobody's in a program that says so; nothing of ours is open yet.
        unsafe { libc::close(*fd) };
    }
}

fn say(mut report: &File, line: &str) {
    report.write_all(format!("{line}\n").as_bytes()).expect("a file that can be written");
}

/// Closes some of the three, then runs tasks that print, in workers that are often replaced, while a thread prints to
/// all three. Says in the file `report` what came of it.
pub fn with_closed(numbers: &str, workers_output: &str, report: &str) {
    let report = File::create(report).expect("a file for the report");
    let closed: Vec<i32> =
        numbers.chars().filter_map(|digit| digit.to_digit(10)).map(|digit| digit as i32).collect();
    close(&closed);
    // Nobody would see it where it usually goes.
    let copy = report.try_clone().expect("a descriptor");
    std::panic::set_hook(Box::new(move |panic| say(&copy, &panic.to_string())));

    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let fds = closed.clone();
    // No `println!`: that writes to one of the three only, and in whole lines.
    let noise = move || {
        let text = [0x55_u8; 64];
        while !IS_OVER.load(Ordering::Relaxed) {
            for fd in &fds {
                // SAFETY: valid bytes; a number that is closed is an error.
                unsafe { libc::write(*fd, text.as_ptr().cast(), text.len()) };
            }
        }
    };
    let noise = std::thread::spawn(noise);
    // Its files have those numbers too, for a moment.
    static OPENS: AtomicBool = AtomicBool::new(true);
    let opening = std::thread::spawn(|| {
        while OPENS.load(Ordering::Relaxed) {
            drop(File::open("/proc/self/status"));
        }
    });

    let builder = ProcessPoolExecutor::builder().max_workers(2).max_tasks_per_child(4);
    let builder = match workers_output {
        "null" => builder.stdout(WorkerOutput::Null).stderr(WorkerOutput::Null),
        _ => builder,
    };
    let pool = builder.build().expect("a pool");
    let print: fn(u32) -> u32 = |n| {
        println!("a line of task {n}");
        eprintln!("another one");
        2 * n
    };
    let doubles: Vec<_> = (0..100).map(|n| pool.submit(print, n)).collect();
    let right = doubles.into_iter().zip(0..).filter_map(|(future, n)| Some(future.result().ok()? == 2 * n));
    let right = right.filter(|right| *right).count();
    say(&report, &format!("right {right}"));
    say(&report, &format!("deaths {}", pool.stats().deaths));

    OPENS.store(false, Ordering::Relaxed);
    opening.join().expect("it only opens");

    // What is open at the parent's three numbers now is nothing of the pool's.
    let ours = ["socket:", "eventfd", "pidfd", "memfd"];
    let taken = closed.iter().map(|fd| target(*fd)).filter(|at| ours.iter().any(|our| at.contains(our)));
    say(&report, &format!("of the pool's: {:?}", taken.collect::<Vec<_>>()));

    let seen = |fds: Vec<i32>| {
        // A file that a task opens gets none of the three.
        let file = File::open("/proc/self/status").expect("a file");
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        (fds.into_iter().map(target).collect::<Vec<_>>(), number > 2)
    };
    let (targets, is_above) = pool.submit(seen, closed.clone()).result().expect("a worker that can look");
    say(&report, &format!("in a worker: {targets:?} {is_above}"));
    pool.join_timeout(Duration::from_secs(20)).expect("no worker hangs");
    IS_OVER.store(true, Ordering::Relaxed);
    noise.join().expect("it only writes");
    say(&report, "over");
}
