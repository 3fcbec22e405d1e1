//! What a pool runs at a moment: every task that has begun and is not over, once, with what is its own.

use crate::support::{Gate, LIMIT, eventually, hold, limit, pass};
use concurrent_futures::prelude::*;
use concurrent_futures::{FutureId, MapOptions, RunningTask, TaskOptions, WhenFull, blocking};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn of(running: &[RunningTask], task: FutureId) -> &RunningTask {
    running.iter().find(|running| running.task == task).unwrap()
}

#[test]
fn since_the_first_look_or_since_it_began() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::builder().max_workers(2).name_prefix("w").build().unwrap();
        let early = hold(&pool);
        let before = Instant::now();
        let first = pool.running();
        let look = Instant::now();
        assert_eq!((first.len(), &*first[0].worker, first[0].pid), (1, "w_0", None));
        assert!(first[0].at_least && (before..=look).contains(&first[0].since), "{first:?}");
        let late = hold(&pool);
        let begun = Instant::now();
        pass(Duration::from_millis(5)); // what a late look would count
        let second = pool.running();
        assert_eq!(of(&second, early.future.id()), &first[0]);
        let late_s = of(&second, late.future.id());
        assert!(!late_s.at_least && (look..=begun).contains(&late_s.since), "{late_s:?}");
        assert_eq!(
            (&*late_s.worker, late_s.blocked, &late_s.label, &late_s.items),
            ("w_1", false, &None, &None)
        );
        assert_eq!(pool.running(), second);
        early.release();
        late.release();
        eventually(|| pool.running().is_empty());
        pool.join();
        assert!(pool.running().is_empty());
    });
}

#[test]
fn a_task_in_another_and_one_that_waits() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(1));
        let (begun, gate) = (Gate::new(), Gate::new());
        let (inner_pool, begins, opened) = (pool.clone(), begun.clone(), gate.clone());
        let outer = pool.submit_with(
            TaskOptions::new().label("outer"),
            move |()| {
                let inner = move |()| {
                    begins.open();
                    opened.wait();
                };
                inner_pool.submit_with(TaskOptions::new().label("inner"), inner, ()).result().unwrap();
            },
            (),
        );
        begun.wait();
        let running = pool.running();
        let told: Vec<_> =
            running.iter().map(|task| (task.label.as_deref().unwrap(), task.blocked)).collect();
        assert_eq!(told, [("outer", true), ("inner", false)]);
        assert_eq!((running[0].task, &running[0].worker), (outer.id(), &running[1].worker));
        assert!(running[0].to_string().contains(" waits in task `outer` for at least 0."), "{}", running[0]);
        gate.open();
        outer.result().unwrap();

        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, opened) = (begun.clone(), gate.clone());
        let waits = pool.spawn(move || {
            blocking(|| {
                begins.open();
                opened.wait();
            });
        });
        begun.wait();
        let running = pool.running();
        assert_eq!((running.len(), of(&running, waits.id()).blocked), (1, true));
        gate.open();
        waits.result().unwrap();
    });
}

#[test]
fn the_items_of_a_map() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (begun, gate) = (Gate::new(), Gate::new());
        let stays_at = |at: u32| {
            let (begins, opened) = (begun.clone(), gate.clone());
            move |n: u32| {
                if n == at {
                    begins.open();
                    opened.wait();
                }
            }
        };
        let map = pool.map(stays_at(4), 0..6);
        begun.wait();
        assert_eq!(pool.running()[0].items, Some(4..5));
        assert!(pool.running()[0].to_string().contains(", item 4 of a map, for "), "{}", pool.running()[0]);
        gate.open();
        assert_eq!(map.count(), 6);

        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, opened) = (begun.clone(), gate.clone());
        let options = MapOptions::new().chunksize(3).tasks(TaskOptions::new().label("chunk"));
        let stays_at_4 = move |n: u32| {
            if n == 4 {
                begins.open();
                opened.wait();
            }
        };
        let map = pool.map_with(options, stays_at_4, 0..7);
        begun.wait();
        let running = pool.running();
        assert_eq!((running[0].items.clone(), running[0].label.as_deref()), (Some(3..6), Some("chunk")));
        assert!(running[0].to_string().contains(", items 3 to 5 of a map, for "), "{}", running[0]);
        gate.open();
        assert_eq!(map.count(), 7);

        let (begun, gate) = (Gate::new(), Gate::new());
        pool.scope(|s| {
            let map = s.map(
                |n: &u32| {
                    if *n == 2 {
                        begun.open();
                        gate.wait();
                    }
                },
                &[0, 1, 2, 3],
            );
            begun.wait();
            assert_eq!(pool.running()[0].items, Some(2..3));
            gate.open();
            assert_eq!(map.count(), 4);
        });
    });
}

#[test]
fn items_that_share_a_task_and_are_parted_again() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, opened) = (begun.clone(), gate.clone());
        const STAYS: usize = 30_000;
        let stays = move |n: usize| {
            if n == STAYS {
                begins.open();
                opened.wait();
            }
        };
        let mut map = pool.map_with(MapOptions::new(), stays, 0..2 * STAYS);
        let pool_s = &pool;
        thread::scope(|s| {
            let looks = s.spawn(move || {
                begun.wait();
                let items = pool_s.running()[0].items.clone().unwrap();
                assert!(items.contains(&STAYS), "{items:?}");
                gate.open();
            });
            assert_eq!(map.by_ref().filter(Result::is_ok).count(), 2 * STAYS);
            looks.join().unwrap();
        });
    });
}

#[test]
fn a_task_that_its_submitter_runs() {
    limit(LIMIT, || {
        let pool = Arc::new(
            ThreadPoolExecutor::builder()
                .max_workers(1)
                .queue_capacity(1, WhenFull::CallerRuns)
                .build()
                .unwrap(),
        );
        let held = hold(&pool);
        let _queued = pool.spawn(|| {});
        let submitter = {
            let pool = pool.clone();
            thread::Builder::new().name("submitter".into()).spawn(move || {
                let (inside, outside) = (pool.clone(), pool.clone());
                let seen = inside.spawn(move || outside.running()).result().unwrap();
                assert_eq!(seen.iter().filter(|task| &*task.worker == "submitter").count(), 1, "{seen:?}");
                assert_eq!((seen.len(), inside.stats().running), (2, 1));
            })
        };
        submitter.unwrap().join().unwrap();
        assert_eq!(pool.running().len(), 1);
        held.release();
    });
}

#[test]
fn nothing_is_told_of_the_wrong_task() {
    limit(LIMIT, || {
        let pool = Arc::new(ThreadPoolExecutor::new(3));
        let labels: Arc<Mutex<HashMap<FutureId, Option<String>>>> = Arc::default();
        let over = Gate::new();
        thread::scope(|s| {
            s.spawn(|| {
                for n in 0..6000 {
                    let label = (n % 2 == 0).then(|| n.to_string());
                    let options =
                        label.iter().fold(TaskOptions::new(), |options, label| options.label(&**label));
                    let (inner, inner_labels) = (pool.clone(), labels.clone());
                    let run = move |n: u32| {
                        if n.is_multiple_of(3) {
                            let nested = TaskOptions::new().label(format!("in {n}"));
                            let nested = inner.submit_with(nested, |()| {}, ());
                            inner_labels.lock().unwrap().insert(nested.id(), Some(format!("in {n}")));
                            nested.result().unwrap();
                        }
                    };
                    let future = pool.submit_with(options, run, n);
                    labels.lock().unwrap().insert(future.id(), label);
                    if n % 64 == 0 {
                        future.wait();
                    }
                }
                over.open();
            });
            let mut seen = Vec::new();
            while !over.is_open() {
                let running = pool.running();
                let mut tasks: Vec<_> = running.iter().map(|task| task.task).collect();
                tasks.sort();
                tasks.dedup();
                assert!(running.iter().all(|task| task.since.elapsed() < LIMIT && task.items.is_none()));
                // A worker's tasks are read at one moment; a task may end on one worker before another is looked at.
                assert_eq!(tasks.len(), running.len(), "{running:?}");
                seen.extend(running.into_iter().map(|task| (task.task, task.label)));
            }
            eventually(|| pool.running().is_empty() && pool.stats().queued == 0);
            let labels = labels.lock().unwrap();
            for (task, label) in &seen {
                assert_eq!(labels.get(task).map(Option::as_deref), Some(label.as_deref()), "{task}");
            }
        });
        pool.join();
    });
}
