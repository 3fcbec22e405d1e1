//! Timelines: the trace is what Perfetto takes, and its totals are the pool's.

use crate::support::{Gate, LIMIT, limit, pass};
use concurrent_futures::prelude::*;
use concurrent_futures::{Observer, TaskOptions, Timeline, blocking};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future as _;
use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// A moment of a trace, in nanoseconds: they have three decimals, and none is rounded.
fn nanos(value: &Value) -> u64 {
    let micros = value.as_f64().unwrap();
    assert!(micros >= 0.0, "{value}");
    (micros * 1000.0).round() as u64
}

/// The events of a trace, if it keeps the rules of the format.
fn events_of(timeline: &Timeline) -> Vec<Value> {
    let mut trace = Vec::new();
    timeline.chrome_trace(&mut trace).unwrap();
    let trace: Value = serde_json::from_slice(&trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().clone();
    let (mut named, mut used, mut last) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut slices: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for event in &events {
        let (phase, row) = (event["ph"].as_str().unwrap(), event["tid"].as_u64().unwrap());
        assert!(event["pid"].is_u64() && event["name"].is_string() && event["args"].is_object(), "{event}");
        if phase == "M" {
            if event["name"] == "thread_name" {
                assert!(event["args"]["name"].is_string() && named.insert(row), "{event}");
            }
            continue;
        }
        let at = nanos(&event["ts"]);
        assert!(at >= last, "not in order: {event}");
        last = at;
        match phase {
            "X" => {
                used.insert(row);
                slices.entry(row).or_default().push((at, at + nanos(&event["dur"])));
            }
            "i" => {
                used.insert(row);
                assert_eq!(event["s"], "t");
            }
            "C" => assert!(event["args"]["tasks"].as_i64().unwrap() >= 0, "{event}"),
            other => panic!("{other}: {event}"),
        }
    }
    assert!(used.is_subset(&named), "rows without a name: {used:?} {named:?}");
    // As google/perfetto#432, #503, #928: slices of a row that overlap and don't nest are shown wrong, and (#371) one that
    // stands behind what lies in it may be.
    for (row, slices) in slices {
        let mut open: Vec<(u64, u64)> = Vec::new();
        for (began, ended) in slices {
            open.retain(|(_, end)| *end > began);
            assert!(open.iter().all(|(_, end)| *end >= ended), "row {row}: {began}..{ended} in {open:?}");
            open.push((began, ended));
        }
    }
    events
}

fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["cat"] == kind && event["ph"] == "X").collect()
}

#[test]
fn a_trace_of_threads() {
    limit(LIMIT, || {
        let timeline = Timeline::new();
        let pool = Arc::new(
            ThreadPoolExecutor::builder()
                .max_workers(2)
                .name_prefix("w")
                .observer(timeline.clone())
                .build()
                .unwrap(),
        );
        let inner = pool.clone();
        let label = "a \"label\",\n\u{1}\\ of é";
        let waits = move |()| {
            inner.map(|n: u64| n, 0..3).for_each(drop);
            let some = [inner.spawn(|| 1), inner.spawn(|| 2)];
            wait(&some, ReturnWhen::FirstCompleted);
            blocking(|| pass(Duration::from_millis(2)));
        };
        pool.submit_with(TaskOptions::new().label(label), waits, ()).result().unwrap();
        pool.try_spawn(|| Err::<(), _>("failed \"so\"")).wait();
        pool.map(|n: u64| n * n, 0..200).for_each(drop);
        pool.spawn(|| 1).cancel();
        pool.join();
        let (events, stats, summary) = (events_of(&timeline), pool.stats(), timeline.summary());
        let tasks = of_kind(&events, "task");
        assert_eq!(tasks.len() as u64, stats.finished + stats.failed);
        assert_eq!(
            (summary.tasks, summary.failed, summary.cancelled),
            (tasks.len() as u64, stats.failed, stats.cancelled)
        );
        assert_eq!(summary.workers.iter().map(|worker| worker.tasks).sum::<u64>(), summary.tasks);
        let labelled = tasks.iter().find(|task| task["name"] == label).unwrap();
        assert!(nanos(&labelled["dur"]) >= 2_000_000, "{labelled}");
        assert!(tasks.iter().any(|task| task["name"] == "item 199" && task["args"]["first_item"] == 199));
        let errors: Vec<_> = tasks.iter().filter_map(|task| task["args"]["error"].as_str()).collect();
        assert!(errors.len() == 1 && errors[0].contains("failed \"so\""), "{errors:?}");
        let waits = of_kind(&events, "wait");
        assert!(waits.iter().any(|wait| nanos(&wait["dur"]) >= 2_000_000), "{waits:?}");
        let depths: Vec<_> =
            events.iter().filter(|event| event["ph"] == "C").map(|event| &event["args"]["tasks"]).collect();
        assert!(
            depths.iter().any(|depth| depth.as_i64() > Some(1)) && depths.last().unwrap().as_i64() == Some(0),
            "{depths:?}"
        );
        assert_eq!(events.iter().filter(|event| event["name"] == "leaves").count(), summary.workers.len());
        let text = summary.to_string();
        assert!(text.contains("w_0") && text.contains("queued for ") && text.contains("longest"), "{text}");
        assert!(summary.longest[0].took >= Duration::from_millis(2) && summary.longest.len() == 5, "{text}");
        for worker in &summary.workers {
            let all = worker.starting + worker.working + worker.waiting + worker.idle;
            assert!(all <= summary.time + Duration::from_millis(1) && worker.share() <= 1.0, "{text}");
        }
    });
}

/// A poll counts as a wait until the task that polled ends: its slice ends with the task's.
#[test]
fn a_task_that_ends_while_it_awaits_another() {
    limit(LIMIT, || {
        let timeline = Timeline::new();
        let pool = Arc::new(
            ThreadPoolExecutor::builder().max_workers(1).observer(timeline.clone()).build().unwrap(),
        );
        let (inner, gate) = (pool.clone(), Gate::new());
        let opened = gate.clone();
        let task = pool.spawn(move || {
            let mut awaited = Box::pin(inner.spawn(move || opened.wait()));
            assert!(awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            // It is not dropped here: then the wait would be over.
            awaited
        });
        let awaited = task.result().unwrap();
        gate.open();
        pool.join();
        assert!(awaited.is_done());
        assert_eq!(of_kind(&events_of(&timeline), "wait").len(), 1);
    });
}

#[test]
fn what_runs_and_what_waits_in_the_queue() {
    limit(LIMIT, || {
        let timeline = Timeline::new();
        let pool = ThreadPoolExecutor::builder().max_workers(1).observer(timeline.clone()).build().unwrap();
        assert!(events_of(&timeline).len() == 1 && timeline.summary().tasks == 0);
        let (begun, gate) = (Gate::new(), Gate::new());
        let (begins, opened) = (begun.clone(), gate.clone());
        let runs = pool.spawn(move || {
            begins.open();
            opened.wait();
        });
        begun.wait();
        let queued = pool.spawn(|| 1);
        let events = events_of(&timeline);
        let tasks = of_kind(&events, "task");
        assert!(
            tasks.len() == 1
                && tasks[0]["args"]["runs"] == true
                && tasks[0]["args"]["task"] == runs.id().get()
        );
        assert_eq!(events.iter().rfind(|event| event["ph"] == "C").unwrap()["args"]["tasks"], 1);
        gate.open();
        runs.result().unwrap();
        queued.result().unwrap();
    });
}

#[test]
fn its_memory_is_bounded_and_its_numbers_are_whole() {
    limit(LIMIT, || {
        for capacity in [0, 1, 50] {
            let timeline = Timeline::with_capacity(capacity);
            let pool =
                ThreadPoolExecutor::builder().max_workers(2).observer(timeline.clone()).build().unwrap();
            pool.map(|n: u64| n, 0..1000).for_each(drop);
            pool.join();
            let summary = timeline.summary();
            assert_eq!(summary.tasks, 1000);
            assert_eq!(timeline.spans().len(), capacity);
            // The tasks, and each worker's start and end.
            assert_eq!(summary.dropped, 1000 + 2 * summary.workers.len() as u64 - capacity as u64);
            assert!(summary.to_string().contains("were not kept"));
            events_of(&timeline);
        }
    });
}

/// Takes some, and fails.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_is_told_of() {
    limit(LIMIT, || {
        let timeline = Timeline::new();
        let pool = ThreadPoolExecutor::builder().max_workers(1).observer(timeline.clone()).build().unwrap();
        pool.map(|n: u64| n, 0..1000).for_each(drop);
        for room in [0, 10_000] {
            assert_eq!(timeline.chrome_trace(Full(room)).unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        let shared: &dyn Observer = &timeline;
        let _ = shared;
    });
}

#[cfg(feature = "process")]
#[test]
fn a_trace_of_processes() {
    limit(LIMIT, || {
        use crate::processes_support::{Signals, square};
        use crate::support::eventually;
        use concurrent_futures::{Span, WorkerState, WorkerStats};
        let signals = Signals::new();
        let timeline = Timeline::new();
        let pool = ProcessPoolExecutor::builder()
            .max_workers(2)
            .name_prefix("p")
            .observer(timeline.clone())
            .build()
            .unwrap();
        pool.map(square, 0..300).for_each(drop);
        let killed = signals.hold(&pool, "killed");
        assert!(killed.kill());
        killed.wait();
        let dies = pool.submit(|()| std::process::abort(), ());
        let dies: Result<(), _> = dies.result();
        dies.unwrap_err();
        eventually(|| timeline.summary().died == 1);
        // One that is given up before it is up was started, and nobody is told of it.
        let is_starting = |worker: &WorkerStats| worker.state == WorkerState::Starting;
        eventually(|| !pool.stats().workers.iter().any(is_starting));
        pool.join();
        let (events, stats, summary) = (events_of(&timeline), pool.stats(), timeline.summary());
        let tasks = of_kind(&events, "task");
        assert_eq!(tasks.len() as u64, stats.finished + stats.failed);
        assert_eq!((summary.tasks, summary.failed, summary.killed, summary.died), (302, 2, 1, 1));
        for (name, count) in [("is killed", 1), ("dies", 1)] {
            let ends: Vec<_> =
                events.iter().filter(|event| event["name"] == name && event["ph"] == "i").collect();
            assert!(ends.len() == count && ends.iter().all(|end| end["args"]["why"].is_string()), "{ends:?}");
        }
        let starts = of_kind(&events, "worker");
        assert_eq!(starts.len() as u64, stats.workers.iter().map(|worker| worker.starts).sum::<u64>());
        assert!(
            starts.iter().all(|start| start["args"]["pid"].as_u64() != Some(u64::from(std::process::id())))
        );
        assert!(timeline.spans().iter().any(|span| matches!(span, Span::End { was_killed: true, .. })));
    });
}
