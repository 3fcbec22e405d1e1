//! Where the system refuses what the pool would like best.

use crate::program::{limit, lines, skip};

/// False, said aloud, where this machine doesn't let system calls be refused.
fn is_possible(lines: &[String]) -> bool {
    let refused = lines.first().is_some_and(|line| line.starts_with("not permitted"));
    if refused {
        skip("no seccomp filters here, so no fallback was tried");
    }
    !refused
}

#[test]
fn all_is_well_without_pidfd_and_memfd() {
    limit(|| {
        for calls in ["pidfd_open", "memfd_create", "pidfd_open,memfd_create,pidfd_send_signal"] {
            let lines = lines(&["without", calls, "check"]);
            if is_possible(&lines) {
                assert_eq!(lines, ["checked"], "without {calls}");
            }
        }
    });
}

/// Its buffer stays as it is.
#[test]
fn all_is_well_where_no_socket_can_be_widened() {
    limit(|| {
        let lines = lines(&["without", "setsockopt", "check"]);
        if is_possible(&lines) {
            assert_eq!(lines, ["checked"]);
        }
    });
}

/// That no thread is to spin is remembered; all else is as it is with several.
#[test]
fn all_is_well_with_one_processor_at_first_and_several_later() {
    limit(|| assert_eq!(lines(&["one-processor-at-first"]), ["checked"]));
}

#[test]
fn many_start_at_once_without_memfd() {
    limit(|| {
        let lines = lines(&["without", "memfd_create", "crowd"]);
        if is_possible(&lines) {
            assert_eq!(lines, ["all came up"]);
        }
    });
}

#[test]
fn tasks_can_be_killed_without_pidfd() {
    limit(|| {
        for calls in ["pidfd_open", "pidfd_send_signal"] {
            let lines = lines(&["without", calls, "kill"]);
            if is_possible(&lines) {
                let expected = ["asked: true", "killed: true", "aborted: true", "next: Some(2)"];
                assert_eq!(lines, expected, "without {calls}");
            }
        }
    });
}

#[test]
fn without_eventfd_the_pool_says_so() {
    limit(|| {
        let lines = lines(&["without", "eventfd", "error"]);
        if is_possible(&lines) {
            assert!(lines[0].starts_with("error: the pool is broken: no worker can be started"), "{lines:?}");
            assert!(lines[0].contains("Function not implemented"), "{lines:?}");
        }
    });
}

/// `taskset`, and what containers do.
#[test]
fn by_default_there_are_as_many_workers_as_processors_for_this_process() {
    limit(|| {
        let said = lines(&["one-processor"]);
        let (workers, of) = said[0].split_once(" of ").expect("two numbers");
        assert_eq!((workers, said.len()), ("1", 1), "{said:?}");
        if of == "1" {
            skip("there is one processor here, so a default that ignores the affinity would look the same");
        }
    });
}
