//! Every option of the builder, and what it refuses.

use crate::processes_support::{
    ABORTED, Signals, builder, end, exists, is_alive, pid, pids, square, start_another, stay,
};
use crate::support::{Gate, LIMIT, eventually, limit, sleeps, this_thread};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    BuildError, Panicked, ProcessPoolBuilder, Rejected, TaskError, WhenFull, WorkerOutput, WorkerState,
    promise,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// What a task finds around it.
fn surroundings(variable: String) -> (PathBuf, Option<String>) {
    (std::env::current_dir().unwrap(), std::env::var(variable).ok())
}

// ---- environment ---------------------------------------------------------------------------------------

#[test]
fn the_environment_can_be_changed_for_the_workers() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let folder = signals.folder();
        let pool = builder(1)
            .env("CF_TEST_SET", "first")
            .env("CF_TEST_SET", "second")
            .env("CF_TEST_GONE", "x")
            .env_remove("CF_TEST_GONE")
            .env_remove("PATH")
            .current_dir(&folder)
            .build()
            .unwrap();
        let ask = |name: &str| pool.submit(surroundings, name.into()).result().unwrap();
        assert_eq!(ask("CF_TEST_SET"), (folder, Some("second".into())));
        assert_eq!((ask("CF_TEST_GONE").1, ask("PATH").1), (None, None));
        assert!(std::env::var("PATH").is_ok(), "the parent's is as it was");
    });
}

#[test]
fn libraries_are_told_how_many_threads_a_worker_may_have() {
    limit(LIMIT, || {
        let ask = |builder: ProcessPoolBuilder, name: &str| {
            builder.build().unwrap().submit(surroundings, name.into()).result().unwrap().1
        };
        // Others read it from the parent's environment as well: what a person has set there stays.
        let name = ["OMP_NUM_THREADS", "RAYON_NUM_THREADS", "BLIS_NUM_THREADS"]
            .into_iter()
            .find(|name| std::env::var_os(name).is_none())
            .expect("one that nobody has set");
        assert_eq!(ask(builder(10_000), name).as_deref(), Some("1"));
        let share = (num_cpus::get() / 2).max(1).to_string();
        assert_eq!(ask(builder(2), name), Some(share));
        assert_eq!(ask(builder(2).threads_per_worker(7), name).as_deref(), Some("7"));
        assert_eq!(ask(builder(2).threads_per_worker(0), name), None);
        assert_eq!(ask(builder(2).env(name, "5").threads_per_worker(7), name).as_deref(), Some("5"));
        assert_eq!(ask(builder(2).env_remove(name), name), None);
    });
}

/// What a pool within a worker tells its own workers.
fn within(name: String) -> Option<String> {
    builder(1).build().unwrap().submit(surroundings, name).result().unwrap().1
}

#[test]
fn what_is_set_already_stays() {
    limit(LIMIT, || {
        let pool = builder(1).env("MKL_NUM_THREADS", "11").build().unwrap();
        assert_eq!(pool.submit(within, "MKL_NUM_THREADS".into()).result().unwrap().as_deref(), Some("11"));
    });
}

/// In a process of its own, whose working directory and environment are nobody else's.
fn changes_after_build((folder, asked_for): (PathBuf, bool)) -> Vec<(PathBuf, Option<String>)> {
    const NAME: &str = "CF_TEST_SNAPSHOT";
    std::env::set_current_dir(&folder).unwrap();
    // SAFETY: the worker's only other thread waits in a system call.
    unsafe { std::env::set_var(NAME, "at build") };
    let pool = builder(1).max_tasks_per_child(1);
    let pool = if asked_for { pool.current_dir(".") } else { pool }.build().unwrap();
    std::env::set_current_dir(folder.ancestors().last().unwrap()).unwrap();
    // SAFETY: as above; the pool has not started a thread yet.
    unsafe { std::env::set_var(NAME, "later") };
    // The first worker, and one in its place.
    (0..2).map(|_| pool.submit(surroundings, NAME.into()).result().unwrap()).collect()
}

#[test]
fn workers_start_with_what_the_parent_had_at_build() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let folder = signals.folder();
        let ask = |asked_for| pool.submit(changes_after_build, (folder.clone(), asked_for)).result().unwrap();
        assert_eq!(ask(true), vec![(folder.clone(), Some("at build".to_owned())); 2]);
        // Nobody asked for a directory: it is inherited, as it is then.
        let root = folder.ancestors().last().unwrap().to_owned();
        assert_eq!(ask(false), vec![(root, Some("at build".to_owned())); 2]);
    });
}

// ---- names ---------------------------------------------------------------------------------------------

/// The names under which a worker is seen: by the system if that has one beside the program's, of the thread, and its
/// arguments.
fn names((): ()) -> (Option<String>, String, Vec<String>) {
    let comm = cfg!(not(windows)).then(|| std::fs::read_to_string("/proc/self/comm").unwrap());
    let thread = std::thread::current().name().unwrap().to_owned();
    (comm.map(|comm| comm.trim_end().to_owned()), thread, std::env::args().collect())
}

#[test]
fn a_worker_is_known_by_the_prefix_and_its_number() {
    limit(LIMIT, || {
        let pool = builder(1).name_prefix("resize").build().unwrap();
        let (comm, thread, arguments) = pool.submit(names, ()).result().unwrap();
        assert_eq!((&*thread, &*pool.stats().workers[0].name), ("resize_0", "resize_0"));
        assert!(comm.is_none_or(|comm| comm == "resize_0"));
        // What ps shows: the mark in place of the program, then the arguments of the parent. musl tells a program none
        // before `main`, where a worker is; on Windows the mark isn't among them.
        if cfg!(target_env = "musl") {
            assert_eq!(arguments, Vec::<String>::new());
        } else if cfg!(windows) {
            let own: Vec<String> = std::env::args().collect();
            assert_eq!(arguments[1..], own[1..]);
            assert_eq!(std::path::Path::new(&arguments[0]), std::env::current_exe().unwrap());
        } else {
            assert!(arguments[0].starts_with("concurrent-futures-worker/"), "{arguments:?}");
            assert_eq!(arguments[1..], std::env::args().skip(1).collect::<Vec<_>>());
        }
        let died = pool.submit(|()| -> () { panic!("who was it?") }, ()).result().unwrap_err();
        assert!(died.to_string().contains("resize_0"), "{died}");

        // The system keeps 15 bytes: the number stays.
        let pool = builder(1).name_prefix("a-very-long-prefix").build().unwrap();
        let (comm, thread, _) = pool.submit(names, ()).result().unwrap();
        assert_eq!(thread, "a-very-long-prefix_0");
        assert!(comm.is_none_or(|comm| comm == "a-very-long-p_0"));

        // By default the program's own name.
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_string_lossy().into_owned();
        let pool = ProcessPoolExecutor::new(1);
        pool.submit(square, 1).result().unwrap();
        assert_eq!(pool.stats().workers[0].name, format!("{program}_0"));
    });
}

// ---- output, groups --------------------------------------------------------------------------------------

fn say(n: u32) {
    // Not println: the test harness would keep what it prints.
    std::io::stdout().write_all(format!("out {n}\n").as_bytes()).unwrap();
    std::io::stderr().write_all(format!("err {n}\n").as_bytes()).unwrap();
}

#[test]
fn what_tasks_print_goes_where_it_was_sent() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let [out, err] = ["out", "err"].map(|name| signals.path(name));
        let pool = builder(2)
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .build()
            .unwrap();
        pool.map(say, 0..100).for_each(|said| said.unwrap());
        // An unfinished line is written when the worker leaves.
        pool.submit(|()| write!(std::io::stdout(), "no end").unwrap(), ()).result().unwrap();
        pool.join();
        let mut lines: Vec<String> =
            std::fs::read_to_string(out).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 101);
        assert!(lines.iter().any(|line| line.ends_with("no end")));
        lines.retain(|line| line.starts_with("out "));
        assert!(lines.len() >= 100);
        assert_eq!(std::fs::read_to_string(err).unwrap().lines().count(), 100);
        let quiet = builder(1).stdout(WorkerOutput::Null).stderr(WorkerOutput::Null).build().unwrap();
        quiet.submit(say, 1).result().unwrap();
    });
}

#[test]
fn standard_input_is_empty() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(1);
        let read = |()| std::io::read_to_string(std::io::stdin()).unwrap();
        assert_eq!(pool.submit(read, ()).result().unwrap(), "");
    });
}

/// The process group, from `/proc/self/stat`.
fn group((): ()) -> u32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, behind_the_name) = stat.rsplit_once(") ").unwrap();
    behind_the_name.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn workers_belong_to_the_group_of_the_parent_or_to_their_own() {
    limit(LIMIT, || {
        let pool = builder(1).own_process_group().build().unwrap();
        // Elsewhere the system tells nobody what belongs together.
        if cfg!(not(windows)) {
            let shared = ProcessPoolExecutor::new(1);
            assert_eq!(shared.submit(group, ()).result().unwrap(), group(()));
            let own = pool.submit(group, ()).result().unwrap();
            assert_eq!(own, pool.submit(pid, ()).result().unwrap());
        }
        // What a task started goes with its worker.
        let child = pool.submit(start_another, ()).result().unwrap();
        assert!(exists(child));
        pool.kill_workers();
        pool.join();
        // Nobody may be there to reap it.
        eventually(|| !is_alive(child));
    });
}

// ---- limits ----------------------------------------------------------------------------------------------

#[test]
fn a_worker_that_does_not_come_up_in_time_is_given_up() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(1)
            .start_timeout(Duration::from_millis(300))
            .initializer(|path| _ = stay(path), signals.stay("start"))
            .build()
            .unwrap();
        let error = pool.submit(square, 1).result().unwrap_err();
        assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
        assert!(error.to_string().contains("start_timeout"), "{error}");
        assert_eq!(pool.stats().workers[0].starts, 3);
        assert!(matches!(pool.submit(square, 1).result(), Err(TaskError::Broken(_))));
    });
}

#[test]
fn an_idle_worker_leaves_and_the_next_task_starts_one() {
    limit(LIMIT, || {
        let pool = builder(1).keep_alive(Duration::from_millis(20)).build().unwrap();
        let first = pool.submit(pid, ()).result().unwrap();
        eventually(|| pool.stats().workers[0].state == WorkerState::Absent);
        assert!(!exists(first));
        assert_eq!(pool.stats().workers[0].pid, None);
        assert_ne!(pool.submit(pid, ()).result().unwrap(), first);
        assert_eq!((pool.stats().workers[0].starts, pool.stats().deaths), (2, 0));
    });
}

#[test]
fn a_task_that_wants_too_much_memory_costs_itself_alone() {
    limit(LIMIT, || {
        let pool = builder(1).address_space(1 << 30).build().unwrap();
        let fill = |bytes: usize| vec![1_u8; bytes].len();
        assert_eq!(pool.submit(fill, 1 << 20).result().unwrap(), 1 << 20);
        let error = pool.submit(fill, 2 << 30).result().unwrap_err();
        let TaskError::WorkerDied(died) = &error else { panic!("{error:?}") };
        assert_eq!(end(died), ABORTED, "{error}");
        assert_eq!(pool.submit(fill, 1 << 20).result().unwrap(), 1 << 20);
    });
}

/// Where no large block is to be had any more, small ones still are, and a future is one.
#[test]
#[cfg_attr(
    target_env = "musl",
    ignore = "its allocator makes no room for small blocks of larger ones that were freed"
)]
fn too_much_memory_in_use_leaves_room_for_futures() {
    limit(LIMIT, || {
        let pool = builder(1).address_space(1 << 30).build().unwrap();
        let make = |futures: usize| {
            let mut made = Vec::with_capacity(futures);
            // Small blocks that are apart, to be given back when all else is taken.
            let pairs: Vec<_> = (0..1000).map(|_| (vec![1_u8; 1 << 10], vec![1_u8; 1 << 10])).collect();
            let (kept, mut freed): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let mut taken: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
            let mut size = 256 << 20;
            while size >= 16 << 10 {
                let mut block = Vec::new();
                match block.try_reserve_exact(size) {
                    Ok(()) => taken.push(block),
                    Err(_) => size /= 2,
                }
            }
            freed.clear();
            made.extend((0..futures).map(|_| promise::<u64>()));
            drop(taken);
            let done = made.drain(..).filter(|(promise, _)| !promise.is_cancelled()).count();
            done + kept.len()
        };
        assert_eq!(pool.submit(make, 5000).result().unwrap(), 6000);
    });
}

#[test]
fn a_worker_that_grows_is_replaced_between_tasks() {
    limit(LIMIT, || {
        let pool = builder(1).memory_growth(16 << 20).build().unwrap();
        let leak = |bytes: usize| {
            Vec::leak(vec![1_u8; bytes]);
            std::process::id()
        };
        let first = pool.submit(leak, 64 << 20).result().unwrap();
        eventually(|| pool.submit(pid, ()).result().unwrap() != first);
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.deaths, stats.workers[0].starts), (0, 0, 2));
    });
}

// ---- the bounded queue -------------------------------------------------------------------------------------

/// A pool of one worker, which is held, and with its queue full.
fn full(when_full: WhenFull) -> (ProcessPoolExecutor, Signals, Vec<concurrent_futures::Future<u64>>) {
    // With one task per child nothing is shipped behind the first: what waits, waits in the queue.
    let pool = builder(1).max_tasks_per_child(1).queue_capacity(2, when_full).build().unwrap();
    let signals = Signals::new();
    signals.hold(&pool, "held").detach();
    let waiting = (0..2).map(|n| pool.submit(square, n)).collect();
    assert_eq!(pool.stats().queued, 2);
    (pool, signals, waiting)
}

#[test]
fn a_full_queue_blocks_the_submitter() {
    limit(LIMIT, || {
        let blocked = |pool: &ProcessPoolExecutor, make_room: &dyn Fn()| {
            let (sender, about) = mpsc::channel();
            let submitted = Gate::new();
            std::thread::scope(|s| {
                let submitter = s.spawn(|| {
                    sender.send(this_thread()).unwrap();
                    let future = pool.submit(square, 9);
                    submitted.open();
                    future
                });
                // A submit that goes on would come to its gate, or to an end, before it sleeps.
                let submitter_is = about.recv().unwrap();
                eventually(|| sleeps(&submitter_is) || submitter.is_finished());
                assert!(!submitted.is_open(), "nobody made room yet");
                assert_eq!(pool.stats().queued, 2, "never more than the bound");
                make_room();
                submitter.join().unwrap()
            })
        };
        let (pool, signals, waiting) = full(WhenFull::Block);
        let late = blocked(&pool, &|| signals.release("held"));
        assert_eq!(late.result().unwrap(), 81);
        assert!(waiting.into_iter().all(|future| future.result().is_ok()));
        // A cancel makes room as well.
        let (pool, signals, waiting) = full(WhenFull::Block);
        let late = blocked(&pool, &|| assert!(waiting.last().unwrap().cancel()));
        assert!(!late.is_done());
        signals.release("held");
        assert_eq!(late.result().unwrap(), 81);
    });
}

#[test]
fn a_full_queue_rejects() {
    limit(LIMIT, || {
        let (pool, signals, waiting) = full(WhenFull::Reject);
        let refused = pool.submit(square, 9);
        assert!(refused.is_done());
        assert!(matches!(refused.result(), Err(TaskError::Rejected(Rejected::Full))));
        signals.release("held");
        assert!(waiting.into_iter().all(|future| future.result().is_ok()));
        assert_eq!(pool.submit(square, 9).result().unwrap(), 81);
    });
}

#[test]
fn a_full_queue_lets_the_caller_run_it() {
    limit(LIMIT, || {
        let (pool, signals, waiting) = full(WhenFull::CallerRuns);
        let here = pool.submit(pid, ());
        assert!(here.is_done());
        assert_eq!(here.result().unwrap(), std::process::id());
        let error = pool.submit(|()| -> () { panic!("in the parent") }, ()).result().unwrap_err();
        assert!(matches!(error, TaskError::Panicked(_)), "{error:?}");
        signals.release("held");
        assert!(waiting.into_iter().all(|future| future.result().is_ok()));
        assert_ne!(pool.submit(pid, ()).result().unwrap(), std::process::id());
    });
}

// ---- the initializer ---------------------------------------------------------------------------------------

static LOADED: AtomicU32 = AtomicU32::new(0);

#[test]
fn the_initializer_runs_in_each_worker_before_its_first_task() {
    limit(LIMIT, || {
        let load = |n: u32| assert_eq!(LOADED.swap(n, Ordering::SeqCst), 0, "once in each");
        let loaded = |()| LOADED.load(Ordering::SeqCst);
        let pool = builder(2).max_tasks_per_child(2).initializer(load, 7).build().unwrap();
        for _ in 0..6 {
            assert_eq!(pool.submit(loaded, ()).result().unwrap(), 7);
        }
        let load = |n: u32| -> Result<(), std::io::Error> {
            LOADED.store(n, Ordering::SeqCst);
            Ok(())
        };
        let pool = builder(1).try_initializer(load, 8).build().unwrap();
        assert_eq!(pool.submit(loaded, ()).result().unwrap(), 8);
        assert_eq!(LOADED.load(Ordering::SeqCst), 0, "not in the parent");
    });
}

#[test]
fn an_initializer_that_fails_breaks_the_pool_and_its_error_is_told_to_all() {
    limit(LIMIT, || {
        fn refuse(why: String) -> Result<(), std::io::Error> {
            Err(std::io::Error::other(why))
        }
        let pool = builder(2).try_initializer(refuse, "no licence".into()).build().unwrap();
        let mut errors: Vec<_> =
            (0..10).map(|n| pool.submit(square, n)).map(|future| future.result().unwrap_err()).collect();
        errors.push(pool.submit(square, 1).result().unwrap_err());
        errors.extend(pool.map(square, 0..2).map(Result::unwrap_err));
        for error in errors {
            let TaskError::Broken(broken) = &error else { panic!("{error:?}") };
            let cause = broken.cause().unwrap().downcast_ref::<TaskError>().unwrap();
            let TaskError::Failed(failed) = cause else { panic!("{cause:?}") };
            assert!(failed.type_name().contains("Error") && error.to_string().ends_with("no licence"));
        }
        pool.join();
        assert!(pids(&pool).is_empty());

        let pool = builder(1).initializer(|n: u32| panic!("no model {n}"), 3).build().unwrap();
        let error = pool.submit(square, 1).result().unwrap_err();
        let TaskError::Broken(broken) = &error else { panic!("{error:?}") };
        let Some(TaskError::Panicked(panic)) = broken.cause().unwrap().downcast_ref() else {
            panic!("{error:?}")
        };
        assert_eq!(Panicked::message(panic), "no model 3");
        assert!(panic.location().unwrap().contains("processes_options.rs"));
    });
}

#[test]
fn an_initializer_that_ends_its_process_breaks_the_pool_in_the_end() {
    limit(LIMIT, || {
        let pool = builder(1).initializer(|code| std::process::exit(code), 42).build().unwrap();
        let error = pool.submit(square, 1).result().unwrap_err();
        assert!(matches!(error, TaskError::Broken(_)), "{error:?}");
        assert!(error.to_string().contains("exit code 42"), "{error}");
        assert_eq!(pool.stats().workers[0].starts, 3);
    });
}

// ---- pools within pools --------------------------------------------------------------------------------------

/// Builds a pool at this one place in each process.
fn descend((left, recursive): (u32, bool)) -> Result<u32, String> {
    if left == 0 {
        return Ok(0);
    }
    let builder = builder(1);
    let builder = if recursive { builder.recursive() } else { builder };
    let pool = builder.build().map_err(|error| error.to_string())?;
    let below = pool.submit(descend, (left - 1, recursive)).result().map_err(|error| error.to_string())?;
    below.map(|depth| depth + 1)
}

#[test]
fn pools_nest_where_it_is_asked_for_and_not_without_end() {
    limit(LIMIT, || {
        assert_eq!(descend((1, false)), Ok(1));
        let advice = descend((2, false)).unwrap_err();
        assert!(advice.contains("processes_options.rs") && advice.contains("recursive()"), "{advice}");
        assert_eq!(descend((3, true)), Ok(3));
        let too_deep = descend((12, true)).unwrap_err();
        assert!(too_deep.contains("10 deep"), "{too_deep}");
    });
}

#[test]
fn a_task_may_build_another_pool() {
    limit(LIMIT, || {
        let sum = |n: u64| -> u64 {
            let pool = ProcessPoolExecutor::new(2);
            pool.map(square, 0..n).map(Result::unwrap).sum()
        };
        let pool = ProcessPoolExecutor::new(1);
        assert_eq!(pool.submit(sum, 10).result().unwrap(), 285);
    });
}

#[test]
fn a_static_pool_in_a_task_is_refused_with_advice() {
    limit(LIMIT, || {
        static POOL: std::sync::LazyLock<Result<ProcessPoolExecutor, BuildError>> =
            std::sync::LazyLock::new(|| builder(1).build());
        // In the worker the static is another one.
        let inside = |n: u64| -> Result<u64, String> {
            let pool = POOL.as_ref().map_err(ToString::to_string)?;
            pool.submit(square, n).result().map_err(|error| error.to_string())
        };
        let pool = POOL.as_ref().unwrap();
        let advice = pool.try_submit(inside, 2).result().unwrap_err();
        assert!(advice.to_string().contains("a task can't submit to the pool it is in"), "{advice}");
        pool.kill_workers();
        pool.join();
    });
}

// ---- what build refuses ----------------------------------------------------------------------------------------

/// Can't be encoded.
#[derive(Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("I stay here"))
    }
}

#[test]
fn build_refuses_what_cannot_be() {
    limit(LIMIT, || {
        assert!(matches!(builder(0).build(), Err(BuildError::NoWorkers)));
        assert!(matches!(builder(1).max_tasks_per_child(0).build(), Err(BuildError::NoTasks)));
        let no_room = builder(1).queue_capacity(0, WhenFull::Block).build();
        assert!(matches!(no_room, Err(BuildError::NoCapacity)));
        let error = builder(1).initializer(|_: Stubborn| (), Stubborn).build().unwrap_err();
        assert!(matches!(error, BuildError::Initializer(_)), "{error:?}");
        assert!(error.to_string().contains("I stay here"), "{error}");
        let panic = std::panic::catch_unwind(|| ProcessPoolExecutor::new(0)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert_eq!(*text, BuildError::NoWorkers.to_string());
    });
}

// ---- numbers ----------------------------------------------------------------------------------------------------

#[test]
fn the_numbers_add_up() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = builder(2).name_prefix("count").build().unwrap();
        let held = ["a", "b"].map(|name| signals.hold(&pool, name));
        let queued: Vec<_> = (0..20).map(|n| pool.submit(square, n)).collect();
        let fails = pool.try_submit(|()| Err::<(), _>("its own error"), ());
        assert!(queued[19].cancel() && queued[0].cancel());
        let stats = pool.stats();
        assert_eq!((stats.running, stats.cancelled, stats.finished), (2, 2, 0));
        assert_eq!(stats.queued + stats.dispatched, 19);
        assert_eq!(stats.submitted(), 23);
        assert_eq!(stats.workers.len(), 2);
        for (n, worker) in stats.workers.iter().enumerate() {
            assert_eq!((&*worker.name, worker.state), (&*format!("count_{n}"), WorkerState::Busy));
            assert!(worker.pid.is_some_and(exists) && worker.starts == 1 && worker.tasks_done == 0);
        }
        signals.release_all(&["a", "b"]);
        let pids: Vec<u32> = held.into_iter().map(|future| future.result().unwrap()).collect();
        assert_eq!(pids, stats.workers.iter().map(|worker| worker.pid.unwrap()).collect::<Vec<_>>());
        wait(&queued, ReturnWhen::AllCompleted);
        fails.wait();
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.dispatched, stats.running), (0, 0, 0));
        assert_eq!((stats.finished, stats.failed, stats.cancelled), (20, 1, 2));
        assert_eq!(stats.workers.iter().map(|worker| worker.tasks_done).sum::<u64>(), 21);
        assert!(stats.workers.iter().all(|worker| worker.busy > Duration::ZERO));
        pool.join();
        let stats = pool.stats();
        assert!(stats.workers.iter().all(|worker| (worker.state, worker.pid) == (WorkerState::Absent, None)));
        assert!(format!("{pool:?}").contains("max_workers: 2"));
    });
}
