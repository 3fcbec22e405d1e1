//! Tasks on processes: their states, cancelling, killing, callbacks, waiting for many; what a worker keeps of them.

use crate::processes_support::{Signals, builder, pid, square, stay};
use crate::support::{LIMIT, SOON, eventually, keep_log, limit, times_logged, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, Shutdown, State, Task, TaskError, TaskOptions, WhenFull, promise};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A pool of one worker with a batch at it: the first of the names runs, the others were shipped behind it.
fn batch(signals: &Signals, names: &[&str]) -> (ProcessPoolExecutor, Vec<concurrent_futures::Future<u32>>) {
    // While the worker is in its initializer the queue fills; half of it is the first batch.
    let pool = builder(1).initializer(|path| _ = stay(path), signals.stay("start")).build().unwrap();
    let futures: Vec<_> = names.iter().map(|name| pool.submit(stay, signals.stay(name))).collect();
    signals.wait("start.begun");
    assert!(futures.iter().all(|future| future.state() == State::Queued));
    signals.release("start");
    signals.wait(&format!("{}.begun", names[0]));
    (pool, futures)
}

#[test]
fn what_was_shipped_and_has_not_begun_is_not_running() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let (pool, mut futures) = batch(&signals, &["a", "b", "c", "d", "e", "f"]);
        let states = |futures: &[concurrent_futures::Future<u32>]| {
            futures.iter().map(|future| future.state()).collect::<Vec<_>>()
        };
        use State::{Dispatched, Queued, Running};
        // 3 of 6, then 1 of the 3 that are left: one batch is run, one waits at the door.
        eventually(|| states(&futures) == [Running, Dispatched, Dispatched, Dispatched, Queued, Queued]);
        assert!(futures[0].is_running() && !futures[1].is_running() && !futures[1].is_done());
        let stats = pool.stats();
        assert_eq!((stats.running, stats.dispatched, stats.queued), (1, 3, 2));
        // It can be cancelled, and certainly doesn't run. The one that runs can't.
        let shipped = futures.remove(1);
        assert!(shipped.cancel() && shipped.cancel() && shipped.is_cancelled());
        assert!(!futures[0].cancel() && futures[0].is_running());
        signals.release_all(&["a", "c", "d", "e", "f"]);
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
        assert!(matches!(shipped.result(), Err(TaskError::Cancelled)) && !signals.has("b.begun"));
        assert_eq!((pool.stats().cancelled, pool.stats().finished), (1, 5));
    });
}

#[test]
fn kill_ends_the_worker_of_a_running_task_and_hits_no_other() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let (pool, mut futures) = batch(&signals, &["a", "b", "c", "d"]);
        // One that waits is cancelled by it, wherever it waits.
        assert!(futures[1].kill() && futures[1].is_cancelled());
        let running = futures.remove(0);
        assert!(running.kill());
        let error = running.result().unwrap_err();
        let TaskError::WorkerDied(died) = &error else { panic!("{error:?}") };
        assert!(died.signal() == Some(9) && died.cause().unwrap().contains("`kill`"), "{error}");
        signals.release_all(&["c", "d"]);
        assert!(futures.remove(1).result().is_ok() && futures.remove(1).result().is_ok());
        // Of one that is done there is nothing to be killed.
        let done = pool.submit(square, 3);
        done.wait();
        assert!(!done.kill());
        assert_eq!(done.result().unwrap(), 9);
        assert_eq!(pool.stats().deaths, 1);
    });
}

#[test]
fn a_task_out_of_time_is_ended_and_no_other() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let limited = TaskOptions::new().timeout(Duration::from_millis(50));
        let slow = pool.submit_with(limited.clone(), stay, signals.stay("slow"));
        let behind = pool.submit_with(limited, square, 3);
        let error = slow.result().unwrap_err();
        let TaskError::TimeLimit(over) = &error else { panic!("{error}") };
        assert_eq!(over.limit(), Duration::from_millis(50));
        // Its own clock runs from its own beginning.
        assert_eq!(behind.result().unwrap(), 9);
    });
}

#[test]
fn a_handle_cancels_and_kills_while_the_owner_waits() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let (_pool, mut futures) = batch(&signals, &["a", "b", "c", "d"]);
        let (shipped, running) = (futures.remove(1), futures.remove(0));
        let handles = [shipped.cancel_handle(), running.cancel_handle()];
        let owner = std::thread::spawn(move || (shipped.result(), running.result()));
        assert!(handles[0].cancel());
        assert!(!handles[1].cancel() && handles[1].kill());
        let (cancelled, killed) = owner.join().unwrap();
        assert!(matches!(cancelled, Err(TaskError::Cancelled)), "{cancelled:?}");
        assert!(matches!(killed, Err(TaskError::WorkerDied(_))), "{killed:?}");
        signals.release_all(&["c", "d"]);
    });
}

#[test]
fn cancels_from_many_threads_and_results_agree() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(2);
        for _ in 0..20 {
            let futures: Vec<_> = (0..100).map(|n| pool.submit(square, n)).collect();
            let cancelled = AtomicUsize::new(0);
            std::thread::scope(|s| {
                for part in futures.chunks(25) {
                    let cancelled = &cancelled;
                    s.spawn(move || {
                        let count = part.iter().filter(|future| future.cancel()).count();
                        cancelled.fetch_add(count, Ordering::SeqCst);
                    });
                }
            });
            let mut seen = 0;
            for (n, future) in (0..).zip(futures) {
                match future.result() {
                    Ok(square) => assert_eq!(square, n * n),
                    Err(TaskError::Cancelled) => seen += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            assert_eq!(seen, cancelled.into_inner());
        }
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.dispatched, stats.running, stats.submitted()), (0, 0, 0, 2000));
    });
}

// ---- callbacks -----------------------------------------------------------------------------------------

#[test]
fn callbacks_may_wait_for_other_tasks_of_the_pool() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let pool = Arc::new(builder(1).build().unwrap());
        let first = signals.hold(&*pool, "first");
        let second = pool.submit(square, 3);
        let (sender, receiver) = mpsc::channel();
        let inner = pool.clone();
        first.add_done_callback(move |_| {
            // One that was queued before, and one that is only submitted now.
            let third = inner.submit(square, 4);
            sender.send((second.result().unwrap(), third.result().unwrap())).unwrap();
        });
        signals.release("first");
        assert_eq!(receiver.recv_timeout(SOON).unwrap(), (9, 16));
    });
}

#[test]
fn a_slow_callback_holds_no_other_result_up() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let first = signals.hold(&pool, "first");
        let (go, waits) = mpsc::channel::<()>();
        first.add_done_callback(move |_| waits.recv().unwrap());
        signals.release("first");
        // It is delivered, and later tasks run, while the callback is at it.
        first.result().unwrap();
        assert_eq!(pool.submit(square, 5).result().unwrap(), 25);
        go.send(()).unwrap();
        pool.join();
    });
}

#[test]
fn callbacks_that_submit_to_a_full_pool_are_let_in() {
    limit(LIMIT, || {
        let pool = builder(1).queue_capacity(1, WhenFull::Block).build().unwrap();
        let (pool, signals) = (Arc::new(pool), Signals::new());
        let first = signals.hold(&*pool, "first");
        let (sender, receiver) = mpsc::channel();
        let inner = pool.clone();
        first.add_done_callback(move |_| {
            // More than there is room for, by the one thread that everybody else's callbacks wait for.
            let futures: Vec<_> = (0..20).map(|n| inner.submit(square, n)).collect();
            sender.send(futures).unwrap();
        });
        let waiting = pool.submit(square, 30);
        signals.release("first");
        let futures = receiver.recv_timeout(SOON).unwrap();
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
        assert_eq!(waiting.result().unwrap(), 900);
    });
}

#[test]
fn a_callback_that_panics_costs_nobody_anything() {
    limit(LIMIT, || {
        keep_log();
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let first = signals.hold(&pool, "first");
        let (sender, receiver) = mpsc::channel();
        first.add_done_callback(|_| panic!("callback 5512"));
        first.add_done_callback(move |done| sender.send(done.error().is_none()).unwrap());
        signals.release("first");
        assert!(receiver.recv_timeout(SOON).unwrap());
        assert!(was_logged(&["callback 5512"]));
        assert_eq!(pool.submit(square, 6).result().unwrap(), 36);
    });
}

// ---- many ------------------------------------------------------------------------------------------------

#[test]
fn waits_mix_processes_threads_and_promises() {
    limit(LIMIT, || {
        let (processes, threads, signals) =
            (ProcessPoolExecutor::new(2), ThreadPoolExecutor::new(1), Signals::new());
        let slow = signals.hold(&processes, "slow");
        let (fast, thread) = (processes.submit(pid, ()), threads.spawn(std::process::id));
        let (promise, promised) = promise();
        let first = wait([&fast, &thread, &slow, &promised], ReturnWhen::FirstCompleted);
        assert!(!first.done.is_empty() && first.not_done.len() >= 2);
        promise.set_result(0);
        let order: Vec<_> = {
            let mut many = as_completed([(0, &fast), (1, &thread), (2, &slow), (3, &promised)]);
            let mut order: Vec<_> = many.by_ref().take(3).map(|(n, _)| n).collect();
            signals.release("slow");
            order.extend(many.map(|(n, _)| n));
            order
        };
        assert_eq!(order[3], 2, "the slow one is last");
        assert_ne!(fast.result().unwrap(), thread.result().unwrap());
        slow.result().unwrap();
    });
}

#[test]
fn a_map_over_processes_is_in_order_and_failures_stand_at_their_place() {
    limit(LIMIT, || {
        let odd = |n: u64| if n % 2 == 1 { Ok(n) } else { Err(format!("{n} is even")) };
        let pool = ProcessPoolExecutor::new(2);
        for chunksize in [1, 6, 40, 50] {
            let options = concurrent_futures::MapOptions::new().chunksize(chunksize);
            let texts: Vec<_> = pool
                .try_map_with(options, odd, 0..50)
                .map(|item| item.map_or_else(|error| error.to_string(), |n| n.to_string()))
                .collect();
            assert_eq!((&*texts[1], &*texts[2], texts.len()), ("1", "2 is even", 50));
        }
        // A worker that dies costs its chunk, and the rest comes.
        let options = concurrent_futures::MapOptions::new().chunksize(5);
        let dies = |n: u64| if n == 12 { std::process::abort() } else { n };
        let items: Vec<_> = pool.map_with(options, dies, 0..30).map(|item| item.ok()).collect();
        let lost: Vec<usize> = (0..30).filter(|n| items[*n].is_none()).collect();
        assert_eq!(lost, (10..15).collect::<Vec<_>>());
    });
}

// ---- failures that nobody saw ------------------------------------------------------------------------------

#[test]
fn a_failure_that_nobody_saw_is_told_once() {
    limit(LIMIT, || {
        keep_log();
        let pool = ProcessPoolExecutor::new(1);
        let unseen = pool.try_submit(|()| Err::<(), _>("unseen 7781"), ());
        let died = pool.submit(|()| -> () { std::process::abort() }, ());
        let seen = pool.try_submit(|()| Err::<(), _>("seen 7781"), ());
        let ids = [unseen.id(), died.id(), seen.id()];
        unseen.detach();
        drop(died);
        assert!(seen.result().is_err());
        pool.join();
        let told = |id| times_logged(&[&format!("task {id} failed and nobody asked")]);
        assert_eq!(ids.map(told), [1, 1, 0]);
        assert_eq!(times_logged(&["unseen 7781"]), 1);
    });
}

// ---- what a worker keeps, and what it can't take -------------------------------------------------------------

/// How many of these live in this process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts itself where it is decoded.
#[derive(Serialize)]
struct Counted;

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        LIVE.fetch_add(1, Ordering::SeqCst);
        Ok(Counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_worker_keeps_nothing_of_a_task_that_is_over() {
    limit(LIMIT, || {
        let live = |()| LIVE.load(Ordering::SeqCst);
        let pool = ProcessPoolExecutor::new(1);
        // As an argument, and as a part of one that goes on into the result's place.
        let inside = |counted: Vec<CountedUnit>| {
            let live = LIVE.load(Ordering::SeqCst);
            drop(counted);
            live
        };
        let arguments = || (0..3).map(|_| CountedUnit::default()).collect::<Vec<_>>();
        assert_eq!(pool.submit(inside, arguments()).result().unwrap(), 3);
        assert_eq!(pool.submit(live, ()).result().unwrap(), 0);
        let panics = |_: Vec<CountedUnit>| -> () { panic!("with its argument in its hands") };
        pool.submit(panics, arguments()).exception().unwrap();
        assert_eq!(pool.submit(live, ()).result().unwrap(), 0);
    });
}

/// Not counted where it is made.
#[derive(Default)]
struct CountedUnit(#[expect(dead_code, reason = "its drop counts")] Option<Counted>);

impl Serialize for CountedUnit {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ().serialize(to)
    }
}

impl<'de> Deserialize<'de> for CountedUnit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Counted::deserialize(from).map(|counted| CountedUnit(Some(counted)))
    }
}

#[test]
fn an_argument_is_taken_down_at_the_submit() {
    limit(LIMIT, || {
        let (pool, signals) = (ProcessPoolExecutor::new(1), Signals::new());
        let held = signals.hold(&pool, "held");
        let shared = Arc::new(AtomicUsize::new(1));
        let queued = pool.submit(|n: Noted| n.0.load(Ordering::SeqCst), Noted(shared.clone()));
        // Too late for the task.
        shared.store(2, Ordering::SeqCst);
        assert_eq!(Arc::strong_count(&shared), 1, "and the argument itself is gone");
        signals.release("held");
        held.result().unwrap();
        assert_eq!(queued.result().unwrap(), 1);
    });
}

/// Shares a number with whoever made it.
struct Noted(Arc<AtomicUsize>);

impl Serialize for Noted {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.load(Ordering::SeqCst).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Noted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        usize::deserialize(from).map(|n| Noted(Arc::new(AtomicUsize::new(n))))
    }
}

#[test]
fn a_closure_that_captures_is_refused_by_processes() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(1);
        let captured = String::from("here only");
        let (task, future) = Task::local(move || captured.len());
        pool.execute(task);
        let error = future.result().unwrap_err();
        assert!(matches!(error, TaskError::Rejected(concurrent_futures::Rejected::NotPortable)), "{error:?}");
        assert!(pool.stats().workers.is_empty());
    });
}

#[test]
fn a_label_and_the_worker_stand_in_every_error() {
    limit(LIMIT, || {
        let pool = builder(1).name_prefix("named").build().unwrap();
        let label = || TaskOptions::new().label("page 7");
        let panicked = pool.submit_with(label(), |()| -> () { panic!("no") }, ()).result().unwrap_err();
        let died = pool.submit_with(label(), |()| -> () { std::process::exit(3) }, ()).result();
        let limited = label().timeout(Duration::from_millis(20));
        let over = pool.submit_with(limited, stay, Signals::new().stay("named")).result();
        for text in [panicked.to_string(), died.unwrap_err().to_string(), over.unwrap_err().to_string()] {
            assert!(text.contains("page 7") && text.contains("named_0"), "{text}");
        }
        pool.shutdown(Shutdown::Drain);
    });
}

/// What there is to do, of a map's item.
fn act(what: u8) {
    match what {
        1 => panic!("asked to"),
        2 => std::process::exit(3),
        3 => loop {
            std::thread::park();
        },
        _ => {}
    }
}

#[test]
fn an_error_in_a_map_names_its_item() {
    limit(LIMIT, || {
        let pool = builder(1).name_prefix("items").build().unwrap();
        let texts = |chunksize: usize, tasks: TaskOptions, input: &[u8]| -> Vec<String> {
            let options = MapOptions::new().chunksize(chunksize).tasks(tasks);
            let results = pool.map_with(options, act, input.to_vec());
            results.filter_map(Result::err).map(|error| error.to_string()).collect()
        };
        let limited = TaskOptions::new().timeout(Duration::from_secs(2));
        let single = texts(1, limited, &[0, 1, 2, 0, 3]);
        for (text, item) in single.iter().zip([1, 2, 4]) {
            assert!(text.contains(&format!(" (item {item} of the map) in worker items_0")), "{single:?}");
        }
        assert!(single[1].contains("died") && single[2].contains("longer than its limit"), "{single:?}");
        // A panic is an item's alone; which of a chunk's items ran when a worker ended, nobody knows.
        let chunks = texts(2, TaskOptions::new(), &[0, 1, 0, 2]);
        assert_eq!(chunks.len(), 3, "{chunks:?}");
        assert!(chunks[0].contains(" (item 1 of the map) in worker items_0 panicked at"), "{chunks:?}");
        assert!(chunks[1].contains(" (a chunk with item 2 of the map) in worker items_0"), "{chunks:?}");
        assert!(chunks[2].contains(" (a chunk with item 3 of the map) in worker items_0"), "{chunks:?}");
        let eager = pool.map(act, [0, 2]).filter_map(Result::err).map(|error| error.to_string());
        assert!(eager.last().unwrap().contains("(item 1 of the map)"));
    });
}
