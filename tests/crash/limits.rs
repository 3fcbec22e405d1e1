//! Workers come when they are needed, go when they are not, and are given up when they can't come.

use crate::house::{NAME, alone, in_own_process, set_limit, signal, state_of};
use crate::support::eventually;
use concurrent_futures::prelude::*;
use concurrent_futures::{ProcessPoolBuilder, TaskError, WorkerOutput};
use serde_bytes::ByteBuf;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn pool(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().max_workers(workers).name_prefix(NAME).stderr(WorkerOutput::Null)
}

fn double(n: u32) -> u32 {
    2 * n
}

fn own_pid(_: ()) -> u32 {
    std::process::id()
}

#[test]
fn workers_are_started_on_demand_and_used_again() {
    alone(LIMIT, || {
        let pool = pool(4).build().unwrap();
        assert!(pool.stats().workers.is_empty());
        // One after the other: each finds the worker of the one before it idle.
        let pids: Vec<u32> = (0..50).map(|_| pool.submit(own_pid, ()).result().unwrap()).collect();
        assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
        let workers = pool.stats().workers;
        let begun: Vec<u64> = workers.iter().map(|worker| worker.starts).collect();
        assert_eq!(begun.iter().sum::<u64>(), 1, "{workers:?}");
        // As many at a time as there may be: it takes the others, and each of them once.
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let held: Vec<_> = (0..4).map(|_| pool.submit(wait_for, open.clone())).collect();
        eventually(|| held.iter().all(|future| future.is_running()));
        std::fs::write(open, "").unwrap();
        held.into_iter().for_each(|future| future.result().unwrap());
        let workers = pool.stats().workers;
        assert!(workers.len() == 4 && workers.iter().all(|worker| worker.starts == 1), "{workers:?}");
        assert!(workers.iter().any(|worker| worker.pid == Some(pids[0])), "{workers:?}");
    });
}

#[test]
fn an_idle_worker_leaves_after_its_time() {
    alone(LIMIT, || {
        let pool = pool(2).keep_alive(Duration::from_millis(30)).build().unwrap();
        for _ in 0..3 {
            let pid = pool.submit(own_pid, ()).result().unwrap();
            eventually(|| state_of(pid).is_none());
        }
        assert_eq!(pool.stats().deaths, 0);
    });
}

#[test]
fn a_worker_that_has_grown_is_replaced() {
    alone(LIMIT, || {
        let pool = pool(1).memory_growth(20 << 20).build().unwrap();
        let leak = |()| {
            std::mem::forget(std::hint::black_box(vec![1_u8; 40 << 20]));
            std::process::id()
        };
        let first = pool.submit(leak, ()).result().unwrap();
        // Between tasks, a few times a second.
        eventually(|| pool.submit(own_pid, ()).result().unwrap() != first);
        assert_eq!(pool.stats().deaths, 0);
    });
}

#[test]
fn memory_past_the_limit_costs_one_task() {
    alone(LIMIT, || {
        let pool = pool(2).address_space(1 << 30).build().unwrap();
        let others: Vec<_> = (0..20).map(|n| pool.submit(double, n)).collect();
        let large = pool.submit(|n: usize| vec![1_u8; n].len(), 2 << 30).result().unwrap_err();
        let TaskError::WorkerDied(died) = &large else { panic!("{large}") };
        assert_eq!(died.signal(), Some(libc::SIGABRT));
        assert!(died.cause().unwrap().contains("memory"), "{died}");
        for (n, other) in (0..).zip(others) {
            assert_eq!(other.result().unwrap(), 2 * n);
        }
    });
}

fn broken(pool: &ProcessPoolExecutor) -> String {
    let tasks: Vec<_> = (0..20).map(|n| pool.submit(double, n)).collect();
    let mut texts = tasks.into_iter().map(|task| match task.result() {
        Err(TaskError::Broken(why)) => why.to_string(),
        other => panic!("{other:?}"),
    });
    texts.next_back().unwrap()
}

#[test]
fn workers_that_cannot_start_break_the_pool() {
    alone(LIMIT, || {
        let small = pool(2).address_space(1 << 20).build().unwrap();
        println!("{}", broken(&small));

        let exits = pool(2).initializer(|()| std::process::exit(3), ()).build().unwrap();
        let why = broken(&exits);
        assert!(why.contains("exit code 3") && why.contains("before its first task"), "{why}");

        let slow = pool(1).start_timeout(Duration::from_millis(50));
        let slow = slow.initializer(|()| std::thread::sleep(Duration::from_secs(60)), ()).build().unwrap();
        let why = broken(&slow);
        assert!(why.contains("start_timeout"), "{why}");

        let nowhere = pool(1).current_dir("/no such folder").build().unwrap_err().to_string();
        assert!(nowhere.contains("current_dir") && nowhere.contains("/no such folder"), "{nowhere}");
        // One that goes when the pool is there is found missing by the first start.
        let folder = std::env::temp_dir().join(format!("goes-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let nowhere = pool(1).current_dir(&folder).build().unwrap();
        std::fs::remove_dir(&folder).unwrap();
        let why = broken(&nowhere);
        assert!(why.contains("could not be started"), "{why}");
    });
}

fn echo(bytes: ByteBuf) -> ByteBuf {
    bytes
}

/// Values of all sizes there and back, several at a time.
fn echoes(builder: ProcessPoolBuilder) {
    let pool = builder.build().unwrap();
    let sizes = [0, 4095, 4096, 65_536, 1 << 20, 3 << 20, 9 << 20];
    let value = |n: usize| ByteBuf::from(vec![n as u8; sizes[n % sizes.len()]]);
    let sent: Vec<_> = (0..21).map(|n| pool.submit(echo, value(n))).collect();
    for (n, future) in sent.into_iter().enumerate() {
        assert!(future.result().unwrap() == value(n), "another answer: {n}");
    }
    assert_eq!(pool.stats().deaths, 0);
}

#[test]
fn values_that_find_no_shared_memory_go_through_the_socket() {
    alone(LIMIT, || {
        for bytes in [0, 1, 4096, 8192, 1 << 20, 4 << 20, usize::MAX] {
            echoes(pool(2).payload_memory(bytes));
        }
        // A worker reads arguments without a mapping then.
        echoes(pool(2).address_space(4 << 30));
    });
}

#[test]
fn files_may_not_be_as_long_as_the_shared_memory() {
    in_own_process(LIMIT, "limits::files_may_not_be_as_long_as_the_shared_memory", || {
        // The pool's segment has room, and less or more of the large values.
        for limit in [16 << 20, 2 << 20, 512 << 10] {
            set_limit(libc::RLIMIT_FSIZE, limit);
            echoes(pool(2));
        }
    });
}

#[test]
fn a_bounded_address_space_is_left_to_the_program() {
    in_own_process(LIMIT, "limits::a_bounded_address_space_is_left_to_the_program", || {
        set_limit(libc::RLIMIT_AS, 4 << 30);
        echoes(pool(2));
        let pool = pool(1).build().unwrap();
        pool.submit(echo, ByteBuf::from(vec![1; 1 << 20])).result().unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let large = maps.lines().filter(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            line.contains("/memfd:concurrent-futures") && address(end) - address(start) > 1 << 20
        });
        assert_eq!(large.count(), 0, "{maps}");
    });
}

fn exit_if(file: PathBuf) {
    if file.exists() {
        std::process::exit(3);
    }
}

fn wait_for(file: PathBuf) {
    while !file.exists() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// While one worker lives, others may fail to start; and when it dies, that is its task's death and no failed start.
#[test]
fn a_crash_after_failed_starts_costs_one_task() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pool = pool(2).initializer(exit_if, at("bad times")).build().unwrap();
        let crash = |file: PathBuf| -> u32 {
            wait_for(file);
            std::process::abort()
        };
        let running = pool.submit(crash, at("open"));
        eventually(|| running.is_running());
        std::fs::write(at("bad times"), "").unwrap();
        // Starts are tried again once a second at most, when a task comes that nobody takes.
        let later = std::cell::RefCell::new(Vec::new());
        eventually(|| {
            later.borrow_mut().push(pool.submit(double, 3));
            pool.stats().workers.get(1).is_some_and(|worker| worker.starts >= 4)
        });
        std::fs::remove_file(at("bad times")).unwrap();
        std::fs::write(at("open"), "").unwrap();
        let error = running.result().unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
        later.into_inner().into_iter().for_each(|task| assert_eq!(task.result().unwrap(), 6));
    });
}

/// Nobody submits any more, and the one worker that there is has work for long.
#[test]
fn a_failed_start_is_tried_again_while_others_work() {
    alone(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pool = pool(2).initializer(exit_if, at("bad times")).build().unwrap();
        let running = pool.submit(wait_for, at("open"));
        eventually(|| running.is_running());
        std::fs::write(at("bad times"), "").unwrap();
        let tasks: Vec<_> = (0..20).map(|n| pool.submit(double, n)).collect();
        eventually(|| pool.stats().workers.get(1).is_some_and(|worker| worker.starts > 0));
        std::fs::remove_file(at("bad times")).unwrap();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(task.result().unwrap(), 2 * n);
        }
        std::fs::write(at("open"), "").unwrap();
        running.result().unwrap();
    });
}

#[test]
fn the_deaths_of_idle_workers_are_nobodys_fault() {
    alone(LIMIT, || {
        let pool = pool(2).build().unwrap();
        for n in 0..10 {
            let pid = pool.submit(own_pid, ()).result().unwrap();
            signal(pid, libc::SIGKILL);
            assert_eq!(pool.submit(double, n).result().unwrap(), 2 * n);
        }
        assert!(pool.stats().deaths > 0);
    });
}
