//! Every operation of a pool of threads, at once, by 64 producers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_futures::prelude::*;
use concurrent_futures::{
    Future, Rejected, ReturnWhen, Shutdown, TaskError, WhenFull, as_completed, wait_timeout,
};

use crate::dice::Dice;
use crate::progress;
use crate::report::{OnPurpose, Report};

const PRODUCERS: u32 = 64;

/// A pool is dropped and replaced after this many tasks of one producer.
const POOL_LASTS: u32 = 2000;

/// Futures that a producer keeps before it does something with all of them.
const HELD: usize = 32;

/// Longest wait for anything.
const SOON: Duration = Duration::from_secs(60);

/// What happened, counted by the closures and callbacks themselves.
#[derive(Default)]
struct Counts {
    submitted: AtomicU64,
    /// Closures that ran.
    ran: AtomicU64,
    /// Closures that were dropped, run or not.
    dropped: AtomicU64,
    panicked: AtomicU64,
    cancelled: AtomicU64,
    rejected: AtomicU64,
    callbacks: AtomicU64,
    called: AtomicU64,
    waited: AtomicU64,
    pools: AtomicU64,
}

fn more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts a closure's end, whatever it is.
struct Token(Arc<Counts>);

impl Drop for Token {
    fn drop(&mut self) {
        more(&self.0.dropped);
    }
}

/// The current pool.
struct Slot(Mutex<Arc<ThreadPoolExecutor>>);

impl Slot {
    fn pool(&self) -> Arc<ThreadPoolExecutor> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The old one is dropped by the last producer that holds it.
    fn replace(&self, pool: ThreadPoolExecutor) -> Arc<ThreadPoolExecutor> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Arc::new(pool))
    }
}

fn new_pool(dice: &mut Dice, counts: &Counts) -> ThreadPoolExecutor {
    more(&counts.pools);
    let builder = ThreadPoolExecutor::builder().max_workers(1 + dice.throw(8) as usize);
    let capacity = 1 + dice.throw(20_000) as usize;
    let when_full = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns][dice.throw(3) as usize];
    builder.queue_capacity(capacity, when_full).build().expect("a pool")
}

pub(crate) fn run(tasks: u32, seed: u64) -> Report {
    let mut report = Report::new("threads: 64 producers");
    let counts = Arc::new(Counts::default());
    let slot = Slot(Mutex::new(Arc::new(new_pool(&mut Dice::new(seed), &counts))));
    let wrongs: Vec<Vec<String>> = thread::scope(|scope| {
        let produce = |n: u32| {
            let tasks = tasks / PRODUCERS + u32::from(n < tasks % PRODUCERS);
            let (slot, counts) = (&slot, &counts);
            scope.spawn(move || Producer::new(slot, counts, seed ^ u64::from(n) << 32).run(tasks))
        };
        let producing: Vec<_> = (0..PRODUCERS).map(produce).collect();
        producing.into_iter().map(|producer| producer.join().expect("a producer counts")).collect()
    });
    drop(slot);
    wrongs.into_iter().flatten().for_each(|wrong| report.is_wrong(wrong));
    judge(&counts, &mut report);
    report
}

/// When the last pool is dropped, all its tasks, callbacks and drops are done.
fn judge(counts: &Counts, report: &mut Report) {
    let deadline = Instant::now() + SOON;
    let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    while read(&counts.dropped) < read(&counts.submitted) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    let (submitted, ran) = (read(&counts.submitted), read(&counts.ran));
    let (cancelled, rejected) = (read(&counts.cancelled), read(&counts.rejected));
    report.count("tasks submitted", submitted);
    report.count("ran", ran);
    report.count("of these panicked", read(&counts.panicked));
    report.count("cancelled before they began", cancelled);
    report.count("rejected", rejected);
    report.count("callbacks", read(&counts.callbacks));
    report.count("results looked at", read(&counts.waited));
    report.count("pools", read(&counts.pools));
    report.must_be_equal("submitted, and closures dropped", submitted, read(&counts.dropped));
    report.must_be_equal(
        "submitted, and ran or cancelled or rejected",
        submitted,
        ran + cancelled + rejected,
    );
    report.must_be_equal("callbacks, and their calls", read(&counts.callbacks), read(&counts.called));
}

struct Producer<'a> {
    slot: &'a Slot,
    pool: Arc<ThreadPoolExecutor>,
    counts: &'a Arc<Counts>,
    dice: Dice,
    held: Vec<(Future<u32>, u32)>,
    wrong: Vec<String>,
}

impl<'a> Producer<'a> {
    fn new(slot: &'a Slot, counts: &'a Arc<Counts>, seed: u64) -> Self {
        let (held, wrong) = (Vec::new(), Vec::new());
        Producer { slot, pool: slot.pool(), counts, dice: Dice::new(seed), held, wrong }
    }

    fn run(mut self, tasks: u32) -> Vec<String> {
        let mut told = 0;
        for number in 0..tasks {
            self.submit(number);
            if self.held.len() >= HELD {
                self.settle();
                progress::done((number + 1 - told).into());
                told = number + 1;
                if progress::is_stopping() {
                    break;
                }
            }
            if self.dice.throw(POOL_LASTS) == 0 {
                self.another_pool();
            } else if self.dice.throw(256) == 0 {
                self.pool = self.slot.pool();
            }
        }
        self.settle();
        self.wrong
    }

    fn submit(&mut self, number: u32) {
        more(&self.counts.submitted);
        let token = Token(Arc::clone(self.counts));
        let panics = self.dice.throw(50) == 0;
        let future = self.pool.spawn(move || {
            more(&token.0.ran);
            if panics {
                more(&token.0.panicked);
                std::panic::panic_any(OnPurpose);
            }
            number
        });
        if self.dice.throw(4) == 0 {
            more(&self.counts.callbacks);
            let counts = Arc::clone(self.counts);
            future.add_done_callback(move |_| more(&counts.called));
        }
        match self.dice.throw(8) {
            // Unwanted: it runs all the same, or is rejected by a full queue.
            0 => self.drop_unwanted(future),
            1 => self.cancel(future, number),
            2 => self.look(future, number),
            _ => self.held.push((future, number)),
        }
    }

    fn drop_unwanted(&mut self, future: Future<u32>) {
        let counts = Arc::clone(self.counts);
        // The callback is how a future that is dropped can still be counted.
        more(&counts.callbacks);
        future.add_done_callback(move |done| {
            more(&counts.called);
            if matches!(done.error(), Some(TaskError::Rejected(_))) {
                more(&counts.rejected);
            } else if done.is_cancelled() {
                more(&counts.cancelled);
            }
        });
    }

    fn cancel(&mut self, future: Future<u32>, number: u32) {
        let cancelled = future.cancel();
        // Not is_cancelled at once: the shutdown may be in the middle of cancelling it.
        if !future.wait_timeout(SOON) {
            self.wrong.push(format!("task {number} is lost"));
        } else if cancelled != future.is_cancelled() {
            self.wrong.push(format!("cancel says {cancelled} of task {number}, which says otherwise"));
        }
        self.look(future, number);
    }

    /// Takes its result, and counts it.
    fn look(&mut self, future: Future<u32>, number: u32) {
        more(&self.counts.waited);
        match future.result_timeout(SOON) {
            Ok(outcome) => self.judge(outcome, number),
            Err(_) => self.wrong.push(format!("task {number} is lost")),
        }
    }

    fn judge(&mut self, outcome: Result<u32, TaskError>, number: u32) {
        match outcome {
            Ok(result) if result == number => {}
            Err(TaskError::Panicked(_)) => {}
            Err(TaskError::Cancelled) => more(&self.counts.cancelled),
            Err(TaskError::Rejected(why)) => {
                more(&self.counts.rejected);
                if matches!(why, Rejected::ShutDown) {
                    self.pool = self.slot.pool();
                }
            }
            other => self.wrong.push(format!("task {number} gave {other:?}")),
        }
    }

    /// Does with the futures it holds what one does with many.
    fn settle(&mut self) {
        let held = std::mem::take(&mut self.held);
        match self.dice.throw(3) {
            0 => held.into_iter().for_each(|(future, number)| self.look(future, number)),
            1 => {
                let (futures, numbers): (Vec<_>, Vec<_>) = held.into_iter().unzip();
                let all = wait_timeout(futures, ReturnWhen::AllCompleted, SOON);
                if !all.not_done.is_empty() {
                    self.wrong.push(format!("{} of {} are lost", all.not_done.len(), numbers.len()));
                }
                let ids = numbers.len() as u64;
                self.counts.waited.fetch_add(ids, Ordering::Relaxed);
                all.done.into_iter().for_each(|future| self.judge_any(future.result(), &numbers));
            }
            _ => {
                let (futures, numbers): (Vec<_>, Vec<_>) = held.into_iter().unzip();
                let mut seen = 0;
                for future in as_completed(futures) {
                    seen += 1;
                    more(&self.counts.waited);
                    self.judge_any(future.result(), &numbers);
                }
                if seen != numbers.len() {
                    self.wrong.push(format!("{seen} of {} came", numbers.len()));
                }
            }
        }
    }

    /// The result of one of several tasks.
    fn judge_any(&mut self, outcome: Result<u32, TaskError>, numbers: &[u32]) {
        match outcome {
            Ok(result) if numbers.contains(&result) => {}
            other => self.judge(other, u32::MAX),
        }
    }

    /// The old pool is shut down or just dropped, with work of others in it.
    fn another_pool(&mut self) {
        let pool = new_pool(&mut self.dice, self.counts);
        let old = self.slot.replace(pool);
        match self.dice.throw(3) {
            0 => old.shutdown(Shutdown::CancelQueued),
            1 => old.shutdown(Shutdown::Drain),
            _ => {}
        }
        self.pool = self.slot.pool();
    }
}
