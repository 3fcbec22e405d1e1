//! Programs that end while their pools have work: by return, by panic, by exit, by abort, each from wherever it can be.
//! The status is what the program asked for, it comes at once, and no worker is left.

use crate::program::{START, is_gone, limit, output, within};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

/// How a program ended, and what it said. Its workers are gone.
struct End {
    code: Option<i32>,
    signal: Option<i32>,
    said: Vec<String>,
    complained: String,
}

impl End {
    fn of(which: &str, situation: &str) -> Self {
        let output = output(Command::new(START).args(["end", which, situation]));
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut said: Vec<String> =
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        let workers: Vec<i32> = said
            .extract_if(.., |line| line.starts_with("worker "))
            .map(|line| line["worker ".len()..].parse().expect("a number"))
            .collect();
        let busy = ["leaked", "detached", "exit-in-callback", "exit-elsewhere", "abort", "panic"];
        assert_eq!(which == "processes" && busy.contains(&situation), !workers.is_empty(), "{situation}");
        for worker in workers {
            assert!(within(AT_ONCE, || is_gone(worker)), "{situation}: a worker lives on");
        }
        End { code: output.status.code(), signal: output.status.signal(), said, complained }
    }

    #[track_caller]
    fn is(&self, code: i32, said: &[&str]) {
        assert_eq!((self.code, self.signal), (Some(code), None), "{}", self.complained);
        assert_eq!(self.said, said, "{}", self.complained);
    }

    #[track_caller]
    fn is_abort(&self, why: &str) {
        assert_eq!(self.signal, Some(libc::SIGABRT), "{}", self.complained);
        assert!(self.complained.contains(why), "{}", self.complained);
    }
}

macro_rules! ends {
    ($($name:ident: $which:literal $situation:literal => $code:literal $said:expr;)*) => {
        $(
            #[test]
            fn $name() {
                limit(|| End::of($which, $situation).is($code, &$said));
            }
        )*
    };
}

const ALL_RAN: [&str; 10] = ["ran"; 10];

ends! {
    threads_at_return_from_main: "threads" "local" => 0 ALL_RAN;
    threads_in_a_static_at_return_from_main: "threads" "static" => 0 [];
    threads_leaked_at_return_from_main: "threads" "leaked" => 0 [];
    threads_detached_at_return_from_main: "threads" "detached" => 0 [];
    threads_when_main_panics: "threads" "panic" => 101 ["cancelled"];
    threads_and_exit_in_a_task: "threads" "exit-in-task" => 7 [];
    threads_and_exit_in_a_callback: "threads" "exit-in-callback" => 7 [];
    threads_and_exit_in_a_destructor: "threads" "exit-in-destructor" => 7 [];
    threads_and_exit_in_another_thread: "threads" "exit-elsewhere" => 7 [];
    threads_and_exit_in_a_task_whose_thread_local_has_the_last_handle: "threads" "exit-with-last-handle" => 7 [];
    threads_in_an_exit_handler: "threads" "exit-handler" => 0 ["sum 45"];

    processes_at_return_from_main: "processes" "local" => 0 ALL_RAN;
    processes_leaked_at_return_from_main: "processes" "leaked" => 0 [];
    processes_detached_at_return_from_main: "processes" "detached" => 0 [];
    processes_when_main_panics: "processes" "panic" => 101 ["cancelled"];
    processes_and_exit_in_a_callback: "processes" "exit-in-callback" => 7 [];
    processes_and_exit_in_another_thread: "processes" "exit-elsewhere" => 7 [];
    processes_in_an_exit_handler: "processes" "exit-handler" => 0 ["sum 45"];
}

/// Whether `exit` destroys the thread-locals of the main thread is the C library's to say; glibc does.
#[cfg(target_env = "gnu")]
#[test]
fn threads_in_mains_thread_local() {
    limit(|| End::of("threads", "thread-local").is(0, &ALL_RAN));
}

#[cfg(target_env = "gnu")]
#[test]
fn processes_in_mains_thread_local() {
    limit(|| End::of("processes", "thread-local").is(0, &ALL_RAN));
}

#[test]
fn threads_and_abort_in_a_task() {
    limit(|| End::of("threads", "abort-in-task").is_abort(""));
}

#[test]
fn processes_and_abort() {
    limit(|| End::of("processes", "abort").is_abort(""));
}

/// Rust's own rule, which nobody can contain.
#[test]
fn threads_and_a_panic_in_a_destructor_that_unwinds() {
    limit(|| End::of("threads", "panic-while-unwinding").is_abort("panic in a destructor during cleanup"));
}

/// The same: of two destructors that run together, the second one's panic meets the first one's unwinding.
#[test]
fn threads_and_two_destructors_that_panic_together() {
    limit(|| End::of("threads", "two-dropped-together").is_abort("panic in a destructor during cleanup"));
}

#[test]
fn threads_and_a_thread_locals_destructor_that_panics() {
    limit(|| End::of("threads", "thread-local-panics").is_abort("thread local panicked on drop"));
}
