//! Ending exactly one running task, at the moment when it ends by itself.
//!
//! A kill of the process that ran a task a moment ago would hit the task that runs there now. Here other tasks lie directly
//! before and behind the target, in the same worker; none of them may ever be hit.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use concurrent_futures::prelude::*;
use concurrent_futures::{Future, ProcessPoolExecutor, TaskError, TaskOptions, WorkerOutput};

use crate::dice::Dice;
use crate::progress;
use crate::report::Report;

/// Pools that race at the same time.
const POOLS: u32 = 2;

/// Neighbours in front and behind.
const NEIGHBOURS: u32 = 3;

/// How long a victim lasts, at most.
const LONGEST_US: u32 = 1500;

/// A task: its number, how long it takes; every other one computes, the others sleep.
fn work((number, micros): (u32, u32)) -> u32 {
    let time = Duration::from_micros(micros.into());
    if number / 2 % 2 == 0 {
        spin(time)
    } else {
        thread::sleep(time)
    }
    number
}

fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        black_box(until);
    }
}

pub(crate) fn run(races: u32, seed: u64) -> Report {
    let mut report = Report::new("kills: the running task, at the moment of its end");
    let parts: Vec<Report> = thread::scope(|scope| {
        let part = |n: u32| {
            let races = races / POOLS + u32::from(n < races % POOLS);
            scope.spawn(move || race(races, seed ^ u64::from(n) << 32))
        };
        let racing: Vec<_> = (0..POOLS).map(part).collect();
        racing.into_iter().map(|part| part.join().expect("a part counts")).collect()
    });
    parts.into_iter().for_each(|part| report.add(part));
    report
}

fn race(races: u32, seed: u64) -> Report {
    let mut report = Report::new("");
    let mut dice = Dice::new(seed);
    let builder = ProcessPoolExecutor::builder().max_workers(1).stderr(WorkerOutput::Null);
    let pool = builder.build().expect("a pool");
    for number in (0..races).take_while(|_| !progress::is_stopping()) {
        let micros = 20 + dice.throw(LONGEST_US);
        let before: Vec<_> = (0..NEIGHBOURS).map(|n| pool.submit(work, (n, 5))).collect();
        let by_time = number % 2 == 1;
        let victim = if by_time {
            // Its limit is about its own length; either may be first.
            let limit = Duration::from_micros((micros * (40 + dice.throw(70)) / 100).into());
            pool.submit_with(TaskOptions::new().timeout(limit), work, (number, micros))
        } else {
            pool.submit(work, (number, micros))
        };
        let behind: Vec<_> = (0..NEIGHBOURS).map(|n| pool.submit(work, (n, 5))).collect();
        let mut asked = by_time;
        if !by_time {
            while !victim.is_running() && !victim.is_done() {
                thread::yield_now();
            }
            // At any moment of its life, the last one included.
            thread::sleep(Duration::from_micros(dice.throw(micros).into()));
            asked = victim.kill();
        }
        judge_victim(victim, number, by_time, asked, &mut report);
        for (n, neighbour) in (0..NEIGHBOURS).zip(before).chain((0..NEIGHBOURS).zip(behind)) {
            match neighbour.result_timeout(Duration::from_secs(60)) {
                Ok(Ok(result)) if result == n => {}
                Ok(Ok(result)) => report.is_wrong(format!("race {number}: a neighbour got {result}")),
                Ok(Err(error)) => report.is_wrong(format!("race {number} hit a neighbour: {error}")),
                Err(_) => report.is_wrong(format!("race {number}: a neighbour is lost")),
            }
        }
        report.count("races", 1);
        progress::done(1);
    }
    if pool.join_timeout(Duration::from_secs(30)).is_err() {
        report.is_wrong("the pool doesn't end");
    }
    report
}

fn judge_victim(victim: Future<u32>, number: u32, by_time: bool, asked: bool, report: &mut Report) {
    match victim.result_timeout(Duration::from_secs(60)) {
        Ok(Ok(result)) => {
            report
                .count(if asked { "asked to end, and done before" } else { "done before anybody asked" }, 1);
            if result != number {
                report.is_wrong(format!("race {number} got {result}"));
            }
        }
        Ok(Err(TaskError::TimeLimit(_))) if by_time => report.count("ended by their limit", 1),
        Ok(Err(TaskError::WorkerDied(died))) if asked && !by_time && died.signal() == Some(9) => {
            report.count("ended by kill", 1);
        }
        Ok(Err(error)) => report.is_wrong(format!("race {number}: {error}")),
        Err(_) => report.is_wrong(format!("race {number}: the task is lost")),
    }
}
