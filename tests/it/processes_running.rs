//! What a pool of processes runs at a moment, in which worker, and since when.

use crate::processes_support::{Signals, stay};
use crate::support::{LIMIT, eventually, limit, pass};
use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, TaskOptions, WhenFull};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn since_the_first_look_or_since_it_began() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::builder().max_workers(2).name_prefix("w").build().unwrap();
        let options = TaskOptions::new().label("early");
        let early = pool.submit_with(options, stay, signals.stay("early"));
        signals.wait("early.begun");
        let before = Instant::now();
        let first = pool.running();
        let look = Instant::now();
        assert_eq!((first.len(), first[0].task, first[0].label.as_deref()), (1, early.id(), Some("early")));
        assert!(first[0].at_least && (before..=look).contains(&first[0].since), "{first:?}");
        let late = signals.hold(&pool, "late");
        let begun = Instant::now();
        pass(Duration::from_millis(5)); // what a late look would count
        // Both workers are busy: this one is sent, or queued, and does not run.
        let waits = pool.submit(stay, signals.stay("waits"));
        let second = pool.running();
        assert_eq!((second.len(), &second[0]), (2, &first[0]));
        assert!(!second[1].at_least && (look..=begun).contains(&second[1].since), "{second:?}");
        assert_eq!((second[1].task, &*second[1].worker, second[1].blocked), (late.id(), "w_1", false));
        let pids: Vec<_> = second.iter().map(|task| task.pid.unwrap()).collect();
        signals.release_all(&["early", "late", "waits"]);
        assert_eq!(pids, [early.result().unwrap(), late.result().unwrap()]);
        waits.result().unwrap();
        eventually(|| pool.running().is_empty());
        pool.join();
        assert!(pool.running().is_empty());
    });
}

#[test]
fn a_worker_that_starts_later_notes_it_as_well() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        assert!(pool.running().is_empty());
        let first = signals.hold(&pool, "first");
        assert!(!pool.running()[0].at_least);
        assert!(first.kill());
        first.result().unwrap_err();
        let second = signals.hold(&pool, "second");
        let running = pool.running();
        assert_eq!((running.len(), running[0].task, running[0].at_least), (1, second.id(), false));
        signals.release("second");
        second.result().unwrap();
    });
}

/// Kills its own process the first time, and stays the second.
fn dies_once((died, stays): (PathBuf, (PathBuf, PathBuf))) -> u32 {
    if !died.exists() {
        std::fs::write(died, "").unwrap();
        std::process::abort();
    }
    stay(stays)
}

/// As NousResearch/hermes-agent#99819: there a task that is tried again counts as running since its first try.
#[test]
fn a_task_that_is_run_again_runs_since_it_began_again() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        assert!(pool.running().is_empty());
        let options = TaskOptions::new().retries(1);
        let future = pool.submit_with(options, dies_once, (signals.path("died"), signals.stay("again")));
        signals.wait("died");
        let died = Instant::now();
        signals.wait("again.begun");
        let running = pool.running();
        assert!((running.len(), running[0].at_least) == (1, false) && running[0].since > died, "{running:?}");
        signals.release("again");
        assert_eq!(future.result().unwrap(), running[0].pid.unwrap());
    });
}

#[test]
fn the_items_of_a_map() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        let names = ["a", "b", "c", "d", "e"];
        signals.release("a");
        let map = pool.map(stay, names.map(|name| signals.stay(name)));
        signals.wait("b.begun");
        eventually(|| pool.running().len() == 1 && pool.running()[0].items == Some(1..2));
        signals.release_all(&["b", "c", "d", "e"]);
        assert_eq!(map.filter(Result::is_ok).count(), 5);
    });
}

#[test]
fn the_items_of_a_chunk() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        signals.release_all(&["a", "b", "c"]);
        let stays = ["a", "b", "c", "d", "e"].map(|name| signals.stay(name));
        let map = pool.map_with(MapOptions::new().chunksize(2), stay, stays);
        signals.wait("d.begun");
        eventually(|| pool.running().len() == 1 && pool.running()[0].items == Some(2..4));
        signals.release_all(&["d", "e"]);
        assert_eq!(map.filter(Result::is_ok).count(), 5);
    });
}

#[test]
fn a_task_that_its_submitter_runs() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::builder()
            .max_workers(1)
            .queue_capacity(1, WhenFull::CallerRuns)
            .build()
            .unwrap();
        let held = signals.hold(&pool, "held");
        // Sent ahead, or queued: after some of them there is no place left, and one runs here.
        let here = std::process::id();
        thread::scope(|s| {
            let submitter = thread::Builder::new().name("submitter".into());
            let submits = submitter.spawn_scoped(s, || {
                let all: Vec<_> = (0..8).map(|_| pool.submit(stay, signals.stay("more"))).collect();
                all.into_iter().map(|future| future.result().unwrap()).collect::<Vec<_>>()
            });
            eventually(|| {
                let running = pool.running();
                running.iter().any(|task| &*task.worker == "submitter" && task.pid.is_none())
            });
            signals.release_all(&["more", "held"]);
            assert!(submits.unwrap().join().unwrap().contains(&here));
        });
        held.result().unwrap();
        eventually(|| pool.running().is_empty());
    });
}
