//! What an observer of a pool of processes is told: true times, and each task once, whatever becomes of its worker.

use crate::observer::{Event, Seen, Witness, check};
use crate::processes_support::{Signals, die, square, stay};
use crate::support::{LIMIT, eventually, limit, pass};
use concurrent_futures::prelude::*;
use concurrent_futures::{ProcessPoolBuilder, Shutdown, TaskOptions, WhenFull};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn observed(workers: usize) -> (ProcessPoolBuilder, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    let builder =
        ProcessPoolExecutor::builder().max_workers(workers).name_prefix("w").observer(witness.clone());
    (builder, witness)
}

fn ends(events: &[Event]) -> Vec<&'static str> {
    let end = |event: &Event| match event.seen {
        Seen::WorkerEnded(_, end) => Some(end),
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

fn nap(ms: u64) {
    pass(Duration::from_millis(ms));
}

#[test]
fn times_are_those_of_the_worker() {
    limit(LIMIT, || {
        let (builder, witness) = observed(1);
        let pool = builder.build().unwrap();
        pool.submit(nap, 0).result().unwrap();
        let before = Instant::now();
        // The second waits in the worker's socket until the first is over: sent is not begun.
        let naps = [pool.submit(nap, 30), pool.submit(nap, 20)];
        let ids = naps.each_ref().map(concurrent_futures::Future::id);
        naps.into_iter().for_each(|nap| nap.result().unwrap());
        let after = Instant::now();
        let intervals = ids.map(|id| {
            let events = witness.of(id);
            assert_eq!(events.len(), 3, "{events:?}");
            assert!(matches!(&events[2].seen, Seen::Ended(worker, began, None) if worker == "w_0" && *began == events[1].at));
            (events[1].at, events[2].at)
        });
        assert!(before <= intervals[0].0 && intervals[1].1 <= after, "{intervals:?}");
        assert!(intervals[0].1 - intervals[0].0 >= Duration::from_millis(30), "{intervals:?}");
        assert!(intervals[1].1 - intervals[1].0 >= Duration::from_millis(20), "{intervals:?}");
        assert!(intervals[0].1 <= intervals[1].0, "{intervals:?}");
        drop(pool);
        let events = witness.events();
        check(&events);
        let started = events.iter().find_map(|event| match &event.seen {
            Seen::WorkerStarted(name, pid, since) => Some((name.clone(), pid.unwrap(), event.at - *since)),
            _ => None,
        });
        assert!(
            started.is_some_and(|(name, pid, took)| name == "w_0"
                && pid != std::process::id()
                && !took.is_zero())
        );
        assert_eq!(ends(&events), ["left"]);
    });
}

#[test]
fn a_kill_a_death_and_a_second_try() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let (builder, witness) = observed(1);
        let pool = builder.build().unwrap();
        let killed = signals.hold(&pool, "killed");
        nap(5);
        assert!(killed.kill());
        killed.wait();
        let events = witness.of(killed.id());
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(
            matches!(&events[2].seen, Seen::Ended(_, _, Some(error)) if error.contains("killed")),
            "{events:?}"
        );
        assert!(events[2].at - events[1].at >= Duration::from_millis(5), "{events:?}");
        eventually(|| ends(&witness.events()) == ["killed"]);
        let dies = pool.submit_with(TaskOptions::new().retries(1), die, ());
        dies.wait();
        let told: Vec<_> = witness.of(dies.id()).into_iter().map(|event| event.seen).collect();
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told.iter().all(|seen| !matches!(seen, Seen::Ended(_, _, None))), "{told:?}");
        eventually(|| ends(&witness.events()) == ["killed", "died", "died"]);
        let limited = pool.submit_with(
            TaskOptions::new().timeout(Duration::from_millis(10)),
            stay,
            signals.stay("long"),
        );
        limited.wait();
        assert!(matches!(&witness.of(limited.id())[2].seen, Seen::Ended(_, _, Some(_))));
        pool.join();
        check(&witness.events());
    });
}

#[test]
fn what_never_ran() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let (builder, witness) = observed(1);
        let pool = builder.build().unwrap();
        let held = signals.hold(&pool, "held");
        let shipped = pool.submit(square, 2);
        let (taken_back, queued) = (pool.submit(square, 3), pool.submit(square, 4));
        assert!(taken_back.cancel());
        pool.shutdown(Shutdown::CancelQueued);
        let late = pool.submit(square, 5);
        for cancelled in [&shipped, &taken_back, &queued] {
            cancelled.wait();
            let told: Vec<_> = witness.of(cancelled.id()).into_iter().map(|event| event.seen).collect();
            assert_eq!(told, [Seen::Queued, Seen::Cancelled]);
        }
        assert!(matches!(&witness.of(late.id())[..], [_, Event { seen: Seen::Refused(_), .. }]));
        signals.release("held");
        held.result().unwrap();
        pool.join();
        check(&witness.events());
    });
}

fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[test]
fn small_and_large_results_alike() {
    limit(LIMIT, || {
        let (builder, witness) = observed(2);
        let pool = builder.queue_capacity(8, WhenFull::CallerRuns).build().unwrap();
        let sizes = [0, 1, 7, 8, 100, 4000, 5000, 300_000, 3_000_000];
        for size in sizes.into_iter().cycle().take(90) {
            let sent = vec![size as u8; size];
            assert_eq!(pool.submit(echo, sent.clone()).result().unwrap(), sent);
        }
        let results: Vec<_> = pool.map(square, 0..500).map(Result::unwrap).collect();
        assert_eq!(results, (0..500).map(|n| n * n).collect::<Vec<_>>());
        pool.join();
        let events = witness.events();
        check(&events);
        let ended = events.iter().filter(|event| matches!(event.seen, Seen::Ended(_, _, None))).count();
        assert_eq!(ended as u64, pool.stats().finished);
        let mut items: Vec<_> = events
            .iter()
            .filter(|event| event.seen == Seen::Queued)
            .filter_map(|event| event.items.clone())
            .collect();
        items.sort_by_key(|items| items.start);
        assert_eq!(items, (0..500).map(|n| n..n + 1).collect::<Vec<_>>());
    });
}
