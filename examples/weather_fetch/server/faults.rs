//! The faults that the embedded server commits when it is asked to.

use std::fmt;

use super::weather::mix;

/// What goes wrong with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Status 429 with `Retry-After: 1`.
    TooMany,
    /// Status 500.
    Internal,
    /// The connection ends in the middle of the body.
    CutOff,
    /// Status 200, healthy, no readings.
    Empty,
    /// The whole answer, byte by byte: it takes the pause a second time.
    Crumbs,
    /// Byte by byte too, and never the last one.
    Trickle,
    /// The question is read, and that is all.
    Silence,
    /// The connection is reset: what was under way is thrown away.
    Reset,
    /// Something that is not HTTP.
    Garbage,
    /// `Content-Length` is more than what comes.
    TooLong,
    /// `Content-Length` is less than what comes: the rest lies in the way of the next answer.
    TooShort,
}

/// Each is over as soon as it is committed.
pub(crate) const POLITE: &[Fault] = &[Fault::TooMany, Fault::Internal, Fault::CutOff, Fault::Empty];

/// Two of these, `Trickle` and `Silence`, cost the caller a whole time-out.
pub(crate) const ALL: &[Fault] = &[
    Fault::TooMany,
    Fault::Internal,
    Fault::CutOff,
    Fault::Empty,
    Fault::Crumbs,
    Fault::Trickle,
    Fault::Silence,
    Fault::Reset,
    Fault::Garbage,
    Fault::TooLong,
    Fault::TooShort,
];

/// A share of the answers, chosen by a seed: the same question, asked for the n-th time, always fares the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// From 0, none, to 1, all.
    pub(crate) share: f64,
    pub(crate) seed: u64,
    /// Which may come, each as often.
    pub(crate) kinds: &'static [Fault],
}

impl Default for Faults {
    fn default() -> Self {
        Self { share: 0.0, seed: 0, kinds: POLITE }
    }
}

impl Faults {
    pub(crate) fn draw(&self, question: &str, attempt: u32) -> Option<Fault> {
        let text = question.bytes().fold(self.seed, |hash, byte| mix(hash ^ u64::from(byte)));
        let bits = mix(text ^ u64::from(attempt));
        let chance = (bits >> 11) as f64 / (1u64 << 53) as f64;
        (chance < self.share).then(|| self.kinds[bits as usize % self.kinds.len()])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "status 429",
            Self::Internal => "status 500",
            Self::CutOff => "cut off",
            Self::Empty => "no readings",
            Self::Crumbs => "byte by byte",
            Self::Trickle => "without an end",
            Self::Silence => "no answer",
            Self::Reset => "reset",
            Self::Garbage => "not HTTP",
            Self::TooLong => "shorter than it says",
            Self::TooShort => "longer than it says",
        })
    }
}
