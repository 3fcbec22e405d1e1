//! Tasks in processes that log their beginning and end while workers are killed at random.
//!
//! The log outlives every worker: each line is one append to a file. So it has what really ran: which task, in which
//! process, how often.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_futures::prelude::*;
use concurrent_futures::{Future, TaskError, TaskOptions, WhenFull, WorkerOutput, WorkerState};
use rustix::process::{Pid, Signal, kill_process};

use crate::dice::Dice;
use crate::progress;
use crate::report::Report;

const WORKERS: usize = 8;

/// The time between two kills: 50 a second.
const EVERY: Duration = Duration::from_millis(20);

/// One task in `RETRIED` has `RETRIES` retries.
const RETRIED: u32 = 4;
const RETRIES: u32 = 3;

/// Where workers find the log.
const LOG: &str = "SOAK_LOG";

const BEGIN: u32 = 1;
const END: u32 = 2;

/// A task: its number, how long it takes, how large its reply is.
fn logged((number, micros, bytes): (u32, u32, u32)) -> (u32, String) {
    static OPEN: OnceLock<File> = OnceLock::new();
    let mut log = OPEN.get_or_init(|| {
        let path = std::env::var_os(LOG).expect("the pool gives it to its workers");
        File::options().append(true).open(path).expect("the log is there")
    });
    let mut write = |what: u32| {
        let line = [number, process::id(), what].map(u32::to_ne_bytes).concat();
        log.write_all(&line).expect("the log takes a line");
    };
    write(BEGIN);
    thread::sleep(Duration::from_micros(micros.into()));
    write(END);
    (number, "r".repeat(bytes as usize))
}

/// What the log says of one task.
#[derive(Default)]
struct Logged {
    /// The processes in which it began.
    begun: Vec<u32>,
    ended: u32,
}

pub(crate) fn run(tasks: u32, seed: u64) -> Report {
    let mut report = Report::new("deaths: 8 workers, one killed every 20 ms");
    let log = match tempfile::NamedTempFile::new() {
        Ok(log) => log,
        Err(error) => {
            report.is_wrong(format!("there is no file for the log: {error}"));
            return report;
        }
    };
    let pool = ProcessPoolExecutor::builder()
        .max_workers(WORKERS)
        .queue_capacity(4096, WhenFull::Block)
        .env(LOG, log.path())
        .stderr(WorkerOutput::Null)
        .build()
        .expect("a pool");

    let over = AtomicBool::new(false);
    let mut submitted = 0;
    let killed = thread::scope(|scope| {
        let killing = scope.spawn(|| kill_at_random(&pool, &over, seed));
        let mut dice = Dice::new(seed);
        let submit = |number: u32| {
            let large = number.is_multiple_of(64);
            let task = (number, dice.throw(3000), if large { 300_000 } else { 3 });
            if number.is_multiple_of(RETRIED) {
                pool.submit_with(TaskOptions::new().retries(RETRIES), logged, task)
            } else {
                pool.submit(logged, task)
            }
        };
        let futures: Vec<_> = (0..tasks).take_while(|_| !progress::is_stopping()).map(submit).collect();
        submitted = futures.len() as u64;
        let outcomes: Vec<_> = futures.into_iter().map(outcome).collect();
        over.store(true, Ordering::Relaxed);
        let killed = killing.join().expect("the killer counts");
        judge(outcomes, &log_of(log.path()), &killed, &mut report);
        killed
    });
    report.count("workers killed", killed.len() as u64);
    let stats = pool.stats();
    report.count("deaths, as the pool counts them", stats.deaths);
    report.must_be_equal("tasks of the pool and ours", stats.submitted(), submitted);
    if pool.join_timeout(Duration::from_secs(30)).is_err() {
        report.is_wrong("the pool doesn't end");
    }
    report
}

/// What became of a task, if it ended.
fn outcome(future: Future<(u32, String)>) -> Option<Result<(u32, String), TaskError>> {
    future.result_timeout(Duration::from_secs(60)).ok()
}

/// The processes that were killed.
fn kill_at_random(pool: &ProcessPoolExecutor, over: &AtomicBool, seed: u64) -> Vec<u32> {
    let mut dice = Dice::new(seed ^ 0xD1CE);
    let mut killed = Vec::new();
    let (mut finished, mut next) = (0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        next += EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let stats = pool.stats();
        // Three workers in a row that die before their first task break a pool: that is another test.
        if stats.finished == finished {
            continue;
        }
        progress::done(stats.finished - finished);
        finished = stats.finished;
        let up = stats.workers.iter().filter(|worker| worker.state == WorkerState::Busy);
        let pids: Vec<u32> = up.filter_map(|worker| worker.pid).collect();
        let Some(pid) = (!pids.is_empty()).then(|| pids[dice.throw(pids.len() as u32) as usize]) else {
            continue;
        };
        let process = Pid::from_raw(pid.cast_signed()).expect("a pid");
        // A worker that is already dead, but not yet noticed, counts once.
        if kill_process(process, Signal::KILL).is_ok() && !killed.contains(&pid) {
            killed.push(pid);
        }
    }
    killed
}

fn log_of(path: &std::path::Path) -> HashMap<u32, Logged> {
    let bytes = std::fs::read(path).expect("the log");
    let mut tasks: HashMap<u32, Logged> = HashMap::new();
    for line in bytes.chunks_exact(12) {
        let word = |at: usize| u32::from_ne_bytes([line[at], line[at + 1], line[at + 2], line[at + 3]]);
        let logged = tasks.entry(word(0)).or_default();
        match word(8) {
            BEGIN => logged.begun.push(word(4)),
            _ => logged.ended += 1,
        }
    }
    tasks
}

fn judge(
    outcomes: Vec<Option<Result<(u32, String), TaskError>>>,
    log: &HashMap<u32, Logged>,
    killed: &[u32],
    report: &mut Report,
) {
    let nothing = Logged::default();
    for (number, outcome) in (0..).zip(outcomes) {
        let logged = log.get(&number).unwrap_or(&nothing);
        let may_begin = if number.is_multiple_of(RETRIED) { 1 + RETRIES } else { 1 };
        if logged.begun.len() > may_begin as usize {
            report.is_wrong(format!("task {number} began {} times", logged.begun.len()));
        }
        report.count("times a task was run again, as asked", logged.begun.len().saturating_sub(1) as u64);
        match outcome {
            None => report.is_wrong(format!("task {number} is lost")),
            Some(Ok((answer, text))) => {
                report.count("tasks with a result", 1);
                let size = if number.is_multiple_of(64) { 300_000 } else { 3 };
                if answer != number || text.len() != size {
                    report
                        .is_wrong(format!("task {number} got the result of {answer}, {} bytes", text.len()));
                }
                if logged.ended == 0 {
                    report.is_wrong(format!("task {number} has a result and never ended"));
                }
            }
            Some(Err(TaskError::WorkerDied(died))) => {
                report.count("tasks whose worker died", 1);
                if died.signal() != Some(Signal::KILL.as_raw()) || !killed.contains(&died.pid()) {
                    report.is_wrong(format!("task {number}: {died}, which nobody killed"));
                }
                match logged.begun.last() {
                    // Begun according to the shared segment, and dead before its first line.
                    None => report.count("of these killed before their first instruction", 1),
                    Some(pid) if *pid == died.pid() => {}
                    // A retry that died before its first line.
                    Some(_) if may_begin > 1 => {}
                    Some(pid) => {
                        report.is_wrong(format!("task {number} ran in {pid}, and is told of {}", died.pid()))
                    }
                }
                if logged.ended > 0 {
                    report.count("of these killed between their end and their reply", 1);
                }
            }
            Some(Err(error)) => report.is_wrong(format!("task {number}: {error}")),
        }
    }
}
