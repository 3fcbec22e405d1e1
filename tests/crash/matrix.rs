//! Every fault at every stage of a worker's life: what the future gets to know, and that nobody else is hurt.

use crate::faults::Fault;
use crate::house::{self, NAME, alone, state_of_task_thread};
use crate::stages::{self, Argument, Hold, OnArrival, Plan, Stage};
use crate::support::eventually;
use concurrent_futures::prelude::*;
use concurrent_futures::{
    BuildError, Future, ProcessPoolBuilder, ProcessPoolStats, Shutdown, Stage as At, TaskError, TaskOptions,
    WorkerOutput, WorkerState,
};
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// What comes of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    /// Whoever faulted has its result, and so has everybody else. A worker may have been replaced.
    Nothing,
    /// The task died by this signal.
    Signal(i32),
    /// The task's worker exited with this code.
    Code(i32),
    /// The worker could not go on, or was killed for what it said: which comes first is a race.
    Lost,
    Panicked,
    Codec(At),
    TimedOut,
    /// The pool is broken, with a reason that contains this.
    Broken(&'static str),
    /// The pool is not built.
    Refused,
    /// The whole result, or an error that says what came in place of it.
    Garbled,
}

use Expect::{Broken, Code, Codec, Garbled, Lost, Nothing, Panicked, Refused, Signal, TimedOut};

/// A cell is a test, or has its reason why it can't be one. A line with a dash is one that makes no sense.
macro_rules! cells {
    ($($module:ident: $stage:ident { $($cells:tt)* })*) => {
        $(mod $module {
            use super::*;
            cells!(@tests $stage $($cells)*);
        })*

        /// Every cell, and why it is none.
        #[expect(clippy::vec_init_then_push, reason = "a macro writes the lines one by one")]
        fn table() -> Vec<(Stage, Fault, Option<&'static str>)> {
            let mut table = Vec::new();
            $(cells!(@rows table $stage $($cells)*);)*
            table
        }
    };
    (@tests $stage:ident) => {};
    (@tests $stage:ident $name:ident $fault:ident => $expect:expr; $($rest:tt)*) => {
        #[test]
        fn $name() {
            alone(LIMIT, || play(Stage::$stage, Fault::$fault, $expect));
        }
        cells!(@tests $stage $($rest)*);
    };
    (@tests $stage:ident - $fault:ident => $reason:literal; $($rest:tt)*) => {
        cells!(@tests $stage $($rest)*);
    };
    (@rows $table:ident $stage:ident) => {};
    (@rows $table:ident $stage:ident $name:ident $fault:ident => $expect:expr; $($rest:tt)*) => {
        $table.push((Stage::$stage, Fault::$fault, None));
        cells!(@rows $table $stage $($rest)*);
    };
    (@rows $table:ident $stage:ident - $fault:ident => $reason:literal; $($rest:tt)*) => {
        $table.push((Stage::$stage, Fault::$fault, Some($reason)));
        cells!(@rows $table $stage $($rest)*);
    };
}

/// For one cell: the slowest wait out a time limit of the pool's own.
const LIMIT: Duration = Duration::from_secs(40);

cells! {
    // Before the worker's first word. A start that fails is tried again.
    starting: Starting {
        sigkill Sigkill => Nothing;
        sigsegv Sigsegv => Nothing;
        stack_overflow StackOverflow => Nothing;
        exit_0 Exit0 => Nothing;
        abort Abort => Nothing;
        // A constructor can't unwind: an abort.
        panic Panic => Nothing;
        panic_bomb PanicBomb => Nothing;
        - EncodeError => "a worker encodes nothing before it has a task";
        - DecodeError => "a worker decodes nothing of the user's before its initializer";
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Nothing;
        - GarbageToPage => "it gets the page when it has said hello";
        stops Stops => Nothing;
        - EatsMemory => "it learns its limit when it has said hello";
    }
    // The first one only: a start that fails is tried again. What it says itself breaks the pool.
    initializer: Initializer {
        sigkill Sigkill => Nothing;
        sigsegv Sigsegv => Nothing;
        stack_overflow StackOverflow => Nothing;
        exit_0 Exit0 => Nothing;
        abort Abort => Nothing;
        panic Panic => Broken("a panic");
        panic_bomb PanicBomb => Broken("panicked");
        encode_error EncodeError => Refused;
        decode_error DecodeError => Broken("it can't be decoded");
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Nothing;
        garbage_to_page GarbageToPage => Nothing;
        stops Stops => Nothing;
        eats_memory EatsMemory => Nothing;
    }
    decoding: Decoding {
        sigkill Sigkill => Signal(libc::SIGKILL);
        sigsegv Sigsegv => Signal(libc::SIGSEGV);
        stack_overflow StackOverflow => Signal(libc::SIGSEGV);
        exit_0 Exit0 => Code(0);
        abort Abort => Signal(libc::SIGABRT);
        panic Panic => Codec(At::DecodeArgument);
        panic_bomb PanicBomb => Codec(At::DecodeArgument);
        // An argument is encoded at submit, before there is a worker.
        encode_error EncodeError => Codec(At::EncodeArgument);
        decode_error DecodeError => Codec(At::DecodeArgument);
        // A small result needs no socket.
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Signal(libc::SIGKILL);
        garbage_to_page GarbageToPage => Signal(libc::SIGKILL);
        stops Stops => TimedOut;
        eats_memory EatsMemory => Signal(libc::SIGABRT);
    }
    running: Running {
        sigkill Sigkill => Signal(libc::SIGKILL);
        sigsegv Sigsegv => Signal(libc::SIGSEGV);
        stack_overflow StackOverflow => Signal(libc::SIGSEGV);
        exit_0 Exit0 => Code(0);
        abort Abort => Signal(libc::SIGABRT);
        panic Panic => Panicked;
        panic_bomb PanicBomb => Panicked;
        - EncodeError => "nothing is encoded while a task runs";
        - DecodeError => "nothing is decoded while a task runs";
        // A small result needs no socket.
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Signal(libc::SIGKILL);
        garbage_to_page GarbageToPage => Signal(libc::SIGKILL);
        stops Stops => TimedOut;
        eats_memory EatsMemory => Signal(libc::SIGABRT);
    }
    encoding: Encoding {
        sigkill Sigkill => Signal(libc::SIGKILL);
        sigsegv Sigsegv => Signal(libc::SIGSEGV);
        stack_overflow StackOverflow => Signal(libc::SIGSEGV);
        exit_0 Exit0 => Code(0);
        abort Abort => Signal(libc::SIGABRT);
        panic Panic => Codec(At::EncodeResult);
        panic_bomb PanicBomb => Codec(At::EncodeResult);
        encode_error EncodeError => Codec(At::EncodeResult);
        - DecodeError => "a result is decoded in the parent: in flight";
        // A small result needs no socket.
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Signal(libc::SIGKILL);
        garbage_to_page GarbageToPage => Signal(libc::SIGKILL);
        stops Stops => TimedOut;
        eats_memory EatsMemory => Signal(libc::SIGABRT);
    }
    // Half of the result is in the socket, the other half still in the worker; another thread of it faults.
    in_flight: InFlight {
        sigkill Sigkill => Signal(libc::SIGKILL);
        sigsegv Sigsegv => Signal(libc::SIGSEGV);
        stack_overflow StackOverflow => Signal(libc::SIGSEGV);
        exit_0 Exit0 => Code(0);
        abort Abort => Signal(libc::SIGABRT);
        // It ends that thread, and nobody needs it.
        panic Panic => Nothing;
        // The standard library aborts when a thread's last words panic.
        panic_bomb PanicBomb => Signal(libc::SIGABRT);
        - EncodeError => "the result is encoded already";
        decode_error DecodeError => Codec(At::DecodeResult);
        closes_socket ClosesSocket => Lost;
        // It lands among the result's bytes or behind them. They have no checksum, but these are no text.
        garbage_to_socket GarbageToSocket => Garbled;
        garbage_to_page GarbageToPage => Signal(libc::SIGKILL);
        stops Stops => TimedOut;
        eats_memory EatsMemory => Signal(libc::SIGABRT);
    }
    // A thread that an earlier task left behind faults. Nobody is blamed.
    idle: Idle {
        sigkill Sigkill => Nothing;
        sigsegv Sigsegv => Nothing;
        stack_overflow StackOverflow => Nothing;
        exit_0 Exit0 => Nothing;
        abort Abort => Nothing;
        panic Panic => Nothing;
        panic_bomb PanicBomb => Nothing;
        - EncodeError => "an idle worker encodes nothing";
        - DecodeError => "an idle worker decodes nothing";
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Nothing;
        garbage_to_page GarbageToPage => Nothing;
        stops Stops => Nothing;
        eats_memory EatsMemory => Nothing;
    }
    // It was told to leave and has not left: what a task printed is to be flushed, and a thread holds the output.
    closing: Closing {
        sigkill Sigkill => Nothing;
        sigsegv Sigsegv => Nothing;
        stack_overflow StackOverflow => Nothing;
        exit_0 Exit0 => Nothing;
        abort Abort => Nothing;
        panic Panic => Nothing;
        panic_bomb PanicBomb => Nothing;
        - EncodeError => "a worker that leaves encodes nothing";
        - DecodeError => "a worker that leaves decodes nothing";
        closes_socket ClosesSocket => Nothing;
        garbage_to_socket GarbageToSocket => Nothing;
        garbage_to_page GarbageToPage => Nothing;
        // It is killed after a time of grace.
        stops Stops => Nothing;
        eats_memory EatsMemory => Nothing;
    }
}

#[test]
fn every_cell_is_a_test_or_has_its_reason() {
    let table = table();
    for stage in Stage::ALL {
        for fault in Fault::ALL {
            let cells: Vec<_> = table.iter().filter(|(s, f, _)| (*s, *f) == (stage, fault)).collect();
            assert_eq!(cells.len(), 1, "{stage:?} x {fault:?}");
            assert!(cells[0].2.is_none_or(|reason| reason.len() > 20), "{stage:?} x {fault:?}");
        }
    }
    assert_eq!(table.len(), Stage::ALL.len() * Fault::ALL.len());
}

/// How long a task may run that is going to stop.
const TASK_LIMIT: Duration = Duration::from_millis(400);

fn play(stage: Stage, fault: Fault, expect: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { fault, folder: folder.path().to_owned() };
    match stage {
        Stage::Starting => {
            let text = serde_json::to_string(&plan).unwrap();
            start(&plan, builder(&plan).env(stages::AT_START, text), expect);
        }
        Stage::Initializer => {
            start(&plan, builder(&plan).initializer(stages::initialize, OnArrival(plan.clone())), expect);
        }
        Stage::Decoding => {
            among_others(&plan, expect, |pool, o| {
                pool.submit_with(o, stages::decode, Argument(plan.clone()))
            });
        }
        Stage::Running => {
            among_others(&plan, expect, |pool, o| pool.submit_with(o, stages::run, plan.clone()));
        }
        Stage::Encoding => {
            among_others(&plan, expect, |pool, o| pool.submit_with(o, stages::encode, plan.clone()));
        }
        Stage::InFlight => in_flight(&plan, expect),
        Stage::Idle => idle(&plan),
        Stage::Closing => closing(&plan),
    }
}

fn builder(plan: &Plan) -> ProcessPoolBuilder {
    let builder = ProcessPoolExecutor::builder().max_workers(2).name_prefix(NAME).stderr(WorkerOutput::Null);
    match plan.fault {
        Fault::EatsMemory => builder.address_space(1 << 30),
        Fault::Stops => builder.start_timeout(Duration::from_secs(3)),
        _ => builder,
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn squares(pool: &ProcessPoolExecutor, count: u64) -> Vec<Future<u64>> {
    (0..count).map(|n| pool.submit(square, n)).collect()
}

fn check_squares(squares: Vec<Future<u64>>) {
    for (n, future) in (0..).zip(squares) {
        assert_eq!(future.result().unwrap(), n * n);
    }
}

/// The fault comes before the worker's first task.
fn start(plan: &Plan, builder: ProcessPoolBuilder, expect: Expect) {
    // One worker: what it can't start, nobody can.
    let pool = match (builder.max_workers(1).build(), expect) {
        (Err(BuildError::Initializer(why)), Refused) => {
            return assert!(why.contains("it can't be encoded"), "{why}");
        }
        (pool, _) => pool.unwrap(),
    };
    let tasks = squares(&pool, 20);
    let Broken(reason) = expect else {
        check_squares(tasks);
        assert!(plan.pid().is_some(), "nothing happened");
        check_squares(squares(&pool, 4));
        return leave(pool);
    };
    for task in tasks {
        let error = task.result().unwrap_err();
        let TaskError::Broken(broken) = &error else { panic!("{error}") };
        assert!(broken.to_string().contains(reason), "{broken}");
    }
    let later = pool.submit(square, 3).result().unwrap_err();
    assert!(matches!(later, TaskError::Broken(_)), "{later}");
    leave(pool);
}

/// One task faults among forty.
fn among_others<T: std::fmt::Debug>(
    plan: &Plan,
    expect: Expect,
    submit: impl FnOnce(&ProcessPoolExecutor, TaskOptions) -> Future<T>,
) {
    let pool = builder(plan).build().unwrap();
    let before = others(plan, &pool, 0..20);
    let culprit = submit(&pool, options(plan));
    let after = others(plan, &pool, 20..40);
    let mut behind = 0;
    if plan.is_garbage() {
        // What came before it can't be lost: nothing is wrong yet. Nor what is done, or taken over, by the other worker.
        eventually(|| before.iter().all(Future::is_done));
        eventually(|| matches!(pool.stats(), ProcessPoolStats { queued: 0, running: 1, .. }));
        behind = pool.stats().dispatched;
        plan.tell("go");
    }
    check(plan, culprit, expect);
    check_done(0, before);
    check_others(plan, 20, after, behind);
    check_squares(squares(&pool, 4));
    leave(pool);
}

/// A task that leaves word of where it has begun, and fails if it begins a second time.
fn square_once((n, folder): (u64, PathBuf)) -> u64 {
    let mut file = File::create_new(folder.join(format!("begun {n}"))).unwrap();
    file.write_all(std::process::id().to_string().as_bytes()).unwrap();
    n * n
}

fn others(plan: &Plan, pool: &ProcessPoolExecutor, numbers: Range<u64>) -> Vec<Future<u64>> {
    numbers.map(|n| pool.submit(square_once, (n, plan.folder.clone()))).collect()
}

fn check_done(first: u64, others: Vec<Future<u64>>) {
    for (n, future) in (first..).zip(others) {
        assert_eq!(future.result().unwrap(), n * n);
    }
}

/// Nobody else is hurt. Unless the worker sends garbage and goes on: nothing it says can be believed any more, so what it
/// has begun until it is killed is void; it fails too, rather than run twice. What was `behind` it at the time is all that
/// it can have begun.
fn check_others(plan: &Plan, first: u64, others: Vec<Future<u64>>, behind: usize) {
    if !plan.is_garbage() {
        return check_done(first, others);
    }
    let mut lost = Vec::new();
    for (n, future) in (first..).zip(others) {
        match future.result() {
            Ok(square) => assert_eq!(square, n * n),
            Err(TaskError::WorkerDied(died)) => {
                assert_eq!(Some(died.pid()), plan.pid(), "{died}");
                assert!(died.cause().is_some_and(|cause| cause.contains("protocol error")), "{died}");
                let begun = fs::read_to_string(plan.folder.join(format!("begun {n}"))).ok();
                // Killed before it could write its number, perhaps.
                let elsewhere =
                    begun.as_ref().filter(|pid| !pid.is_empty() && **pid != died.pid().to_string());
                assert_eq!(elsewhere, None, "{n} failed and ran elsewhere");
                lost.push((n, begun.is_some()));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost.len() <= behind, "{behind} were behind it, and failed: {lost:?}");
    // While the page can be believed it is known which have begun: those and the one that was about to be called.
    if plan.fault != Fault::GarbageToPage {
        assert!(lost.iter().filter(|(_, begun)| !begun).count() <= 1, "not begun, and failed: {lost:?}");
    }
}

fn options(plan: &Plan) -> TaskOptions {
    if plan.fault == Fault::Stops { TaskOptions::new().timeout(TASK_LIMIT) } else { TaskOptions::new() }
}

fn check<T: std::fmt::Debug>(plan: &Plan, culprit: Future<T>, expect: Expect) {
    let id = culprit.id();
    let outcome = culprit.result();
    let died = match (&outcome, expect) {
        (Ok(_), Nothing) => return,
        (Err(TaskError::Panicked(panic)), Panicked) => {
            assert_eq!(panic.task(), Some(id));
            assert!(panic.location().is_some_and(|place| place.contains("faults.rs")), "{panic:?}");
            return;
        }
        (Err(TaskError::Codec(codec)), Codec(stage)) => return assert_eq!(codec.stage(), stage, "{codec}"),
        (Err(TaskError::TimeLimit(limit)), TimedOut) => return assert_eq!(limit.limit(), TASK_LIMIT),
        (Err(TaskError::WorkerDied(died)), Signal(_) | Code(_) | Lost) => died,
        // Whoever waits hears a small result by itself, before the driver has looked at the socket perhaps.
        (Ok(_), Signal(_)) if plan.fault == Fault::GarbageToSocket => {
            let pid = plan.pid().unwrap();
            return eventually(|| house::state_of(pid).is_none());
        }
        (Ok(_), _) => panic!("{expect:?} was expected, not a result"),
        (Err(error), _) => panic!("{expect:?} was expected, not {error}"),
    };
    assert_eq!((died.task(), Some(died.pid())), (Some(id), plan.pid()), "{died}");
    assert!(died.worker().is_some_and(|name| name.starts_with(NAME)), "{died}");
    assert!(died.cause().is_some(), "{died}");
    match expect {
        Signal(signal) => assert_eq!((died.signal(), died.exit_code()), (Some(signal), None), "{died}"),
        Code(code) => assert_eq!((died.signal(), died.exit_code()), (None, Some(code)), "{died}"),
        _ => assert!(died.signal() == Some(libc::SIGKILL) || died.exit_code() == Some(70), "{died}"),
    }
}

/// The driver is held in the decoding of an earlier result, so that the culprit's result stays where it is.
fn in_flight(plan: &Plan, expect: Expect) {
    let pool = builder(plan)
        .max_workers(1)
        .payload_memory(0)
        .initializer(stages::wait_until_open, plan.clone())
        .build()
        .unwrap();
    let hold = Hold::new();
    let first = pool.submit(stages::hold_the_driver, ());
    let culprit = pool.submit_with(options(plan), stages::send, plan.clone());
    let after = others(plan, &pool, 0..20);
    plan.tell("open");
    eventually(|| plan.was_told("encoded"));
    let pid = plan.pid().unwrap();
    // The socket is full: it sleeps in the middle of its reply.
    eventually(|| state_of_task_thread(pid) == Some('S'));
    let behind = pool.stats().dispatched;
    if plan.fault == Fault::GarbageToSocket {
        // It waits for room behind the reply, until the driver reads.
        plan.tell("go");
    } else {
        plan.release_agent(pid);
    }
    drop(hold);
    assert_eq!(first.result().unwrap().pid(), pid);
    match expect {
        Nothing => assert!(culprit.result().unwrap().is_whole()),
        Garbled => match culprit.result() {
            Ok(large) => assert!(large.is_whole(), "a result that nobody gave"),
            Err(TaskError::Codec(codec)) => assert_eq!(codec.stage(), At::DecodeResult, "{codec}"),
            Err(TaskError::WorkerDied(died)) => {
                assert_eq!(died.pid(), pid, "{died}");
                assert!(died.cause().is_some_and(|cause| cause.contains("protocol error")), "{died}");
            }
            Err(error) => panic!("{error}"),
        },
        _ => check(plan, culprit, expect),
    }
    check_others(plan, 0, after, behind);
    check_squares(squares(&pool, 4));
    leave(pool);
}

fn idle(plan: &Plan) {
    let pool = builder(plan).max_workers(1).build().unwrap();
    let pid = pool.submit(stages::linger, plan.clone()).result().unwrap();
    eventually(|| pool.stats().workers[0].state == WorkerState::Idle);
    plan.release_agent(pid);
    if plan.fault == Fault::GarbageToSocket {
        // Until it is read the worker goes on, and what it begins then is lost with it.
        eventually(|| house::state_of(pid).is_none());
    }
    let tasks: Vec<_> = (0..20).map(|n| pool.submit_with(options(plan), square, n)).collect();
    check_squares(tasks);
    check_squares(squares(&pool, 4));
    if plan.fault != Fault::Panic {
        eventually(|| house::state_of(pid).is_none());
        assert!(pool.stats().deaths >= 1);
    }
    leave(pool);
}

fn closing(plan: &Plan) {
    let pool = builder(plan).max_workers(1).build().unwrap();
    check_squares(squares(&pool, 20));
    let pid = pool.submit(stages::linger_at_the_door, plan.clone()).result().unwrap();
    let last = squares(&pool, 4);
    pool.shutdown(Shutdown::Drain);
    check_squares(last);
    eventually(|| pool.stats().workers[0].state == WorkerState::Stopping);
    plan.release_agent(pid);
    leave(pool);
    assert!(house::state_of(pid).is_none());
}

/// The pool ends, soon.
fn leave(pool: ProcessPoolExecutor) {
    pool.join_timeout(Duration::from_secs(20)).unwrap();
    let left = pool.stats();
    assert_eq!((left.queued, left.dispatched, left.running), (0, 0, 0));
    drop(pool);
}
