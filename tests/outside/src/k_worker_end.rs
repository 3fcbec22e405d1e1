//! A worker process, or a thread in it, ends in a way nobody watches.

use crate::Instance;
use crate::support::{SOON, soon};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, ProcessPoolBuilder, TaskError, TaskOptions, WorkerDied, WorkerOutput};
use std::fmt::Debug;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("a_task_thread_that_ends_by_the_system_call_exit_is_found", &[], || {
        thread_gone(exit_thread)
    }),
    Instance::new("a_task_thread_that_a_sandbox_kills_is_found", &[], || thread_gone(killed_by_a_filter)),
    Instance::new("a_task_that_calls_pthread_exit_fails", &[], pthread_exit),
    Instance::new("a_worker_in_a_long_task_leaves_when_its_parent_becomes_another_program", &[], exec),
    Instance::new("a_time_limit_holds_after_the_parent_has_given_up_its_rights", &[], || {
        refused(Ask::TimeLimit)
    }),
    Instance::new("a_kill_works_after_the_parent_has_given_up_its_rights", &[], || refused(Ask::Kill)),
    Instance::new("a_pool_whose_parent_has_given_up_its_rights_can_be_killed", &[], || {
        refused(Ask::KillWorkers)
    }),
    Instance::new("a_pool_whose_parent_has_given_up_its_rights_can_be_terminated", &[], || {
        refused(Ask::TerminateWorkers)
    }),
    Instance::new(
        "a_worker_that_is_stopped_and_may_not_be_signalled_is_given_up_with_an_error",
        &[],
        refused_and_stopped,
    ),
    Instance::new("a_panic_with_a_message_of_any_length_keeps_its_place", &[], long_message),
    Instance::new(
        "a_thread_that_holds_the_lock_of_stdout_does_not_hold_up_the_end_of_the_pool",
        &[],
        stdout_lock,
    ),
    Instance::new("a_task_that_exits_with_success_fails", &[], || ends(|()| std::process::exit(0))),
    Instance::new("a_task_that_leaves_by_the_system_call_exit_group_fails", &[], || ends(exit_process)),
    Instance::new("a_task_that_makes_a_daemon_of_its_process_fails", &[], || ends(daemon)),
    Instance::new("a_task_that_stops_its_process_can_be_killed", &[], stopped),
    Instance::new("a_task_in_another_session_and_group_can_be_killed", &[], another_session),
    Instance::new(
        "a_task_that_closes_descriptors_of_its_process_costs_no_processor_time",
        &[],
        closed_descriptors,
    ),
];

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).stderr(WorkerOutput::Null)
}

/// The pool still works.
fn works(pool: &ProcessPoolExecutor) {
    assert_eq!(pool.submit(|n: u32| 2 * n, 21).result_timeout(SOON).expect("in time").expect("a result"), 42);
}

fn death<T: Debug>(future: Future<T>) -> WorkerDied {
    match future.result_timeout(SOON).expect("it hangs") {
        Err(TaskError::WorkerDied(died)) => died,
        other => panic!("{other:?}"),
    }
}

// ---- the thread alone ---------------------------------------------------------------------------------

fn thread_gone(end: fn(())) {
    let pool = pool(1).build().expect("a pool");
    works(&pool);
    let died = death(pool.submit(end, ()));
    assert!(died.to_string().contains("the thread that ran the task ended alone"), "{died}");
    works(&pool);
}

fn exit_thread((): ()) {
    // SAFETY: ends this thread and no other; nothing on its stack is used by anybody else.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// A filter for this thread alone, by which one system call ends the thread that makes it: what libseccomp does by default.
fn killed_by_a_filter((): ()) {
    const KILLS: i64 = libc::SYS_getpriority;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, KILLS as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_THREAD),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: a flag of this thread.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: a valid program, which the kernel copies.
    assert_eq!(unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program) }, 0);
    // SAFETY: asks for a number; the filter ends the thread.
    unsafe { libc::syscall(KILLS, 0, 0) };
}

fn pthread_exit() {
    let pool = pool(1).build().expect("a pool");
    // SAFETY: it unwinds this thread, which Rust turns into an abort, or ends it at once.
    let future = pool.submit(|()| -> () { unsafe { libc::pthread_exit(std::ptr::null_mut()) } }, ());
    match future.result_timeout(SOON).expect("it hangs") {
        Err(TaskError::WorkerDied(died)) => assert!(died.pid() > 0),
        // Where panics abort, Rust calls the unwinding a panic, and the worker leaves word of that.
        Err(TaskError::Panicked(_)) if cfg!(panic = "abort") => {}
        other => panic!("{other:?}"),
    }
    works(&pool);
}

// ---- the parent ---------------------------------------------------------------------------------------

/// Names the file in which a worker writes its number; set in the process that becomes another program.
const PID_FILE: &str = "OUTSIDE_PID_FILE";

fn compute_for_ever(file: PathBuf) {
    let temporary = file.with_extension("part");
    std::fs::write(&temporary, std::process::id().to_string()).expect("a file");
    std::fs::rename(&temporary, &file).expect("a name");
    loop {
        std::hint::spin_loop();
    }
}

fn exec() {
    if let Some(file) = std::env::var_os(PID_FILE) {
        let pool = pool(1).build().expect("a pool");
        let _busy = pool.submit(compute_for_ever, PathBuf::from(&file));
        assert!(soon(|| Path::new(&file).exists()), "no worker came");
        panic!("{}", Command::new("sleep").arg("600").exec());
    }
    let folder = folder("exec");
    let file = folder.join("pid");
    let mut parent = Command::new(std::env::current_exe().expect("a name"))
        .args(std::env::args_os().skip(1))
        .env(PID_FILE, &file)
        .spawn()
        .expect("a process");
    assert!(soon(|| file.exists()), "no worker came");
    let worker = std::fs::read_to_string(&file).expect("a number");
    // Nobody takes its status any more, so it may stay a zombie.
    let has_gone = soon(|| {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
    });
    let is_there = parent.try_wait().expect("a child").is_none();
    let name = std::fs::read_to_string(format!("/proc/{}/comm", parent.id())).unwrap_or_default();
    parent.kill().expect("it lives");
    parent.wait().expect("it died");
    let _ = std::fs::remove_dir_all(folder);
    assert!(is_there && name.trim() == "sleep", "the parent was to live on as another program: {name}");
    assert!(has_gone, "worker {worker} computes on");
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("outside-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

// ---- signals that the system refuses ------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    TimeLimit,
    Kill,
    KillWorkers,
    TerminateWorkers,
}

const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    // SAFETY: asks for a number.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        let _ = writeln!(std::io::stderr(), "SKIPPED: it takes root to give up root's rights");
    }
    is_root
}

/// For all threads of this process.
fn give_up_rights() {
    // SAFETY: a change of this process's user.
    assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }, 0);
    // The system forgets this at a change of the user, and without it nobody may read /proc/self/exe.
    // SAFETY: a flag of this process.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }, 0);
}

fn sleep_long(_: ()) {
    std::thread::sleep(Duration::from_secs(600));
}

fn refused(ask: Ask) {
    if !is_root() {
        return;
    }
    let pool = pool(1).build().expect("a pool");
    works(&pool);
    let limit = if ask == Ask::TimeLimit { Some(Duration::from_secs(2)) } else { None };
    let options = limit.into_iter().fold(TaskOptions::new(), TaskOptions::timeout);
    let busy = pool.submit_with(options, sleep_long, ());
    assert!(soon(|| pool.stats().running == 1));
    let worker = pool.stats().workers[0].pid.expect("it is up");
    give_up_rights();
    match ask {
        Ask::TimeLimit => {}
        Ask::Kill => assert!(busy.kill()),
        Ask::KillWorkers => pool.kill_workers(),
        Ask::TerminateWorkers => pool.terminate_workers(),
    }
    match (ask, busy.result_timeout(SOON).expect("it hangs")) {
        (Ask::TimeLimit, Err(TaskError::TimeLimit(_))) => {}
        (Ask::Kill, Err(TaskError::WorkerDied(died))) => {
            assert!(died.to_string().contains("by `kill`"), "{died}")
        }
        (Ask::KillWorkers | Ask::TerminateWorkers, Err(TaskError::WorkerDied(died))) => {
            assert!(died.to_string().contains("does not let this process signal it"), "{died}");
        }
        (_, other) => panic!("{other:?}"),
    }
    assert!(!Path::new(&format!("/proc/{worker}")).exists(), "worker {worker} is still there");
    if matches!(ask, Ask::TimeLimit | Ask::Kill) {
        // By the rights that are left, another worker may be impossible to start: then the error says so.
        match pool.submit(|n: u32| n, 1).result_timeout(SOON).expect("the next task hangs") {
            Ok(1) | Err(TaskError::Broken(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let start = Instant::now();
    drop(pool);
    assert!(start.elapsed() < Duration::from_secs(3), "the end took {:?}", start.elapsed());
}

/// Nothing helps against it: the parent may not signal it, and it does nothing by itself.
fn refused_and_stopped() {
    if !is_root() {
        return;
    }
    let pool = pool(1).build().expect("a pool");
    let busy =
        pool.submit_with(TaskOptions::new().timeout(Duration::from_secs(2)).retries(1), sleep_long, ());
    assert!(soon(|| pool.stats().running == 1));
    let worker = pool.stats().workers[0].pid.expect("it is up");
    signal(worker, libc::SIGSTOP);
    // For the end of this test: somebody has to be left who may end it.
    let mut undertaker = Command::new("sh")
        .args(["-c", "read _; kill -KILL \"$0\"", &worker.to_string()])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("a shell");
    give_up_rights();
    let died = death(busy);
    assert!(died.to_string().contains("given up, and may still be there"), "{died}");
    drop(pool);
    undertaker.stdin.take().expect("piped").write_all(b"now\n").expect("it waits");
    undertaker.wait().expect("it ends");
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: a signal to a process of this test.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), signal) }, 0);
}

// ---- words and locks ----------------------------------------------------------------------------------

/// With `panic = "abort"` in the program the worker dies of it, and what it says goes through the shared segment.
fn long_message() {
    let pool = pool(1).build().expect("a pool");
    for size in [10_u64, 1_000, 2_000, 100_000] {
        let compare = |size: u64| {
            let numbers: Vec<u64> = (0..size).collect();
            assert_eq!(numbers, Vec::<u64>::new(), "an é, so that not every place is a character's");
        };
        match pool.submit(compare, size).result_timeout(SOON).expect("it hangs") {
            Err(TaskError::Panicked(panic)) => {
                assert!(panic.to_string().contains("assertion `left == right` failed: an é"), "{size}");
                assert!(panic.location().is_some_and(|at| at.contains("k_worker_end.rs")), "{size}");
            }
            other => panic!("{size}: {other:?}"),
        }
    }
}

fn stdout_lock() {
    // Two pools: the task of one must not come to the worker in which the other's thread has the lock.
    let pools = [(); 2].map(|()| pool(1).stdout(WorkerOutput::Null).build().expect("a pool"));
    let (said, hears) = std::sync::mpsc::channel();
    for pool in &pools {
        let hold = |()| {
            print!("half a line");
            let (tell, told) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let _lock = std::io::stdout().lock();
                tell.send(()).expect("it waits");
                sleep_long(());
            });
            told.recv().expect("it has the lock");
        };
        let said = said.clone();
        pool.submit(hold, ())
            .add_done_callback(move |done| said.send(done.error().cloned()).expect("it waits"));
    }
    for _ in 0..2 {
        assert!(hears.recv_timeout(SOON).expect("in time").is_none());
    }
    let start = Instant::now();
    drop(pools);
    assert!(start.elapsed() < Duration::from_secs(2), "the end took {:?}", start.elapsed());
}

// ---- the process --------------------------------------------------------------------------------------

fn ends(end: fn(())) {
    let pool = pool(1).build().expect("a pool");
    works(&pool);
    let died = death(pool.submit(end, ()));
    assert_eq!(died.exit_code(), Some(0), "{died}");
    works(&pool);
}

fn exit_process((): ()) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}

/// The task goes on in a process that the pool knows nothing of.
fn daemon((): ()) {
    // SAFETY: the child has this thread alone, and returns from the task.
    assert_eq!(unsafe { libc::daemon(0, 0) }, 0);
}

fn stopped() {
    let pool = pool(1).build().expect("a pool");
    // SAFETY: stops this process.
    let future = pool.submit(|()| assert_eq!(unsafe { libc::raise(libc::SIGSTOP) }, 0), ());
    assert!(soon(|| pool.stats().running == 1));
    assert!(future.kill());
    assert_eq!(death(future).signal(), Some(libc::SIGKILL));
    works(&pool);
}

fn another_session() {
    let pool = pool(1).own_process_group().build().expect("a pool");
    let leave = |()| {
        // SAFETY: takes nothing but numbers; refused to the leader of a group, which is no matter.
        let parent = unsafe { libc::getppid() };
        // SAFETY: the same.
        unsafe { libc::setpgid(0, parent) };
        // SAFETY: the same.
        unsafe { libc::setsid() };
        // SAFETY: a name space of this process's own.
        unsafe { libc::unshare(libc::CLONE_FS) };
        sleep_long(());
    };
    let future = pool.submit(leave, ());
    assert!(soon(|| pool.stats().running == 1));
    assert!(future.kill());
    assert_eq!(death(future).signal(), Some(libc::SIGKILL));
    works(&pool);
}

fn closed_descriptors() {
    let pool = pool(1).build().expect("a pool");
    let spent = |()| {
        for fd in 3..1024 {
            // SAFETY: a stat may be any bits.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            // SAFETY: a valid place.
            let is_open = unsafe { libc::fstat(fd, &raw mut stat) } == 0;
            if is_open && stat.st_mode & libc::S_IFMT != libc::S_IFSOCK {
                // SAFETY: nothing of this test needs it.
                unsafe { libc::close(fd) };
            }
        }
        // One of the numbers comes to stand for a pipe that hangs up.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        assert!(reader.as_raw_fd() < 8);
        drop(writer);
        // Whoever sleeps on these numbers looks at them anew.
        signal(std::process::id(), libc::SIGINT);
        std::thread::sleep(Duration::from_secs(2));
        let mut spent = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a valid place.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut spent) }, 0);
        drop(reader);
        spent.tv_sec as u64 * 1000 + spent.tv_nsec as u64 / 1_000_000
    };
    let spent = pool.submit(spent, ()).result_timeout(SOON).expect("in time").expect("a result");
    assert!(spent < 1000, "{spent} ms of processor time in two seconds of sleep");
}
