//! One poisoned task in a fresh pool, as in CPython's `test_deadlock`: the right error arrives at the right future, the
//! others get their results, the pool goes on, and its end is reached. The whole matrix of faults and stages is in
//! `tests/crash`.

use crate::processes_support::{ABORTED, Signals, builder, die, end, square};
use crate::support::{LIMIT, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{CodecError, Shutdown, Stage, TaskError, WorkerDied};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// What happens where a poisoned value is encoded or decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Error,
    Panic,
    Abort,
    Exit,
}

impl Fault {
    const ALL: [Fault; 4] = [Fault::Error, Fault::Panic, Fault::Abort, Fault::Exit];

    fn strike(self) -> &'static str {
        match self {
            Fault::Error => "poisoned",
            Fault::Panic => panic!("poisoned"),
            Fault::Abort => std::process::abort(),
            Fault::Exit => std::process::exit(3),
        }
    }

    fn of(number: u8) -> Fault {
        Fault::ALL[usize::from(number) % 4]
    }
}

/// Can't be encoded.
#[derive(Clone, Copy, Deserialize)]
#[serde(from = "u8")]
struct NeverLeaves(Fault);

impl From<u8> for NeverLeaves {
    fn from(number: u8) -> Self {
        NeverLeaves(Fault::of(number))
    }
}

impl Serialize for NeverLeaves {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(self.0.strike()))
    }
}

/// Can't be decoded.
struct NeverArrives(Fault, Vec<u8>);

impl NeverArrives {
    fn new(fault: Fault) -> Self {
        NeverArrives(fault, Vec::new())
    }
}

impl Serialize for NeverArrives {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.0 as u8, &self.1).serialize(to)
    }
}

impl<'de> Deserialize<'de> for NeverArrives {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (number, _) = <(u8, Vec<u8>)>::deserialize(from)?;
        Err(de::Error::custom(Fault::of(number).strike()))
    }
}

/// Runs one poisoned task between others, and sees what became of them all.
fn poison(submit: impl FnOnce(&ProcessPoolExecutor) -> TaskError) -> TaskError {
    let pool = ProcessPoolExecutor::new(2);
    let before: Vec<_> = (0..10).map(|n| pool.submit(square, n)).collect();
    let error = submit(&pool);
    let after: Vec<_> = (0..10).map(|n| pool.submit(square, n)).collect();
    for (n, future) in (0..10).chain(0..10).zip(before.into_iter().chain(after)) {
        assert_eq!(future.result().unwrap(), n * n);
    }
    pool.join();
    error
}

#[track_caller]
fn is_codec(error: &TaskError, stage: Stage) -> &CodecError {
    let TaskError::Codec(codec) = error else { panic!("{error:?}") };
    assert_eq!(codec.stage(), stage);
    assert!(codec.reason().contains("poisoned"), "{error}");
    codec
}

#[track_caller]
fn is_death(error: &TaskError) -> &WorkerDied {
    let TaskError::WorkerDied(died) = error else { panic!("{error:?}") };
    died
}

fn takes(_: NeverArrives) {}
fn returns_what_never_leaves(number: u8) -> NeverLeaves {
    number.into()
}
fn returns_what_never_arrives(number: u8) -> NeverArrives {
    NeverArrives::new(Fault::of(number))
}

// ---- the argument ----------------------------------------------------------------------------------------

#[test]
fn an_argument_that_cannot_be_encoded_fails_its_own_future_at_once() {
    limit(LIMIT, || {
        for fault in [Fault::Error, Fault::Panic] {
            let error = poison(|pool| {
                let future = pool.submit(|_: NeverLeaves| (), NeverLeaves(fault));
                assert!(future.is_done());
                future.result().unwrap_err()
            });
            is_codec(&error, Stage::EncodeArgument);
            assert!(error.to_string().contains("NeverLeaves"), "it names the type: {error}");
        }
    });
}

#[test]
fn an_argument_that_cannot_be_decoded_costs_its_own_task() {
    limit(LIMIT, || {
        for fault in [Fault::Error, Fault::Panic] {
            let submit = |pool: &ProcessPoolExecutor| pool.submit(takes, NeverArrives::new(fault)).result();
            is_codec(&poison(|pool| submit(pool).unwrap_err()), Stage::DecodeArgument);
        }
    });
}

#[test]
fn a_worker_that_crashes_while_it_decodes_costs_its_own_task() {
    limit(LIMIT, || {
        let submit =
            |pool: &ProcessPoolExecutor| pool.submit(takes, NeverArrives::new(Fault::Abort)).result();
        assert_eq!(end(is_death(&poison(|pool| submit(pool).unwrap_err()))), ABORTED);
    });
}

#[test]
fn a_worker_that_exits_while_it_decodes_costs_its_own_task() {
    limit(LIMIT, || {
        let submit = |pool: &ProcessPoolExecutor| pool.submit(takes, NeverArrives::new(Fault::Exit)).result();
        assert_eq!(is_death(&poison(|pool| submit(pool).unwrap_err())).exit_code(), Some(3));
    });
}

#[test]
fn crashes_under_arguments_larger_than_the_socket_hang_nobody() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(2);
        let large = || NeverArrives(Fault::Abort, vec![7; 1 << 20]);
        let futures: Vec<_> = (0..10).map(|_| pool.submit(takes, large())).collect();
        for future in futures {
            is_death(&future.result().unwrap_err());
        }
        assert_eq!(pool.submit(square, 3).result().unwrap(), 9);
        pool.join();
    });
}

// ---- the call ----------------------------------------------------------------------------------------------

#[test]
fn a_task_that_crashes_costs_itself() {
    limit(LIMIT, || {
        let error = poison(|pool| pool.submit(die, ()).result().unwrap_err());
        let died = is_death(&error);
        assert_eq!(end(died), ABORTED);
        assert!(died.task().is_some() && error.to_string().contains(&died.pid().to_string()), "{error}");
    });
}

#[test]
fn a_task_that_exits_costs_itself_and_the_code_is_told() {
    limit(LIMIT, || {
        for code in [0, 1, 99] {
            let exit = |code: i32| -> () { std::process::exit(code) };
            let error = poison(|pool| pool.submit(exit, code).result().unwrap_err());
            assert_eq!(is_death(&error).exit_code(), Some(code));
            assert!(error.to_string().contains(&format!("exit code {code}")), "{error}");
        }
    });
}

#[test]
fn an_error_and_a_panic_arrive_with_all_they_say() {
    limit(LIMIT, || {
        fn fails(path: String) -> Result<(), std::io::Error> {
            std::fs::File::open(path).map(drop)
        }
        // Windows knows that there isn't even a folder.
        const NOT_FOUND: &str = if cfg!(windows) { "(os error 3)" } else { "No such file" };
        let error = poison(|pool| pool.try_submit(fails, "/no/such/file".into()).result().unwrap_err());
        let TaskError::Failed(failed) = &error else { panic!("{error:?}") };
        assert!(failed.type_name().contains("Error") && error.to_string().contains(NOT_FOUND), "{error}");
        // The value itself stays in the worker.
        assert!(failed.downcast_ref::<std::io::Error>().is_none());

        let pool = builder(1).env("RUST_BACKTRACE", "1").build().unwrap();
        let error = pool.submit(|n: u32| -> u32 { panic!("number {n}") }, 5).result().unwrap_err();
        let TaskError::Panicked(panic) = &error else { panic!("{error:?}") };
        assert_eq!(panic.message(), "number 5");
        assert!(panic.location().unwrap().contains("processes_errors.rs"));
        assert!(panic.backtrace().unwrap().contains("processes_errors"), "the backtrace is the worker's");
        assert!(panic.worker().unwrap().ends_with("_0"));
    });
}

#[test]
fn the_chain_of_an_error_arrives_as_texts() {
    limit(LIMIT, || {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the settings could not be read")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let read = |text: String| text.parse::<u8>().map_err(Outer);
        let pool = ProcessPoolExecutor::new(1);
        let error = pool.try_submit(read, "x".into()).result().unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(
            (&*error.to_string(), &*source),
            ("the settings could not be read", "invalid digit found in string",)
        );
    });
}

// ---- the result ----------------------------------------------------------------------------------------------

#[test]
fn a_result_that_cannot_be_encoded_costs_its_own_task() {
    limit(LIMIT, || {
        for fault in [Fault::Error, Fault::Panic] {
            let submit =
                |pool: &ProcessPoolExecutor| pool.submit(returns_what_never_leaves, fault as u8).result();
            let error = poison(|pool| submit(pool).map(|_| ()).unwrap_err());
            is_codec(&error, Stage::EncodeResult);
            assert!(error.to_string().contains("NeverLeaves"), "it names the type: {error}");
        }
    });
}

#[test]
fn a_worker_that_crashes_or_exits_while_it_encodes_costs_its_own_task() {
    limit(LIMIT, || {
        for (fault, expected) in [(Fault::Abort, ABORTED), (Fault::Exit, (None, Some(3)))] {
            let submit =
                |pool: &ProcessPoolExecutor| pool.submit(returns_what_never_leaves, fault as u8).result();
            let error = poison(|pool| submit(pool).map(|_| ()).unwrap_err());
            assert_eq!(end(is_death(&error)), expected);
        }
    });
}

#[test]
fn a_result_that_cannot_be_decoded_costs_its_own_task() {
    limit(LIMIT, || {
        for fault in [Fault::Error, Fault::Panic] {
            let submit =
                |pool: &ProcessPoolExecutor| pool.submit(returns_what_never_arrives, fault as u8).result();
            let error = poison(|pool| submit(pool).map(|_| ()).unwrap_err());
            is_codec(&error, Stage::DecodeResult);
        }
    });
}

// ---- the end --------------------------------------------------------------------------------------------------

#[test]
fn a_poisoned_task_beside_the_end_hangs_nobody() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(2), Signals::new());
        let held = signals.hold(&pool, "held");
        let crashes = pool.submit(die, ());
        let refused = pool.submit(|_: NeverLeaves| (), NeverLeaves(Fault::Error));
        pool.shutdown(Shutdown::Drain);
        is_death(&crashes.result().unwrap_err());
        is_codec(&refused.result().unwrap_err(), Stage::EncodeArgument);
        signals.release("held");
        held.result().unwrap();
        pool.join();
    });
}
