//! Submit one task that does nothing and wait for its result, from a thread outside a pool of two workers: nanoseconds
//! from before the submit until the result is in hand, one trip after the other for half a second.
//!
//! * short gap: the next trip starts at once, so whoever spins before sleeping is met awake. Median, and 99th percentile.
//! * long gap: a millisecond's sleep before each trip, so that everyone sleeps: what a first click costs. Median.
//! * busy machine: as the short gap, while as many threads as there are cores do nothing but compute. Mean, since what
//!   goes wrong here is rare and long: a thread that yields gives a whole time slice away.
//!
//! The floor of the short gap and of the busy machine: two threads that spin on one atomic, no task, no queue. The floor
//! of the long gap: two threads that wake each other by `unpark`, since nobody spins for a millisecond.
//!
//! Each trip is timed by itself; the two looks at the clock (some 40 ns) are in every figure.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::{Case, amount, quantile};
use crate::subject::Pool;

pub(super) const CASES: &[Case] = &[
    Case { name: "short gap", unit: "ns" },
    Case { name: "short gap, p99", unit: "ns" },
    Case { name: "long gap", unit: "ns" },
    Case { name: "busy machine, mean", unit: "ns" },
];

const WORKERS: usize = 2;

struct Shape {
    /// Trips are made for so long, however many: a fixed number of very short ones would be over within a time slice,
    /// before a busy machine has taken anything away.
    time: Duration,
    gap: Duration,
    burners: usize,
}

fn shape(case: usize, quick: bool) -> Shape {
    let time = Duration::from_millis(amount(500, quick) as u64);
    let (gap, burners) = match case {
        2 => (Duration::from_millis(1), 0),
        3 => (Duration::ZERO, cores()),
        _ => (Duration::ZERO, 0),
    };
    Shape { time, gap, burners }
}

fn summary(case: usize, mut trips: Vec<f64>) -> f64 {
    match case {
        0 | 2 => quantile(&mut trips, 0.5),
        1 => quantile(&mut trips, 0.99),
        _ => trips.iter().sum::<f64>() / trips.len() as f64,
    }
}

pub(super) fn measure<P: Pool>(case: usize, quick: bool) -> f64 {
    let pool = P::new(WORKERS);
    // Both workers have started before the first trip that counts.
    let handles = (0..100).map(|i| pool.submit(move || i)).collect();
    pool.collect(handles);
    let trip = |i: u64| {
        let handle = pool.submit(move || i + 1);
        assert_eq!(pool.wait(handle), i + 1);
    };
    summary(case, timed(&shape(case, quick), trip))
}

fn timed(shape: &Shape, mut trip: impl FnMut(u64)) -> Vec<f64> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..shape.burners {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    black_box(0);
                }
            });
        }
        let mut times = Vec::new();
        let end = Instant::now() + shape.time;
        for i in 0.. {
            if !shape.gap.is_zero() {
                thread::sleep(shape.gap);
            }
            let start = Instant::now();
            trip(i);
            let back = Instant::now();
            times.push((back - start).as_nanos() as f64);
            if back >= end {
                break;
            }
        }
        done.store(true, SeqCst);
        times
    })
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let shape = shape(case, quick);
    let times = if shape.gap.is_zero() { spinning(&shape) } else { parking(&shape) };
    summary(case, times)
}

/// The ball is a number: odd on its way there, even on its way back; `u64::MAX` ends the game.
fn spinning(shape: &Shape) -> Vec<f64> {
    let ball = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                match ball.load(SeqCst) {
                    u64::MAX => return,
                    n if n % 2 == 1 => ball.store(n + 1, SeqCst),
                    _ => spin_loop(),
                }
            }
        });
        let times = timed(shape, |i| {
            ball.store(2 * i + 1, SeqCst);
            while ball.load(SeqCst) != 2 * i + 2 {
                spin_loop();
            }
        });
        ball.store(u64::MAX, SeqCst);
        times
    })
}

fn parking(shape: &Shape) -> Vec<f64> {
    let ball = AtomicU64::new(0);
    let here = thread::current();
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            loop {
                match ball.load(SeqCst) {
                    u64::MAX => return,
                    n if n % 2 == 1 => {
                        ball.store(n + 1, SeqCst);
                        here.unpark();
                    }
                    _ => thread::park(),
                }
            }
        });
        let times = timed(shape, |i| {
            ball.store(2 * i + 1, SeqCst);
            there.thread().unpark();
            while ball.load(SeqCst) != 2 * i + 2 {
                thread::park();
            }
        });
        ball.store(u64::MAX, SeqCst);
        there.thread().unpark();
        times
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
