//! The hot paths: one file per subject.

mod many;
mod pool;
mod process;
mod promise;

pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// How many operations one run has.
    pub(crate) times: u32,
    /// Sets up, then has so many operations counted.
    pub(crate) go: fn(u32),
}

/// Few times where one operation is long: a run takes a second or two.
pub(crate) const PATHS: &[Path] = &[
    Path { name: "submit", times: 20_000, go: pool::submit },
    Path { name: "run", times: 20_000, go: pool::run },
    Path { name: "result", times: 20_000, go: pool::result },
    Path { name: "in_place", times: 20_000, go: pool::in_place },
    Path { name: "cancel", times: 20_000, go: pool::cancel },
    Path { name: "map", times: 20_000, go: many::map },
    Path { name: "as_completed", times: 20_000, go: many::as_completed },
    Path { name: "wait", times: 20_000, go: many::wait },
    Path { name: "promise", times: 20_000, go: promise::promise },
    Path { name: "encode", times: 2_000, go: process::encode },
    Path { name: "execute", times: 2_000, go: process::execute },
    Path { name: "complete", times: 2_000, go: process::complete },
    Path { name: "page", times: 19_200, go: process::page },
    Path { name: "frame", times: 20_000, go: process::frame },
];
