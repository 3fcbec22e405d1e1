//! Bad input: one function for each thing that reads bytes which others wrote. It panics if they were not read well.
//!
//! Three run them: libFuzzer (`fuzz_targets`, where `cargo fuzz` is installed), a loop without coverage (`cases`), and
//! `cargo test`, which has time for the corpus and a few thousand cases more.

// `cargo test --lib` would look for the tests beside those sources, where they are not.
#![cfg(not(test))]
#![expect(
    dead_code,
    unused_imports,
    reason = "the sources are the crate's and the examples'; here only what reads is used"
)]
#![expect(unreachable_pub, reason = "public in the crate, of which this is a part")]
#![cfg_attr(docsrs, expect(rustdoc::broken_intra_doc_links, reason = "the rest of the crate is not here"))]

#[path = "../../../src/clock.rs"]
mod clock;
#[path = "../../../src/contain.rs"]
mod contain;
#[path = "../../../src/error/mod.rs"]
mod error;
#[path = "../../../src/executor/mod.rs"]
mod executor;
#[path = "../../../src/future/mod.rs"]
mod future;
#[path = "../../../src/id.rs"]
mod id;
#[path = "../../../src/logging.rs"]
mod logging;
#[path = "../../../src/remote/mod.rs"]
mod remote;
#[path = "../../../src/stack.rs"]
mod stack;
#[path = "../../../src/wait/mod.rs"]
mod wait;

#[path = "../../../examples/weather_fetch/day.rs"]
mod day;
#[path = "../../../examples/weather_fetch/decode.rs"]
mod decode;
#[path = "../../../examples/common/plain.rs"]
mod plain;
#[path = "../../../examples/weather_fetch/python.rs"]
mod python;
#[path = "../../../examples/weather_fetch/rate.rs"]
mod rate;
#[path = "../../../examples/weather_fetch/stop.rs"]
mod stop;
#[path = "../../../examples/weather_fetch/args.rs"]
mod weather_args;
#[path = "../../../examples/xray_resize/args.rs"]
mod xray_args;

mod arguments;
pub mod cases;
pub mod chance;
pub mod corpus;
pub mod memory;
mod parcels;
mod process_pool;
mod restless;
mod sync;
mod values;
mod weather;

/// Something that reads bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As `cargo fuzz` and the corpus call it.
    pub name: &'static str,
    /// Reads any bytes; panics if it finds that they were not read well.
    pub body: fn(&[u8]),
    /// What its input is made of, beside bytes.
    pub words: &'static [&'static str],
    /// Good input, by those who write it: with a name each.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All there are.
pub const TARGETS: [Target; 7] = [
    process_pool::frames::TARGET,
    process_pool::messages::TARGET,
    parcels::TARGET,
    values::TARGET,
    process_pool::mad_worker::TARGET,
    weather::TARGET,
    arguments::TARGET,
];

/// The one of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// The program of a target: libFuzzer's, if `cargo fuzz` builds it; else it reads each file that it is given.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let target = $crate::target(stringify!($name)).expect("one of the list");
            (target.body)(data);
        });

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            let target = $crate::target(stringify!($name)).expect("one of the list");
            for path in std::env::args_os().skip(1) {
                (target.body)(&std::fs::read(path)?);
            }
            Ok(())
        }
    };
}
