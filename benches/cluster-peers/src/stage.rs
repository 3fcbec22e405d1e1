//! [`Stage`]: all that are measured beside each other, there from the beginning; who is not asked waits.

use crate::case::Case;
use crate::echo::Echo;
use crate::ours::Ours;
use crate::python::{self, Peer};
use crate::readings::{Readings, Spread};
use crate::{Arguments, Failure};
use std::time::Instant;

/// One that is measured.
pub(crate) trait Subject {
    fn name(&self) -> &'static str;

    /// One reading, of so many tasks, in the case's unit. Nothing, if it has no such case.
    fn read(&mut self, case: Case, times: usize) -> Result<Option<f64>, Failure>;
}

pub(crate) struct Stage {
    subjects: Vec<Box<dyn Subject>>,
}

impl Stage {
    pub(crate) fn new(url: &str, arguments: &Arguments) -> Result<Self, Failure> {
        let mut subjects: Vec<Box<dyn Subject>> =
            vec![Box::new(Echo::start(url)?), Box::new(Ours::start(url)?)];
        if arguments.ours {
            return Ok(Stage { subjects });
        }
        match arguments.python.clone().or_else(python::made_by_script) {
            Some(python) => {
                for peer in python::PEERS {
                    subjects.push(Box::new(Peer::start(&python, url, peer)?));
                }
            }
            None => eprintln!(
                "SKIPPED: celery, rq and dask are not measured: benches/cluster-peers/python.sh brings them"
            ),
        }
        Ok(Stage { subjects })
    }

    /// A round: each case, of each subject in turn. Each round begins with another one.
    pub(crate) fn read(
        &mut self,
        round: u32,
        cases: &[Case],
        is_quick: bool,
        readings: &mut Readings,
    ) -> Result<(), Failure> {
        let count = self.subjects.len();
        for case in cases {
            for turn in 0..count {
                let subject = &mut self.subjects[(turn + round as usize) % count];
                let times = times(*case, subject.name(), is_quick);
                // What has slept is woken first, and not measured.
                subject.read(*case, times / 10 + 1)?;
                if let Some(reading) = subject.read(*case, times)? {
                    readings.note(*case, subject.name(), reading);
                }
            }
        }
        Ok(())
    }
}

/// Little at a time: what else the machine has to do changes from second to second, and should meet all alike.
fn times(case: Case, subject: &str, is_quick: bool) -> usize {
    let is_quick_one = matches!(subject, "ours" | "bare echo");
    let times = match case {
        Case::Trip if is_quick_one => 500,
        Case::Trip => 100,
        Case::Mib if is_quick_one => 40,
        Case::Mib => 10,
        _ if is_quick_one => 20_000,
        _ => 300,
    };
    if is_quick { times / 10 } else { times }
}

/// The median of so many trips, in microseconds; what `argument` takes is not counted.
pub(crate) fn median_of<A>(
    times: usize,
    mut argument: impl FnMut() -> A,
    mut trip: impl FnMut(A) -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let mut each = Vec::with_capacity(times);
    for _ in 0..times {
        let argument = argument();
        let begun = Instant::now();
        trip(argument)?;
        each.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Spread::of(each).ok_or("no trip")?.median)
}
