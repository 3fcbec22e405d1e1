//! Where a task crashed, and where it was when its time was over.

use crate::house::{NAME, alone};
use concurrent_futures::prelude::*;
use concurrent_futures::{ProcessPoolBuilder, TaskError, TaskOptions, TimeLimit, WorkerDied, WorkerOutput};
use std::hint::black_box;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME).stderr(WorkerOutput::Null)
}

#[inline(never)]
fn falls_through(depth: u64) -> u64 {
    if depth > 0 {
        return black_box(falls_through(depth - 1)) + 1;
    }
    let nowhere = std::ptr::without_provenance_mut::<u8>(black_box(8));
    // SAFETY: none; it is a fault on purpose, and address 8 is never mapped.
    unsafe { nowhere.write_volatile(1) };
    depth
}

#[inline(never)]
fn is_busy(_: ()) {
    let mut n = 0_u64;
    loop {
        n = black_box(n + 1);
    }
}

fn died<R>(result: Result<R, TaskError>) -> WorkerDied {
    match result {
        Err(TaskError::WorkerDied(died)) => died,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it lives"),
    }
}

fn over<R>(result: Result<R, TaskError>) -> TimeLimit {
    match result {
        Err(TaskError::TimeLimit(over)) => over,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it came to its end"),
    }
}

/// What is told without the feature, where there is nothing.
#[cfg(not(feature = "backtrace"))]
mod none {
    use super::*;

    #[test]
    fn without_the_feature_no_handler_is_set_and_nothing_told() {
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let caught = pool.submit(caught, ()).result().unwrap();
            assert_eq!(caught & handled(&[libc::SIGSEGV, libc::SIGABRT, libc::SIGURG, libc::SIGTRAP]), 0);
            assert_eq!(died(pool.submit(falls_through, 3).result()).backtrace(), None);
            let limited =
                pool.submit_with(TaskOptions::new().timeout(Duration::from_millis(50)), is_busy, ());
            assert_eq!(over(limited.result()).backtrace(), None);
        });
    }
}

/// Which signals have handlers here, a bit for each.
fn caught(_: ()) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

fn handled(signals: &[i32]) -> u64 {
    signals.iter().map(|signal| 1 << (signal - 1)).sum()
}

#[cfg(feature = "backtrace")]
mod some {
    use super::*;
    use crate::house::in_own_process;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Instant;

    fn double(n: u32) -> u32 {
        2 * n
    }

    #[inline(never)]
    fn aborts(_: ()) {
        std::process::abort()
    }

    #[inline(never)]
    fn jumps_to_nowhere(_: ()) -> u32 {
        let nowhere: *const () = std::ptr::without_provenance(black_box(8));
        // SAFETY: none; it is a fault on purpose.
        let nowhere = unsafe { std::mem::transmute::<*const (), fn() -> u32>(nowhere) };
        black_box(nowhere()) + 1
    }

    #[inline(never)]
    #[expect(unconditional_recursion, reason = "that is the fault")]
    fn recurses(depth: u64) -> u64 {
        let ballast = black_box([depth; 64]);
        black_box(recurses(depth + 1)) + black_box(ballast)[3]
    }

    #[inline(never)]
    fn sleeps(_: ()) {
        thread::sleep(Duration::from_secs(600));
        black_box(());
    }

    /// The names of a text, the innermost first.
    fn names(text: &str) -> Vec<&str> {
        let numbered = text.lines().filter(|line| line.len() > 6 && line.as_bytes()[4] == b':');
        numbered.map(|line| &line[6..]).collect()
    }

    /// Whether the stack is walked past the frame of a signal handler. The unwinder of static programs with musl needs for
    /// that what musl doesn't have on x86-64, so there the innermost frame is all.
    const WALKS: bool = cfg!(not(all(target_env = "musl", target_arch = "x86_64")));

    fn has(text: &str, name: &str) {
        match WALKS {
            true => assert!(text.contains(name), "{name}:\n{text}"),
            false => assert_eq!(names(text).len(), 1, "{text}"),
        }
    }

    fn text(died: &WorkerDied) -> String {
        let text = died.backtrace().unwrap_or_else(|| panic!("nothing is told: {died}"));
        println!("{died}\n{text}");
        text.to_owned()
    }

    /// Nothing of the handler, and nothing below the task.
    fn is_only_the_tasks(text: &str) {
        for path in ["sys::unix::crash", "concurrent_futures::", "_Unwind_", "catch_unwind"] {
            assert!(!text.contains(path), "{path}:\n{text}");
        }
    }

    #[test]
    fn a_crash_names_the_function_and_its_line() {
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let died = died(pool.submit(falls_through, 2).result());
            assert_eq!(died.signal(), Some(libc::SIGSEGV));
            let text = text(&died);
            is_only_the_tasks(&text);
            let names = names(&text);
            assert_eq!(names.len(), if WALKS { 3 } else { 1 }, "{text}");
            assert!(names[1..].iter().all(|name| name.ends_with("falls_through")), "{text}");
            assert!(!WALKS || text.matches("crash/backtraces.rs:").count() == 3, "{text}");
            assert_eq!(died.to_string().lines().count(), 1);
            assert_eq!(pool.submit(double, 2).result().unwrap(), 4);
        });
    }

    #[test]
    fn an_abort_names_who_called_it() {
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let died = died(pool.submit(aborts, ()).result());
            assert_eq!(died.signal(), Some(libc::SIGABRT));
            let text = text(&died);
            is_only_the_tasks(&text);
            has(&text, "std::process::abort");
            assert!(!WALKS || names(&text).last().unwrap().ends_with("aborts"), "{text}");
        });
    }

    #[test]
    fn a_call_of_what_is_no_code_names_the_caller() {
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let died = died(pool.submit(jumps_to_nowhere, ()).result());
            assert_eq!(died.signal(), Some(libc::SIGSEGV));
            let text = text(&died);
            assert_eq!(names(&text)[0], "0x8", "{text}");
            assert!(names(&text)[1].ends_with("jumps_to_nowhere"), "{text}");
        });
    }

    #[test]
    fn a_stack_that_overflowed_is_told_as_such() {
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let died = died(pool.submit(recurses, 0).result());
            assert_eq!(died.signal(), Some(libc::SIGSEGV));
            assert_eq!(died.cause(), Some("its stack overflowed"));
            let text = text(&died);
            assert!(text.starts_with("the stack overflowed:\n"), "{text}");
            // Which instruction was the last is up to the frame's size: what filled the ballast has a name of its own.
            assert!(text.contains("recurses\n"), "{text}");
            assert!(!WALKS || names(&text)[1].ends_with("recurses"), "{text}");
            assert!(names(&text).len() < 8, "{text}");
            has(&text, " more of the same)\n");
            assert!(!WALKS || text.ends_with("the innermost are kept)\n"), "{text}");
        });
    }

    #[test]
    fn a_task_out_of_time_says_where_it_was() {
        alone(LIMIT, || {
            let pool = pool(2).build().unwrap();
            let options = || TaskOptions::new().timeout(Duration::from_millis(100)).label("slow");
            let (busy, asleep) =
                (pool.submit_with(options(), is_busy, ()), pool.submit_with(options(), sleeps, ()));
            for (future, name) in [(busy, "is_busy"), (asleep, "sleeps")] {
                let over = over(future.result());
                assert_eq!(over.label(), Some("slow"));
                let text = over.backtrace().unwrap_or_else(|| panic!("nothing is told of {name}"));
                println!("{text}");
                is_only_the_tasks(text);
                has(text, name);
            }
            assert_eq!(pool.submit(double, 2).result().unwrap(), 4);
        });
    }

    /// The thread that holds the allocator's lock crashes in there, or the allocator itself ends the process.
    #[test]
    fn a_crash_inside_malloc_ends_and_is_told() {
        const LARGE: usize = 4000;
        fn allocate(bytes: usize) -> *mut libc::c_void {
            // SAFETY: asks for memory.
            unsafe { libc::malloc(bytes) }
        }
        #[inline(never)]
        fn destroys_the_heap(_: ()) -> usize {
            let blocks: Vec<*mut libc::c_void> = (0..8).map(|_| allocate(LARGE)).collect();
            for block in blocks.iter().step_by(2) {
                // SAFETY: it was allocated just now.
                unsafe { libc::free(*block) };
            }
            for block in blocks.iter().step_by(2) {
                // SAFETY: none; it destroys the lists of free memory on purpose.
                unsafe { block.cast::<[usize; 2]>().write_volatile([8, 8]) };
            }
            (0..100).map(|n| allocate(LARGE + 512 * n).addr()).sum()
        }
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let start = Instant::now();
            let died = died(pool.submit(destroys_the_heap, ()).result());
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
            assert!(matches!(died.signal(), Some(libc::SIGSEGV | libc::SIGABRT)), "{died}");
            let text = text(&died);
            has(&text, "malloc");
            has(&text, "destroys_the_heap");
        });
    }

    // ---- the program's own handlers -------------------------------------------------------------------------

    static MARK: OnceLock<CString> = OnceLock::new();

    /// Leaves a mark, and has the signal do what it does by default.
    extern "C" fn leaves_a_mark(signal: libc::c_int) {
        if let Some(mark) = MARK.get() {
            // SAFETY: a text that ends with a zero.
            unsafe { libc::mkdir(mark.as_ptr(), 0o700) };
        }
        // SAFETY: the default runs no code.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }

    fn set_handler(mark: PathBuf) {
        MARK.set(CString::new(mark.into_os_string().into_vec()).unwrap()).unwrap();
        let handler = leaves_a_mark as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
        // SAFETY: the handler does what is allowed in one.
        unsafe { libc::signal(libc::SIGSEGV, handler) };
    }

    const BEFORE_MAIN: &str = "CRASH_HANDLER_BEFORE_MAIN";

    #[used]
    // SAFETY: what the loader calls from this section is a function that takes nothing it needs and returns nothing.
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCTOR: extern "C" fn() = {
        extern "C" fn constructor() {
            if let Some(mark) = std::env::var_os(BEFORE_MAIN) {
                set_handler(mark.into());
            }
            if std::env::var_os(MENDS).is_some() {
                let handler = mends as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
                // SAFETY: the handler does what is allowed in one.
                unsafe { libc::signal(libc::SIGSEGV, handler) };
            }
        }
        constructor
    };

    #[test]
    fn a_handler_from_before_main_is_called_and_the_crash_told() {
        in_own_process(
            LIMIT,
            "backtraces::some::a_handler_from_before_main_is_called_and_the_crash_told",
            || {
                let folder = tempfile::tempdir().unwrap();
                let mark = folder.path().join("mark");
                // SAFETY: no other thread of this process reads or writes its environment.
                unsafe { std::env::set_var(BEFORE_MAIN, &mark) };
                let pool = pool(1).build().unwrap();
                pool.submit(double, 2).result().unwrap();
                assert!(!mark.exists());
                let died = died(pool.submit(falls_through, 0).result());
                assert!(mark.exists());
                assert_eq!(died.signal(), Some(libc::SIGSEGV));
                has(&text(&died), "falls_through");
            },
        );
    }

    /// It comes later than ours, so it is the first to be called, and what it does is done.
    #[test]
    fn a_handler_of_an_initializer_is_called() {
        alone(LIMIT, || {
            let folder = tempfile::tempdir().unwrap();
            let mark = folder.path().join("mark");
            let pool = pool(1).initializer(set_handler, mark.clone()).build().unwrap();
            let died = died(pool.submit(falls_through, 0).result());
            assert!(mark.exists());
            assert_eq!(died.signal(), Some(libc::SIGSEGV));
        });
    }

    static PAGE: AtomicUsize = AtomicUsize::new(0);

    /// What a virtual machine does: it makes the page accessible, and the program goes on.
    extern "C" fn mends(_: libc::c_int) {
        let page = std::ptr::with_exposed_provenance_mut(PAGE.load(Ordering::Relaxed));
        // SAFETY: a page that the test has mapped, and that nothing else is in.
        unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE) };
    }

    const MENDS: &str = "CRASH_HANDLER_MENDS";

    #[test]
    fn a_crash_that_the_program_mends_is_none() {
        #[inline(never)]
        fn touches(_: ()) -> u8 {
            // SAFETY: the kernel picks the place.
            let page = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    4096,
                    libc::PROT_NONE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            PAGE.store(page.expose_provenance(), Ordering::Relaxed);
            // SAFETY: the handler makes it accessible.
            unsafe { page.cast::<u8>().write_volatile(7) };
            // SAFETY: as above.
            unsafe { page.cast::<u8>().read_volatile() }
        }
        in_own_process(LIMIT, "backtraces::some::a_crash_that_the_program_mends_is_none", || {
            // SAFETY: no other thread of this process reads or writes its environment.
            unsafe { std::env::set_var(MENDS, "1") };
            let pool = pool(1).build().unwrap();
            assert_eq!([(); 3].map(|()| pool.submit(touches, ()).result().unwrap()), [7; 3]);
            // Nothing of them is left for another death of the same worker.
            assert_eq!(died(pool.submit(kills_itself, ()).result()).backtrace(), None);
            assert_eq!(pool.stats().deaths, 1);
        });
    }

    fn kills_itself(_: ()) {
        // SAFETY: signals this thread.
        unsafe { libc::raise(libc::SIGKILL) };
    }

    #[test]
    fn a_crash_of_another_thread_is_told_as_such() {
        fn starts_a_thread(_: ()) {
            thread::spawn(|| falls_through(2)).join().map(drop).unwrap();
        }
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let died = died(pool.submit(starts_a_thread, ()).result());
            assert_eq!(died.signal(), Some(libc::SIGSEGV));
            let text = text(&died);
            assert!(text.starts_with("in another thread than the one that runs tasks:\n"), "{text}");
            has(&text, "falls_through");
        });
    }

    #[test]
    fn a_process_that_a_task_forks_crashes_by_itself() {
        fn forks(_: ()) -> i32 {
            // SAFETY: the child crashes at once.
            let child = unsafe { libc::fork() };
            if child == 0 {
                falls_through(0);
            }
            let mut status = 0;
            // SAFETY: a valid place for a status.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            libc::WTERMSIG(status)
        }
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            assert_eq!(pool.submit(forks, ()).result().unwrap(), libc::SIGSEGV);
            assert_eq!(died(pool.submit(kills_itself, ()).result()).backtrace(), None);
        });
    }

    /// The signal that asks cuts short what the kernel doesn't take up again; no result comes of that.
    #[test]
    fn a_call_that_is_interrupted_gives_no_other_result_than_the_time_limit() {
        fn polls(_: ()) -> i32 {
            // SAFETY: polls nothing, for a minute.
            unsafe { libc::poll(std::ptr::null_mut(), 0, 60_000) }
        }
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            for _ in 0..10 {
                // Long enough that a new worker has begun the task: one that is stopped before it has begun has no stack.
                let options = TaskOptions::new().timeout(Duration::from_millis(50));
                let over = over(pool.submit_with(options, polls, ()).result());
                has(over.backtrace().unwrap_or_else(|| panic!("nothing is told: {over}")), "poll");
            }
        });
    }

    /// Tasks that end just when their time does: each has its result or the error, and no worker hangs.
    #[test]
    fn a_task_that_ends_with_its_time_has_either_end() {
        fn takes(micros: u64) -> u64 {
            thread::sleep(Duration::from_micros(micros));
            micros
        }
        alone(LIMIT, || {
            let pool = pool(2).build().unwrap();
            let (mut done, mut out_of_time) = (0, 0);
            for n in 0..300 {
                let micros = 4500 + n * 5;
                let options = TaskOptions::new().timeout(Duration::from_millis(5));
                match pool.submit_with(options, takes, micros).result() {
                    Ok(took) => done += u32::from(took == micros),
                    Err(TaskError::TimeLimit(_)) => out_of_time += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            println!("{done} done, {out_of_time} out of time");
            assert_eq!(done + out_of_time, 300);
            // No worker was stopped whose task had come to its end.
            assert_eq!(pool.stats().deaths, u64::from(out_of_time));
        });
    }

    #[test]
    fn every_signal_stays_what_it_was() {
        #[inline(never)]
        fn raises(signal: i32) {
            // SAFETY: signals this thread.
            black_box(unsafe { libc::raise(signal) });
        }
        alone(LIMIT, || {
            let pool = pool(1).build().unwrap();
            let ours =
                [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP];
            let caught = pool.submit(caught, ()).result().unwrap();
            assert_eq!(caught & handled(&ours), handled(&ours));
            for signal in ours {
                let died = died(pool.submit(raises, signal).result());
                assert_eq!(died.signal(), Some(signal));
                has(&text(&died), "raises");
            }
            for signal in [libc::SIGKILL, libc::SIGTERM] {
                let died = died(pool.submit(raises, signal).result());
                assert_eq!((died.signal(), died.backtrace()), (Some(signal), None));
            }
            // By which a stack is asked for, of which nobody asked.
            pool.submit(raises, libc::SIGURG).result().unwrap();
        });
    }
}
