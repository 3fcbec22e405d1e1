//! The faults that the embedded server commits when it is asked to.

use super::weather::mix;

/// What goes wrong with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Status 429 with `Retry-After: 1`.
    TooMany,
    /// Status 500.
    Internal,
    /// The connection ends in the middle of the body.
    CutOff,
    /// Status 200, healthy, no readings.
    Empty,
}

/// A share of the answers, chosen by a seed: the same question, asked for the n-th time, always fares the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// From 0, none, to 1, all.
    pub(crate) share: f64,
    pub(crate) seed: u64,
}

impl Faults {
    pub(crate) fn draw(&self, question: &str, attempt: u32) -> Option<Fault> {
        let text = question.bytes().fold(self.seed, |hash, byte| mix(hash ^ u64::from(byte)));
        let bits = mix(text ^ u64::from(attempt));
        let chance = (bits >> 11) as f64 / (1u64 << 53) as f64;
        (chance < self.share).then_some(match bits % 4 {
            0 => Fault::TooMany,
            1 => Fault::Internal,
            2 => Fault::CutOff,
            _ => Fault::Empty,
        })
    }
}
