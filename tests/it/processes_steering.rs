//! A task in another process that knows itself and can be asked to stop.

use crate::processes_support::Signals;
use crate::support::{LIMIT, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    Future, FutureId, InlineExecutor, MapOptions, Shutdown, TaskError, TaskOptions, WhenFull, current,
};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Says that it has begun, and goes on until it is asked to stop.
fn until_asked(begun: PathBuf) -> u32 {
    let me = current().unwrap();
    std::fs::write(begun, "").unwrap();
    while !me.should_stop() {
        thread::yield_now();
    }
    std::process::id()
}

fn run_until_asked(pool: &ProcessPoolExecutor, signals: &Signals, name: &str) -> Future<u32> {
    let future = pool.submit(until_asked, signals.path(name));
    signals.wait(name);
    future
}

#[test]
fn a_loop_ends_when_it_is_asked() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        let mut pids = Vec::new();
        for n in 0..5 {
            let future = run_until_asked(&pool, &signals, &n.to_string());
            // Behind it, in the same worker's socket, or queued.
            let behind = pool.submit(until_asked, signals.path("never"));
            assert!(behind.ask_to_stop() && behind.is_cancelled());
            assert!(!future.is_done());
            assert!(future.ask_to_stop());
            pids.push(future.result().unwrap());
        }
        pids.dedup();
        assert_eq!(pids.len(), 1, "nothing was killed");
        assert!(!signals.has("never"));
        let done = pool.submit(|()| current().unwrap().should_stop(), ());
        assert!(done.exception().is_none() && !done.ask_to_stop());
        assert!(!done.result().unwrap());
    });
}

type About = (u64, Option<String>, u32, String, Option<usize>);

fn about(_: u32) -> About {
    let me = current().unwrap();
    let label = me.label().map(str::to_owned);
    (me.id().get(), label, me.attempt(), me.worker().to_owned(), me.worker_index())
}

#[test]
fn it_knows_its_id_label_and_worker() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix("w").build().unwrap();
        let plain = pool.submit(about, 0);
        let told = |id: FutureId, label: Option<&str>| {
            (id.get(), label.map(str::to_owned), 1, "w_0".to_owned(), Some(0))
        };
        let expected = told(plain.id(), None);
        assert_eq!(plain.result().unwrap(), expected);
        for label in ["", "2017-03-23", "溫度"] {
            let future = pool.submit_with(TaskOptions::new().label(label), about, 1);
            let expected = told(future.id(), Some(label));
            assert_eq!(future.result().unwrap(), expected);
        }
        let long = "x".repeat(100_000);
        let future = pool.submit_with(TaskOptions::new().label(&*long), about, 1);
        assert_eq!(future.result().unwrap().1, Some(long));
        let all: Vec<About> = pool.map(about, 0..10).map(Result::unwrap).collect();
        assert!(all.iter().all(|about| about.3 == "w_0"));
        // A task that the worker runs itself, in its own process, is one of its own.
        let inner = |()| {
            let future = InlineExecutor::new().spawn(|| current().unwrap().id());
            (future.id() == future.result().unwrap(), current().unwrap().id().get())
        };
        let outer = pool.submit(inner, ());
        let id = outer.id().get();
        assert_eq!(outer.result().unwrap(), (true, id));
    });
}

/// Two workers, each of which knows its own number.
#[test]
fn no_two_that_run_at_once_have_one_number() {
    limit(LIMIT, || {
        fn stay((begun, go): (PathBuf, PathBuf)) -> Option<usize> {
            crate::processes_support::stay((begun, go));
            current()?.worker_index()
        }
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(2);
        let futures: Vec<_> = ["a", "b"].map(|name| pool.submit(stay, signals.stay(name))).into();
        ["a.begun", "b.begun"].iter().for_each(|name| signals.wait(name));
        signals.release_all(&["a", "b"]);
        let mut indices: Vec<_> = futures.into_iter().map(|future| future.result().unwrap()).collect();
        indices.sort_unstable();
        assert_eq!(indices, [Some(0), Some(1)]);
    });
}

/// Kills its own process until the attempt with this number.
fn dies_until(attempt: u32) -> u32 {
    if current().unwrap().attempt() < attempt {
        std::process::abort();
    }
    current().unwrap().attempt()
}

#[test]
fn attempts_are_counted() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(1);
        let options = TaskOptions::new().retries(5).label("again");
        assert_eq!(pool.submit_with(options, dies_until, 3).result().unwrap(), 3);
    });
}

/// Says that it has begun; dies when it is asked to stop.
fn dies_when_asked(begun: PathBuf) {
    until_asked(begun);
    std::process::abort();
}

#[test]
fn what_was_asked_is_not_tried_again() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        let options = TaskOptions::new().retries(5);
        let future = pool.submit_with(options, dies_when_asked, signals.path("begun"));
        signals.wait("begun");
        assert!(future.ask_to_stop());
        assert!(matches!(future.result(), Err(TaskError::WorkerDied(_))));
        assert_eq!(pool.stats().deaths, 1);
    });
}

#[test]
fn shutdown_asks_all_that_run() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let builder = ProcessPoolExecutor::builder().max_workers(2).queue_capacity(1, WhenFull::CallerRuns);
        let pool = builder.build().unwrap();
        let running = ["a", "b"].map(|name| run_until_asked(&pool, &signals, name));
        thread::scope(|threads| {
            // Behind them, until one is too many and its submitter runs it.
            let submits = threads.spawn(|| {
                let mut behind = Vec::new();
                while !signals.has("here") {
                    behind.push(pool.submit(until_asked, signals.path("here")));
                }
                behind
            });
            signals.wait("here");
            pool.shutdown(Shutdown::Stop);
            for future in running {
                future.result().unwrap();
            }
            let behind = submits.join().unwrap();
            let here = std::process::id();
            let is_well = |result| {
                matches!(result, Err(TaskError::Cancelled)) || matches!(result, Ok(pid) if pid == here)
            };
            assert!(behind.into_iter().all(|future| is_well(future.result())));
        });
        pool.join();
    });
}

#[test]
fn items_of_a_map_are_asked_with_all() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(2);
        let paths: Vec<_> = (0..8).map(|n| signals.path(&n.to_string())).collect();
        let map = pool.map_with(MapOptions::new().chunksize(2), until_asked, paths);
        // Which of them the second worker has is up to it.
        let begun = || (0..8).filter(|n| signals.has(&n.to_string())).count();
        eventually(|| begun() == 2);
        pool.shutdown(Shutdown::Stop);
        let results: Vec<_> = map.collect();
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(TaskError::Cancelled))));
        // Each of a chunk's items finds it asked.
        assert_eq!((results.iter().filter(|result| result.is_ok()).count(), begun()), (4, 4));
    });
}

/// Stops when it is asked, if it is to.
fn obedient((is_obedient, asked): (bool, PathBuf)) -> bool {
    let me = current().unwrap();
    loop {
        if me.should_stop() {
            std::fs::write(&asked, "").unwrap();
            if is_obedient {
                return true;
            }
        }
        thread::yield_now();
    }
}

#[test]
fn a_soft_limit_and_a_hard_one_behind_it() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(1);
        let soft = || TaskOptions::new().stop_after(Duration::from_millis(5));
        let stops = pool.submit_with(soft(), obedient, (true, signals.path("first")));
        assert!(stops.result().unwrap());
        // It had its soft limit first, and ends by the hard one.
        let hard = soft().timeout(Duration::from_millis(500));
        let ends = pool.submit_with(hard.clone(), obedient, (false, signals.path("second")));
        assert!(matches!(ends.result(), Err(TaskError::TimeLimit(_))));
        assert!(signals.has("second"));
        let both = pool.submit_with(hard, obedient, (true, signals.path("third")));
        assert!(both.result().unwrap());
        let never = TaskOptions::new().stop_after(Duration::MAX);
        assert!(!pool.submit_with(never, |()| current().unwrap().should_stop(), ()).result().unwrap());
    });
}

/// A task that is over leaves nothing behind for the next in its place.
#[test]
fn a_thousand_asks() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = ProcessPoolExecutor::new(2);
        for n in 0..200 {
            let running = run_until_asked(&pool, &signals, &n.to_string());
            let others: Vec<_> =
                (0..4).map(|_| pool.submit(|()| current().unwrap().should_stop(), ())).collect();
            assert!(running.ask_to_stop());
            running.result().unwrap();
            assert!(others.into_iter().all(|future| !future.result().unwrap()));
        }
        eventually(|| pool.running().is_empty());
    });
}
