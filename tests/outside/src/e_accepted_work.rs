//! Accepted work runs or resolves; what ends early says so as an error.

use crate::support::{Gate, SOON, soon};
use crate::{Instance, silent_ends};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Carrier, Future, FutureId, InlineExecutor, MapOptions, ProcessPoolExecutor, Registration, Rejected,
    Shutdown, State, Task, TaskError, TaskOptions, WhenFull, promise, wait_timeout,
};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "items_of_a_parted_task_run_though_the_pool_drains",
        &["elastic/elasticsearch#104580"],
        parted_while_draining,
    ),
    Instance::new("items_of_a_parted_task_run_though_the_pool_is_dropped", &[], parted_while_dropped),
    Instance::new("items_of_a_parted_task_run_though_the_pool_is_detached", &[], parted_while_detached),
    Instance::new("the_end_of_the_pool_waits_for_items_of_a_parted_task", &[], join_waits_for_parted),
    Instance::new("items_of_a_parted_task_are_let_into_a_full_queue_that_rejects", &[], || {
        parted_while_full(WhenFull::Reject);
    }),
    Instance::new("items_of_a_parted_task_are_let_into_a_full_queue_that_blocks", &[], || {
        parted_while_full(WhenFull::Block);
    }),
    Instance::new("items_of_a_parted_task_are_let_into_a_full_queue_whose_callers_run", &[], || {
        parted_while_full(WhenFull::CallerRuns);
    }),
    Instance::new("a_worker_that_parts_a_task_of_its_own_full_pool_goes_on", &[], parted_by_a_worker),
    Instance::new(
        "items_of_a_parted_task_are_cancelled_by_a_shutdown_that_cancels",
        &[],
        parted_while_cancelling,
    ),
    Instance::new(
        "a_map_on_a_pool_that_breaks_gives_its_error_for_what_did_not_run",
        &[],
        parted_while_broken,
    ),
    Instance::new(
        "chunks_and_unordered_maps_run_what_was_accepted_though_the_pool_drains",
        &["python/cpython#136578"],
        every_map_while_draining,
    ),
    Instance::new("each_task_given_to_any_executor_resolves", &[], each_task_resolves).panics_here(),
    Instance::new("a_started_task_given_to_a_pool_is_queued_anew", &[], started_is_queued),
    Instance::new("a_promise_inside_a_task_that_does_not_run_is_abandoned", &[], promises_inside_tasks),
    Instance::new("an_executor_that_says_it_has_no_workers_maps_everything", &[], no_workers),
    Instance::new(
        "an_iterator_that_lies_about_its_size_is_taken_as_it_is",
        &["unicode-rs/unicode-segmentation#181", "rust-itertools/itertools#1068"],
        lying_sizes,
    ),
    Instance::new("a_chunk_or_a_buffer_of_any_size_holds_what_there_is", &[], any_size),
    Instance::new("items_taken_before_the_input_panics_run", &[], panicking_input).panics_here(),
    Instance::new("an_input_that_goes_on_after_its_end_is_not_asked_again", &[], input_after_its_end),
    Instance::new("a_result_that_no_stack_is_left_for_is_an_error", &[], silent_ends::result),
    Instance::new("as_completed_yields_what_no_stack_is_left_for", &[], silent_ends::as_completed_yields_all),
    Instance::new(
        "an_unordered_map_yields_what_no_stack_is_left_for",
        &[],
        silent_ends::unordered_maps_yield_all,
    ),
    Instance::new(
        "an_ordered_map_yields_what_no_stack_is_left_for",
        &[],
        silent_ends::ordered_maps_yield_all,
    ),
    Instance::new("an_exception_that_no_stack_is_left_for_is_an_error", &[], silent_ends::exception_and_wait),
    Instance::new("a_wait_for_all_that_no_stack_is_left_for_ends", &[], silent_ends::wait_for_all),
    Instance::new(
        "a_wait_for_the_first_that_no_stack_is_left_for_ends",
        &[],
        silent_ends::wait_for_the_first,
    ),
    Instance::new(
        "a_wait_for_a_failure_that_no_stack_is_left_for_ends",
        &[],
        silent_ends::wait_for_a_failure,
    ),
    Instance::new("a_scope_that_no_stack_is_left_for_says_so", &[], silent_ends::scopes_say_so),
    Instance::new(
        "others_see_the_error_of_what_no_stack_is_left_for",
        &[],
        silent_ends::others_that_wait_see_it,
    ),
];

type Results = Box<dyn Iterator<Item = Result<usize, TaskError>> + Send>;

/// Enough that items share tasks long before the middle.
const ITEMS: usize = 10_000;
const MIDDLE: usize = ITEMS / 2;

/// A map whose items are all accepted when this returns and share tasks, at least from the middle on: the input holds
/// back its later items until earlier ones have run. `at` is called with each item, in the worker.
fn shared_map(pool: &ThreadPoolExecutor, at: impl Fn(usize) + Send + Sync + 'static) -> Results {
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let input = (0..ITEMS).inspect(move |&item| {
        // By far in the tasks that were submitted: a chunk is at most twice as large as the one before.
        if item <= MIDDLE && item % 500 == 0 {
            assert!(soon(|| ran.load(Ordering::Relaxed) >= item / 8), "the items in the air run");
        }
    });
    let f = move |item: usize| {
        at(item);
        runs.fetch_add(1, Ordering::Relaxed);
        item * 2
    };
    Box::new(pool.map_with(MapOptions::new().buffersize(ITEMS), f, input))
}

/// The item in the middle waits for the one behind it, which shares its task: that task is parted.
fn waits_for_the_next() -> impl Fn(usize) + Send + Sync + 'static {
    let gate = Gate::new();
    move |item| {
        if item == MIDDLE + 1 {
            gate.open();
        } else if item == MIDDLE {
            let _ = soon(|| gate.is_open());
        }
    }
}

fn expect_all(results: Results) {
    let results: Vec<_> = results.collect();
    assert_eq!(results.len(), ITEMS);
    let lost = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(lost, 0, "accepted items were lost: {:?}", results.iter().find(|result| result.is_err()));
    assert!(
        results.into_iter().enumerate().all(|(item, result)| result.is_ok_and(|value| value == item * 2))
    );
}

fn parted_while_draining() {
    let pool = ThreadPoolExecutor::new(2);
    let map = shared_map(&pool, waits_for_the_next());
    pool.shutdown(Shutdown::Drain);
    expect_all(map);
}

fn parted_while_dropped() {
    let pool = ThreadPoolExecutor::new(2);
    let map = shared_map(&pool, waits_for_the_next());
    let dropper = std::thread::spawn(move || drop(pool));
    expect_all(map);
    dropper.join().unwrap();
}

fn parted_while_detached() {
    let pool = ThreadPoolExecutor::new(2);
    let map = shared_map(&pool, waits_for_the_next());
    pool.detach();
    expect_all(map);
}

fn join_waits_for_parted() {
    let pool = ThreadPoolExecutor::new(2);
    let ran = Arc::new(AtomicUsize::new(0));
    let (runs, waits) = (ran.clone(), waits_for_the_next());
    let map = shared_map(&pool, move |item| {
        waits(item);
        runs.fetch_add(1, Ordering::Relaxed);
    });
    let consumer = std::thread::spawn(move || expect_all(map));
    drop(pool);
    assert_eq!(ran.load(Ordering::Relaxed), ITEMS, "the pool ended before all that it accepted had run");
    consumer.join().unwrap();
}

/// A bounded pool of one worker, held by the item in the middle, whose queue is then filled to its last place.
fn full_pool(when_full: WhenFull) -> (Arc<ThreadPoolExecutor>, Gate, Results) {
    let pool =
        ThreadPoolExecutor::builder().max_workers(1).queue_capacity(2 * ITEMS, when_full).build().unwrap();
    let (gate, holds) = (Gate::new(), Gate::new());
    let (goes_on, held) = (gate.clone(), holds.clone());
    let map = shared_map(&pool, move |item| {
        if item == MIDDLE {
            held.open();
            goes_on.wait();
        }
    });
    holds.wait();
    while pool.stats().queued < 2 * ITEMS {
        pool.spawn(|| ()).detach();
    }
    (Arc::new(pool), gate, map)
}

fn parted_while_full(when_full: WhenFull) {
    let (pool, gate, map) = full_pool(when_full);
    let watched = pool.clone();
    let watcher = std::thread::spawn(move || {
        let over = soon(|| watched.stats().queued > 2 * ITEMS);
        gate.open();
        assert!(over, "the items were not let in");
    });
    expect_all(map);
    watcher.join().unwrap();
}

/// The map is consumed by a task of the pool itself, which then waits in one of its own workers.
fn parted_by_a_worker() {
    for when_full in [WhenFull::Reject, WhenFull::Block, WhenFull::CallerRuns] {
        let pool = ThreadPoolExecutor::builder().max_workers(3).queue_capacity(2 * ITEMS, when_full);
        let pool = Arc::new(pool.build().unwrap());
        let inner = pool.clone();
        let consumer = pool.spawn(move || {
            let map = shared_map(&inner, waits_for_the_next());
            inner.shutdown(Shutdown::Drain);
            expect_all(map);
        });
        consumer.result_timeout(2 * SOON).expect("it ends").unwrap();
    }
}

fn parted_while_cancelling() {
    /// Counted when it goes.
    struct Item(usize, Arc<AtomicUsize>);
    impl Drop for Item {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let pool = ThreadPoolExecutor::new(1);
    let (dropped, held, gate) = (Arc::new(AtomicUsize::new(0)), Gate::new(), Gate::new());
    let (holds, goes_on, drops) = (held.clone(), gate.clone(), dropped.clone());
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let input = (0..ITEMS).map(move |item| {
        if item <= MIDDLE && item % 500 == 0 {
            assert!(soon(|| ran.load(Ordering::Relaxed) >= item / 8));
        }
        Item(item, drops.clone())
    });
    let f = move |item: Item| {
        if item.0 == MIDDLE {
            holds.open();
            goes_on.wait();
        }
        runs.fetch_add(1, Ordering::Relaxed);
        item.0
    };
    let map = pool.map_with(MapOptions::new().buffersize(ITEMS), f, input);
    held.wait();
    pool.shutdown(Shutdown::CancelQueued);
    let watcher = std::thread::spawn(move || {
        // All but the one that runs: what was queued, and what waited behind it in its own task.
        let all = soon(|| dropped.load(Ordering::SeqCst) >= ITEMS - 1);
        gate.open();
        assert!(all, "an item outlived its cancellation: {} are gone", dropped.load(Ordering::SeqCst));
    });
    let results: Vec<_> = map.collect();
    assert_eq!(results.len(), ITEMS);
    for (item, result) in results.into_iter().enumerate() {
        match result {
            Ok(value) => assert!(value == item && item <= MIDDLE),
            Err(error) => assert!(matches!(error, TaskError::Cancelled) && item > MIDDLE, "{item}: {error}"),
        }
    }
    watcher.join().unwrap();
}

fn parted_while_broken() {
    let (started, breaks) = (Arc::new(AtomicUsize::new(0)), Gate::new());
    let may_break = breaks.clone();
    // The first worker starts; the second fails, once it may.
    let initializer = move || {
        if started.fetch_add(1, Ordering::SeqCst) == 0 {
            return Ok(());
        }
        may_break.wait();
        Err("the second worker fails".into())
    };
    let pool = ThreadPoolExecutor::builder().max_workers(2).try_initializer(initializer).build().unwrap();
    let (held, gate) = (Gate::new(), Gate::new());
    let (holds, goes_on) = (held.clone(), gate.clone());
    let map = shared_map(&pool, move |item| {
        if item == MIDDLE {
            holds.open();
            goes_on.wait();
        }
    });
    held.wait();
    breaks.open();
    assert!(soon(|| matches!(pool.spawn(|| ()).result(), Err(TaskError::Broken(_)))));
    // Parted or not when the gate opens: every item resolves.
    let opener = std::thread::spawn(move || gate.open());
    let results: Vec<_> = map.collect();
    opener.join().unwrap();
    assert_eq!(results.len(), ITEMS);
    for result in &results[..=MIDDLE] {
        assert!(result.is_ok(), "{result:?}");
    }
    for result in &results[MIDDLE..] {
        assert!(matches!(result, Ok(_) | Err(TaskError::Broken(_))), "{result:?}");
    }
    assert!(results[ITEMS - 1].is_err());
}

fn double(n: usize) -> usize {
    n * 2
}

fn every_map_while_draining() {
    let options = [
        MapOptions::new(),
        MapOptions::new().chunksize(7),
        MapOptions::new().buffersize(100),
        MapOptions::new().chunksize(7).buffersize(100).unordered(),
        MapOptions::new().unordered(),
        MapOptions::new().chunksize(1000).buffersize(1000),
    ];
    let executors: [fn() -> Box<dyn Executor>; 3] = [
        || Box::new(ThreadPoolExecutor::new(2)),
        || Box::new(InlineExecutor::new()),
        || Box::new(ProcessPoolExecutor::new(1)),
    ];
    for options in options {
        for make in executors {
            let executor = make();
            // What the buffer can hold is in the air when the executor closes.
            let mut map = executor.map_with(options.clone(), double, 0..100);
            let (_, in_air) = (map.next(), map.size_hint());
            executor.shutdown(Shutdown::Drain);
            let results: Vec<_> = map.collect();
            assert_eq!(results.len(), 99, "{in_air:?}");
            let done = results.iter().filter(|result| result.is_ok()).count();
            let refused = |result: &&Result<usize, TaskError>| {
                matches!(result, Err(TaskError::Rejected(Rejected::ShutDown)))
            };
            assert_eq!(done + results.iter().filter(refused).count(), 99, "{results:?}");
        }
    }
}

// ---- every way a task can be, given to every executor ----------------------------------------------------

/// Says no, or more, when it is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Argument {
    Plain,
    Refuses,
    Panics,
}

impl Serialize for Argument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Argument::Plain => serializer.serialize_unit_variant("Argument", 0, "Plain"),
            Argument::Refuses => Err(serde::ser::Error::custom("it can't be written down")),
            Argument::Panics => panic!("it panics when it is written down"),
        }
    }
}

fn answer(_: Argument) -> u32 {
    42
}

/// What may be done to a task before an executor gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Start,
    /// To a carrier that never gives a task back.
    Dispatch,
    Encode,
    EncodeOnce,
    Cancel,
    Kill,
    Wait,
    Callback,
    OnKill,
    Label,
    TimeLimit,
}

use Before::{Callback, Cancel, Dispatch, Encode, EncodeOnce, Kill, Label, OnKill, Start, TimeLimit, Wait};

const WAYS: &[&[Before]] = &[
    &[],
    &[Start],
    &[Start, Start],
    &[Encode],
    &[Encode, Encode],
    &[Encode, Start],
    &[Start, Encode],
    &[Start, Encode, Start, Encode],
    &[Cancel],
    &[Cancel, Encode],
    &[Encode, Cancel],
    &[Cancel, Start],
    // Comes too late.
    &[Start, Cancel],
    &[Encode, Start, Cancel],
    &[Kill],
    &[OnKill],
    &[OnKill, Start],
    &[OnKill, Start, Kill],
    &[Wait],
    &[Start, Wait],
    &[Callback],
    &[Callback, Start],
    &[Callback, Cancel],
    &[Label, Start],
    &[TimeLimit],
    &[TimeLimit, Start],
    &[TimeLimit, Cancel],
    &[Dispatch],
    &[Dispatch, Dispatch],
    &[Dispatch, Start],
    &[Start, Dispatch],
    &[Encode, Dispatch],
    &[Dispatch, Encode],
    &[Cancel, Dispatch],
    // Comes too late.
    &[Dispatch, Cancel],
    &[Dispatch, Kill],
    &[Dispatch, Wait],
    &[EncodeOnce],
    &[EncodeOnce, EncodeOnce],
    &[EncodeOnce, Encode],
    &[EncodeOnce, Dispatch],
    &[EncodeOnce, Cancel],
    &[EncodeOnce, Start],
];

struct NeverGivesBack;

impl Carrier for NeverGivesBack {
    fn take_back(&self, _: FutureId) -> Option<Task> {
        None
    }
}

fn registration() -> &'static Registration {
    static CARRIER: LazyLock<(Arc<NeverGivesBack>, Registration)> = LazyLock::new(|| {
        let carrier = Arc::new(NeverGivesBack);
        let registration = Registration::new(Arc::downgrade(&carrier));
        (carrier, registration)
    });
    &CARRIER.1
}

/// What kind of executor it is, which decides what becomes of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Threads,
    Processes,
    /// Is closed.
    ShutDown,
    /// Is closed, and takes portable tasks only.
    ProcessesShutDown,
    Broken,
    /// Its queue is full, and it rejects.
    Full,
}

struct Target {
    name: &'static str,
    kind: Kind,
    executor: Box<dyn Executor>,
    /// What keeps it full.
    held: Option<Gate>,
}

/// A pool of one worker that is held, with one place in its queue, which is taken.
fn full(when_full: WhenFull) -> (ThreadPoolExecutor, Gate) {
    let pool = ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, when_full).build().unwrap();
    let (gate, held) = (Gate::new(), Gate::new());
    let (goes_on, holds) = (gate.clone(), held.clone());
    pool.spawn(move || {
        holds.open();
        goes_on.wait();
    })
    .detach();
    held.wait();
    pool.spawn(|| ()).detach();
    (pool, gate)
}

fn bounded(when_full: WhenFull) -> Box<dyn Executor> {
    let pool = ThreadPoolExecutor::builder().max_workers(2).queue_capacity(1000, when_full);
    Box::new(pool.build().unwrap())
}

fn bounded_processes(when_full: WhenFull) -> Box<dyn Executor> {
    let pool = ProcessPoolExecutor::builder().max_workers(1).queue_capacity(1000, when_full);
    Box::new(pool.build().unwrap())
}

fn fails_to_start((): ()) -> Result<(), String> {
    Err("no".into())
}

fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |name, kind, executor: Box<dyn Executor>| {
        targets.push(Target { name, kind, executor, held: None });
    };
    add("threads", Kind::Threads, Box::new(ThreadPoolExecutor::new(1)));
    add("bounded, blocks", Kind::Threads, bounded(WhenFull::Block));
    add("bounded, rejects", Kind::Threads, bounded(WhenFull::Reject));
    add("bounded, caller runs", Kind::Threads, bounded(WhenFull::CallerRuns));
    add("inline", Kind::Threads, Box::new(InlineExecutor::new()));
    let boxed: Box<dyn Executor> = Box::new(ThreadPoolExecutor::new(1));
    add("a box of a box", Kind::Threads, Box::new(boxed));
    let shared: Arc<dyn Executor> = Arc::new(ThreadPoolExecutor::new(1));
    add("an arc", Kind::Threads, Box::new(shared));
    add("processes", Kind::Processes, Box::new(ProcessPoolExecutor::new(1)));
    add("processes, blocks", Kind::Processes, bounded_processes(WhenFull::Block));
    add("processes, rejects", Kind::Processes, bounded_processes(WhenFull::Reject));
    add("processes, caller runs", Kind::Processes, bounded_processes(WhenFull::CallerRuns));
    let arc_of_processes: Arc<dyn Executor> = Arc::new(ProcessPoolExecutor::new(1));
    add("an arc of processes", Kind::Processes, Box::new(arc_of_processes));
    for mode in [Shutdown::Drain, Shutdown::CancelQueued] {
        let closed: [(_, _, Box<dyn Executor>); 4] = [
            ("threads, shut down", Kind::ShutDown, Box::new(ThreadPoolExecutor::new(1))),
            ("bounded, shut down", Kind::ShutDown, bounded(WhenFull::Block)),
            ("inline, shut down", Kind::ShutDown, Box::new(InlineExecutor::new())),
            ("processes, shut down", Kind::ProcessesShutDown, Box::new(ProcessPoolExecutor::new(1))),
        ];
        for (name, kind, executor) in closed {
            executor.shutdown(mode);
            add(name, kind, executor);
        }
    }
    let broken =
        ThreadPoolExecutor::builder().max_workers(1).try_initializer(|| Err("no".into())).build().unwrap();
    assert!(matches!(broken.spawn(|| ()).result(), Err(TaskError::Broken(_))));
    add("threads, broken", Kind::Broken, Box::new(broken));
    let broken =
        ProcessPoolExecutor::builder().max_workers(1).try_initializer(fails_to_start, ()).build().unwrap();
    assert!(matches!(broken.submit(answer, Argument::Plain).result(), Err(TaskError::Broken(_))));
    add("processes, broken", Kind::Broken, Box::new(broken));
    for (name, kind, when_full) in [
        ("full, rejects", Kind::Full, WhenFull::Reject),
        ("full, caller runs", Kind::Threads, WhenFull::CallerRuns),
    ] {
        let (pool, gate) = full(when_full);
        targets.push(Target { name, kind, executor: Box::new(pool), held: Some(gate) });
    }
    targets
}

fn prepare(mut task: Task, future: &Future<u32>, way: &[Before]) -> Task {
    for step in way {
        match step {
            Start => drop(task.start()),
            Dispatch => drop(task.dispatch(registration())),
            Encode => drop(task.encode()),
            EncodeOnce => drop(task.encode_once()),
            Cancel => drop(future.cancel()),
            Kill => drop(future.kill()),
            Wait => assert!(!future.wait_timeout(Duration::from_millis(1))),
            Callback => future.add_done_callback(|_| ()),
            OnKill => task.on_kill(|| false),
            Label => task = task.with_options(TaskOptions::new().label("labelled")),
            TimeLimit => task = task.with_options(TaskOptions::new().timeout(2 * SOON)),
        }
    }
    task
}

/// Whether that is how a task ends that came this way to an executor of this kind.
fn is_right(kind: Kind, way: &[Before], argument: Option<Argument>, end: &Result<u32, TaskError>) -> bool {
    let begun = way.iter().position(|step| matches!(step, Start | Dispatch));
    let cancelled = way.iter().position(|step| matches!(step, Cancel | Kill));
    let is_cancelled = cancelled.is_some_and(|cancelled| begun.is_none_or(|begun| cancelled < begun));
    if is_cancelled {
        return matches!(end, Err(TaskError::Cancelled));
    }
    let portable = argument.is_some();
    match kind {
        Kind::Processes | Kind::ProcessesShutDown if !portable => {
            matches!(end, Err(TaskError::Rejected(Rejected::NotPortable)))
        }
        Kind::ShutDown | Kind::ProcessesShutDown => {
            matches!(end, Err(TaskError::Rejected(Rejected::ShutDown)))
        }
        Kind::Broken => {
            matches!(end, Err(TaskError::Broken(_)))
                || (!portable && matches!(end, Err(TaskError::Rejected(Rejected::NotPortable))))
        }
        Kind::Threads | Kind::Processes if portable && way.contains(&EncodeOnce) => {
            matches!(end, Err(TaskError::Rejected(Rejected::Encoded)))
        }
        Kind::Processes if argument != Some(Argument::Plain) => matches!(end, Err(TaskError::Codec(_))),
        Kind::Threads | Kind::Full if way.contains(&TimeLimit) => {
            matches!(end, Err(TaskError::Rejected(Rejected::Unsupported(_))))
        }
        Kind::Full => matches!(end, Err(TaskError::Rejected(Rejected::Full))),
        Kind::Threads | Kind::Processes => matches!(end, Ok(42)),
    }
}

fn each_task_resolves() {
    // Also what is refused for its options where the executor is closed or broken first: either reason is right.
    let unsupported = |way: &[Before], end: &Result<u32, TaskError>| {
        way.contains(&TimeLimit) && matches!(end, Err(TaskError::Rejected(Rejected::Unsupported(_))))
    };
    let arguments = [Some(Argument::Plain), None, Some(Argument::Refuses), Some(Argument::Panics)];
    let mut wrong = Vec::new();
    for target in targets() {
        for argument in arguments {
            for way in WAYS {
                // With panic=abort the panic of an argument ends the program, as its user chose; once is enough.
                if argument == Some(Argument::Panics) && cfg!(panic = "abort") {
                    continue;
                }
                let (task, future) = match argument {
                    Some(argument) => Task::new(answer, argument),
                    None => Task::local(|| 42),
                };
                let task = prepare(task, &future, way);
                target.executor.execute(task);
                let end = match future.result_timeout(Duration::from_secs(5)) {
                    Ok(end) => end,
                    Err(_) => {
                        wrong.push(format!("{}, {argument:?}, {way:?}: never resolves", target.name));
                        // What hangs once hangs always: go on with the next executor.
                        break;
                    }
                };
                if !is_right(target.kind, way, argument, &end) && !unsupported(way, &end) {
                    wrong.push(format!("{}, {argument:?}, {way:?}: {end:?}", target.name));
                }
            }
        }
        if let Some(gate) = &target.held {
            gate.open();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn started_is_queued() {
    let (held, gate) = (Gate::new(), Gate::new());
    let pool = ThreadPoolExecutor::new(1);
    let (holds, goes_on) = (held.clone(), gate.clone());
    pool.spawn(move || {
        holds.open();
        goes_on.wait();
    })
    .detach();
    held.wait();
    let started = || {
        let (task, future) = Task::new(answer, Argument::Plain);
        assert!(task.start() && !future.cancel() && future.state() == State::Running);
        pool.execute(task);
        future
    };
    // It waits for its turn again, and so it can be cancelled, or be cancelled with the queue.
    let (runs, cancelled, closed) = (started(), started(), started());
    assert_eq!((runs.state(), pool.stats().queued), (State::Queued, 3));
    assert!(cancelled.cancel());
    assert_eq!((pool.stats().queued, pool.stats().cancelled), (2, 1));
    // A wait in a task of the pool runs it in place, as any that is queued there.
    gate.open();
    assert_eq!(runs.result().unwrap(), 42);
    assert_eq!(closed.result().unwrap(), 42);
    let (nested, future) = Task::new(answer, Argument::Plain);
    let pool = Arc::new(pool);
    let inner = pool.clone();
    let waits = pool.spawn(move || {
        assert!(nested.start());
        inner.execute(nested);
        future.result()
    });
    assert_eq!(waits.result_timeout(SOON).expect("it ends").unwrap().unwrap(), 42);
    // With a shutdown that cancels.
    let gate = Gate::new();
    let goes_on = gate.clone();
    let running = pool.spawn(move || goes_on.wait());
    assert!(soon(|| running.is_running()));
    let (task, future) = Task::new(answer, Argument::Plain);
    assert!(task.start());
    pool.execute(task);
    pool.shutdown(Shutdown::CancelQueued);
    assert!(matches!(future.result_timeout(SOON).expect("it ends"), Err(TaskError::Cancelled)));
    gate.open();
    running.result().unwrap();
}

/// A promise goes with the closure that holds it, whatever becomes of that.
fn promises_inside_tasks() {
    let gone = |executor: &dyn Executor, start: bool, cancel: bool, expected: &str| {
        let (promise, future) = promise::<u32>();
        let (task, outer) = Task::local(move || promise.set_result(1));
        if start {
            assert!(task.start());
        }
        if cancel {
            outer.cancel();
        }
        executor.execute(task);
        let end = future.result_timeout(SOON).expect(expected);
        assert!(matches!(end, Err(TaskError::Abandoned)), "{expected}: {end:?}");
        assert!(outer.result_timeout(SOON).expect(expected).is_err());
    };
    let closed = ThreadPoolExecutor::new(1);
    closed.shutdown(Shutdown::Drain);
    let inline = InlineExecutor::new();
    inline.shutdown(Shutdown::Drain);
    let processes = ProcessPoolExecutor::new(1);
    let (full, gate) = full(WhenFull::Reject);
    for start in [false, true] {
        gone(&closed, start, false, "refused by a closed pool");
        gone(&inline, start, false, "refused by a closed inline executor");
        gone(&processes, start, false, "not portable");
        gone(&full, start, false, "refused by a full queue");
    }
    gone(&ThreadPoolExecutor::new(1), false, true, "cancelled");
    gate.open();
    // And a task inside of a task.
    let (inner, future) = Task::local(|| 1);
    assert!(inner.start());
    let (outer, refused) = Task::local(move || inner.run());
    closed.execute(outer);
    assert!(refused.result().is_err());
    assert!(matches!(future.result_timeout(SOON).expect("it is dropped"), Err(TaskError::Abandoned)));
}

// ---- numbers and iterators ---------------------------------------------------------------------------------

struct NoWorkers;

impl Executor for NoWorkers {
    fn execute(&self, task: Task) {
        task.run();
    }

    fn max_workers(&self) -> Option<usize> {
        Some(0)
    }
}

fn no_workers() {
    let executors: [Box<dyn Executor>; 2] =
        [Box::new(NoWorkers), Box::new(Arc::new(NoWorkers) as Arc<dyn Executor>)];
    for executor in executors {
        for options in [
            MapOptions::new(),
            MapOptions::new().unordered(),
            MapOptions::new().chunksize(3),
            MapOptions::new().chunksize(usize::MAX),
        ] {
            let results: Result<Vec<_>, _> = executor.map_with(options, double, 0..10).collect();
            assert_eq!(results.unwrap().len(), 10);
        }
    }
}

/// Three items, and whatever else it says.
#[derive(Clone)]
struct Lies(std::ops::Range<usize>, (usize, Option<usize>));

impl Iterator for Lies {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

fn lying_sizes() {
    let hints = [
        (usize::MAX, None),
        (usize::MAX, Some(usize::MAX)),
        (usize::MAX / 2, Some(1)),
        (1 << 40, None),
        (isize::MAX as usize, Some(0)),
        (0, Some(0)),
        (7, Some(2)),
    ];
    for hint in hints {
        let input = || Lies(0..3, hint);
        let expected = [0, 2, 4];
        let pool = ThreadPoolExecutor::new(2);
        let executors: [Box<dyn Executor>; 3] =
            [Box::new(InlineExecutor::new()), Box::new(ThreadPoolExecutor::new(1)), Box::new(NoWorkers)];
        let all = |map: &mut dyn Iterator<Item = Result<usize, TaskError>>| {
            let mut values = Vec::new();
            map.for_each(|value| values.push(value.unwrap()));
            values.sort_unstable();
            assert_eq!(values, expected, "{hint:?}");
        };
        all(&mut pool.map(double, input()));
        all(&mut pool.try_map(|n| Ok::<_, String>(double(n)), input()));
        pool.scope(|scope| all(&mut scope.map(double, input())));
        for executor in &executors {
            all(&mut executor.map(double, input()));
        }
        for size in [1, 2, 1 << 30, usize::MAX] {
            for options in [
                MapOptions::new().chunksize(size),
                MapOptions::new().buffersize(size),
                MapOptions::new().buffersize(size).unordered(),
                MapOptions::new().chunksize(size).buffersize(size),
                MapOptions::new().chunksize(size).unordered(),
            ] {
                all(&mut pool.map_with(options.clone(), double, input()));
                for executor in &executors {
                    all(&mut executor.map_with(options.clone(), double, input()));
                }
            }
        }
        // Futures, by an iterator that lies of their number.
        let futures = || input().map(|n| pool.submit(double, n));
        assert_eq!(wait(futures(), ReturnWhen::AllCompleted).done.len(), 3, "{hint:?}");
        assert_eq!(wait_timeout(futures(), ReturnWhen::AllCompleted, SOON).done.len(), 3, "{hint:?}");
        let mut ready = as_completed(futures());
        ready.extend(futures());
        assert_eq!(ready.map(|future| future.result().unwrap()).sum::<usize>(), 12, "{hint:?}");
    }
}

fn any_size() {
    let sizes = [1, 99, 100, 101, 1 << 20, 1 << 40, usize::MAX / 2, usize::MAX - 1, usize::MAX];
    let pool = ThreadPoolExecutor::new(2);
    let processes = ProcessPoolExecutor::new(1);
    for chunksize in sizes {
        for buffersize in sizes {
            for options in [
                MapOptions::new().chunksize(chunksize).buffersize(buffersize),
                MapOptions::new().chunksize(chunksize).buffersize(buffersize).unordered(),
            ] {
                let sum = |map: &mut dyn Iterator<Item = Result<usize, TaskError>>| {
                    assert_eq!(map.map(Result::unwrap).sum::<usize>(), 9900, "{options:?}");
                };
                sum(&mut pool.map_with(options.clone(), double, 0..100));
                if chunksize > 1 {
                    sum(&mut processes.map_with(options.clone(), double, 0..100));
                }
            }
        }
    }
}

/// Panics in the place of one item, and goes on with the next.
fn panics_at(item: usize, end: usize) -> impl Iterator<Item = usize> {
    let mut panicked = false;
    let mut next = 0..end;
    std::iter::from_fn(move || {
        if next.start == item && !std::mem::replace(&mut panicked, true) {
            panic!("the input panics");
        }
        next.next()
    })
}

fn panicking_input() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    fn counts(n: usize) -> usize {
        RAN.fetch_add(1, Ordering::SeqCst);
        n
    }
    for options in [
        MapOptions::new().buffersize(5),
        MapOptions::new().chunksize(10),
        MapOptions::new().chunksize(10).unordered(),
        MapOptions::new().chunksize(3).buffersize(6),
        MapOptions::new().chunksize(3).buffersize(6).unordered(),
        MapOptions::new().chunksize(usize::MAX),
    ] {
        // In the middle of a chunk, when results have been taken already, as far as the options let the map come.
        RAN.store(0, Ordering::SeqCst);
        let executor = InlineExecutor::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut map = executor.map_with(options.clone(), counts, panics_at(7, 20));
            let mut taken = Vec::new();
            while taken.len() < 20 {
                match catch_unwind(AssertUnwindSafe(|| map.next())) {
                    Ok(Some(item)) => taken.push(item.unwrap()),
                    Ok(None) => break,
                    Err(_) => continue,
                }
            }
            taken.sort_unstable();
            assert_eq!(taken, (0..20).collect::<Vec<_>>(), "{options:?}");
        }));
        // Where the call itself panics there is no map, and what had not begun is cancelled as by its drop.
        let ran = RAN.load(Ordering::SeqCst);
        match outcome {
            Ok(()) => assert_eq!(ran, 20),
            Err(panic) => {
                assert_eq!(panic.downcast_ref::<&str>().copied(), Some("the input panics"), "{options:?}");
                assert!(ran <= 7, "{options:?}: {ran}");
            }
        }
    }
    // Of a pool, with items that share tasks.
    let pool = ThreadPoolExecutor::new(2);
    let mut map = pool.map_with(MapOptions::new().buffersize(100), double, panics_at(5000, ITEMS));
    let mut sum = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| map.next())) {
            Ok(Some(item)) => sum += item.unwrap(),
            Ok(None) => break,
            Err(_) => continue,
        }
    }
    assert_eq!(sum, ITEMS * (ITEMS - 1));
    // An eager map: what was submitted runs.
    RAN.store(0, Ordering::SeqCst);
    let pool = ThreadPoolExecutor::new(2);
    let outcome = catch_unwind(AssertUnwindSafe(|| pool.map(counts, panics_at(7, 20)).count()));
    assert!(outcome.is_err());
    pool.join();
    assert_eq!(RAN.load(Ordering::SeqCst), 7);
    // A collection: nothing is lost that was put in.
    let mut ready = as_completed(std::iter::empty());
    let futures = panics_at(3, 5).map(|n| Future::ready(Ok(n)));
    assert!(catch_unwind(AssertUnwindSafe(|| ready.extend(futures))).is_err());
    assert_eq!(ready.count(), 3);
}

fn input_after_its_end() {
    let executors: [Box<dyn Executor>; 2] =
        [Box::new(ThreadPoolExecutor::new(2)), Box::new(InlineExecutor::new())];
    for executor in executors {
        for options in [
            MapOptions::new().buffersize(1),
            MapOptions::new(),
            MapOptions::new().chunksize(10),
            MapOptions::new().unordered(),
        ] {
            let mut asked = 0;
            // None at each third question.
            let input = std::iter::from_fn(move || {
                asked += 1;
                (asked % 3 != 0).then_some(asked)
            });
            let mut map = executor.map_with(options, double, input);
            assert_eq!(map.by_ref().map(Result::unwrap).sum::<usize>(), 6);
            assert!(map.next().is_none() && map.next().is_none());
        }
    }
}
