//! Bad input: one function for each thing that reads bytes which others wrote. It panics if they were not read well.
//!
//! Three run them: libFuzzer (`fuzz_targets`, where `cargo fuzz` is installed), a loop without coverage (`cases`), and
//! `cargo test`, which has time for the corpus and a few thousand cases more.

// `cargo test --lib` would look for the tests beside the examples' sources, where they are not.
#![cfg(not(test))]
#![expect(dead_code, reason = "the sources are the examples'; here only what reads is used")]

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
#[path = "../../../examples/weather_fetch/args.rs"]
mod weather_args;
#[path = "../../../examples/xray_resize/args.rs"]
mod xray_args;

mod arguments;
pub mod cases;
pub mod chance;
pub mod corpus;
mod weather;

use concurrent_futures::internals::fuzz::{self, Target};
use concurrent_futures::internals::memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All there are: those that read what is internal to the crate, and those that read what the examples do.
pub fn targets() -> impl Iterator<Item = Target> {
    fuzz::TARGETS.into_iter().chain([weather::TARGET, arguments::TARGET])
}

/// The one of this name.
pub fn target(name: &str) -> Option<Target> {
    targets().find(|target| target.name == name)
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
