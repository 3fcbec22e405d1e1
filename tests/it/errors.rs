//! What a user reads when something went wrong, and what `?` does with it.

use crate::support::{LIMIT, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Broken, CodecError, Failed, Panicked, Rejected, Stage, TaskError, TaskOptions, TimeLimit, Unsupported,
    WorkerDied, promise,
};
use std::error::Error;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[error("day {day} is missing")]
struct Missing {
    day: u32,
    #[source]
    cause: std::io::Error,
}

fn missing() -> Missing {
    Missing { day: 3, cause: std::io::Error::other("disk") }
}

#[test]
fn a_tasks_own_error_comes_back_as_itself() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let error = pool.try_spawn(|| Err::<(), _>(missing())).result().unwrap_err();
        assert_eq!(error.to_string(), "day 3 is missing");
        assert_eq!(error.source().unwrap().to_string(), "disk", "its chain of causes is whole");
        let TaskError::Failed(failed) = error.clone() else { panic!("{error:?}") };
        assert_eq!(failed.downcast_ref::<Missing>().unwrap().day, 3);
        assert!(failed.type_name().ends_with("Missing"));
        let mut shared = failed.into_inner().unwrap_err();
        drop(error);
        // The worker may still hold the clone that it would have told callbacks of.
        let inner = loop {
            match shared.into_inner() {
                Ok(inner) => break inner,
                Err(still_shared) => shared = still_shared,
            }
            std::thread::yield_now();
        };
        assert_eq!(inner.downcast::<Missing>().unwrap().cause.to_string(), "disk");
    });
}

#[test]
fn any_usual_error_type_will_do() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let texts = [
            pool.try_spawn(|| Err::<(), _>("text")).result(),
            pool.try_spawn(|| Err::<(), _>(String::from("owned"))).result(),
            pool.try_spawn(|| Err::<(), Box<dyn Error + Send + Sync>>("boxed".into())).result(),
            pool.try_spawn(|| Err::<(), _>(std::io::Error::other("io"))).result(),
        ];
        assert_eq!(texts.map(|outcome| outcome.unwrap_err().to_string()), ["text", "owned", "boxed", "io"]);
        // A unit-like error is an error, whatever it has to say.
        #[derive(Debug, thiserror::Error)]
        #[error("")]
        struct Nothing;
        let outcome = pool.try_spawn(|| Err::<(), _>(Nothing)).result();
        assert!(
            matches!(outcome, Err(TaskError::Failed(failed)) if failed.downcast_ref::<Nothing>().is_some())
        );
    });
}

#[test]
fn a_panic_says_what_where_and_who() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("errors").build().unwrap();
        let options = || TaskOptions::new().label("2017-03-23");
        let future = pool.submit_with(options(), |n: u32| assert_eq!(n, 1, "not one"), 2);
        let id = future.id();
        let error = future.result().unwrap_err();
        let text = error.to_string();
        let begins = concat!("task `2017-03-23` in worker errors_0 panicked at ", file!(), ":");
        assert!(text.starts_with(begins), "{text}");
        assert!(text.contains("not one"), "{text}");
        let TaskError::Panicked(panic) = error else { panic!("{text}") };
        assert_eq!(
            (panic.worker(), panic.task(), panic.label()),
            (Some("errors_0"), Some(id), Some("2017-03-23"))
        );
        let future = pool.spawn(|| panic!("unnamed"));
        let id = future.id();
        assert!(
            future.result().unwrap_err().to_string().starts_with(&format!("task {id} in worker errors_0"))
        );
    });
}

#[test]
fn a_panics_payload_can_be_carried_on() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let error = pool.spawn(|| std::panic::panic_any(17u8)).result().unwrap_err();
        assert!(error.to_string().contains("not text"), "{error}");
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        let clone = panic.clone();
        assert_eq!(*panic.into_payload().unwrap().downcast::<u8>().unwrap(), 17);
        assert!(clone.into_payload().is_none(), "given away once");
    });
}

#[test]
fn what_a_refused_task_says() {
    limit(LIMIT, || {
        let text = |rejected| TaskError::Rejected(rejected).to_string();
        assert!(text(Rejected::ShutDown).ends_with("the executor is shut down"));
        assert!(text(Rejected::Full).contains("WhenFull::Block"), "it says what to do");
        assert!(text(Rejected::NotPortable).contains("submit a `fn`"), "it says what to do");
        assert!(text(Rejected::Unsupported(Unsupported::new("no clock"))).ends_with("no clock"));
    });
}

#[test]
fn executors_outside_can_make_each_kind() {
    limit(LIMIT, || {
        let kinds = [
            TaskError::Cancelled,
            TaskError::Failed(Failed::new("own")),
            TaskError::Panicked(Panicked::new("boom").with_worker("w").with_backtrace("0: main")),
            TaskError::TimeLimit(TimeLimit::new(Duration::from_secs(2))),
            TaskError::WorkerDied(WorkerDied::new(4711).with_exit_code(99)),
            TaskError::Codec(CodecError::new(Stage::EncodeArgument, "no such field")),
            TaskError::Broken(Broken::with_source("its link is down", "cable")),
            TaskError::Rejected(Rejected::Full),
            TaskError::Abandoned,
        ];
        for kind in kinds {
            let (promise, future) = promise::<()>();
            assert!(promise.set_exception(kind.clone()));
            let seen = future.result().unwrap_err();
            assert_eq!(std::mem::discriminant(&seen), std::mem::discriminant(&kind));
            assert_eq!(seen.to_string(), kind.to_string());
            assert!(!seen.to_string().ends_with('.') && !seen.to_string().is_empty());
        }
        let died = TaskError::WorkerDied(WorkerDied::new(4711).with_exit_code(99));
        assert_eq!(died.to_string(), "worker process 4711 died with exit code 99");
    });
}

#[test]
fn question_mark_takes_them_into_a_box() {
    limit(LIMIT, || {
        fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
            let pool = ThreadPoolExecutor::new(1);
            assert_eq!(pool.spawn(|| 1).result_timeout(Duration::from_secs(20))??, 1);
            pool.try_spawn(|| Err::<(), _>(missing())).result()?;
            Ok(())
        }
        let error = run().unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(TaskError::Failed(_))));
    });
}
