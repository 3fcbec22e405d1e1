//! Where a worker process starts, and as what.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, ProcessPoolBuilder, TaskError, WorkerOutput};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "workers_start_from_a_directory_that_may_not_be_entered",
        &[],
        workers_start_from_a_directory_that_may_not_be_entered,
    ),
    Instance::new(
        "workers_start_from_a_directory_that_was_removed",
        &["spack/spack#31480", "joblib/joblib#1647"],
        workers_start_from_a_directory_that_was_removed,
    ),
    Instance::new(
        "a_directory_that_nobody_asked_for_is_inherited",
        &["joblib/joblib#1647"],
        a_directory_that_nobody_asked_for_is_inherited,
    ),
    Instance::new(
        "a_directory_that_was_asked_for_is_the_one_that_build_saw",
        &[],
        a_directory_that_was_asked_for_is_the_one_that_build_saw,
    ),
    Instance::new(
        "a_directory_that_nobody_can_start_in_is_refused_by_build",
        &["python/cpython#114468"],
        a_directory_that_nobody_can_start_in_is_refused_by_build,
    ),
    Instance::new(
        "a_directory_that_may_not_be_entered_any_more_is_named",
        &["python/cpython#114468"],
        a_directory_that_may_not_be_entered_any_more_is_named,
    ),
    Instance::new(
        "workers_run_where_build_did_and_not_where_a_submitter_does",
        &["ray-project/ray#35984", "numpy/numpy#4580"],
        workers_run_where_build_did_and_not_where_a_submitter_does,
    ),
    Instance::new(
        "workers_run_by_the_policy_and_niceness_of_build",
        &[],
        workers_run_by_the_policy_and_niceness_of_build,
    ),
    Instance::new(
        "without_the_right_to_be_less_nice_a_worker_starts_all_the_same",
        &[],
        without_the_right_to_be_less_nice_a_worker_starts_all_the_same,
    ),
    Instance::new(
        "workers_can_be_told_to_end_though_their_program_ignores_that",
        &["golang/go#20479", "ralphlange/procServ#48"],
        workers_can_be_told_to_end_though_their_program_ignores_that,
    ),
    Instance::new(
        "without_dev_null_it_is_named",
        &["microsoft/vscode-dev-containers#830"],
        without_dev_null_it_is_named,
    ),
    Instance::new(
        "an_environment_that_is_too_long_is_told_so",
        &[],
        an_environment_that_is_too_long_is_told_so,
    ),
    Instance::new(
        "a_worker_that_does_not_get_up_says_at_which_step",
        &[],
        a_worker_that_does_not_get_up_says_at_which_step,
    ),
    Instance::new(
        "what_the_system_refuses_to_a_start_is_named",
        &["nodejs/node#1474"],
        what_the_system_refuses_to_a_start_is_named,
    ),
];

const NOBODY: u32 = 65534;

fn builder() -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(1)
}

fn is_root() -> bool {
    // SAFETY: a number out.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("SKIPPED: only root can give up its rights, or change what is mounted");
    }
    root
}

fn give_up_rights() {
    // SAFETY: numbers in, a number out; this process has one thread.
    let group = unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) };
    // SAFETY: as above.
    let user = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    assert_eq!((group, user), (0, 0), "{}", std::io::Error::last_os_error());
}

/// A folder of this process's own, which anybody may enter.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("outside-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        set_mode(&folder, 0o777);
        Folder(folder.canonicalize().expect("it is there"))
    }

    fn sub(&self, name: &str) -> PathBuf {
        let sub = self.0.join(name);
        std::fs::create_dir_all(&sub).expect("a folder");
        sub
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Not by who has given up the right to it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// Where the worker is: by its device and inode, since a directory that was removed has no path.
fn whereabouts(pool: &ProcessPoolExecutor) -> (u64, u64) {
    pool.submit(|()| inode("/proc/self/cwd".as_ref()), ()).result().expect("a worker")
}

fn inode(path: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).expect("it is there");
    (meta.dev(), meta.ino())
}

fn broken(pool: &ProcessPoolExecutor) -> String {
    match pool.submit(|n: u32| n, 1).result_timeout(SOON).expect("in time") {
        Err(error @ TaskError::Broken(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

// ---- the directory -----------------------------------------------------------------------------------------

fn workers_start_from_a_directory_that_may_not_be_entered() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let home = folder.sub("home");
    set_mode(&home, 0o700);
    std::env::set_current_dir(&home).expect("root may");
    give_up_rights();
    assert!(std::fs::read_dir(".").is_err(), "nobody else may");
    let pool = builder().max_tasks_per_child(1).build().expect("a pool");
    for n in 0..2 {
        assert_eq!(pool.submit(|n: u32| n + 1, n).result().expect("a worker"), n + 1);
    }
    // Asked for, it is another matter.
    let refused = builder().current_dir(".").build().expect_err("it may not be entered");
    assert!(refused.to_string().contains("Permission denied"), "{refused}");
}

fn workers_start_from_a_directory_that_was_removed() {
    let folder = Folder::new();
    let gone = folder.sub("gone");
    std::env::set_current_dir(&gone).expect("it is there");
    let here = inode("/proc/self/cwd".as_ref());
    let before = builder().build().expect("a pool");
    std::fs::remove_dir(&gone).expect("it is empty");
    let after = builder().build().expect("a pool");
    assert_eq!([whereabouts(&before), whereabouts(&after)], [here; 2]);
}

fn a_directory_that_nobody_asked_for_is_inherited() {
    let folder = Folder::new();
    let (one, two) = (folder.sub("one"), folder.sub("two"));
    std::env::set_current_dir(&one).expect("it is there");
    let pool = builder().max_tasks_per_child(1).build().expect("a pool");
    assert_eq!(whereabouts(&pool), inode(&one));
    std::env::set_current_dir(&two).expect("it is there");
    // As a `Command` that has no directory of its own.
    assert!(soon(|| whereabouts(&pool) == inode(&two)));
}

fn a_directory_that_was_asked_for_is_the_one_that_build_saw() {
    let folder = Folder::new();
    let (there, elsewhere) = (folder.sub("there"), folder.sub("elsewhere"));
    let (sub, link) = (folder.sub("there/sub"), folder.0.join("link"));
    folder.sub("elsewhere/sub");
    symlink(&sub, &link).expect("a link");
    std::env::set_current_dir(&there).expect("it is there");
    let paths =
        [PathBuf::from("sub"), "./../there/sub/.".into(), "../link".into(), link.clone(), sub.clone()];
    let build = |path: &PathBuf| {
        let built = builder().current_dir(path).max_tasks_per_child(1).build();
        built.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let pools: Vec<_> = paths.iter().map(build).collect();
    let wanted = inode(&sub);
    std::env::set_current_dir(&elsewhere).expect("it is there");
    std::fs::remove_file(&link).expect("it is ours");
    symlink(&elsewhere, &link).expect("a link");
    // The first worker, and one in its place.
    for (pool, path) in pools.iter().zip(&paths) {
        assert_eq!([whereabouts(pool), whereabouts(pool)], [wanted; 2], "{}", path.display());
    }
    // Gone, it is named.
    std::fs::remove_dir(&sub).expect("it is empty");
    let text = broken(&pools[0]);
    let name = sub.to_str().expect("a plain name");
    assert!(text.contains(name) && text.contains("can't be entered any more: No such file"), "{text}");
}

fn a_directory_that_nobody_can_start_in_is_refused_by_build() {
    let folder = Folder::new();
    let file = folder.0.join("file");
    std::fs::write(&file, "").expect("a file");
    symlink("nowhere", folder.0.join("dangling")).expect("a link");
    let closed = folder.sub("closed");
    set_mode(&closed, 0o700);
    std::env::set_current_dir(&folder.0).expect("it is there");
    let long = "x".repeat(300);
    let mut bad: Vec<(&OsStr, &str)> = vec![
        ("missing".as_ref(), "No such file"),
        ("".as_ref(), "No such file"),
        ("dangling".as_ref(), "No such file"),
        ("file".as_ref(), "Not a directory"),
        (file.as_os_str(), "Not a directory"),
        ("file/sub".as_ref(), "Not a directory"),
        (long.as_ref(), "name too long"),
        (OsStr::from_bytes(b"a\0b"), "no path has a NUL"),
    ];
    if is_root() {
        give_up_rights();
        bad.push((closed.as_os_str(), "Permission denied"));
        bad.push(("closed".as_ref(), "Permission denied"));
    }
    for (path, why) in bad {
        let error = builder().current_dir(path).build().expect_err("no worker can start there");
        let text = error.to_string();
        assert!(matches!(error, BuildError::Invalid { option: "current_dir", .. }), "{error:?}");
        assert!(text.to_lowercase().contains(&why.to_lowercase()), "{path:?}: {text}");
        if !path.is_empty() {
            let shown = format!("{path:?}");
            assert!(text.contains(&shown[1..shown.len().min(90) - 1]), "{path:?}: {text}");
        }
    }
    // Its name need not be a text.
    let odd = folder.0.join(OsStr::from_bytes(b"\xff\xfe\n"));
    std::fs::create_dir(&odd).expect("a folder");
    assert_eq!(whereabouts(&builder().current_dir(&odd).build().expect("a pool")), inode(&odd));
}

fn a_directory_that_may_not_be_entered_any_more_is_named() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let closed = folder.sub("closed");
    let pool = builder().current_dir(&closed).build().expect("a pool");
    set_mode(&closed, 0o700);
    give_up_rights();
    let text = broken(&pool);
    let name = closed.to_str().expect("a plain name");
    assert!(text.contains(name) && text.contains("can't be entered any more: Permission denied"), "{text}");
}

// ---- the scheduler -----------------------------------------------------------------------------------------

/// Processors, policy, niceness.
type Standing = (Vec<usize>, i32, i32);

fn standing() -> Standing {
    // SAFETY: a set may be any bits.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place of that size; 0 is this thread.
    assert_eq!(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) }, 0);
    // SAFETY: within the set.
    let has = |n: &usize| unsafe { libc::CPU_ISSET(*n, &set) };
    // SAFETY: 0 is this thread.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) } as i32;
    // SAFETY: 0 is this thread.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    ((0..libc::CPU_SETSIZE as usize).filter(has).collect(), policy, nice)
}

fn pin_to(processors: &[usize]) {
    // SAFETY: a set may be any bits.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for processor in processors {
        // SAFETY: within the set.
        unsafe { libc::CPU_SET(*processor, &mut set) };
    }
    // SAFETY: a valid set of that size; 0 is this thread.
    assert_eq!(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) }, 0);
}

fn set_nice(nice: i32) {
    // SAFETY: numbers in; 0 is this thread.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }, 0);
}

fn set_policy(policy: i32, priority: i32) {
    let priority = [priority; 16];
    // SAFETY: the kernel's description of a priority is one such number, and more of them are there.
    let set = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, priority.as_ptr()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// What a worker finds that a thread of its own starts by submitting, which has first made itself `other`.
fn seen_from(pool: &ProcessPoolExecutor, other: impl FnOnce() + Send) -> Standing {
    std::thread::scope(|scope| {
        let submit = || {
            other();
            pool.submit(|()| standing(), ()).result().expect("a worker")
        };
        scope.spawn(submit).join().expect("no panic")
    })
}

fn workers_run_where_build_did_and_not_where_a_submitter_does() {
    let all = standing();
    let last = vec![*all.0.last().expect("one at least")];
    let pool = builder().max_tasks_per_child(1).build().expect("a pool");
    assert_eq!(seen_from(&pool, || pin_to(&last)), all);
    // One in its place, whose driver a pinned thread has started.
    assert_eq!(seen_from(&pool, || ()), all);
    drop(pool);
    // And the other way round.
    let only = last.clone();
    let build = move || {
        pin_to(&only);
        builder().max_tasks_per_child(1).build().expect("a pool")
    };
    let pinned = std::thread::spawn(build).join().expect("no panic");
    assert_eq!(pinned.submit(|()| standing(), ()).result().expect("a worker").0, last);
    assert_eq!(seen_from(&pinned, || ()).0, last);
    assert_eq!(standing(), all, "who submits is as he was");
}

fn workers_run_by_the_policy_and_niceness_of_build() {
    if !is_root() {
        return;
    }
    let own = standing();
    let others: [(&str, fn()); 4] = [
        ("nice", || set_nice(7)),
        ("batch", || set_policy(libc::SCHED_BATCH, 0)),
        ("idle", || set_policy(libc::SCHED_IDLE, 0)),
        ("not nice", || set_nice(-3)),
    ];
    for (what, other) in others {
        let pool = builder().max_tasks_per_child(1).build().expect("a pool");
        assert_eq!(seen_from(&pool, other), own, "{what}");
        assert_eq!(seen_from(&pool, || ()), own, "{what}, the next one");
        let build = move || {
            other();
            (standing(), builder().build().expect("a pool"))
        };
        let (built, pool) = std::thread::spawn(build).join().expect("no panic");
        assert_ne!(built, own, "{what}");
        assert_eq!(seen_from(&pool, || ()), built, "{what}, of build");
    }
}

fn without_the_right_to_be_less_nice_a_worker_starts_all_the_same() {
    if !is_root() {
        return;
    }
    // As a submitter who has no such right; one that is given by limit is taken away too.
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NICE, &raw const none) }, 0);
    give_up_rights();
    let own = standing();
    let pool = builder().build().expect("a pool");
    let seen = seen_from(&pool, || {
        set_nice(own.2 + 5);
        pin_to(&own.0[..1]);
        set_policy(libc::SCHED_BATCH, 0);
    });
    assert_eq!(seen, (own.0, own.1, own.2 + 5), "all but the niceness is that of build");
}

// ---- signals -----------------------------------------------------------------------------------------------

fn workers_can_be_told_to_end_though_their_program_ignores_that() {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: ignoring a signal runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let pool = builder().build().expect("a pool");
    let ignored = |()| {
        let status = std::fs::read_to_string("/proc/self/status").expect("a text");
        let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
        u64::from_str_radix(set.trim(), 16).expect("a number")
    };
    let set = pool.submit(ignored, ()).result().expect("a worker");
    let is_in = |signal: i32| set & (1 << (signal - 1)) != 0;
    assert!(!is_in(libc::SIGTERM), "{set:x}");
    assert!(is_in(libc::SIGHUP), "what `nohup` has set stays: {set:x}");
    let future = pool.submit(|()| std::thread::sleep(Duration::from_secs(1000)), ());
    assert!(soon(|| future.is_running()));
    pool.terminate_workers();
    match future.result_timeout(SOON).expect("in time") {
        Err(TaskError::WorkerDied(died)) => assert_eq!(died.signal(), Some(libc::SIGTERM)),
        other => panic!("{other:?}"),
    }
}

// ---- what a start says that fails ----------------------------------------------------------------------------

/// Where `/dev` has nothing in it, for this process alone.
fn empty_dev() -> bool {
    let text = |text: &str| CString::new(text).expect("no zero in it");
    let (none, root, dev, kind) = (text("none"), text("/"), text("/dev"), text("tmpfs"));
    let (private, nothing) = (libc::MS_REC | libc::MS_PRIVATE, std::ptr::null::<libc::c_void>());
    // SAFETY: this process has one thread.
    let apart = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    // SAFETY: valid texts, or none where there may be none.
    let alone =
        apart && unsafe { libc::mount(none.as_ptr(), root.as_ptr(), nothing.cast(), private, nothing) } == 0;
    // SAFETY: as above.
    let empty = alone && unsafe { libc::mount(kind.as_ptr(), dev.as_ptr(), kind.as_ptr(), 0, nothing) } == 0;
    if !empty {
        eprintln!("SKIPPED: nothing can be mounted here");
    }
    empty
}

fn without_dev_null_it_is_named() {
    if !is_root() || !empty_dev() {
        return;
    }
    let outputs = [("inherit", WorkerOutput::Inherit), ("null", WorkerOutput::Null)];
    for (what, output) in outputs {
        let pool = builder().stdout(output).build().expect("a pool");
        let text = broken(&pool);
        assert!(text.contains("/dev/null can't be opened: No such file or directory"), "{what}: {text}");
        assert!(text.contains("mknod -m 666 /dev/null c 1 3"), "{what}: {text}");
    }
    // One that nobody may open.
    std::fs::write("/dev/null", "").expect("a file");
    set_mode("/dev/null".as_ref(), 0);
    give_up_rights();
    let text = broken(&builder().build().expect("a pool"));
    assert!(text.contains("/dev/null can't be opened: Permission denied"), "{text}");
}

fn an_environment_that_is_too_long_is_told_so() {
    // The system's bound is a quarter of the stack's, and 6 MiB at most.
    let mut many = builder();
    for n in 0..200 {
        many = many.env(format!("LONG_{n}"), "x".repeat(100_000));
    }
    let text = broken(&many.build().expect("each of them is short enough"));
    assert!(text.contains("Argument list too long") && text.contains("environment"), "{text}");
    let one = builder().env("LONG", "x".repeat(200_000)).build().expect_err("no process can have it");
    assert!(one.to_string().contains("\"LONG\"") && one.to_string().contains("128 KiB"), "{one}");
}

/// Makes the kernel refuse a system call to this process.
fn refuse(call: libc::c_long) {
    let filter = [
        libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 },
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: call as u32 },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::EMFILE as u32 },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: gives up privileges of later programs; needed by the next call.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: a valid filter, which the kernel checks and copies.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

fn a_worker_that_does_not_get_up_says_at_which_step() {
    let leave = |code: i32| std::process::exit(code);
    let wait = |()| Gate::new().wait();
    // What runs before `main`, see below.
    let text = broken(&builder().env(BEFORE_MAIN, "exit").build().expect("a pool"));
    for part in ["exit code 3 before its first task", "before it said that it is one", "before `main`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let short = Duration::from_millis(300);
    let hangs = builder().env(BEFORE_MAIN, "hang").start_timeout(short).build().expect("a pool");
    let text = broken(&hangs);
    assert!(text.contains("up before it said that it is one; `start_timeout`"), "{text}");
    let text = broken(&builder().initializer(leave, 4).build().expect("a pool"));
    assert!(text.contains("exit code 4 before its first task, in its initializer"), "{text}");
    let waits = builder().initializer(wait, ()).start_timeout(short).build().expect("a pool");
    let text = broken(&waits);
    assert!(text.contains("up in its initializer; `start_timeout`"), "{text}");
    let little = builder().address_space(1 << 20).build().expect("a pool");
    let text = broken(&little);
    assert!(text.contains("the thread for its tasks could not be started: "), "{text}");
}

fn what_the_system_refuses_to_a_start_is_named() {
    // In this order: once refused, a call stays so.
    refuse(libc::SYS_socketpair);
    let text = broken(&builder().build().expect("a pool"));
    assert!(text.contains("the socket for a worker could not be created: Too many open files"), "{text}");
    assert!(text.contains("`ulimit -n`"), "{text}");
    refuse(libc::SYS_eventfd2);
    let text = broken(&builder().build().expect("a pool"));
    assert!(
        text.contains("the event that wakes a driver could not be created: Too many open files"),
        "{text}"
    );
    assert!(text.contains("`ulimit -n`"), "{text}");
}

/// Says to the workers of a pool what they are to do before `main`.
const BEFORE_MAIN: &str = "OUTSIDE_BEFORE_MAIN";

extern "C" fn before_main() {
    match std::env::var(BEFORE_MAIN).as_deref() {
        // SAFETY: ends the process, whatever state it is in.
        Ok("exit") => unsafe { libc::_exit(3) },
        Ok("hang") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
}

#[used]
// SAFETY: what the loader calls from this section is a function that takes nothing it needs and returns nothing.
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn() = before_main;
