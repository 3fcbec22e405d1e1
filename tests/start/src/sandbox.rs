//! Where something of the system is missing.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor, TaskError};
use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::time::Duration;

/// Makes the kernel deny system calls to this process and all it starts, as an old kernel or a strict sandbox would.
pub fn refuse(calls: &str) {
    const LOAD_NUMBER: libc::sock_filter = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let number = |call: &str| match call {
        "pidfd_open" => libc::SYS_pidfd_open,
        "pidfd_send_signal" => libc::SYS_pidfd_send_signal,
        "memfd_create" => libc::SYS_memfd_create,
        "eventfd" => libc::SYS_eventfd2,
        "setsockopt" => libc::SYS_setsockopt,
        other => panic!("not known here: {other}"),
    };
    let mut filter = vec![LOAD_NUMBER];
    for call in calls.split(',') {
        // Skips the next instruction unless it is this call.
        filter.push(libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: number(call) as u32 });
        let denied = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        filter.push(libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: denied });
    }
    filter.push(libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW });
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: gives up privileges of later programs; needed by the next call.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: a valid filter, which the kernel checks and copies.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if (given_up, set) != (0, 0) {
        println!("not permitted: {}", std::io::Error::last_os_error());
        std::process::exit(0);
    }
}

/// Lets this process run on the first of its processors alone, then asks how many workers there would be by default.
pub fn on_one_processor() {
    let all = leave_one_processor();
    // SAFETY: within the set.
    let count = unsafe { libc::CPU_COUNT(&all) };
    let pool = ProcessPoolExecutor::builder().build().expect("a pool");
    println!("{} of {count}", pool.max_workers());
}

/// Lets this process run on the first of its processors alone, and gives those that there were.
pub fn leave_one_processor() -> libc::cpu_set_t {
    // SAFETY: a set may be any bits.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place of that size; 0 is this thread, which is the only one so far.
    let got = unsafe { libc::sched_getaffinity(0, size_of_val(&allowed), &raw mut allowed) };
    // SAFETY: within the set.
    let has = |n: &usize| unsafe { libc::CPU_ISSET(*n, &allowed) };
    let first = (0..libc::CPU_SETSIZE as usize).find(has);
    assert!(got == 0 && first.is_some(), "{}", std::io::Error::last_os_error());
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: within the set.
    unsafe { libc::CPU_SET(first.expect("one at least"), &mut one) };
    run_on(&one);
    allowed
}

/// Lets this thread, and those that it starts from now on, run on these processors.
pub fn run_on(processors: &libc::cpu_set_t) {
    // SAFETY: a valid set of that size.
    let set = unsafe { libc::sched_setaffinity(0, size_of_val(processors), processors) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Many workers that start at once, over and over.
pub fn crowd() {
    for _ in 0..10 {
        let pool = ProcessPoolExecutor::new(16);
        let pids = pool.map(|_: u32| std::thread::sleep(Duration::from_millis(1)), 0..64);
        for outcome in pids {
            outcome.expect("every worker comes up");
        }
    }
    println!("all came up");
}

/// A task that is killed, and one whose time is up.
pub fn kill() {
    let pool = ProcessPoolExecutor::new(1);
    let future = pool.submit(|()| std::thread::sleep(Duration::from_secs(1000)), ());
    while !future.is_running() {
        std::thread::yield_now();
    }
    println!("asked: {}", future.kill());
    let died = future.result_timeout(Duration::from_secs(10));
    println!("killed: {}", matches!(died, Ok(Err(TaskError::WorkerDied(_)))));
    let abort = pool.submit(|()| -> () { std::process::abort() }, ());
    println!("aborted: {}", matches!(abort.result(), Err(TaskError::WorkerDied(_))));
    println!("next: {:?}", pool.submit(|n: u32| n + 1, 1).result().ok());
}

pub fn first_error() {
    let pool = ProcessPoolExecutor::new(1);
    match pool.submit(|n: u32| n, 1).result() {
        Ok(_) => println!("worked"),
        Err(error) => println!("error: {error}"),
    }
}

/// Takes `/proc` away from this process, then becomes this program again with other arguments.
pub fn without_proc(arguments: &[&str]) {
    let program = std::env::current_exe().expect("a program");
    let (root, proc, none) = (c"/", CString::from(c"/proc"), c"none");
    // SAFETY: a namespace of its own for this process, which has one thread.
    let apart = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: valid texts; nothing in here spreads to other namespaces any more.
    let alone = apart
        && unsafe { libc::mount(none.as_ptr(), root.as_ptr(), std::ptr::null(), private, std::ptr::null()) }
            == 0;
    // SAFETY: a valid text.
    if !alone || unsafe { libc::umount2(proc.as_ptr(), libc::MNT_DETACH) } != 0 {
        println!("not permitted: {}", std::io::Error::last_os_error());
        return;
    }
    println!("{}", std::process::Command::new(program).args(arguments).exec());
}
