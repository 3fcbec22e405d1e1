//! Two thousand tasks of 10 us and among them two of a second: milliseconds from the call of `map` until the last result
//! is there. A pool that hands out by count leaves short tasks, or the other long one, waiting behind a long one.
//!
//! The long ones stand at places drawn at random, another two in each of three goes, of which the slowest counts; and
//! once side by side at the beginning, where one batch may hold both.
//!
//! The floor: the best schedule there can be, the longest task or half of all the work, whichever is more, by a loop that
//! clocks each task.

use std::hint::black_box;
use std::time::{Duration, Instant};

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};

use super::{Case, WORKERS, amount};
use crate::work::{steps, work};

pub(super) const CASES: &[Case] =
    &[Case { name: "at random places", unit: "ms" }, Case { name: "side by side, first", unit: "ms" }];

const SHORT: u64 = 10_000;
const LONG: u64 = 1_000_000_000;
const TASKS: usize = 2_002;
const LONG_ONES: usize = 2;
const GOES: u64 = 3;

/// Which of the tasks are the long ones.
fn places(case: usize, go: u64) -> [usize; LONG_ONES] {
    if case == 1 {
        return [0, 1];
    }
    // The same draws in every run: two runs differ by the pool, not by luck.
    let mut state = go + 1;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % TASKS
    };
    let first = draw();
    let mut second = draw();
    while second == first {
        second = draw();
    }
    [first, second]
}

fn tasks(case: usize, go: u64, quick: bool) -> Vec<u64> {
    let (short, long) = (steps(SHORT), steps(amount(LONG as usize, quick) as u64));
    let mut tasks = vec![short; TASKS];
    places(case, go).into_iter().for_each(|place| tasks[place] = long);
    tasks
}

fn goes(case: usize) -> u64 {
    if case == 0 { GOES } else { 1 }
}

pub(super) fn measure(case: usize, quick: bool) -> f64 {
    let pool = ProcessPoolExecutor::new(WORKERS);
    pool.map(work, [1; 100]).for_each(|result| assert!(result.is_ok()));
    let times = (0..goes(case)).map(|go| {
        let tasks = tasks(case, go, quick);
        let start = Instant::now();
        let done = pool.map(work, tasks).filter(Result::is_ok).count();
        let taken = start.elapsed();
        assert_eq!(done, TASKS, "results lost");
        taken.as_secs_f64() * 1e3
    });
    times.fold(0.0, f64::max)
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let clock = |steps: u64| {
        let start = Instant::now();
        black_box(work(black_box(steps)));
        start.elapsed()
    };
    let times: Vec<Duration> = tasks(case, 0, quick).into_iter().map(clock).collect();
    best(&times).as_secs_f64() * 1e3
}

fn best(times: &[Duration]) -> Duration {
    let longest = times.iter().max().copied().unwrap_or_default();
    longest.max(times.iter().sum::<Duration>() / WORKERS as u32)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{GOES, TASKS, best, places};

    #[test]
    fn the_places_are_two_and_differ_from_go_to_go() {
        let drawn: Vec<_> = (0..GOES).map(|go| places(0, go)).collect();
        assert!(drawn.iter().all(|[a, b]| a != b && *a < TASKS && *b < TASKS));
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
        assert_eq!(places(1, 0), [0, 1]);
    }

    #[test]
    fn no_schedule_beats_the_longest_task_or_half_of_all() {
        let ms = Duration::from_millis;
        assert_eq!(best(&[ms(10), ms(1), ms(1)]), ms(10));
        assert_eq!(best(&[ms(10), ms(10), ms(2)]), ms(11));
    }
}
