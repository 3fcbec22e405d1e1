//! All storms at once, in slices until the time is up, with the resources recorded.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Storm;
use crate::house::House;
use crate::progress;
use crate::report::Report;

/// A slice is a storm's full size divided by this. It takes seconds, so that the end comes soon after the time is up.
const SLICES: u32 = 100;

/// The number of samples in the whole time, at most one in a fifth of a second.
const SAMPLES: u32 = 600;

/// The resources of the process at a time after the beginning.
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) house: House,
}

pub(crate) fn run(time: Duration, seed: u64) -> (Vec<Report>, Vec<Sample>) {
    // Everything that is allocated once for good, such as the server's tables, is allocated before the first sample.
    for storm in Storm::ALL {
        storm.run(1, seed);
    }
    let before = House::look();
    let began = Instant::now();
    let over = AtomicBool::new(false);
    let samples = Mutex::new(Vec::new());
    let mut reports: Vec<Report> = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(began, time, &over, &samples));
        let one = |storm: Storm| scope.spawn(move || in_slices(storm, began + time, seed));
        let storms: Vec<_> = Storm::ALL.into_iter().map(one).collect();
        let reports = storms.into_iter().map(|storm| storm.join().expect("a storm counts")).collect();
        over.store(true, Ordering::Relaxed);
        watching.join().expect("the watch ends");
        reports
    });
    let mut end = Report::new("the end");
    end.left_behind(&before);
    let now = House::look();
    end.count("kilobytes of memory at the beginning", before.memory >> 10);
    end.count("kilobytes of memory at the end", now.memory >> 10);
    end.count("kilobytes of these in use at the beginning", before.in_use >> 10);
    end.count("kilobytes of these in use at the end", now.in_use >> 10);
    reports.push(end);
    (reports, samples.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn in_slices(storm: Storm, until: Instant, seed: u64) -> Report {
    let slice = (storm.full_size() / SLICES).max(1);
    let mut sum: Option<Report> = None;
    for seed in seed.. {
        let mut report = storm.run(slice, seed);
        report.count("slices", 1);
        match &mut sum {
            Some(sum) => sum.add(report),
            None => sum = Some(report),
        }
        if Instant::now() >= until || progress::is_stopping() {
            break;
        }
    }
    sum.expect("at least one slice")
}

fn watch(began: Instant, time: Duration, over: &AtomicBool, samples: &Mutex<Vec<Sample>>) {
    let pause = (time / SAMPLES).max(Duration::from_millis(200));
    while !over.load(Ordering::Relaxed) {
        let sample = Sample { seconds: began.elapsed().as_secs_f64(), house: House::look() };
        samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        thread::sleep(pause);
    }
}
