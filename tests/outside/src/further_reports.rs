//! Reports of other systems that were tried last, in no kind's order: each a small program of our own.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    MapOptions, Rejected, Shutdown, TaskError, TaskOptions, WhenFull, blocking, promise,
};
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "a_pool_that_ends_while_its_workers_go_to_rest_ends",
        &["elf-audio/mzgl#101"],
        a_pool_that_ends_while_its_workers_go_to_rest_ends,
    ),
    Instance::new(
        "a_worker_may_drop_the_last_handle_of_its_pool",
        &["jbaldwin/libcoro#420"],
        a_worker_may_drop_the_last_handle_of_its_pool,
    ),
    Instance::new(
        "a_task_may_submit_to_its_own_full_pool",
        &["OSGeo/gdal#6389", "panjf2000/ants#197"],
        a_task_may_submit_to_its_own_full_pool,
    ),
    Instance::new(
        "a_submitter_that_waits_for_a_place_gets_it_after_a_panic",
        &["panjf2000/ants#146"],
        a_submitter_that_waits_for_a_place_gets_it_after_a_panic,
    )
    .panics_here(),
    Instance::new(
        "a_panic_costs_neither_the_waiter_nor_the_worker",
        &["glommio/glommio#37"],
        a_panic_costs_neither_the_waiter_nor_the_worker,
    )
    .panics_here(),
    Instance::new(
        "as_completed_yields_cancelled_futures",
        &["dask/distributed#2089"],
        as_completed_yields_cancelled_futures,
    ),
    Instance::new(
        "a_timed_out_task_has_ended_when_its_callback_runs",
        &["noxdafox/pebble#105"],
        a_timed_out_task_has_ended_when_its_callback_runs,
    ),
    Instance::new(
        "a_panic_in_the_drop_of_a_cancelled_task_does_not_hold_up_the_end",
        &["tokio-rs/tokio#1584"],
        a_panic_in_the_drop_of_a_cancelled_task_does_not_hold_up_the_end,
    )
    .panics_here(),
    Instance::new(
        "a_submit_while_the_pool_drains_gets_an_answer",
        &["tokio-rs/tokio#7499", "towns-protocol/towns#3592"],
        a_submit_while_the_pool_drains_gets_an_answer,
    ),
    Instance::new(
        "more_blocked_waiters_than_spare_threads_go_on",
        &["FgForrest/evitaDB#1117"],
        more_blocked_waiters_than_spare_threads_go_on,
    ),
    Instance::new(
        "a_pool_is_as_wide_as_before_after_many_blocking_sections",
        &["scala/scala#6529"],
        a_pool_is_as_wide_as_before_after_many_blocking_sections,
    ),
    Instance::new(
        "a_crash_while_large_arguments_are_sent_costs_one_task",
        &["python/cpython#94777"],
        a_crash_while_large_arguments_are_sent_costs_one_task,
    ),
    Instance::new(
        "an_idle_worker_that_is_killed_is_replaced",
        &["python/cpython#96061"],
        an_idle_worker_that_is_killed_is_replaced,
    ),
    Instance::new(
        "a_child_that_a_task_forked_holds_up_nothing",
        &["noxdafox/pebble#46"],
        a_child_that_a_task_forked_holds_up_nothing,
    ),
    Instance::new(
        "a_worker_that_times_out_idle_loses_no_task",
        &["piscinajs/piscina#818", "joblib/joblib#869"],
        a_worker_that_times_out_idle_loses_no_task,
    ),
    Instance::new(
        "a_kill_ends_no_task_but_its_own",
        &["piscinajs/piscina#934"],
        a_kill_ends_no_task_but_its_own,
    ),
    Instance::new(
        "what_a_task_printed_without_a_newline_is_there_after_the_end",
        &["oven-sh/bun#34340", "horovod/horovod#3272"],
        what_a_task_printed_without_a_newline_is_there_after_the_end,
    ),
    Instance::new(
        "killed_workers_run_no_queued_task_of_a_pool_that_cancels",
        &["josdejong/workerpool#96"],
        killed_workers_run_no_queued_task_of_a_pool_that_cancels,
    ),
    Instance::new(
        "a_pool_whose_workers_never_come_up_ends",
        &["andywer/threads.js#461"],
        a_pool_whose_workers_never_come_up_ends,
    ),
    Instance::new("a_thousand_workers_at_once", &["rayon-rs/rayon#929"], a_thousand_workers_at_once),
    Instance::new(
        "a_map_that_is_dropped_early_leaves_nothing_queued",
        &["evhub/coconut#128"],
        a_map_that_is_dropped_early_leaves_nothing_queued,
    ),
    Instance::new(
        "a_result_for_a_cancelled_promise_is_refused_quietly",
        &["python/asyncio#255"],
        a_result_for_a_cancelled_promise_is_refused_quietly,
    ),
    Instance::new("nested_futures_end", &["ruby-concurrency/concurrent-ruby#369"], nested_futures_end),
];

fn a_pool_that_ends_while_its_workers_go_to_rest_ends() {
    for round in 0..3000 {
        let pool = ThreadPoolExecutor::new(1 + round % 4);
        let futures: Vec<_> = (0..round % 4).map(|n| pool.submit(|n| n, n)).collect();
        drop(pool);
        assert!(futures.iter().all(concurrent_futures::Future::is_done));
    }
}

fn a_worker_may_drop_the_last_handle_of_its_pool() {
    for _ in 0..200 {
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let (gate, inner) = (Gate::new(), pool.clone());
        let opened = gate.clone();
        let future = pool.spawn(move || {
            opened.wait();
            inner.shutdown(Shutdown::Drain);
            inner.join();
            drop(inner);
            7
        });
        drop(pool);
        gate.open();
        assert_eq!(future.result_timeout(SOON).expect("in time").expect("a result"), 7);
    }
}

fn a_task_may_submit_to_its_own_full_pool() {
    let pool = ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, WhenFull::Block);
    let pool = Arc::new(pool.build().expect("a pool"));
    let inner = pool.clone();
    let sum = pool.spawn(move || {
        let futures: Vec<_> = (0..50).map(|n| inner.submit(|n| n, n)).collect();
        futures.into_iter().map(|future| future.result().expect("a number")).sum::<i32>()
    });
    assert_eq!(sum.result().expect("a sum"), 49 * 50 / 2);
}

fn a_submitter_that_waits_for_a_place_gets_it_after_a_panic() {
    let pool = ThreadPoolExecutor::builder()
        .max_workers(1)
        .queue_capacity(1, WhenFull::Block)
        .keep_alive(Duration::from_secs(3600))
        .build()
        .expect("a pool");
    let futures: Vec<_> = (0..20).map(|n| pool.spawn(move || panic!("task {n}"))).collect::<Vec<_>>();
    for future in futures {
        let outcome: Result<(), TaskError> = future.result();
        assert!(matches!(outcome, Err(TaskError::Panicked(_))));
    }
}

fn a_panic_costs_neither_the_waiter_nor_the_worker() {
    let pool = ThreadPoolExecutor::new(1);
    for _ in 0..50 {
        let boom = futures::executor::block_on(pool.spawn(|| -> u8 { panic!("boom") }));
        assert!(matches!(boom, Err(TaskError::Panicked(_))));
    }
    assert_eq!(pool.spawn(|| 42).result().expect("a number"), 42);
    assert_eq!(pool.stats().workers, 1);
}

fn as_completed_yields_cancelled_futures() {
    let pool = ThreadPoolExecutor::new(1);
    let gate = Gate::new();
    let held = gate.clone();
    let first = pool.spawn(move || held.wait());
    let futures: Vec<_> = (0..9).map(|_| pool.spawn(|| ())).collect();
    futures.iter().step_by(2).for_each(|future| assert!(future.cancel()));
    gate.open();
    let ended: Vec<_> = as_completed(futures.into_iter().chain([first])).collect();
    assert_eq!(ended.len(), 10);
    assert_eq!(ended.iter().filter(|future| future.is_cancelled()).count(), 5);
}

/// Writes its pid, then never ends.
fn note_and_spin(path: String) {
    std::fs::write(path, std::process::id().to_string()).expect("a file");
    loop {
        std::hint::spin_loop();
    }
}

fn a_timed_out_task_has_ended_when_its_callback_runs() {
    let pool = ProcessPoolExecutor::new(1);
    let path = std::env::temp_dir().join(format!("outside-pid-{}", std::process::id()));
    let options = TaskOptions::new().timeout(Duration::from_millis(300));
    let argument = path.to_string_lossy().into_owned();
    let future = pool.submit_with(options, note_and_spin, argument);
    let (says, said) = mpsc::channel();
    let noted = path.clone();
    future.add_done_callback(move |_| {
        let pid = std::fs::read_to_string(&noted).ok();
        // A zombie runs nothing any more; it only waits to be reaped.
        let runs = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        let runs = runs.and_then(|stat| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()));
        says.send(runs.is_some_and(|state| !"ZX".contains(state))).expect("heard");
    });
    assert!(!said.recv_timeout(SOON).expect("the callback runs"), "the worker still runs");
    assert!(matches!(future.result(), Err(TaskError::TimeLimit(_))));
    let _ = std::fs::remove_file(path);
}

fn a_panic_in_the_drop_of_a_cancelled_task_does_not_hold_up_the_end() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let pool = ThreadPoolExecutor::new(1);
    let (gate, begun) = (Gate::new(), Gate::new());
    let (held, begins) = (gate.clone(), begun.clone());
    let first = pool.spawn(move || {
        begins.open();
        held.wait();
    });
    begun.wait();
    let futures: Vec<_> = (0..20)
        .map(|_| {
            let bomb = Bomb;
            pool.spawn(move || {
                let _bomb = &bomb;
            })
        })
        .collect();
    pool.shutdown(Shutdown::CancelQueued);
    gate.open();
    pool.join();
    first.result().expect("it had begun");
    assert!(futures.iter().all(concurrent_futures::Future::is_cancelled));
}

fn a_submit_while_the_pool_drains_gets_an_answer() {
    fn resubmit(pool: &Arc<ThreadPoolExecutor>, left: usize) -> Result<usize, TaskError> {
        if left == 0 {
            return Ok(0);
        }
        let inner = pool.clone();
        pool.spawn(move || resubmit(&inner, left - 1)).result()?.map(|depth| depth + 1)
    }
    for _ in 0..200 {
        let pool = Arc::new(ThreadPoolExecutor::new(2));
        let inner = pool.clone();
        let future = pool.spawn(move || resubmit(&inner, 50));
        pool.shutdown(Shutdown::Drain);
        let outcome = future.result_timeout(SOON).expect("in time").expect("it had been accepted");
        assert!(matches!(outcome, Ok(50) | Err(TaskError::Rejected(Rejected::ShutDown))));
    }
}

fn more_blocked_waiters_than_spare_threads_go_on() {
    let pool = Arc::new(ThreadPoolExecutor::new(1));
    let inner = pool.clone();
    fn nest(pool: &Arc<ThreadPoolExecutor>, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = pool.clone();
        let future = pool.spawn(move || nest(&inner, left - 1));
        // Any of one: a wait that may not run the task in place.
        assert_eq!(wait([&future], ReturnWhen::FirstCompleted).done.len(), 1);
        future.result().expect("a depth") + 1
    }
    assert_eq!(pool.spawn(move || nest(&inner, 700)).result().expect("a depth"), 700);
}

fn a_pool_is_as_wide_as_before_after_many_blocking_sections() {
    const WIDTH: usize = 4;
    let pool = ThreadPoolExecutor::new(WIDTH);
    for future in (0..2000).map(|_| pool.spawn(|| blocking(std::thread::yield_now))).collect::<Vec<_>>() {
        future.result().expect("it yields");
    }
    let all = Arc::new(Barrier::new(WIDTH));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let together: Vec<_> = (0..WIDTH * 10)
        .map(|_| {
            let (all, now, most) = (all.clone(), now.clone(), most.clone());
            pool.spawn(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                all.wait();
                now.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    together.into_iter().for_each(|future| future.result().expect("all at once"));
    assert_eq!(most.load(Ordering::SeqCst), WIDTH);
}

fn crash_on_one((number, data): (u32, Vec<u8>)) -> usize {
    if number == 1 {
        die_of_a_null_pointer();
    }
    data.len()
}

/// Ends as code does that follows a null pointer.
fn die_of_a_null_pointer() {
    let pid = i32::try_from(std::process::id()).expect("a process id");
    let _ = std::process::Command::new("kill").args(["-SEGV", &pid.to_string()]).status();
    loop {
        std::thread::park();
    }
}

fn a_crash_while_large_arguments_are_sent_costs_one_task() {
    const SIZE: usize = 16 << 20;
    let pool = ProcessPoolExecutor::new(2);
    let futures: Vec<_> = (0..10).map(|number| pool.submit(crash_on_one, (number, vec![7; SIZE]))).collect();
    for (number, future) in futures.into_iter().enumerate() {
        match future.result() {
            Ok(len) => assert!(number != 1 && len == SIZE),
            Err(error) => assert!(number == 1 && matches!(error, TaskError::WorkerDied(_)), "{error}"),
        }
    }
}

fn an_idle_worker_that_is_killed_is_replaced() {
    let pool = ProcessPoolExecutor::new(1);
    for _ in 0..10 {
        let pid = pool.submit(|()| std::process::id(), ()).result().expect("a pid");
        let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        assert!(killed.expect("kill is there").success());
        let next = pool.submit(|()| std::process::id(), ()).result();
        // The task may have begun in the moment before the signal came: then it is the one that is lost.
        assert!(next.is_ok_and(|next| next != pid) || pool.submit(|()| (), ()).result().is_ok());
    }
}

/// Starts a child that outlives the worker, and returns its pid.
fn leave_a_child(_: ()) -> u32 {
    let child = std::process::Command::new("sleep").arg("60").process_group(0).spawn();
    child.expect("sleep is there").id()
}

fn a_child_that_a_task_forked_holds_up_nothing() {
    let pool = ProcessPoolExecutor::new(1);
    let child = pool.submit(leave_a_child, ()).result().expect("a child");
    drop(pool);
    let runs = std::fs::metadata(format!("/proc/{child}")).is_ok();
    let _ = std::process::Command::new("kill").args(["-KILL", &child.to_string()]).status();
    assert!(runs, "the child was no worker, and goes on");
}

fn a_worker_that_times_out_idle_loses_no_task() {
    let pool = ProcessPoolExecutor::builder().max_workers(2).keep_alive(Duration::from_millis(2)).build();
    let pool = pool.expect("a pool");
    for pause in 0..150 {
        let futures: Vec<_> = (0..3).map(|n| pool.submit(|n: u64| n + 1, n)).collect();
        for (n, future) in (1..).zip(futures) {
            assert_eq!(future.result().expect("a number"), n);
        }
        // Around the moment at which an idle worker goes.
        std::thread::park_timeout(Duration::from_micros(1500 + 10 * pause));
    }
}

fn spin(_: ()) {
    loop {
        std::hint::spin_loop();
    }
}

fn a_kill_ends_no_task_but_its_own() {
    let pool = ProcessPoolExecutor::new(2);
    for _ in 0..20 {
        let victim = pool.submit(spin, ());
        let neighbours: Vec<_> = (0..20).map(|n| pool.submit(|n: u32| n, n)).collect();
        assert!(soon(|| victim.is_running()));
        assert!(victim.kill());
        for (n, future) in (0..).zip(neighbours) {
            assert_eq!(future.result().expect("untouched"), n);
        }
        assert!(victim.result().is_err());
    }
}

fn what_a_task_printed_without_a_newline_is_there_after_the_end() {
    let path = std::env::temp_dir().join(format!("outside-out-{}", std::process::id()));
    let file = std::fs::File::create(&path).expect("a file");
    let pool = ProcessPoolExecutor::builder().max_workers(2).max_tasks_per_child(3).stdout(file);
    let pool = pool.build().expect("a pool");
    for future in (0..30).map(|n| pool.submit(|n: u32| print!("<{n}>"), n)).collect::<Vec<_>>() {
        future.result().expect("it prints");
    }
    drop(pool);
    let text = std::fs::read_to_string(&path).expect("what was printed");
    let _ = std::fs::remove_file(&path);
    assert!((0..30).all(|n| text.contains(&format!("<{n}>"))), "{text:?}");
}

fn killed_workers_run_no_queued_task_of_a_pool_that_cancels() {
    let pool = ProcessPoolExecutor::new(2);
    let running: Vec<_> = (0..2).map(|_| pool.submit(spin, ())).collect();
    assert!(soon(|| running.iter().all(concurrent_futures::Future::is_running)));
    let queued: Vec<_> = (0..50).map(|n| pool.submit(|n: u32| n, n)).collect();
    pool.shutdown(Shutdown::CancelQueued);
    pool.kill_workers();
    pool.join_timeout(SOON).expect("nothing is left to run");
    let ends: Vec<_> = queued.into_iter().map(concurrent_futures::Future::result).collect();
    assert!(ends.iter().all(|end| matches!(end, Err(TaskError::Cancelled))), "{ends:?}");
    assert!(running.into_iter().all(|future| future.result().is_err()));
}

fn wait_for_ever(_: ()) {
    loop {
        std::thread::park();
    }
}

fn a_pool_whose_workers_never_come_up_ends() {
    let pool = ProcessPoolExecutor::builder()
        .max_workers(2)
        .initializer(wait_for_ever, ())
        .start_timeout(Duration::from_millis(100))
        .build()
        .expect("a pool");
    let future = pool.submit(|()| (), ());
    assert!(matches!(future.result(), Err(TaskError::Broken(_))));
    pool.shutdown(Shutdown::CancelQueued);
    pool.join_timeout(SOON).expect("no worker is left");
}

fn a_thousand_workers_at_once() {
    const WORKERS: usize = 1000;
    let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).stack_size(64 * 1024);
    let pool = pool.build().expect("a pool");
    let all = Arc::new(Barrier::new(WORKERS));
    for _ in 0..3 {
        let futures: Vec<_> = (0..WORKERS)
            .map(|_| {
                let all = all.clone();
                pool.spawn(move || all.wait().is_leader())
            })
            .collect();
        let leaders = futures.into_iter().map(|future| future.result().expect("met"));
        assert_eq!(leaders.filter(|leader| *leader).count(), 1);
    }
}

fn a_map_that_is_dropped_early_leaves_nothing_queued() {
    let pool = ThreadPoolExecutor::new(2);
    for buffersize in [1, 8, 64] {
        let options = MapOptions::new().buffersize(buffersize);
        let first: Vec<_> = pool.map_with(options, |n: u64| n, 0..).take(3).collect();
        assert_eq!(first.into_iter().map(|n| n.expect("a number")).collect::<Vec<_>>(), [0, 1, 2]);
    }
    let some: Vec<_> = pool.map(|n: u64| n, 0..10_000).take(3).collect();
    assert_eq!(some.len(), 3);
    assert!(soon(|| pool.stats().queued == 0));
}

fn a_result_for_a_cancelled_promise_is_refused_quietly() {
    for _ in 0..2000 {
        let (promise, future) = promise();
        let handle = future.cancel_handle();
        let canceller = std::thread::spawn(move || handle.cancel());
        let delivered = promise.set_result(1);
        let cancelled = canceller.join().expect("no panic");
        assert!(delivered != cancelled);
        assert_eq!(future.result().is_ok(), delivered);
    }
}

fn nested_futures_end() {
    let pool = Arc::new(ThreadPoolExecutor::new(1));
    for _ in 0..5000 {
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.spawn(|| 1));
        assert_eq!(outer.result().expect("a future").result().expect("a number"), 1);
    }
}
