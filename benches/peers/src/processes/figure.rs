//! What is measured: one file per question. Each says what its number and its floor are. Smaller is better.

mod break_even;
mod cold_start;
mod echo;
mod idle;
mod map;
mod memory;
mod mix;
mod round_trip;
mod shared;
mod submit_collect;

use clap::ValueEnum;
use serde::Serialize;

use super::subject::{Pool, Subject};

pub(crate) use map::lengths;
pub(crate) use shared::to_one;

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Figure {
    RoundTrip,
    SubmitCollect,
    Map,
    Echo,
    ColdStart,
    Memory,
    Mix,
    Idle,
    BreakEven,
    Shared,
}

#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

/// Every pool has as many workers.
pub(crate) const WORKERS: usize = 2;

impl Figure {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) fn cases(self) -> &'static [Case] {
        match self {
            Figure::RoundTrip => round_trip::CASES,
            Figure::SubmitCollect => submit_collect::CASES,
            Figure::Map => map::CASES,
            Figure::Echo => echo::CASES,
            Figure::ColdStart => cold_start::CASES,
            Figure::Memory => memory::CASES,
            Figure::Mix => mix::CASES,
            Figure::Idle => idle::CASES,
            Figure::BreakEven => break_even::CASES,
            Figure::Shared => shared::CASES,
        }
    }

    /// Whether there is anything to measure with this subject. Starting a process to find out takes time too.
    pub(crate) fn is_for(self, subject: Subject) -> bool {
        match self {
            Figure::RoundTrip | Figure::SubmitCollect | Figure::Map | Figure::Echo | Figure::ColdStart => {
                true
            }
            Figure::Memory | Figure::Mix | Figure::Idle | Figure::BreakEven | Figure::Shared => {
                matches!(subject, Subject::Ours | Subject::Floor)
            }
        }
    }

    /// One reading of a case with this pool; `None` if the pool has no such case.
    pub(crate) fn measure<P: Pool>(self, case: usize, quick: bool) -> Option<f64> {
        match self {
            Figure::RoundTrip => Some(round_trip::measure::<P>(quick)),
            Figure::SubmitCollect => Some(submit_collect::measure::<P>(quick)),
            Figure::Echo => Some(echo::measure::<P>(case, quick)),
            Figure::ColdStart => (case < 2).then(|| cold_start::measure::<P>(case, quick)),
            Figure::Map
            | Figure::Memory
            | Figure::Mix
            | Figure::Idle
            | Figure::BreakEven
            | Figure::Shared => None,
        }
    }

    /// The cases that only ours has.
    pub(crate) fn ours(self, case: usize, quick: bool) -> Option<f64> {
        match self {
            Figure::Map => Some(map::measure(case, quick)),
            Figure::Memory => Some(memory::measure(quick)),
            Figure::ColdStart => Some(cold_start::many(case, quick)),
            Figure::Mix => Some(mix::measure(case, quick)),
            Figure::Idle => Some(idle::measure(quick)),
            Figure::BreakEven => Some(break_even::measure(case, quick)),
            Figure::Shared => Some(shared::measure(case, quick)),
            Figure::RoundTrip | Figure::SubmitCollect | Figure::Echo => None,
        }
    }

    /// The same without any pool.
    pub(crate) fn floor(self, case: usize, quick: bool) -> Option<f64> {
        match self {
            Figure::RoundTrip => Some(round_trip::floor(quick)),
            Figure::SubmitCollect | Figure::Memory => None,
            Figure::Map => Some(map::floor(case, quick)),
            Figure::Echo => Some(echo::floor(case, quick)),
            Figure::ColdStart => Some(cold_start::floor(case, quick)),
            Figure::Mix => Some(mix::floor(case, quick)),
            Figure::Idle => Some(idle::floor(quick)),
            Figure::BreakEven => Some(break_even::floor(case, quick)),
            Figure::Shared => shared::floor(case, quick),
        }
    }

    /// The way through a driver, without any pool.
    pub(crate) fn chain(self, quick: bool) -> Option<f64> {
        (self == Figure::RoundTrip).then(|| round_trip::chain(quick))
    }
}

/// `full`, or a twentieth of it with `--quick`.
fn amount(full: usize, quick: bool) -> usize {
    if quick { (full / 20).max(1) } else { full }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}
