//! What an observer is told: each task once, in order, whatever becomes of it; and that it may do as it likes.

use crate::support::{Gate, LIMIT, eventually, hold, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    FutureId, MapOptions, Observer, PoolEvent, PoolEventKind, Shutdown, TaskError, TaskOptions, WhenFull,
    WorkerEnd, blocking,
};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Instant;

/// An event, without what it borrows.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Seen {
    Queued,
    Refused(String),
    Cancelled,
    Started(String),
    Ended(String, Instant, Option<String>),
    WaitBegan(String),
    WaitEnded(String),
    WorkerStarted(String, Option<u32>, Instant),
    WorkerEnded(String, &'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Instant,
    pub(crate) task: Option<FutureId>,
    pub(crate) label: Option<String>,
    pub(crate) items: Option<Range<usize>>,
    pub(crate) seen: Seen,
}

/// Keeps all that it is told.
#[derive(Default)]
pub(crate) struct Witness(Mutex<Vec<Event>>);

impl Witness {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn of(&self, task: FutureId) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.task == Some(task)).collect()
    }
}

impl Observer for Witness {
    fn observe(&self, event: &PoolEvent<'_>) {
        use PoolEventKind::*;
        let (task, seen) = match &event.kind {
            Queued { task } => (Some(task), Seen::Queued),
            Refused { task, error } => (Some(task), Seen::Refused(error.to_string())),
            Cancelled { task } => (Some(task), Seen::Cancelled),
            Started { task, worker } => (Some(task), Seen::Started(worker.name.to_string())),
            Ended { task, worker, began, error } => {
                let error = error.map(ToString::to_string);
                (Some(task), Seen::Ended(worker.name.to_string(), *began, error))
            }
            WaitBegan { worker } => (None, Seen::WaitBegan(worker.name.to_string())),
            WaitEnded { worker } => (None, Seen::WaitEnded(worker.name.to_string())),
            WorkerStarted { worker, since } => {
                (None, Seen::WorkerStarted(worker.name.to_string(), worker.pid, *since))
            }
            WorkerEnded { worker, end } => {
                let end = match end {
                    WorkerEnd::Left => "left",
                    WorkerEnd::Killed(_) => "killed",
                    WorkerEnd::Died(_) => "died",
                    _ => "?",
                };
                (None, Seen::WorkerEnded(worker.name.to_string(), end))
            }
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().push(Event {
            at: event.at,
            task: task.map(|task| task.id),
            label: task.and_then(|task| task.label.map(ToString::to_string)),
            items: task.and_then(|task| task.items.clone()),
            seen,
        });
    }
}

/// Each task is queued once and ends once, in order; what runs in a worker runs one after the other or one in the other.
pub(crate) fn check(events: &[Event]) {
    let mut tasks: HashMap<FutureId, Vec<&Event>> = HashMap::new();
    for event in events {
        if let Some(task) = event.task {
            tasks.entry(task).or_default().push(event);
        }
    }
    let mut of_worker: HashMap<&str, Vec<(Instant, Instant)>> = HashMap::new();
    for (task, events) in &mut tasks {
        events.sort_by_key(|event| event.at);
        // What a lazy map parts from a batch is not queued by itself.
        let rest = if events[0].seen == Seen::Queued { &events[1..] } else { &events[..] };
        assert!(rest.iter().all(|event| event.seen != Seen::Queued), "{task} {events:?}");
        match rest {
            [one] => assert!(matches!(one.seen, Seen::Refused(_) | Seen::Cancelled), "{task} {events:?}"),
            runs => {
                assert!(runs.len() % 2 == 0 && !runs.is_empty(), "{task} {events:?}");
                for run in runs.chunks(2) {
                    let (Seen::Started(worker), Seen::Ended(same, began, _)) = (&run[0].seen, &run[1].seen)
                    else {
                        panic!("{task} {events:?}")
                    };
                    assert!(worker == same && *began == run[0].at, "{task} {events:?}");
                    of_worker.entry(worker).or_default().push((*began, run[1].at));
                }
            }
        }
    }
    for (worker, mut intervals) in of_worker {
        intervals.sort();
        let mut open: Vec<Instant> = Vec::new();
        for (began, ended) in intervals {
            open.retain(|end| *end > began);
            assert!(open.iter().all(|end| *end >= ended), "{worker}");
            open.push(ended);
        }
    }
}

/// A task of a scope that waits for a place in a full queue is run in place by the scope's end; then there is a place, or the pool is
/// shut down.
#[test]
fn a_task_that_ran_before_it_had_a_place() {
    limit(LIMIT, || {
        for shuts_down in [false, true] {
            let witness = Arc::new(Witness::default());
            let pool = ThreadPoolExecutor::builder()
                .max_workers(2)
                .queue_capacity(1, WhenFull::Block)
                .observer(witness.clone())
                .build();
            let pool = Arc::new(pool.unwrap());
            let (begun, go, ends) = (Gate::new(), Gate::new(), Gate::new());
            let (own, begins, goes, end) = (pool.clone(), begun.clone(), go.clone(), ends.clone());
            let scope = pool.spawn(move || {
                let (begins, goes, own) = (&begins, &goes, &own);
                own.scope(|s| {
                    s.spawn(move || {
                        blocking(|| {
                            begins.open();
                            goes.wait();
                        });
                        let ends_it = move || {
                            if shuts_down {
                                own.shutdown(Shutdown::Drain)
                            }
                        };
                        s.spawn(ends_it).detach();
                    })
                    .detach();
                    end.wait();
                });
            });
            begun.wait();
            // Two are active beside the one that waits, so nobody takes what fills the queue.
            let held = hold(&pool);
            let filler = pool.spawn(|| ());
            go.open();
            let waits = || {
                let events = witness.events();
                events.iter().filter(|event| matches!(event.seen, Seen::WaitBegan(_))).count()
            };
            eventually(|| waits() == 2);
            ends.open();
            scope.result().unwrap();
            held.release();
            filler.result().unwrap();
            pool.join();
            let events = witness.events();
            assert!(events.iter().all(|event| event.seen != Seen::Cancelled), "{events:?}");
            check(&events);
        }
    });
}

#[test]
fn a_task_from_its_queueing_to_its_end() {
    limit(LIMIT, || {
        let witness = Arc::new(Witness::default());
        let pool = ThreadPoolExecutor::builder()
            .max_workers(1)
            .name_prefix("w")
            .observer(witness.clone())
            .build()
            .unwrap();
        let good = pool.submit_with(TaskOptions::new().label("good"), |()| 1, ());
        let good_id = good.id();
        good.result().unwrap();
        // Before its future knows.
        let events = witness.of(good_id);
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event.label.as_deref() == Some("good")));
        assert_eq!(events[1].seen, Seen::Started("w_0".into()));
        assert_eq!(events[2].seen, Seen::Ended("w_0".into(), events[1].at, None));
        let bad = pool.try_spawn(|| Err::<(), _>("no good"));
        bad.wait();
        let told = witness.of(bad.id());
        assert!(
            matches!(&told[2].seen, Seen::Ended(_, _, Some(error)) if error.contains("no good")),
            "{told:?}"
        );
        let map: Vec<_> = pool.map(|n: u32| n, 0..3).collect();
        assert_eq!(map.len(), 3);
        let held = hold(&pool);
        let cancelled = pool.spawn(|| 1);
        assert!(cancelled.cancel());
        assert_eq!(witness.of(cancelled.id()).last().unwrap().seen, Seen::Cancelled);
        let queued = pool.spawn(|| 1);
        pool.shutdown(Shutdown::CancelQueued);
        assert_eq!(witness.of(queued.id()).last().unwrap().seen, Seen::Cancelled);
        let late = pool.spawn(|| 1);
        assert!(matches!(&witness.of(late.id()).last().unwrap().seen, Seen::Refused(_)));
        held.release();
        pool.join();
        let events = witness.events();
        check(&events);
        let items: Vec<_> = events
            .iter()
            .filter(|event| event.seen == Seen::Queued)
            .filter_map(|event| event.items.clone())
            .collect();
        assert_eq!(items, [0..1, 1..2, 2..3]);
        let of_workers: Vec<_> = events.iter().filter(|event| event.task.is_none()).collect();
        assert!(
            matches!(&of_workers[0].seen, Seen::WorkerStarted(name, None, since) if name == "w_0" && *since <= of_workers[0].at)
        );
        assert_eq!(of_workers[1].seen, Seen::WorkerEnded("w_0".into(), "left"));
        assert_eq!(of_workers.len(), 2);
    });
}

#[test]
fn waits_and_tasks_within_tasks() {
    limit(LIMIT, || {
        let witness = Arc::new(Witness::default());
        let pool =
            Arc::new(ThreadPoolExecutor::builder().max_workers(1).observer(witness.clone()).build().unwrap());
        let (inner, gate) = (pool.clone(), Gate::new());
        let opened = gate.clone();
        let outer = pool.spawn(move || {
            inner.spawn(|| 1).result().unwrap();
            blocking(|| opened.wait());
        });
        eventually(|| witness.events().iter().any(|event| matches!(event.seen, Seen::WaitBegan(_))));
        assert!(witness.events().iter().all(|event| !matches!(event.seen, Seen::WaitEnded(_))));
        gate.open();
        outer.result().unwrap();
        let events = witness.events();
        check(&events);
        assert!(events.iter().any(|event| matches!(event.seen, Seen::WaitEnded(_))));
    });
}

#[test]
fn whatever_a_program_does() {
    limit(LIMIT, || {
        for when_full in [None, Some(WhenFull::Block), Some(WhenFull::Reject), Some(WhenFull::CallerRuns)] {
            let witness = Arc::new(Witness::default());
            let mut builder = ThreadPoolExecutor::builder().max_workers(3).observer(witness.clone());
            if let Some(when_full) = when_full {
                builder = builder.queue_capacity(7, when_full);
            }
            let pool = Arc::new(builder.build().unwrap());
            thread::scope(|s| {
                for number in 0..3 {
                    let pool = &pool;
                    let submits = move || {
                        for n in 0..300 {
                            let inner = pool.clone();
                            match n % 7 {
                                0 => drop(pool.spawn(|| 1)),
                                1 => drop(pool.try_spawn(|| Err::<(), _>("failed"))),
                                2 => drop(pool.spawn(|| 1).cancel()),
                                3 => drop(pool.spawn(move || drop(inner.spawn(|| 1).result()))),
                                4 => drop(pool.spawn(move || {
                                    let two = [inner.spawn(|| 1), inner.spawn(|| 2)];
                                    wait(&two, ReturnWhen::FirstCompleted).done.len()
                                })),
                                5 => drop(pool.map_with(MapOptions::new(), |n: u32| n, 0..200).count()),
                                _ => drop(pool.spawn(|| std::panic::resume_unwind(Box::new(())))),
                            }
                        }
                    };
                    thread::Builder::new()
                        .name(format!("submitter {number}"))
                        .spawn_scoped(s, submits)
                        .unwrap();
                }
            });
            pool.join();
            let (events, stats) = (witness.events(), pool.stats());
            check(&events);
            let count = |is: fn(&Seen) -> bool| events.iter().filter(|event| is(&event.seen)).count() as u64;
            let ended = count(|seen| matches!(seen, Seen::Ended(..)));
            assert_eq!(ended, stats.finished + stats.failed, "{when_full:?}");
            assert_eq!(
                count(|seen| matches!(seen, Seen::Ended(_, _, Some(_)))),
                stats.failed,
                "{when_full:?}"
            );
            assert_eq!(count(|seen| *seen == Seen::Cancelled), stats.cancelled, "{when_full:?}");
            let (began, over) = (
                count(|seen| matches!(seen, Seen::WaitBegan(_))),
                count(|seen| matches!(seen, Seen::WaitEnded(_))),
            );
            assert_eq!(began, over, "{when_full:?}");
        }
    });
}

/// Panics at every event.
struct Panics;

impl Observer for Panics {
    fn observe(&self, _: &PoolEvent<'_>) {
        std::panic::resume_unwind(Box::new("an observer's own"));
    }
}

/// As facebook/folly's rule in facebookresearch/DCPerf#530: there an observer that fails ends the program.
#[test]
fn one_that_panics_changes_nothing() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(2).observer(Panics).build().unwrap();
        let sum: u32 = pool.map(|n: u32| n, 0..100).map(Result::unwrap).sum();
        assert_eq!(sum, 4950);
        assert!(matches!(pool.try_spawn(|| Err::<(), _>("failed")).result(), Err(TaskError::Failed(_))));
        pool.join();
        assert_eq!((pool.stats().finished, pool.stats().failed), (100, 1));
    });
}

/// Submits a task to the pool it observes, and asks it what it does.
#[derive(Default)]
struct Submits(OnceLock<Weak<ThreadPoolExecutor>>);

impl Observer for Submits {
    fn observe(&self, event: &PoolEvent<'_>) {
        let Some(pool) = self.0.get().and_then(Weak::upgrade) else { return };
        assert!(pool.stats().submitted() < 10_000);
        pool.running();
        if let PoolEventKind::Ended { task, .. } = &event.kind
            && task.label.is_some()
        {
            // What it does on its own thread is not told: this ends.
            assert_eq!(pool.spawn(|| 7).result().unwrap(), 7);
        }
    }
}

/// As GothenburgBitFactory/taskwarrior#1737, hooks that call themselves without end, and apache/druid#6212, listeners that are
/// called with locks held.
#[test]
fn one_that_uses_its_pool() {
    limit(LIMIT, || {
        let submits = Arc::new(Submits::default());
        let pool =
            Arc::new(ThreadPoolExecutor::builder().max_workers(1).observer(submits.clone()).build().unwrap());
        submits.0.set(Arc::downgrade(&pool)).unwrap();
        for _ in 0..50 {
            pool.submit_with(TaskOptions::new().label("told"), |()| (), ()).result().unwrap();
        }
        pool.join();
        assert_eq!(pool.stats().finished, 100);
    });
}
