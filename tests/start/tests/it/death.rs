//! Parents that die, leave, or fork: their workers go with them, and with nothing else.

use crate::program::{Program, is_gone, kill, limit, lines, skip, state, within};
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

/// Kills a parent whose worker is at something; gives back how long the worker lived on.
fn outlive(what: &str) {
    let mut parent = Program::start(&["hold", what]);
    let worker = parent.number("worker");
    let fork = (what == "fork").then(|| parent.number("fork"));
    assert_eq!(parent.line(), "held");
    assert!(!is_gone(worker));
    parent.kill();
    assert!(within(AT_ONCE, || is_gone(worker)), "the worker lives: {:?}", state(worker));
    if let Some(fork) = fork {
        assert!(!is_gone(fork), "the fork was to live on");
        kill(fork, libc::SIGKILL);
    }
}

/// The same with three of them, in a parent that was started with these arguments.
fn outlive_many(arguments: &[&str]) {
    let mut parent = Program::start(arguments);
    let first = parent.line();
    if first.starts_with("not permitted") {
        return skip("no seccomp filters here, so no parent without pidfd was killed");
    }
    let first = first.strip_prefix("worker ").and_then(|pid| pid.parse().ok()).expect("a worker's number");
    let workers = [first, parent.number("worker"), parent.number("worker")];
    assert_eq!(parent.line(), "held");
    assert!(workers.iter().all(|worker| !is_gone(*worker)));
    parent.kill();
    let left = || workers.map(state);
    let gone = within(AT_ONCE, || left() == [None; 3]);
    let left = left();
    // One that computes for ever would slow down all that comes after.
    workers.into_iter().filter(|worker| !is_gone(*worker)).for_each(|worker| kill(worker, libc::SIGKILL));
    assert!(gone, "there live: {left:?}");
}

#[test]
fn all_workers_go_with_their_parent() {
    limit(|| outlive_many(&["hold", "many"]));
}

#[test]
fn all_workers_go_with_a_parent_that_has_no_pidfd() {
    limit(|| outlive_many(&["without", "pidfd_open", "hold", "many"]));
}

#[test]
fn a_worker_that_computes_goes_with_its_parent() {
    limit(|| outlive("compute"));
}

#[test]
fn a_worker_that_sleeps_goes_with_its_parent() {
    limit(|| outlive("sleep"));
}

#[test]
fn an_idle_worker_goes_with_its_parent() {
    limit(|| outlive("idle"));
}

#[test]
fn a_worker_goes_although_a_fork_of_its_parent_lives_on() {
    limit(|| outlive("fork"));
}

/// One that is stopped can't do anything; it goes as soon as it is let go on.
#[test]
fn a_stopped_worker_goes_once_it_is_continued() {
    limit(|| {
        let mut parent = Program::start(&["hold", "stop"]);
        let worker = parent.number("worker");
        assert_eq!(parent.line(), "held");
        assert!(within(crate::program::SOON, || state(worker) == Some('T')), "{:?}", state(worker));
        parent.kill();
        kill(worker, libc::SIGCONT);
        assert!(within(AT_ONCE, || is_gone(worker)), "the worker lives: {:?}", state(worker));
    });
}

#[test]
fn a_worker_of_a_static_pool_goes_when_main_returns() {
    limit(|| {
        let mut parent = Program::start(&["static"]);
        let worker = parent.number("worker");
        assert!(parent.child.wait().expect("a status").success());
        assert!(within(AT_ONCE, || is_gone(worker)), "the worker lives: {:?}", state(worker));
    });
}

#[test]
fn the_end_of_the_thread_that_built_the_pool_is_nothing_to_its_workers() {
    limit(|| assert_eq!(lines(&["short-thread"]), ["the same worker"]));
}

#[test]
fn a_fork_of_the_parent_is_told_so_and_does_no_harm() {
    limit(|| {
        let lines = lines(&["forked"]);
        assert!(lines[0].starts_with("in the fork: the pool is broken: this process is a fork"), "{lines:?}");
        let rest = ["dropped in the fork", "the fork's status: 0", "sum 45", "the same worker"];
        assert_eq!(lines[1..], rest);
    });
}
