//! What is measured: one file per question. Each says what its number and its floor are.

mod as_completed;
mod break_even;
mod budget;
mod cold_start;
pub(crate) mod goal;
mod idle;
mod map_with;
mod memory;
mod observing;
mod round_trip;
mod scale;
mod submit_collect;

use clap::ValueEnum;
use serde::Serialize;

use crate::heap::Allocator;
use crate::subject::{Pool, Subject};
use submit_collect::Clock;

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Group {
    SubmitCollect,
    /// The same work by another clock.
    ProcessorTime,
    /// The same with another allocator, of the whole program.
    Mimalloc,
    RoundTrip,
    ColdStart,
    Memory,
    AsCompleted,
    MapWith,
    Idle,
    Scale,
    BreakEven,
    Budget,
    Observing,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

impl Group {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) fn cases(self) -> &'static [Case] {
        match self {
            Group::SubmitCollect | Group::ProcessorTime => submit_collect::CASES,
            Group::Mimalloc => submit_collect::MIMALLOC_CASES,
            Group::RoundTrip => round_trip::CASES,
            Group::ColdStart => cold_start::CASES,
            Group::Memory => memory::CASES,
            Group::AsCompleted => as_completed::CASES,
            Group::MapWith => map_with::CASES,
            Group::Idle => idle::CASES,
            Group::Scale => scale::CASES,
            Group::BreakEven => break_even::CASES,
            Group::Budget => budget::CASES,
            Group::Observing => observing::CASES,
        }
    }

    /// Of the process that measures it.
    pub(crate) fn allocator(self) -> Allocator {
        if self == Group::Mimalloc { Allocator::Mimalloc } else { Allocator::System }
    }

    /// Whether there is anything to measure with this subject. Starting a process to find out takes time too.
    pub(crate) fn is_for(self, subject: Subject) -> bool {
        match self {
            Group::SubmitCollect
            | Group::ProcessorTime
            | Group::Mimalloc
            | Group::RoundTrip
            | Group::ColdStart
            | Group::Memory => true,
            Group::MapWith => matches!(subject, Subject::Ours | Subject::Rayon | Subject::Floor),
            Group::AsCompleted | Group::Idle | Group::Scale | Group::BreakEven | Group::Budget => {
                matches!(subject, Subject::Ours | Subject::Floor)
            }
            Group::Observing => subject == Subject::Ours,
        }
    }

    /// Whether ours is compared with others here, not with itself.
    pub(crate) fn is_compared(self) -> bool {
        !matches!(self, Group::BreakEven | Group::Budget | Group::Observing)
    }

    /// One reading of a case with this pool; `None` if the pool has no such case.
    pub(crate) fn measure<P: Pool>(self, case: usize, quick: bool) -> Option<f64> {
        match self {
            Group::SubmitCollect => Some(submit_collect::measure::<P>(Clock::Wall, case, quick)),
            Group::ProcessorTime => Some(submit_collect::measure::<P>(Clock::Processor, case, quick)),
            Group::Mimalloc => {
                let (clock, case) = Clock::of_mimalloc(case);
                Some(submit_collect::measure::<P>(clock, case, quick))
            }
            Group::RoundTrip => Some(round_trip::measure::<P>(case, quick)),
            Group::ColdStart => Some(cold_start::measure::<P>(quick)),
            Group::Memory => memory::measure::<P>(case, quick),
            Group::AsCompleted
            | Group::MapWith
            | Group::Idle
            | Group::Scale
            | Group::BreakEven
            | Group::Budget
            | Group::Observing => None,
        }
    }

    /// The cases that only ours has.
    pub(crate) fn ours(self, case: usize, quick: bool) -> Option<f64> {
        match self {
            Group::Memory => Some(memory::left_behind(quick)),
            Group::AsCompleted => Some(as_completed::measure(case, quick)),
            Group::MapWith => Some(map_with::measure(case, quick)),
            Group::Idle => Some(idle::measure(quick)),
            Group::Scale => Some(scale::measure(case, quick)),
            Group::BreakEven => Some(break_even::measure(case, quick)),
            Group::Budget => Some(budget::measure(case, quick)),
            Group::Observing => Some(observing::measure(case, quick)),
            Group::SubmitCollect
            | Group::ProcessorTime
            | Group::Mimalloc
            | Group::RoundTrip
            | Group::ColdStart => None,
        }
    }

    /// The cases that rayon has in addition to those of every pool.
    pub(crate) fn rayon(self, quick: bool) -> Option<f64> {
        (self == Group::MapWith).then(|| map_with::rayon(quick))
    }

    /// The same case without any pool.
    pub(crate) fn floor(self, case: usize, quick: bool) -> Option<f64> {
        match self {
            Group::SubmitCollect => Some(submit_collect::floor(Clock::Wall, case, quick)),
            Group::ProcessorTime => Some(submit_collect::floor(Clock::Processor, case, quick)),
            Group::Mimalloc => {
                let (clock, case) = Clock::of_mimalloc(case);
                Some(submit_collect::floor(clock, case, quick))
            }
            Group::RoundTrip => Some(round_trip::floor(case, quick)),
            Group::ColdStart => Some(cold_start::floor(quick)),
            Group::Memory => memory::floor(case, quick),
            Group::AsCompleted => Some(as_completed::floor(case, quick)),
            Group::MapWith => Some(map_with::floor(quick)),
            Group::Idle => Some(idle::floor(quick)),
            Group::Scale => Some(scale::floor(case, quick)),
            Group::BreakEven => Some(break_even::floor(case, quick)),
            Group::Budget => budget::floor(case, quick),
            Group::Observing => None,
        }
    }
}

/// `full`, or a twentieth of it with `--quick`.
fn amount(full: usize, quick: bool) -> usize {
    if quick { full / 20 } else { full }
}

fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * q) as usize]
}
